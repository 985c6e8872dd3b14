"""A portal on a real PostgreSQL, which the tests start; what lies beyond it is played by fakes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

import gateway
from shared.clock import FixedClock
from shared.postgres import Database
from tests.databases import migrated_database
from tests.unit.gateway.door import NOW, Door
from tests.unit.gateway.fakes import FakePasswords, FakeServices
from tests.unit.gateway.state import Citizen, State, a_citizen, a_state

TABLES = (
    "session, account, agent, biller, authority, throttle, invoice, movement, outbox, identity,"
    " payer_identity, opening, wrong_amount, totp_start, spent_challenge"
)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def database_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Return the address of a migrated database that lives as long as the run."""
    folder = tmp_path_factory.mktemp("postgres")
    async with migrated_database(folder, "gateway", Path(gateway.__file__).parent) as url:
        yield url


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest_asyncio.fixture
async def database(database_url: str, clock: FixedClock) -> AsyncIterator[Database]:
    """Return the database, emptied."""
    database = await Database.connect(database_url, size=8, service="gateway", clock=clock)
    async with database.transaction() as transaction:
        await transaction.connection.execute(f"TRUNCATE {TABLES} CASCADE")
    yield database
    await database.close()


@pytest.fixture
def services() -> FakeServices:
    return FakeServices()


@pytest_asyncio.fixture
async def door(
    database: Database, clock: FixedClock, services: FakeServices
) -> AsyncIterator[Door]:
    """Return a browser before the portal."""
    async with Door(database, clock, services, FakePasswords()) as door:
        yield door


@pytest_asyncio.fixture
async def state(clock: FixedClock) -> AsyncIterator[State]:
    """Return FranceConnect, on the portal's clock."""
    async with a_state(clock) as running:
        yield running


@pytest_asyncio.fixture
async def citizen(database: Database, clock: FixedClock, state: State) -> AsyncIterator[Citizen]:
    """Return somebody before a portal that knows FranceConnect."""
    async with a_citizen(database, clock, state) as somebody:
        yield somebody
