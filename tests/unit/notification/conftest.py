"""Notification on a real PostgreSQL, which the tests start; mail and push services are played."""

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

import notification
from demo.postgres import EmbeddedPostgres
from shared.clock import FixedClock
from shared.postgres import Database, all_migrations, migrate
from tests.unit.notification.notification_builders import NOW

TABLES = (
    "invoice, movement, parked_fact, message, delivery_attempt, wish, contact, viewer, device,"
    " push_host, push, inbox"
)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def database_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Return the address of a migrated database that lives as long as the run."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    async with EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), port=port) as server:
        url = await server.create_database("mails", role="mails", password="of-tests-only")
        await migrate(url, all_migrations("notification", Path(notification.__file__).parent))
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
