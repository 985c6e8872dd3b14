"""What every page shares: sessions, forgery protection, headers, rendering, errors for people."""

import secrets
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import aiohttp_jinja2
import msgspec
import structlog
from aiohttp import web
from markupsafe import Markup

from gateway.adapters.passkeys import RelyingParty
from gateway.api.appearance import LOOKS, Looks, theme_of
from gateway.api.assets import ASSET, YEAR_SECONDS, serve_assets
from gateway.api.copies import mark_account
from gateway.api.entry import begin
from gateway.api.forgery import FIELD, new_nonce, nonce_of, require_own_form, seal
from gateway.api.language import language_of, say
from gateway.api.site import SITE, VISITOR, Site, site_of, today, visitor_of
from gateway.api.templates import TEMPLATES, Environment
from gateway.ports import Owner
from shared.http import Operation
from shared.postgres import RETRYABLE_ERRORS
from shared.problem import ProblemError

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

FORM_SEAL = web.RequestKey("form_seal", str)
PROTECTION = Markup('<input type="hidden" name="{}" value="%s">').format(FIELD)
"""What each form carries, so that no other site can send it."""
PROGRAMS = (
    "/static/",
    "/apparence/",
    "/manifest.webmanifest",
    "/service-worker.js",
    "/oauth",
    "/.well-known",
    "/v1/",
    "/livez",
    "/readyz",
    "/metrics",
    "/openapi",
    "/docs",
)
"""What is asked by programs: no session, no form, no page."""
PRIVATE = ("/q/", "/factures", "/compte", "/connexion/oubli/", "/payer", "/regie")
"""What search engines must not keep, should an address ever reach them."""
HEADERS: web.AppKey[dict[str, str]] = web.AppKey("headers")
"""What every page says that says nothing else."""
PAPER_PATH = "/q/"
"""Pages whose address opens an invoice."""
SECRET_PATHS = (
    PAPER_PATH,
    "/compte/confirmer/",
    "/compte/adresse/",
    "/compte/invitation-redevable/",
    "/connexion/oubli/",
)
"""Pages whose address holds a secret."""
RETURN_PATH = "/payer/retour"
"""Where the provider sends the browser back, maybe by POST: it changes nothing here."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def set_up(application: web.Application, site: Site) -> None:
    """Give an application its templates, its static files and the site's parts."""
    application[SITE] = site
    application[LOOKS] = Looks()
    application[ASSET] = serve_assets(application)
    filters = {"asset": application[ASSET], "look": application[LOOKS].of}
    for language, key in TEMPLATES.items():
        application[key] = environment = Environment(language, filters)
        environment.globals["has_france_connect"] = site.france_connect is not None
        # Where a browser makes no passkey, none is offered.
        environment.globals["has_passkeys"] = RelyingParty(site.public_url).is_possible
    application[HEADERS] = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": content_policy(site),
        **protective_headers(site),
    }


def page(method: str, path: str, handler: Handler, summary: str, tag: str = "portal") -> Operation:
    """Return a page as an operation."""
    return Operation(
        method=method,
        path=path,
        handler=handler,
        summary=summary,
        responses={200: "text/html"},
        tags=(tag,),
    )


def render(
    request: web.Request,
    template: str,
    status: int = 200,
    **context: Any,  # noqa: ANN401
) -> web.Response:
    """Return a page; every template also gets the visitor, the form's seal and today's date."""
    language = language_of(request)
    shared: dict[str, Any] = {
        "visitor": visitor_of(request),
        "protection": PROTECTION % request.get(FORM_SEAL, ""),
        # Who clicks twice sends the same key twice: one payment.
        "fresh_key": secrets.token_urlsafe(24),
        "today": today(request),
        "path": request.path,
        # Where the language is switched: a form's own address has no page to come back to.
        "here": request.path_qs if request.method in ("GET", "HEAD") else request.path,
        "theme": theme_of(request),
    }
    answer = aiohttp_jinja2.render_template(
        template, request, shared | context, app_key=TEMPLATES[language], status=status
    )
    answer.headers["Content-Language"] = language
    return answer


async def log_in(
    request: web.Request,
    response: web.Response,
    *,
    account_id: UUID | None = None,
    login: str | None = None,
    method: str = "password",
) -> None:
    """Open a session for who proved one thing, or turn `response` aside to the second factor.

    `method` is how it was proved: `password`, `link`, or `franceconnect` and `passkey`, after which
    nothing more is asked.
    """
    await begin(request, response, Owner(account_id=account_id, login=login), method)


