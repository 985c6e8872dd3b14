"""A portal on a real PostgreSQL, before a certified provider; both on the machine's own time."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from shared.clock import FixedClock
from tests.oidc.provider import Provider, clients, running_provider
from tests.unit.gateway.conftest import database, database_url

__all__ = ["database", "database_url"]


class RunningClock(FixedClock):
    """The machine's time, which the provider shares, and how far a test moved ahead of it."""

    def now(self) -> datetime:
        """Return the current instant."""
        return datetime.now(UTC) + (self.instant - datetime(2000, 1, 1, tzinfo=UTC))


@pytest.fixture
def clock() -> FixedClock:
    return RunningClock(datetime(2000, 1, 1, tzinfo=UTC))


@pytest_asyncio.fixture
async def provider() -> AsyncIterator[Provider]:
    async with running_provider(clients()) as running:
        yield running
