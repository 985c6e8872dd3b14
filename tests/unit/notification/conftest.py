"""Notification on a real PostgreSQL, which the tests start; mail and push services are played."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

import notification
from shared.clock import FixedClock
from shared.postgres import Database
from tests.databases import migrated_database
from tests.unit.notification.notification_builders import NOW

TABLES = (
    "invoice, movement, parked_fact, message, delivery_attempt, wish, contact, viewer, device,"
    " push_host, push, inbox"
)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def database_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Return the address of a migrated database that lives as long as the run."""
    folder = tmp_path_factory.mktemp("postgres")
    async with migrated_database(folder, "notification", Path(notification.__file__).parent) as url:
        yield url


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest_asyncio.fixture
async def database(database_url: str, clock: FixedClock) -> AsyncIterator[Database]:
    """Return the database, emptied."""
    database = await Database.connect(database_url, size=8, service="notification", clock=clock)
    async with database.transaction() as transaction:
        await transaction.connection.execute(f"TRUNCATE {TABLES} CASCADE")
    yield database
    await database.close()
