"""Forms that only our own pages can send (ASVS 3.5.1, 3.5.3)."""

import base64
import hmac
import secrets
from hashlib import sha256
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from gateway.api.language import say
from gateway.api.site import Site, site_of
from shared.problem import ProblemError

FIELD = "formulaire"
MEDIA_TYPE = "application/x-www-form-urlencoded"
CHARSETS = frozenset({"utf-8", "iso-8859-1", "us-ascii"})
"""The last two are what programs of billers name by habit; others may make what is no text."""
NONCE_LENGTH = 43
FIELDS_AT_MOST = 100


def new_nonce() -> str:
    """Return what the browser keeps in a cookie: 256 random bits."""
    return secrets.token_urlsafe(32)


def nonce_of(request: web.Request) -> str:
    """Return the nonce that the browser holds, or an empty text."""
    held = request.cookies.get(site_of(request).form_cookie, "")
    return held if len(held) == NONCE_LENGTH and held.isascii() else ""


def seal(site: Site, nonce: str, session: str) -> str:
    """Return what a form must carry: bound to the browser, to the session if any, and signed.

    A cookie that another site managed to set is worth nothing without the key, and what was sealed
    before a login is worth nothing after it.
    """
    bound = f"{nonce}.{session}".encode(errors="surrogatepass")
    return base64.urlsafe_b64encode(hmac.digest(site.form_key, bound, sha256)).decode().rstrip("=")


class Form(msgspec.Struct, frozen=True):
    """The fields of a form, in their order; a name may come several times."""

    fields: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str:
        """Return the first value of a field, or an empty text."""
        return next(iter(self.all(name)), "")

    def all(self, name: str) -> list[str]:
        """Return every value of a field."""
        return [value for found, value in self.fields if found == name]

    @property
    def repeats(self) -> bool:
        """Whether a name comes twice."""
        return len({name for name, _ in self.fields}) < len(self.fields)


async def read_form(request: web.Request) -> Form:
    """Return the fields of a form, as text.

    Raises:
        ProblemError: 400, it cannot be read, or holds what no form of ours sends.
        HTTPRequestEntityTooLarge: it is too long.
    """
    charset = (request.charset or "utf-8").lower()
    if request.content_type != MEDIA_TYPE or charset not in CHARSETS:
        raise _unreadable(request)
    try:
        fields = await request.post()
    except (ValueError, LookupError) as error:
        # Bytes that are not of the charset, or a charset that nobody knows.
        raise _unreadable(request) from error
    # Only multipart forms hold anything but text.
    form = Form(tuple((name, str(value)) for name, value in fields.items()))
    # PostgreSQL holds no text with a NUL character, and nobody types one.
    if len(form.fields) > FIELDS_AT_MOST or any("\x00" in n + v for n, v in form.fields):
        raise _unreadable(request)
    return form


def _unreadable(request: web.Request) -> ProblemError:
    return ProblemError(
        400, "unreadable-form", say(request, "Le formulaire reçu n’est pas lisible.")
    )


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        # No browser writes an origin that is no address.
        return None


async def require_own_form(request: web.Request, session: str) -> None:
    """Go on when the form comes from a page of ours, opened under this session.

    Raises:
        ProblemError: 403, it does not; 400, it cannot be read.
    """
    site = site_of(request)
    origin = request.headers.get("Origin")
    # Pages that send no referrer make browsers say `null` for the origin of their forms too.
    ours = {request.host, urlsplit(site.public_url).netloc}
    is_foreign = origin not in (None, "null") and _host_of(origin or "") not in ours
    if is_foreign or request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
        raise ProblemError(
            403, "forged-form", say(request, "Ce formulaire ne vient pas de ce site.")
        )
    given = (await read_form(request)).get(FIELD)
    nonce = nonce_of(request)
    expected = seal(site, nonce, session)
    if not nonce or not hmac.compare_digest(given.encode(), expected.encode()):
        raise ProblemError(
            403,
            "stale-form",
            say(
                request,
                "Cette page était ouverte depuis trop longtemps, ou votre navigateur refuse les"
                " cookies. Revenez en arrière, rechargez la page et recommencez.",
            ),
        )
