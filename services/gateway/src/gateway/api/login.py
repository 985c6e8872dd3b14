"""Proving who is there, the same way for citizens and agents."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from aiohttp import web

from gateway.api.site import site_of
from gateway.api.throttling import alarm, by_address, by_browser, by_name, knock
from gateway.ports import Account, Agent, Owner, PasswordKeeper, Portal

LONGEST_NAME = 254
LONGEST_PASSWORD = 200


class Person(Protocol):
    """Somebody with a password."""

    @property
    def password_hash(self) -> str | None:
        """The hash that is kept of it; None when there is none to log in with."""
        ...


P = TypeVar("P", bound=Person)


async def prove(
    request: web.Request,
    passwords: PasswordKeeper,
    kind: str,
    name: str,
    password: str,
    find: Callable[[Portal, str], Awaitable[P | None]],
) -> P | None:
    """Return who gave the right password, or None; an unknown name takes as long as a wrong one.

    Raises:
        ProblemError: 429, too many attempts for that name or from that place.
        BusyError: too many people try at once.
    """
    site = site_of(request)
    held = request.cookies.get(site.browser_cookie, "")
    async with site.open_portal() as portal:
        person = await find(portal, name)
        # Asked for an unknown name as well, so that both take the same statements.
        is_known = await portal.knows_browser(_owner(person), held, site.clock.now())
    by_whom = by_browser(kind, name, held) if is_known else by_name(kind, name)
    from_where = by_address(request, kind)
    await knock(request, by_whom, from_where)
    is_possible = len(name) <= LONGEST_NAME and len(password) <= LONGEST_PASSWORD
    is_right = is_possible and await passwords.matches(
        person.password_hash if person else None, password
    )
    if person is None or not is_right:
        await alarm(request, kind)
        return None
    async with site.open_portal() as portal:
        await portal.forgive(by_whom, (from_where,))
    return person


def _owner(person: Person | None) -> Owner:
    """Return by whom browsers are known: by nobody, where there is no such person."""
    if isinstance(person, Account):
        return Owner(account_id=person.account_id)
    return Owner(login=person.login) if isinstance(person, Agent) else Owner()
