"""Our attempts against the provider's own list."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

from payment.domain.parity import Finding, TheirLine, compare
from payment.ports import OpenUnit
from shared.clock import PARIS


async def keep_statement(account: str, lines: Sequence[TheirLine], open_unit: OpenUnit) -> None:
    """Keep a provider's list; the same list again changes nothing."""
    async with open_unit() as unit:
        await unit.notices.keep_statement(account, lines)


async def compare_statement(
    account: str, first: date, last: date, open_unit: OpenUnit
) -> list[Finding]:
    """Return every difference in money of the civil days `first` to `last`; none when equal.

    A payment that was taken before midnight and told after it is on both sides all the same: each
    list is completed with what the other names.
    """
    begin, end = _midnight(first), _midnight(last + timedelta(days=1))
    async with open_unit() as unit:
        named = await unit.notices.statement(account, begin, end)
        names = sorted({name for line in named for name in (line.order, line.reference) if name})
        ours = await unit.attempts.listed(account, begin, end, names)
        own = sorted({name for attempt in ours for name in attempt.names})
        theirs = await unit.notices.statement(account, begin, end, own)
    return compare(ours, theirs)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), PARIS).astimezone(UTC)
