"""Proving who is there, the same way for citizens and agents."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from aiohttp import web

from gateway.adapters.passwords import Passwords
from gateway.api.web import buckets, require_open, site_of
from gateway.store import PostgresPortal

LONGEST_PASSWORD = 200


class Person(Protocol):
    """Somebody with a password."""

    @property
    def password_hash(self) -> str:
        """The hash that is kept of it."""
        ...


P = TypeVar("P", bound=Person)


async def prove(
    request: web.Request,
    passwords: Passwords,
    kind: str,
    name: str,
    password: str,
    find: Callable[[PostgresPortal, str], Awaitable[P | None]],
) -> P | None:
    """Return who gave the right password, or None; an unknown name takes as long as a wrong one.

    Raises:
        ProblemError: 429, too many failures for that name or from that place.
    """
    names = buckets(request, kind, name)
    await require_open(request, names)
    site = site_of(request)
    async with site.open_portal() as portal:
        person = await find(portal, name)
    is_right = await passwords.matches(
        person.password_hash if person else None, password[:LONGEST_PASSWORD]
    )
    async with site.open_portal() as portal:
        if person is None or not is_right:
            await portal.fail(names, site.clock.now())
            return None
        await portal.forgive(names[-1])
    return person
