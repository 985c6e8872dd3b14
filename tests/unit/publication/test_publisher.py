"""Documents of a batch are in memory a few at a time, and recorded all at once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from publication.ports import Claim, Paper
from publication.worker import HANDFUL, RETRY_AFTER, Publisher
from tests.unit.publication.press_builders import NOW, a_claim


class FixedClock:
    def now(self) -> datetime:
        return NOW


class Unit:
    """A transaction that keeps what it was told to leave for later."""

    def __init__(self) -> None:
        self.opened = 0
        self.postponed: list[tuple[list[UUID], datetime]] = []

    @property
    def folders(self) -> Any:
        return self

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Any]:
        self.opened += 1
        yield self

    async def publish(self, _what: Sequence[object]) -> set[UUID]:
        return set()

    async def discard(self, keys: Sequence[str]) -> None:
        assert list(keys) == []

    async def postpone(self, invoice_ids: Sequence[UUID], until: datetime) -> None:
        self.postponed.append((list(invoice_ids), until))


class BusyPress:
    """Makes nothing, and notes how many documents lay before it at once."""

    def __init__(self) -> None:
        self.most_at_once = 0
        self._at_once = 0

    async def make(
        self, claims: Sequence[Claim], originals: Sequence[bytes | None]
    ) -> list[Paper | None]:
        self._at_once += len(originals)
        self.most_at_once = max(self.most_at_once, self._at_once)
        await asyncio.sleep(0)
        self._at_once -= len(originals)
        return [None] * len(claims)


async def test_a_batch_is_made_in_handfuls_and_recorded_at_once() -> None:
    """However large the batch: memory holds two handfuls here, the database is asked once."""
    unit, press = Unit(), BusyPress()
    shelf: Any = None
    claims = [a_claim(number=number) for number in range(10 * HANDFUL + 1)]
    publisher = Publisher(
        instance="publication-1",
        open_unit=unit.open,
        shelf=shelf,
        paper=press,
        clock=FixedClock(),
        readable_days=90,
        hands=2,
    )

    await publisher.perform(claims)

    assert press.most_at_once == 2 * HANDFUL
    assert unit.opened == 1
    expected = [claim.request.invoice_id for claim in claims]
    assert unit.postponed == [(expected, NOW + RETRY_AFTER)]
