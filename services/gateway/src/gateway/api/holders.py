"""Who sets up second factors, and where: a citizen, an agent, an agent who has none yet."""

from datetime import timedelta
from urllib.parse import quote

import msgspec
from aiohttp import web

from gateway.api.entry import ACTIVATION
from gateway.api.site import require_agent, require_citizen, see_other, site_of, visitor_of
from gateway.ports import Owner, PendingLogin

FRESH_FOR = timedelta(minutes=5)
"""How long a proof of who one is lets one change what proves it (ASVS 7.5.1)."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the site with pages of second factors: where it begins, and how it is framed."""

    base: str
    frame: str

    @property
    def tag(self) -> str:
        """Whose pages these are, for the documentation."""
        return "portal" if self.base.startswith("/compte") else "agents"

    @property
    def sessions(self) -> str:
        """Where the sessions of the same person are listed."""
        return f"{self.base.rpartition('/')[0]}/sessions"


CITIZENS = Place(base="/compte/securite", frame="account_page.html")
AGENTS = Place(base="/regie/securite", frame="agent_page.html")
NEW_AGENTS = Place(base=ACTIVATION, frame="plain_page.html")
PLACES = (CITIZENS, AGENTS, NEW_AGENTS)


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Who is there; `secret` is of the session, or of the pending login of a new agent."""

    owner: Owner
    name: str
    secret: str
    is_fresh: bool


def place_of(request: web.Request) -> Place:
    """Return the place to which a page belongs."""
    return next(
        place
        for place in PLACES
        if request.path.startswith((place.base, place.sessions)) or place is NEW_AGENTS
    )


async def holder_of(request: web.Request) -> Holder:
    """Return who may see the page that was asked for.

    Raises:
        HTTPSeeOther: nobody who is known; to where one logs in.
    """
    place, site = place_of(request), site_of(request)
    if place is NEW_AGENTS:
        pending = await pending_of(request)
        if pending is None or not pending.owner.is_agent:
            raise web.HTTPSeeOther("/regie/connexion")
        async with site.open_portal() as portal:
            has_factor = bool(await portal.factors(pending.owner))
        if has_factor:
            # Whoever has a second factor proves it: a password alone does not add another.
            raise web.HTTPSeeOther("/connexion/verification")
        return Holder(
            owner=pending.owner,
            name=pending.owner.login or "",
            secret=request.cookies.get(site.pending_cookie, ""),
            is_fresh=True,
        )
    if place is CITIZENS:
        citizen = require_citizen(request)
        owner, name = Owner(account_id=citizen.account_id), citizen.email or ""
    else:
        visitor = require_agent(request)
        owner, name = Owner(login=visitor.login), visitor.login
    return Holder(
        owner=owner,
        name=name,
        secret=request.cookies.get(site.session_cookie, ""),
        is_fresh=is_fresh(request),
    )


def is_fresh(request: web.Request) -> bool:
    """Tell whether who is logged in proved a moment ago who they are."""
    site = site_of(request)
    visitor = visitor_of(request)
    if visitor is None or visitor.proved_at is None:
        return False
    return visitor.proved_at > site.clock.now() - FRESH_FOR


async def pending_of(request: web.Request) -> PendingLogin | None:
    """Return who owes a second factor in this browser, or None."""
    site = site_of(request)
    secret = request.cookies.get(site.pending_cookie)
    if not secret:
        return None
    async with site.open_portal() as portal:
        return await portal.pending(secret, site.clock.now())


def ask_again(place: Place, following: str) -> web.Response:
    """Send somebody to prove again who they are, and then on to `following`."""
    return see_other(f"{place.base}/preuve?suite={quote(following)}")
