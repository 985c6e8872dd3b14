"""What the live figures count: one row for each fact, sums over the rows.

A row is written under the name of its fact, so the same fact met twice is one row: nothing is ever
counted by adding to what is stored. The sums live in memory and are made again from the rows.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, datetime

import msgspec

from shared.clock import paris_date
from shared.events import Event, InvoicePublished, PaymentCaptured, PaymentReversed

BOUNDS_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 21600, 86400, 604800)
"""Upper bounds of the delays' classes; the last class is open."""
PUBLISHED = "generated_to_published"
CAPTURED = "published_to_captured"


class Collected(msgspec.Struct, frozen=True, array_like=True):
    """Money on one civil day in France for one régie, in cents; below zero when it went back."""

    authority: str
    day: date
    regie: str
    amount_cents: int
    payments: int


class Delay(msgspec.Struct, frozen=True, array_like=True):
    """How long one step took for one invoice, in seconds."""

    step: str
    authority: str
    seconds: float


class Row(msgspec.Struct, frozen=True, array_like=True):
    """What one fact adds to the figures."""

    collected: tuple[Collected, ...] = ()
    delays: tuple[Delay, ...] = ()


class DayFigure(msgspec.Struct, frozen=True, kw_only=True):
    """What one régie collected on one day."""

    day: date
    regie: str
    amount_cents: int
    payments: int


class StepFigure(msgspec.Struct, frozen=True, kw_only=True):
    """How long one step takes, in seconds; the quantiles are upper bounds of their class."""

    step: str
    count: int
    mean_seconds: float
    p50_seconds: float
    p95_seconds: float


def row_of(event: Event) -> tuple[str, Row] | None:
    """Return the name of a fact and what it adds to the figures; None when it adds nothing."""
    if isinstance(event, InvoicePublished):
        seconds = _seconds(event.generated_at, event.published_at)
        delay = Delay(PUBLISHED, event.authority, seconds)
        return f"published:{event.invoice_id}:{event.version}", Row(delays=(delay,))
    if isinstance(event, PaymentCaptured):
        return f"captured:{event.payment_id}", _captured(event)
    if isinstance(event, PaymentReversed):
        day = paris_date(event.reversed_at)
        parts = tuple(
            Collected(part.authority, day, part.regie, -part.amount_cents, 0)
            for part in event.allocations
        )
        return f"reversed:{event.reversal_id}", Row(collected=parts)
    return None


def _captured(event: PaymentCaptured) -> Row:
    day = paris_date(event.captured_at)
    return Row(
        collected=tuple(
            Collected(part.authority, day, part.regie, part.amount_cents, 1)
            for part in event.allocations
        ),
        delays=tuple(
            Delay(CAPTURED, part.authority, _seconds(part.published_at, event.captured_at))
            for part in event.allocations
            if part.published_at is not None
        ),
    )


def _seconds(first: datetime, then: datetime) -> float:
    # Two machines' clocks may disagree a little: a delay is never below zero.
    return max(0.0, (then - first).total_seconds())


class Figures:
    """The sums, kept as rows come."""

    def __init__(self) -> None:
        """Start from nothing."""
        self._days: defaultdict[tuple[str, date, str], list[int]] = defaultdict(lambda: [0, 0])
        self._steps: defaultdict[tuple[str, str], _Classes] = defaultdict(_Classes)

    def add(self, row: Row) -> None:
        """Count what one fact adds."""
        for part in row.collected:
            sums = self._days[(part.authority, part.day, part.regie)]
            sums[0] += part.amount_cents
            sums[1] += part.payments
        for delay in row.delays:
            self._steps[(delay.authority, delay.step)].add(delay.seconds)

    def collected(self, authority: str, first: date, last: date) -> list[DayFigure]:
        """Return what an authority collected between two days, both included, by day and régie."""
        return [
            DayFigure(day=day, regie=regie, amount_cents=cents, payments=payments)
            for (owner, day, regie), (cents, payments) in sorted(self._days.items())
            if owner == authority and first <= day <= last
        ]

    def delays(self, authority: str) -> list[StepFigure]:
        """Return how long the steps take for an authority's invoices."""
        return [
            classes.figure(step)
            for (owner, step), classes in sorted(self._steps.items())
            if owner == authority
        ]

    def days(self) -> Iterator[tuple[str, date, str, int]]:
        """Yield authority, day, régie and cents of every sum."""
        for (authority, day, regie), (cents, _) in self._days.items():
            yield authority, day, regie, cents


class _Classes:
    """Delays counted by class."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_SECONDS) + 1)
        self.sum_seconds = 0.0

    def add(self, seconds: float) -> None:
        self.sum_seconds += seconds
        for number, bound in enumerate(BOUNDS_SECONDS):
            if seconds <= bound:
                self.counts[number] += 1
                return
        self.counts[-1] += 1

    def figure(self, step: str) -> StepFigure:
        count = sum(self.counts)
        return StepFigure(
            step=step,
            count=count,
            mean_seconds=round(self.sum_seconds / count, 3),
            p50_seconds=_quantile(self.counts, 0.5),
            p95_seconds=_quantile(self.counts, 0.95),
        )


def _quantile(counts: Sequence[int], share: float) -> float:
    wanted = share * sum(counts)
    reached = 0
    for number, bound in enumerate(BOUNDS_SECONDS):
        reached += counts[number]
        if reached >= wanted:
            return float(bound)
    return float(BOUNDS_SECONDS[-1])