@web.middleware
async def pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Know the visitor, refuse forged forms, dress errors as pages, set the headers."""
    if request.path.startswith(PROGRAMS):
        return await handler(request)
    nonce = nonce_of(request)
    fresh = "" if nonce else new_nonce()
    try:
        session = await _recognise(request)
        request[FORM_SEAL] = seal(site_of(request), nonce or fresh, session)
        if request.method not in ("GET", "HEAD") and request.path != RETURN_PATH:
            await require_own_form(request, session)
        await request.app[LOOKS].refresh(request)
        response = await handler(request)
    except ProblemError as error:
        response = problem_page(request, error)
    except web.HTTPException as error:
        response = _without_exception(request, error)
    except RETRYABLE_ERRORS as error:
        # The session could not be looked up; what fails later is told by the layer below.
        logger.warning("temporarily unavailable", error=repr(error))
        response = problem_page(request, _unavailable(request))
    if response.content_type == "application/problem+json" and isinstance(response, web.Response):
        response = _page_of(request, response)
    if fresh and isinstance(response, web.Response):
        site = site_of(request)
        site.keep(response, site.form_cookie, fresh)
    return _dress(request, response)


async def _recognise(request: web.Request) -> str:
    """Note who is behind the session; return its secret, empty without one that holds."""
    site = site_of(request)
    session = request.cookies.get(site.session_cookie)
    if not session:
        return ""
    visitor = await site.lookups.visitor(session)
    if visitor is None:
        return ""
    request[VISITOR] = visitor
    return session


def _without_exception(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
    if error.status < 400:
        return web.Response(status=error.status, headers={"Location": error.headers["Location"]})
    sentence = _general_sentence(request, error.status)
    return problem_page(request, ProblemError(error.status, "page", sentence))


def _general_sentence(request: web.Request, status: int) -> str:
    sentences = {
        404: say(request, "Cette page n’existe pas, ou plus."),
        405: say(request, "Cette action n’est pas possible ici."),
        413: say(request, "Le contenu envoyé est trop grand."),
        500: say(request, "Une erreur inattendue s’est produite. Elle est enregistrée."),
        503: _unavailable(request).detail,
    }
    return sentences.get(status, "")


def _unavailable(request: web.Request) -> ProblemError:
    sentence = say(request, "Le service est momentanément indisponible. Réessayez dans un instant.")
    return ProblemError(503, "unavailable", sentence, headers={"Retry-After": "5"})


def _page_of(request: web.Request, response: web.Response) -> web.Response:
    """Return a problem document as a page."""
    body = response.body if isinstance(response.body, bytes) else b"{}"
    problem = msgspec.json.decode(body, type=dict[str, Any])
    kept = {
        name: response.headers[name]
        for name in ("Retry-After", "Allow")
        if name in response.headers
    }
    code = str(problem.get("code", ""))
    is_general = code in ("not-found", "method-not-allowed", "too-large") or response.status >= 500
    told = str(problem.get("detail", ""))
    detail = _general_sentence(request, response.status) if is_general else told
    error = ProblemError(response.status, code, detail, headers=kept)
    return problem_page(request, error, str(problem.get("trace_id", "")))


def problem_page(request: web.Request, error: ProblemError, trace_id: str = "") -> web.Response:
    """Return the page that says what went wrong, and what to do."""
    titles = {
        401: say(request, "Action refusée"),
        403: say(request, "Action refusée"),
        404: say(request, "Page introuvable"),
        410: say(request, "Ce n’est plus disponible"),
        429: say(request, "Un peu de patience"),
        503: say(request, "Service momentanément indisponible"),
    }
    response = render(
        request,
        "message.html",
        status=error.status,
        title=titles.get(error.status, say(request, "La demande n’a pas abouti")),
        sentence=error.detail,
        reference=trace_id if error.status >= 500 else "",
    )
    response.headers.update(error.headers)
    return response


def _dress(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    if response.prepared:
        return response
    for name, value in request.app[HEADERS].items():
        # One page asks for the camera, and says so itself.
        response.headers.setdefault(name, value)
    if request.path.startswith(PRIVATE):
        response.headers["X-Robots-Tag"] = "noindex, nofollow"
    mark_account(request, response)
    if request.path.startswith(SECRET_PATHS):
        # The secret stands in the address: nobody learns it, not even another page of ours.
        response.headers["Referrer-Policy"] = "no-referrer"
    return response


def content_policy(site: Site, *, scripts: str = "'self'") -> str:
    """Return what a page may load and where its forms may go: nothing inline, nothing foreign.

    A page whose scripts need more than our own files says so with `scripts`, and sets the header
    itself.
    """
    actions = " ".join(("'self'", *site.form_origins))
    return (
        f"default-src 'none'; style-src 'self'; img-src 'self'; script-src {scripts};"
        " connect-src 'self'; worker-src 'self'; manifest-src 'self'; object-src 'none';"
        f" base-uri 'none'; frame-ancestors 'none'; form-action {actions}"
    )


def protective_headers(site: Site) -> dict[str, str]:
    """Return the headers that every answer to a browser carries."""
    headers = {
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    }
    if site.is_secure:
        headers["Strict-Transport-Security"] = f"max-age={YEAR_SECONDS}; includeSubDomains"
    return headers
