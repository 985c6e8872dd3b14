"""The time, injected so that rules can be tested at any date."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")


class Clock(Protocol):
    """Tells the time; services receive one and never ask the machine themselves."""

    def now(self) -> datetime:
        """Return the current instant, aware, in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the current instant, aware, in UTC."""
        return datetime.now(UTC)


@dataclass
class FixedClock:
    """A clock for tests that moves only when told to."""

    instant: datetime

    def now(self) -> datetime:
        """Return the instant it was set to."""
        return self.instant

    def advance(self, delta: timedelta) -> None:
        """Move forward by `delta`."""
        self.instant += delta


def paris_date(instant: datetime) -> date:
    """Return the civil date in France at `instant`: a régie's day ends at midnight in Paris."""
    return instant.astimezone(PARIS).date()
