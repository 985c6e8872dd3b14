"""When a provider is asked about an attempt (features D17, reliability P13)."""

from datetime import datetime, timedelta

LADDER = (
    *(timedelta(minutes=minutes) for minutes in (2, 5, 10, 20, 40)),
    *(timedelta(hours=hours) for hours in range(1, 25)),
    *(timedelta(days=days) for days in range(2, 31)),
)
"""Ages of an attempt at which it is asked about."""
FOR_PEOPLE_AFTER = timedelta(hours=24)
"""Past this age an attempt that is still unclear is for people; it is asked about all the same."""
RETRY = timedelta(minutes=10)
"""After an outage the truth is known within this time, however old the attempt."""
NUDGE_PAUSE = timedelta(seconds=5)
"""A provider is not asked about one attempt more often than this, whoever nudges."""


def next_question(started_at: datetime, now: datetime) -> datetime | None:
    """Return the next moment to ask about an attempt, or None when the ladder is over."""
    return next((started_at + age for age in LADDER if started_at + age > now), None)


def next_try(started_at: datetime, now: datetime) -> datetime | None:
    """Return when to ask again a provider that did not answer."""
    regular = next_question(started_at, now)
    return None if regular is None else min(regular, now + RETRY)


def needs_people(started_at: datetime, now: datetime) -> bool:
    """Return whether an attempt that is still unclear is for people by now."""
    return now - started_at >= FOR_PEOPLE_AFTER
