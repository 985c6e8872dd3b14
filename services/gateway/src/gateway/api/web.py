"""What every page shares: sessions, forgery protection, headers, rendering, errors for people."""

import hmac
import secrets
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp_jinja2
import jinja2
import msgspec
import structlog
from aiohttp import web
from babel.dates import format_date

from gateway.ports import InvoiceView, Visitor
from gateway.store import PostgresPortal
from shared.clock import PARIS, Clock, paris_date
from shared.http import ProblemError
from shared.money import format_euros

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

PACKAGE = Path(__file__).parents[1]
SESSION_HOURS = 12
FORM_FIELD = "formulaire"
VISITOR = web.RequestKey("visitor", Visitor)
FORM_SECRET = web.RequestKey("form_secret", str)
OpenPortal = Callable[[], AbstractAsyncContextManager[PostgresPortal]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """What the pages need of the wiring."""

    open_portal: OpenPortal
    clock: Clock
    public_url: str
    card_origins: tuple[str, ...]
    is_secure: bool

    @property
    def session_cookie(self) -> str:
        """Name of the session's cookie; the prefix binds it to this host over TLS (RFC 6265bis)."""
        return "__Host-session" if self.is_secure else "session"

    @property
    def back_cookie(self) -> str:
        """Name of the cookie that remembers the page from which a payer left to pay."""
        return "__Host-back" if self.is_secure else "back"

    @property
    def form_cookie(self) -> str:
        """Name of the forms' cookie."""
        return "__Host-form" if self.is_secure else "form"


SITE = web.AppKey("site", Site)


def french_day(day: date) -> str:
    """Return `24 novembre 2026`."""
    return format_date(day, "d MMMM y", locale="fr")


def french_moment(instant: datetime) -> str:
    """Return the day and the hour in France."""
    local = instant.astimezone(PARIS)
    return f"{french_day(local.date())} à {local:%H h %M}"


FILTERS: dict[str, Callable[..., str]] = {
    "euros": format_euros,
    "jour": french_day,
    "moment": french_moment,
}


def site_of(request: web.Request) -> Site:
    """Return the site that a request came to."""
    return request.app[SITE]


def visitor_of(request: web.Request) -> Visitor | None:
    """Return who is logged in, or None."""
    return request.get(VISITOR)


def today(request: web.Request) -> date:
    """Return the civil date in France."""
    return paris_date(site_of(request).clock.now())


def set_up(application: web.Application, site: Site) -> None:
    """Give an application its templates, its static files and the site's parts."""
    application[SITE] = site
    aiohttp_jinja2.setup(
        application,
        loader=jinja2.FileSystemLoader(PACKAGE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        filters=FILTERS,
    )
    application.router.add_static("/static", PACKAGE / "static", append_version=True)


def render(
    request: web.Request,
    template: str,
    status: int = 200,
    **context: Any,  # noqa: ANN401
) -> web.Response:
    """Return a page; every template also gets the visitor, the form secret and today's date."""
    shared: dict[str, Any] = {
        "visitor": visitor_of(request),
        "form_secret": request.get(FORM_SECRET, ""),
        "today": today(request),
        "path": request.path,
    }
    return aiohttp_jinja2.render_template(template, request, shared | context, status=status)


def see_other(location: str) -> web.Response:
    """Send the browser to a page of ours after a form (POST, redirect, GET)."""
    return web.Response(status=303, headers={"Location": location})


async def log_in(request: web.Request, response: web.Response, **who: Any) -> None:  # noqa: ANN401
    """Open a session under a new secret; one that the browser had before ends."""
    site = site_of(request)
    secret = secrets.token_urlsafe(32)
    async with site.open_portal() as portal:
        earlier = request.cookies.get(site.session_cookie)
        if earlier:
            await portal.end_session(earlier)
        await portal.open_session(secret, site.clock.now(), **who)
    response.set_cookie(
        site.session_cookie,
        secret,
        max_age=SESSION_HOURS * 3600,
        httponly=True,
        secure=site.is_secure,
        samesite="Lax",
        path="/",
    )


def require_citizen(request: web.Request) -> Visitor:
    """Return the citizen who is logged in.

    Raises:
        HTTPSeeOther: nobody is; to the login page and back here.
    """
    visitor = visitor_of(request)
    if visitor is None or visitor.account_id is None:
        location = f"/connexion?suite={request.path}"
        raise web.HTTPSeeOther(location)
    return visitor


def require_agent(request: web.Request) -> Visitor:
    """Return the agent who is logged in.

    Raises:
        HTTPSeeOther: nobody is; to the agents' login page.
    """
    visitor = visitor_of(request)
    if visitor is None or not visitor.login:
        raise web.HTTPSeeOther("/regie/connexion")
    return visitor


def safe_path(text: str) -> str:
    """Return a path of ours to go on to; anything else becomes the list of invoices."""
    parts = urlsplit(text)
    is_ours = not parts.scheme and not parts.netloc and text.startswith("/")
    return text if is_ours and "\\" not in text and not text.startswith("//") else "/factures"


def buckets(request: web.Request, kind: str, name: str = "") -> list[str]:
    """Return under which names a failure counts: where it came from, and whom it was about."""
    found = [f"{kind}:ip:{request.remote or ''}"]
    return [*found, f"{kind}:name:{name.lower()[:200]}"] if name else found


async def require_open(request: web.Request, names: list[str]) -> None:
    """Go on unless too many failures came before.

    Raises:
        ProblemError: 429, with the seconds to wait.
    """
    site = site_of(request)
    now = site.clock.now()
    async with site.open_portal() as portal:
        until = await portal.blocked_until(names, now)
    if until is not None:
        seconds = max(1, int((until - now).total_seconds()))
        raise ProblemError(
            429,
            "too-many-attempts",
            f"Trop d’essais. Réessayez dans {seconds} secondes.",
            headers={"Retry-After": str(seconds)},
        )


@web.middleware
async def pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Know the visitor, refuse forged forms, dress errors as pages, set the headers."""
    if _is_for_programs(request):
        return await handler(request)
    site = site_of(request)
    form_secret = request.cookies.get(site.form_cookie, "")
    is_new = len(form_secret) < 32
    request[FORM_SECRET] = secrets.token_urlsafe(32) if is_new else form_secret
    session = request.cookies.get(site.session_cookie)
    if session:
        async with site.open_portal() as portal:
            visitor = await portal.visitor(session, site.clock.now())
        if visitor is not None:
            request[VISITOR] = visitor
    if request.method == "POST" and request.path != "/payer/retour":
        refusal = await _forgery(request, form_secret)
        if refusal is not None:
            return _dress(request, _as_page(request, refusal))
    try:
        response = await handler(request)
    except web.HTTPException as error:
        response = error if error.status < 400 else _as_page(request, _problem(error.status))
        if isinstance(response, web.HTTPException):
            response = web.Response(status=response.status, headers=response.headers)
    if response.content_type == "application/problem+json" and isinstance(response, web.Response):
        response = _page_of(request, response)
    if is_new and isinstance(response, web.Response):
        response.set_cookie(
            site.form_cookie,
            request[FORM_SECRET],
            httponly=True,
            secure=site.is_secure,
            samesite="Lax",
            path="/",
        )
    return _dress(request, response)


def _is_for_programs(request: web.Request) -> bool:
    return request.path.startswith(
        ("/oauth", "/.well-known", "/static", "/livez", "/readyz", "/metrics", "/openapi", "/docs")
    )


async def _forgery(request: web.Request, form_secret: str) -> ProblemError | None:
    """Return why a form does not come from a page of ours, or None."""
    origin = request.headers.get("Origin")
    is_foreign = origin is not None and urlsplit(origin).netloc != request.host
    if is_foreign or request.headers.get("Sec-Fetch-Site") == "cross-site":
        return ProblemError(403, "forged-form", "Ce formulaire ne vient pas de ce site.")
    fields = await request.post()
    given = str(fields.get(FORM_FIELD, ""))
    if not form_secret or not hmac.compare_digest(given.encode(), form_secret.encode()):
        return ProblemError(
            403,
            "stale-form",
            "Cette page était ouverte depuis trop longtemps. Revenez en arrière et recommencez.",
        )
    return None


def _problem(status: int) -> ProblemError:
    sentences = {
        404: "Cette page n’existe pas.",
        405: "Cette action n’est pas possible ici.",
        413: "Le contenu envoyé est trop grand.",
    }
    return ProblemError(status, "page", sentences.get(status, "La demande n’a pas abouti."))


def _page_of(request: web.Request, response: web.Response) -> web.Response:
    body = msgspec.json.decode(bytes(response.body or b"{}"), type=dict[str, Any])  # type: ignore[arg-type]
    retry = response.headers.get("Retry-After")
    error = ProblemError(
        response.status,
        str(body.get("code", "")),
        str(body.get("detail", "")),
        headers={"Retry-After": retry} if retry else None,
    )
    return _as_page(request, error, str(body.get("trace_id", "")))


def _as_page(request: web.Request, error: ProblemError, trace_id: str = "") -> web.Response:
    titles = {
        403: "Action refusée",
        404: "Page introuvable",
        410: "Ce n’est plus disponible",
        429: "Un peu de patience",
        503: "Service momentanément indisponible",
    }
    response = render(
        request,
        "message.html",
        status=error.status,
        title=titles.get(error.status, "La demande n’a pas abouti"),
        sentence=error.detail,
        reference=trace_id if error.status >= 500 else "",
    )
    response.headers.update(error.headers)
    return response


def _dress(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    actions = " ".join(("'self'", *site_of(request).card_origins))
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["Content-Security-Policy"] = (
        "default-src 'self'; script-src 'none'; object-src 'none'; base-uri 'none';"
        f" frame-ancestors 'none'; form-action {actions}"
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    # Tokens stand in addresses: no other site learns them.
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    if site_of(request).is_secure:
        response.headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    return response


def pdf_response(content: bytes, invoice: InvoiceView) -> web.Response:
    """Return a document to show in the browser, under a name made of harmless characters."""
    name = "".join(c if c.isascii() and c.isalnum() else "-" for c in invoice.number)
    return web.Response(
        body=content,
        content_type="application/pdf",
        headers={
            "Content-Disposition": f'inline; filename="facture-{name}.pdf"',
            "Cache-Control": "private, no-store",
        },
    )
