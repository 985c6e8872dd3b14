"""The days of a régie: where they begin and end, when they are closed, what they add up to."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciliation.domain.closing import (
    EMPTY_DIGEST,
    Movement,
    Progress,
    Total,
    add_up,
    bounds,
    every_total,
    last_closable,
    next_day,
)
from shared.clock import paris_date

GRACE = timedelta(minutes=15)
EVENT_NAMESPACE = UUID("3647da82-21ec-55aa-bbc3-e14b5a1dc8fa")


def a_movement(
    position: int,
    *,
    kind: str = "payment",
    regie: str = "CANTINE",
    amount_cents: int = 4100,
    occurred_at: datetime = datetime(2026, 11, 20, 9, tzinfo=UTC),
    recorded_at: datetime = datetime(2026, 11, 24, 9, tzinfo=UTC),
) -> Movement:
    return Movement(
        position=position,
        fact=f"captured:{position}",
        kind=kind,
        regie=regie,
        amount_cents=amount_cents,
        occurred_at=occurred_at,
        recorded_at=recorded_at,
    )


def a_readers_digest(movements: Sequence[Movement]) -> str:
    """Return what a biller computes from the feed alone, on its own."""
    lines = "".join(f"{uuid5(EVENT_NAMESPACE, movement.fact)}\n" for movement in movements)
    return hashlib.sha256(lines.encode()).hexdigest()


@pytest.mark.parametrize(
    ("day", "begins", "hours"),
    [
        (date(2026, 11, 24), datetime(2026, 11, 23, 23, tzinfo=UTC), 24),
        (date(2026, 7, 14), datetime(2026, 7, 13, 22, tzinfo=UTC), 24),
        (date(2026, 3, 29), datetime(2026, 3, 28, 23, tzinfo=UTC), 23),
        (date(2026, 10, 25), datetime(2026, 10, 24, 22, tzinfo=UTC), 25),
    ],
)
def test_a_day_is_civil_in_france(day: date, begins: datetime, hours: int) -> None:
    """It has 23 hours when clocks go forward in March, and 25 when they go back in October."""
    assert bounds(day, day) == (begins, begins + timedelta(hours=hours))


@given(st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_every_instant_lies_within_its_own_day(instant: datetime) -> None:
    """The bounds of a day agree with the date that is shown for an instant of it."""
    begins, ends = bounds(paris_date(instant), paris_date(instant))

    assert begins <= instant < ends


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        # Winter: midnight in Paris is 23:00 in UTC.
        (datetime(2026, 11, 24, 22, 59, tzinfo=UTC), date(2026, 11, 23)),
        (datetime(2026, 11, 24, 23, 0, tzinfo=UTC), date(2026, 11, 23)),
        (datetime(2026, 11, 24, 23, 14, 59, tzinfo=UTC), date(2026, 11, 23)),
        (datetime(2026, 11, 24, 23, 15, tzinfo=UTC), date(2026, 11, 24)),
        # Summer: it is 22:00.
        (datetime(2026, 7, 14, 22, 14, tzinfo=UTC), date(2026, 7, 13)),
        (datetime(2026, 7, 14, 22, 15, tzinfo=UTC), date(2026, 7, 14)),
        # The night in which clocks go forward, and that in which they go back.
        (datetime(2026, 3, 29, 22, 15, tzinfo=UTC), date(2026, 3, 29)),
        (datetime(2026, 3, 29, 22, 14, tzinfo=UTC), date(2026, 3, 28)),
        (datetime(2026, 10, 25, 22, 30, tzinfo=UTC), date(2026, 10, 24)),
        (datetime(2026, 10, 25, 23, 15, tzinfo=UTC), date(2026, 10, 25)),
    ],
)
def test_a_day_may_be_closed_a_while_after_midnight_in_paris(now: datetime, expected: date) -> None:
    """Not at midnight in UTC, and not before facts on their way have come in."""
    assert last_closable(now, GRACE) == expected


def test_missed_nights_are_caught_up_in_order() -> None:
    """After three nights without a process the oldest is next; after the last none is."""
    last = date(2026, 11, 24)
    closed_through = date(2026, 11, 21)
    days = []

    while day := next_day(Progress(closed_through=closed_through, first_day=None), last):
        days.append(day)
        closed_through = day

    assert days == [date(2026, 11, 22), date(2026, 11, 23), date(2026, 11, 24)]


def test_the_first_night_closes_from_the_first_fact_on() -> None:
    """A feed that was there before has all of its days closed; an empty one starts last night."""
    last = date(2026, 11, 24)

    assert next_day(Progress(closed_through=None, first_day=date(2026, 9, 1)), last) == date(
        2026, 9, 1
    )
    assert next_day(Progress(closed_through=None, first_day=None), last) == last
    assert next_day(Progress(closed_through=None, first_day=date(2026, 11, 25)), last) is None


def test_a_day_adds_up_by_when_it_was_recorded() -> None:
    """A payment of last week that was heard of today is of today; so a closed day never moves."""
    movements = [
        a_movement(3, amount_cents=4100),
        a_movement(4, regie="MUSIQUE", amount_cents=999),
        a_movement(
            6,
            kind="reversal",
            amount_cents=1100,
            occurred_at=datetime(2026, 11, 23, 23, 30, tzinfo=UTC),
        ),
        a_movement(8, recorded_at=datetime(2026, 11, 24, 23, 0, tzinfo=UTC)),
    ]

    totals = add_up(movements)

    assert totals[0] == Total(
        day=date(2026, 11, 24),
        regie="CANTINE",
        payment_count=1,
        payment_cents=4100,
        reversal_count=1,
        reversal_cents=1100,
        net_cents=3000,
        first_position=3,
        last_position=6,
        occurred_from=date(2026, 11, 20),
        occurred_to=date(2026, 11, 24),
        digest=a_readers_digest([movements[0], movements[2]]),
    )
    assert [(total.day.day, total.regie, total.net_cents) for total in totals] == [
        (24, "CANTINE", 3000),
        (24, "MUSIQUE", 999),
        (25, "CANTINE", 4100),
    ]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["CANTINE", "MUSIQUE"]),
            st.sampled_from(["payment", "reversal"]),
            st.integers(1, 10**9),
            st.integers(0, 3 * 24 * 60),
        ),
        max_size=30,
    )
)
def test_a_reader_of_the_feed_computes_the_same(facts: list[tuple[str, str, int, int]]) -> None:
    """Count, sums and digest follow from the feed alone: nothing of them is ours to know."""
    start = datetime(2026, 10, 24, 9, tzinfo=UTC)
    movements = [
        a_movement(
            position,
            regie=regie,
            kind=kind,
            amount_cents=cents,
            recorded_at=start + timedelta(minutes=minutes),
        )
        for position, (regie, kind, cents, minutes) in enumerate(facts, start=1)
    ]

    totals = add_up(movements)

    assert len({(total.day, total.regie) for total in totals}) == len(totals)
    for total in totals:
        own = [
            movement
            for movement in movements
            if movement.regie == total.regie and paris_date(movement.recorded_at) == total.day
        ]
        assert total.payment_count + total.reversal_count == len(own)
        assert total.digest == a_readers_digest(own)
        assert (total.first_position, total.last_position) == (own[0].position, own[-1].position)
    assert sum(total.net_cents for total in totals) == sum(
        movement.amount_cents if movement.kind == "payment" else -movement.amount_cents
        for movement in movements
    )


def test_days_without_movement_are_told_too() -> None:
    """No line could mean nothing came in, or that somebody forgot: a zero says which."""
    found = Total(day=date(2026, 11, 23), regie="MUSIQUE", payment_count=1, payment_cents=5)

    totals = every_total(
        [found],
        {"MUSIQUE", "CANTINE"},
        (date(2026, 11, 22), date(2026, 11, 23)),
        date(2026, 11, 22),
    )

    assert [(total.day.day, total.regie, total.payment_count) for total in totals] == [
        (22, "CANTINE", 0),
        (22, "MUSIQUE", 0),
        (23, "CANTINE", 0),
        (23, "MUSIQUE", 1),
    ]
    assert [total.is_closed for total in totals] == [True, True, False, False]
    assert totals[0].digest == EMPTY_DIGEST == hashlib.sha256(b"").hexdigest()


def test_nothing_is_closed_before_the_first_night() -> None:
    """Until then every day may still change."""
    [total] = every_total([], ["CANTINE"], (date(2026, 11, 24), date(2026, 11, 24)), None)

    assert not total.is_closed
