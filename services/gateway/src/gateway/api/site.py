"""What every page needs of the wiring and of the request: the site, the visitor, the date."""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import date
from urllib.parse import quote

import msgspec
from aiohttp import web

from gateway.ports import Citizen, Portal, Visitor
from gateway.ports.identity import IdentityProvider
from gateway.ports.lookups import Lookups
from shared.clock import Clock, paris_date

OpenPortal = Callable[[], AbstractAsyncContextManager[Portal]]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

VISITOR = web.RequestKey("visitor", Visitor)


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """What the pages need of the wiring."""

    open_portal: OpenPortal
    lookups: Lookups
    clock: Clock
    public_url: str
    payment_origins: tuple[str, ...]
    is_secure: bool
    form_key: bytes
    trusted_proxies: tuple[Network, ...] = ()
    sealing_keys: tuple[bytes, ...]
    """What seals the secrets of second factors, the key in use first."""
    france_connect: IdentityProvider | None = None
    """None where the settings name no FranceConnect: its button and pages are not there."""
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    """Lets somebody wait; not awaited on the clock's own time in tests."""

    @property
    def form_origins(self) -> tuple[str, ...]:
        """Where forms may lead: browsers hold redirects after a form to the same rule."""
        provider = self.france_connect
        return (*self.payment_origins, *((provider.origin,) if provider else ()))

    @property
    def session_cookie(self) -> str:
        """Name of the session's cookie; the prefix binds it to this host over TLS (RFC 6265bis)."""
        return self._named("session")

    @property
    def payment_cookie(self) -> str:
        """Name of the cookie that remembers which payment a payer left for, and from where."""
        return self._named("payment")

    @property
    def form_cookie(self) -> str:
        """Name of the forms' cookie."""
        return self._named("form")

    @property
    def pending_cookie(self) -> str:
        """Name of the cookie of who still owes a second factor: no session."""
        return self._named("pending")

    @property
    def browser_cookie(self) -> str:
        """Name of the cookie by which a browser is known again, for a year."""
        return self._named("browser")

    @property
    def push_cookie(self) -> str:
        """Name of the cookie by which a browser knows itself among the devices of an account."""
        return self._named("push")

    @property
    def opening_cookie(self) -> str:
        """Name of the cookie that opens, in this browser, what was found by its sum."""
        return self._named("opening")

    @property
    def language_cookie(self) -> str:
        """Name of the cookie that holds the chosen language."""
        return self._named("language")

    @property
    def theme_cookie(self) -> str:
        """Name of the cookie that holds the chosen colours, light or dark."""
        return self._named("theme")

    def _named(self, name: str) -> str:
        return f"__Host-{name}" if self.is_secure else name

    def keep(
        self, response: web.Response, name: str, value: str, seconds: int | None = None
    ) -> None:
        """Give the browser a cookie that scripts and other sites never see."""
        response.set_cookie(
            name,
            value,
            max_age=seconds,
            httponly=True,
            secure=self.is_secure,
            samesite="Lax",
            path="/",
        )


SITE = web.AppKey("site", Site)


def site_of(request: web.Request) -> Site:
    """Return the site that a request came to."""
    return request.app[SITE]


def visitor_of(request: web.Request) -> Visitor | None:
    """Return who is logged in, or None."""
    return request.get(VISITOR)


def today(request: web.Request) -> date:
    """Return the civil date in France."""
    return paris_date(site_of(request).clock.now())


def citizen_of(request: web.Request) -> Citizen | None:
    """Return the citizen who is logged in, or None."""
    visitor = visitor_of(request)
    if visitor is None or visitor.account_id is None:
        return None
    return Citizen(
        account_id=visitor.account_id, email=visitor.email, is_verified=visitor.is_verified
    )


def require_citizen(request: web.Request) -> Citizen:
    """Return the citizen who is logged in.

    Raises:
        HTTPSeeOther: nobody is; to the login page and back here.
    """
    citizen = citizen_of(request)
    if citizen is None:
        # After a form there is nothing to come back to: a form is not sent twice.
        following = f"?suite={quote(request.path_qs)}" if request.method == "GET" else ""
        location = f"/connexion{following}"
        raise web.HTTPSeeOther(location)
    return citizen


def require_agent(request: web.Request) -> Visitor:
    """Return the agent who is logged in.

    Raises:
        HTTPSeeOther: nobody is; to the agents' login page.
    """
    visitor = visitor_of(request)
    if visitor is None or not visitor.login:
        location = "/regie/connexion"
        raise web.HTTPSeeOther(location)
    return visitor


def safe_path(text: str, otherwise: str = "/factures") -> str:
    """Return a path of ours to go on to; anything else becomes `otherwise` (ASVS 3.7.2)."""
    is_ours = text.startswith("/") and not text.startswith("//")
    is_plain = text.isascii() and text.isprintable() and not set(' \\"<>') & set(text)
    return text if is_ours and is_plain else otherwise


def see_other(location: str) -> web.Response:
    """Send the browser to a page of ours after a form (POST, redirect, GET)."""
    return web.Response(status=303, headers={"Location": location})
