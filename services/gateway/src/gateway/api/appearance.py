"""What authorities look like, as pages use it; and the colours, light or dark, of who reads."""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

import msgspec
import structlog
from aiohttp import web

from gateway.api.assets import YEAR_SECONDS
from gateway.api.forgery import read_form
from gateway.api.site import safe_path, see_other, site_of
from gateway.colours import Shades, by_day, by_night, nearest
from gateway.logos import Logo, LogoError, read_logo
from gateway.ports import Appearance, AuthorityLook, Contact, LegalNotice, OtherMeans
from shared.http import Operation
from shared.postgres import RETRYABLE_ERRORS

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

FRESH_SECONDS = 30
"""How long after a load every page still may show the appearance of before."""
THEMES = frozenset({"light", "dark"})
"""What a visitor may choose; anything else follows their device."""
LOGO_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"
"""Opened by itself, a logo is a document of this site: it may do nothing at all."""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """An authority as pages show it."""

    authority: str
    name: str
    revision: int
    css: str
    css_version: str
    logo: Logo | None
    logo_version: str
    contact: Contact | None
    legal: LegalNotice
    contacts: Mapping[str, Contact]
    other_means: Mapping[str, OtherMeans]

    @property
    def css_address(self) -> str:
        """Where its colours are; empty without any."""
        path = f"/apparence/{self.authority}.css?v={self.css_version}"
        return path if self.css else ""

    @property
    def logo_address(self) -> str:
        """Where its logo is; empty without one."""
        path = f"/apparence/{self.authority}/logo?v={self.logo_version}"
        return path if self.logo else ""

    def contact_of(self, regie: str) -> Contact | None:
        """Return who answers for a régie: its own contact, else the authority's."""
        return self.contacts.get(regie, self.contact)

    def means_of(self, regie: str) -> OtherMeans | None:
        """Return how a régie is paid otherwise than online, where it is known."""
        return self.other_means.get(regie)


class Looks:
    """What all authorities look like, kept in memory and read again when a load changed it."""

    def __init__(self) -> None:
        """Know none yet."""
        self._looks: dict[str, Look] = {}
        self._asked_at = float("-inf")

    def of(self, authority: str) -> Look | None:
        """Return what an authority looks like; None when it is not known here."""
        return self._looks.get(authority)

    def all(self) -> list[Look]:
        """Return every authority, by name."""
        return sorted(self._looks.values(), key=lambda look: look.name)

    async def refresh(self, request: web.Request) -> None:
        """Read what changed, at most once in a while.

        When the database does not answer, what was known is shown: only colours depend on it.
        """
        site = site_of(request)
        now = site.clock.now().timestamp()
        if now - self._asked_at < FRESH_SECONDS:
            return
        try:
            async with site.open_portal() as portal:
                revisions = await portal.look_revisions()
                changed = [
                    authority
                    for authority, revision in revisions.items()
                    if authority not in self._looks or self._looks[authority].revision != revision
                ]
                read = await portal.looks(changed) if changed else []
        except RETRYABLE_ERRORS as error:
            logger.warning("appearances could not be read", error=repr(error))
            return
        kept = {name: look for name, look in self._looks.items() if name in revisions}
        self._looks = kept | {look.authority: _shown(look) for look in read}
        self._asked_at = now


LOOKS = web.AppKey("looks", Looks)


