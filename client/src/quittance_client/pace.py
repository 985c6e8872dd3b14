"""How long to wait between tries: growing, bounded, spread by chance, never less than asked."""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

RETRY_DELAYS_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Waits before a request is sent again; after the last it is given up."""
LONGEST_ASKED_SECONDS = 120.0
"""A door that asks for more is not waited for: the command says when to come back."""
FIRST_POLL_SECONDS = 0.25
LONGEST_POLL_SECONDS = 5.0
FIRST_IDLE_SECONDS = 1.0
LONGEST_IDLE_SECONDS = 15.0
PATIENCE_SECONDS = 3600.0
"""How long something may stand still while it is followed."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Time as the command sees it; tests hand in their own."""

    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    chance: Callable[[], float] = random.random

    def delays(self) -> Iterator[float]:
        """Yield the waits between tries, each a quarter longer or shorter by chance."""
        for delay in RETRY_DELAYS_SECONDS:
            yield delay * (0.75 + self.chance() / 2)

    def asked_wait(self, retry_after: str | None) -> float | None:
        """Return the seconds that a Retry-After asks for (RFC 9110, 10.2.3), None for none."""
        if not retry_after:
            return None
        if retry_after.isascii() and retry_after.isdecimal():
            return float(retry_after[:9])
        try:
            moment = parsedate_to_datetime(retry_after)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, (moment - self.now()).total_seconds())


def growing(first: float, longest: float) -> Iterator[float]:
    """Yield waits that double up to the longest, without end."""
    wait = first
    while True:
        yield wait
        wait = min(longest, wait * 2)
