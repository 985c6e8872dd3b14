"""A clock that tests move forward."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from simulators.clock import MovableClock

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> MovableClock:
    """Return a clock whose source stands still."""
    return MovableClock(lambda: NOW)


@pytest.mark.asyncio
async def test_whoever_waits_wakes_when_the_time_has_come(clock: MovableClock) -> None:
    """Neither a shorter move nor another sleeper's waking ends a wait."""
    short = asyncio.create_task(clock.sleep(10))
    long = asyncio.create_task(clock.sleep(20))
    while clock.sleepers < 2:  # noqa: ASYNC110 - the tasks only have to be let run
        await asyncio.sleep(0)

    clock.advance(10)
    await short
    clock.advance(9)
    await asyncio.sleep(0)
    is_early = long.done()
    clock.advance(1)
    await long

    assert not is_early
    assert clock.now() == NOW + timedelta(seconds=20)
    assert clock.sleepers == 0


@pytest.mark.asyncio
async def test_no_time_at_all_is_no_wait(clock: MovableClock) -> None:
    """A time that has come is not waited for."""
    await clock.sleep(0)

    assert clock.now() == NOW


@pytest.mark.asyncio
async def test_time_runs_by_itself_too() -> None:
    """Nobody has to move the clock of a demo: its source does."""
    instants = iter([NOW, NOW, NOW + timedelta(milliseconds=1)])
    clock = MovableClock(lambda: next(instants))

    await clock.sleep(0.001)

    assert next(instants, None) is None
