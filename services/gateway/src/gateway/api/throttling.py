"""How often somebody may try, and who somebody is: an address of the network, and a name."""

import ipaddress
import math
from collections.abc import Sequence
from datetime import timedelta

import msgspec
import structlog
from aiohttp import web

from gateway.api.language import say
from gateway.api.site import Network, site_of
from gateway.ports import Bucket
from gateway.store import digest
from shared.metrics import SECURITY_ALARMS
from shared.problem import ProblemError

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

FREE_BY_NAME = 5
"""ASVS 6.3.1: five attempts in a quarter of an hour for one account, then ever slower."""
FREE_BY_ADDRESS = 20
"""More for one address of the network: a family, a town hall, a telephone company share one."""
FREE_CODES = 30
LONGEST_BY_NAME_SECONDS = 300
"""A stranger who never tires may hold it closed: not for the browsers that the account knows."""
LONGEST_BY_ADDRESS_SECONDS = 900
FREE_UNDER_ALARM = 3
PAUSE_SECONDS = 1.0
"""While an alarm holds everybody gets fewer attempts at once, and each failure takes its time."""
PAUSING_AT_MOST = 200
"""How many requests may wait at the same time: a crowd of guessers must not hold the doors."""
ALARM_AT = {"login": 300, "agent": 30, "password": 100, "factor": 60, "code": 300, "reference": 200}
"""How many failures of one kind, by whomever, in a quarter of an hour are no longer slips."""
ALARM_AT_OTHERWISE = 200
PREFIX_V6 = 64
"""What one subscriber holds of IPv6."""


def by_name(kind: str, name: str) -> Bucket:
    """Return the bucket of attempts that concern one account."""
    return Bucket(
        name=f"{kind}:name:{name.lower()}",
        free=FREE_BY_NAME,
        longest_seconds=LONGEST_BY_NAME_SECONDS,
    )


def by_browser(kind: str, name: str, held: str) -> Bucket:
    """Return the bucket of attempts that concern one account, from a browser that it knows.

    So a stranger cannot keep somebody out of their own account.
    """
    return msgspec.structs.replace(
        by_name(kind, name), name=f"{kind}:browser:{digest(held).hex()}:{name.lower()}"
    )


def by_address(request: web.Request, kind: str, free: int = FREE_BY_ADDRESS) -> Bucket:
    """Return the bucket of attempts that come from one subscriber of the network."""
    return Bucket(
        name=f"{kind}:address:{subscriber(request)}",
        free=free,
        longest_seconds=LONGEST_BY_ADDRESS_SECONDS,
    )


def subscriber(request: web.Request) -> str:
    """Return the address that a request came from, as far as our own proxies tell it.

    Each proxy appends to `X-Forwarded-For` whom it heard; what stands left of the last address
    that is not one of ours was written by the caller, and is worth nothing.
    """
    proxies = site_of(request).trusted_proxies
    hops = [
        part.strip()
        for header in request.headers.getall("X-Forwarded-For", [])
        for part in header.split(",")
    ]
    heard = request.remote or ""
    while hops and _is_within(heard, proxies):
        heard = hops.pop()
    return _network(heard)


def _is_within(text: str, networks: Sequence[Network]) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return any(address in network for network in networks)


def _network(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, PREFIX_V6), strict=False))
    return str(address)


async def knock(request: web.Request, *buckets: Bucket) -> None:
    """Count an attempt before it is made.

    Raises:
        ProblemError: 429, with the seconds to wait: too many were made before.
    """
    site = site_of(request)
    async with site.open_portal() as portal:
        now = site.clock.now()
        counted = [
            msgspec.structs.replace(bucket, free=min(bucket.free, FREE_UNDER_ALARM))
            if await portal.is_alarmed(bucket.name.partition(":")[0], now)
            else bucket
            for bucket in buckets
        ]
        wait = await portal.knock(counted, now)
    if wait is not None:
        raise too_many(request, wait)


_pausing = 0
"""How many requests of this process wait just now."""


async def alarm(request: web.Request, kind: str, authority: str | None = None) -> None:
    """Count a failure by anybody: a login, a code, a reference that was guessed (ASVS 6.3.5, 16.3).

    Many of one kind, however many addresses they come from, raise an alarm once in a quarter of an
    hour: a line of the log and a metric. While it holds everybody is slowed down, and nobody is
    locked out. `kind` is what `knock`'s buckets are called by, so that those get smaller.
    """
    site = site_of(request)
    limit = ALARM_AT.get(kind, ALARM_AT_OTHERWISE)
    async with site.open_portal() as portal:
        now = site.clock.now()
        is_raised = await portal.count_alarm(kind, authority or "", limit, now)
        is_alarmed = is_raised or await portal.is_alarmed(kind, now)
    if is_raised:
        SECURITY_ALARMS.labels(kind).inc()
        logger.warning(
            "security alarm", kind=kind, authority=authority, failures=limit, window="15 min"
        )
    if is_alarmed:
        await _pause(request)


async def _pause(request: web.Request) -> None:
    global _pausing  # noqa: PLW0603 - one count for the process, whatever the page
    if _pausing >= PAUSING_AT_MOST:
        return
    _pausing += 1
    try:
        await site_of(request).pause(PAUSE_SECONDS)
    finally:
        _pausing -= 1


def too_many(request: web.Request, wait: timedelta) -> ProblemError:
    """Return the answer to one attempt too many."""
    seconds = max(1, math.ceil(wait.total_seconds()))
    return ProblemError(
        429,
        "too-many-attempts",
        say(request, "Trop d’essais. Réessayez dans %(seconds)d secondes.", seconds=seconds),
        headers={"Retry-After": str(seconds)},
    )
