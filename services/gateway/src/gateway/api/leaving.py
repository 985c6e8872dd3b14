"""Logging out: here first, then at FranceConnect when that is where the session came from."""

import secrets

import structlog
from aiohttp import web

from gateway.api.forgery import nonce_of
from gateway.api.site import site_of
from gateway.ports.identity import IdentityUnavailableError, Journey, Purpose

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


def new_secret() -> str:
    """Return 256 random bits: 43 characters, where FranceConnect v2 wants 22 of a nonce."""
    return secrets.token_urlsafe(32)


async def end_session(request: web.Request, following: str = "/") -> str:
    """End the browser's session on the server; return where the browser goes next.

    That is FranceConnect's own logout for a session that went through it, which comes back to
    `following`; else `following`. The session here ends before, whatever FranceConnect answers.
    """
    site = site_of(request)
    secret = request.cookies.get(site.session_cookie)
    if not secret:
        return following
    async with site.open_portal() as portal:
        sealed_token = await portal.take_sealed_token(secret)
        await portal.end_session(secret)
    return await by_france_connect(request, sealed_token, following)


async def by_france_connect(
    request: web.Request, sealed_token: bytes | None, following: str
) -> str:
    """Return where FranceConnect ends its session, or `following` when it has none to end."""
    site, browser = site_of(request), nonce_of(request)
    provider = site.france_connect
    if provider is None or sealed_token is None or not browser:
        return following
    state = new_secret()
    try:
        location = await provider.logout_url(sealed_token, state)
    except IdentityUnavailableError as error:
        # Its session ends by itself after 30 minutes; ours has ended already.
        logger.warning("not logged out of FranceConnect", error=str(error))
        return following
    if location is None:
        return following
    async with site.open_portal() as portal:
        journey = Journey(purpose=Purpose.LOGOUT, following=following)
        await portal.depart(state, browser, journey, site.clock.now())
    return location
