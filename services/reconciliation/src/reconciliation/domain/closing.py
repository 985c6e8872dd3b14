"""The days of a régie: which day a fact belongs to, when a day is closed, what it adds up to.

A fact belongs to the civil day in France on which it was recorded in the feed, not on which it
occurred: a provider's notice may come days late, and a day that was closed must never change.
"""

import hashlib
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta

import msgspec

from reconciliation.domain.facts import event_id
from shared.clock import PARIS, paris_date

ONE_DAY = timedelta(days=1)
EMPTY_DIGEST = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""SHA-256 of nothing: a day without movement."""


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """What one régie collected on one day, to compare with what a biller has received.

    `digest` is the SHA-256, in hexadecimal, over the event ids in feed order, each followed by a
    line feed. `is_closed` says that none of it will change any more.
    """

    day: date
    regie: str
    payment_count: int = 0
    payment_cents: int = 0
    reversal_count: int = 0
    reversal_cents: int = 0
    net_cents: int = 0
    first_position: int | None = None
    last_position: int | None = None
    occurred_from: date | None = None
    occurred_to: date | None = None
    digest: str = EMPTY_DIGEST
    is_closed: bool = False


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """One fact of the feed, as far as totals care."""

    position: int
    fact: str
    kind: str
    regie: str
    amount_cents: int
    occurred_at: datetime
    recorded_at: datetime


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far the days of an authority are closed, and on which its feed begins."""

    closed_through: date | None
    first_day: date | None


def bounds(first: date, last: date) -> tuple[datetime, datetime]:
    """Return the instant at which `first` begins in France, and the one at which `last` is over.

    Clocks change there at two or three in the morning: midnight comes once a day, always.
    """
    return _midnight(first), _midnight(last + ONE_DAY)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), PARIS).astimezone(UTC)


def last_closable(now: datetime, grace: timedelta) -> date:
    """Return the last day whose midnight passed at least `grace` ago."""
    return paris_date(now - grace) - ONE_DAY


def next_day(progress: Progress, last: date) -> date | None:
    """Return the next day to close, up to `last`: nights that were missed are caught up in order.

    The first night of an authority without any movement is `last` itself.
    """
    if progress.closed_through is not None:
        day = progress.closed_through + ONE_DAY
    else:
        day = progress.first_day or last
    return day if day <= last else None


def add_up(movements: Iterable[Movement]) -> list[Total]:
    """Return a total for each day and régie that has movements, given in feed order."""
    sums: dict[tuple[date, str], _Sum] = {}
    for movement in movements:
        key = (paris_date(movement.recorded_at), movement.regie)
        sums.setdefault(key, _Sum()).add(movement)
    return [sums[day, regie].total(day, regie) for day, regie in sorted(sums)]


class _Sum:
    """The total of a day while it grows."""

    def __init__(self) -> None:
        self._count = {"payment": 0, "reversal": 0}
        self._cents = {"payment": 0, "reversal": 0}
        self._positions: list[int] = []
        self._occurred: set[date] = set()
        self._digest = hashlib.sha256()

    def add(self, movement: Movement) -> None:
        self._count[movement.kind] += 1
        self._cents[movement.kind] += movement.amount_cents
        self._positions = [*self._positions[:1], movement.position]
        self._occurred.add(paris_date(movement.occurred_at))
        self._digest.update(f"{event_id(movement.fact)}\n".encode())

    def total(self, day: date, regie: str) -> Total:
        return Total(
            day=day,
            regie=regie,
            payment_count=self._count["payment"],
            payment_cents=self._cents["payment"],
            reversal_count=self._count["reversal"],
            reversal_cents=self._cents["reversal"],
            net_cents=self._cents["payment"] - self._cents["reversal"],
            first_position=self._positions[0],
            last_position=self._positions[-1],
            occurred_from=min(self._occurred),
            occurred_to=max(self._occurred),
            digest=self._digest.hexdigest(),
        )


def every_total(
    found: Iterable[Total],
    regies: Iterable[str],
    span: tuple[date, date],
    closed_through: date | None,
) -> list[Total]:
    """Return a total for each day of `span` and each régie, those without movement too."""
    known = {(total.day, total.regie): total for total in found}
    regies = sorted(regies)
    first, last = span
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return [
        msgspec.structs.replace(
            known.get((day, regie), Total(day=day, regie=regie)),
            is_closed=closed_through is not None and day <= closed_through,
        )
        for day in days
        for regie in regies
    ]
