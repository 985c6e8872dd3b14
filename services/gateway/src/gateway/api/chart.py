"""A bar chart as numbers: what a template draws as SVG, with no script and no library."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import msgspec

from gateway.ports import CollectedItem

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 720, 250, 70, 14, 30
LINES = 4
SERIES = 6
"""How many colours the styles have: `series-1` and on."""
FEWEST_CENTS = 10_000


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One rectangle, in the chart's own units; `title` is what it stands for."""

    x: float
    y: float
    width: float
    height: float
    series: int
    day: date
    label: str
    amount_cents: int


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """A bar chart by day, stacked by régie."""

    width: int
    height: int
    left: int
    base: int
    bars: tuple[Bar, ...]
    days: tuple[tuple[float, str], ...]
    scale: tuple[tuple[float, int], ...]
    legend: tuple[tuple[str, int], ...]


def draw(
    items: Sequence[CollectedItem], labels: Mapping[str, str], first: date, last: date
) -> Chart:
    """Return the chart of what was collected from `first` to `last`, both included.

    A day on which more went back than came in shows no bar: the table beside it has the figure.
    """
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    within = [item for item in items if first <= item.day <= last and item.amount_cents > 0]
    regies = sorted({item.regie for item in within})
    series = {regie: number % SERIES + 1 for number, regie in enumerate(regies)}
    totals = {day: sum(item.amount_cents for item in within if item.day == day) for day in days}
    top = round_up(max(totals.values(), default=0))
    slot, room, base = (WIDTH - LEFT) / len(days), HEIGHT - TOP - BOTTOM, HEIGHT - BOTTOM
    bars: list[Bar] = []
    for number, day in enumerate(days):
        y = float(base)
        for item in sorted((i for i in within if i.day == day), key=lambda i: i.regie):
            height = item.amount_cents / top * room
            y -= height
            bars.append(
                Bar(
                    x=round(LEFT + number * slot + slot * 0.16, 1),
                    y=round(y, 1),
                    width=round(slot * 0.68, 1),
                    height=round(height, 1),
                    series=series[item.regie],
                    day=day,
                    label=labels.get(item.regie, item.regie),
                    amount_cents=item.amount_cents,
                )
            )
    return Chart(
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        base=base,
        bars=tuple(bars),
        days=tuple(
            (round(LEFT + (number + 0.5) * slot, 1), f"{day:%d/%m}")
            for number, day in enumerate(days)
        ),
        scale=tuple(
            (round(base - part / LINES * room, 1), top * part // LINES) for part in range(LINES + 1)
        ),
        legend=tuple((labels.get(regie, regie), series[regie]) for regie in regies),
    )


def round_up(cents: int) -> int:
    """Return a round number of cents, not below `cents`, that four lines divide well."""
    step = FEWEST_CENTS
    while True:
        for factor in (1, 2, 4, 8):
            if step * factor >= cents:
                return step * factor
        step *= 10