class Appearances:
    """What is served of appearances."""

    async def get_css(self, request: web.Request) -> web.Response:
        """Serve the colours of an authority: custom properties and nothing else."""
        look = await _look_of(request)
        if not look.css:
            raise web.HTTPNotFound
        answer = web.Response(text=look.css, content_type="text/css", charset="utf-8")
        answer.enable_compression()
        return _kept(request, answer, look.css_version)

    async def get_logo(self, request: web.Request) -> web.Response:
        """Serve the logo of an authority."""
        look = await _look_of(request)
        if look.logo is None:
            raise web.HTTPNotFound
        answer = web.Response(body=look.logo.content, content_type=look.logo.media_type)
        if look.logo.media_type != "image/png":
            answer.enable_compression()
        answer.headers["Content-Security-Policy"] = LOGO_POLICY
        return _kept(request, answer, look.logo_version)

    async def post_theme(self, request: web.Request) -> web.StreamResponse:
        """Show light or dark colours from now on, or those of the device."""
        fields = await read_form(request)
        site = site_of(request)
        response = see_other(safe_path(fields.get("suite"), "/"))
        chosen = fields.get("theme")
        if chosen in THEMES:
            site.keep(response, site.theme_cookie, chosen, YEAR_SECONDS)
        else:
            response.del_cookie(site.theme_cookie, path="/", secure=site.is_secure)
        return response

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [
            Operation(
                method="POST",
                path="/apparence",
                handler=self.post_theme,
                summary="Light or dark colours.",
                responses={200: "text/html"},
                tags=("portal",),
            ),
            Operation(
                method="GET",
                path="/apparence/{authority}.css",
                handler=self.get_css,
                summary="The colours of an authority.",
                responses={200: "text/css"},
                tags=("portal",),
            ),
            Operation(
                method="GET",
                path="/apparence/{authority}/logo",
                handler=self.get_logo,
                summary="The logo of an authority.",
                responses={200: "image/svg+xml"},
                tags=("portal",),
            ),
        ]


def theme_of(request: web.Request) -> str:
    """Return the colours that the visitor chose; empty: those of their device."""
    chosen = request.cookies.get(site_of(request).theme_cookie, "")
    return chosen if chosen in THEMES else ""


def looks_of(request: web.Request, authorities: Iterable[str]) -> list[Look]:
    """Return what these authorities look like, each once; the unknown are left out."""
    found = (request.app[LOOKS].of(authority) for authority in dict.fromkeys(authorities))
    return [look for look in found if look is not None]


async def _look_of(request: web.Request) -> Look:
    looks = request.app[LOOKS]
    await looks.refresh(request)
    look = looks.of(request.match_info["authority"])
    if look is None:
        raise web.HTTPNotFound
    return look


def _kept(request: web.Request, answer: web.Response, version: str) -> web.Response:
    """Return a file that is kept for ever under its version, and asked again without one."""
    is_versioned = request.query.get("v") == version
    answer.headers["Cache-Control"] = (
        f"public, max-age={YEAR_SECONDS}, immutable" if is_versioned else "no-cache"
    )
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    return answer


def _shown(read: AuthorityLook) -> Look:
    appearance = read.appearance or Appearance()
    css = css_of(read.authority, appearance)
    logo = _logo(read.authority, appearance.logo)
    return Look(
        authority=read.authority,
        name=read.name,
        revision=read.revision,
        css=css,
        css_version=_version(css.encode()),
        logo=logo,
        logo_version=_version(logo.content if logo else b""),
        contact=appearance.contact,
        legal=appearance.legal or LegalNotice(),
        contacts={regie.code: regie.contact for regie in read.regies if regie.contact},
        other_means={regie.code: regie.other_means for regie in read.regies if regie.other_means},
    )


def _logo(authority: str, text: str | None) -> Logo | None:
    try:
        return read_logo(text) if text else None
    except LogoError as error:
        # It was right when it was loaded: rules have changed since. A page stands without.
        logger.warning("logo left out", authority=authority, error=str(error))
        return None


def css_of(authority: str, appearance: Appearance) -> str:
    """Return an authority's colours as custom properties; empty without an accent."""
    if appearance.accent is None:
        return ""
    dark = appearance.accent_dark or nearest(appearance.accent, by_night=True)
    properties = [
        *_properties("--own", by_day(appearance.accent)),
        *_properties("--own-dark", by_night(dark)),
    ]
    return f".of-{authority} {{ {' '.join(properties)} }}\n"


def _properties(name: str, shades: Shades) -> Sequence[str]:
    return (
        f"{name}: {shades.plain};",
        f"{name}-strong: {shades.strong};",
        f"{name}-pale: {shades.pale};",
        f"{name}-on: {shades.on};",
    )


def _version(content: bytes) -> str:
    return sha256(content).hexdigest()[:12]
