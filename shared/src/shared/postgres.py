"""One PostgreSQL database for each service: transactions with inbox and outbox, migrations."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias, TypeVar

import asyncpg
import msgspec
import structlog
from asyncpg.pool import PoolConnectionProxy

from shared import envelope
from shared.clock import Clock, SystemClock
from shared.envelope import Message
from shared.errors import PermanentError
from shared.events import Event

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"
LoneConnection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
E = TypeVar("E", bound=Event)

RETRYABLE_ERRORS = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InterfaceError,
    ConnectionError,
    TimeoutError,
)
"""What a retry of the whole transaction may heal; the inbox makes an ambiguous commit harmless."""

COMMAND_TIMEOUT_SECONDS = 30.0
INBOX_KEPT_FOR = timedelta(days=35)
"""Longer than any topic's retention and any replay."""
MIGRATION_LOCK = 7_305_001
RELAY_LOCK = 7_305_002

ACCEPT = """
INSERT INTO inbox (source, message_id)
SELECT * FROM unnest($1::text[], $2::text[])
ON CONFLICT DO NOTHING
RETURNING source, message_id
"""

ADD_TO_OUTBOX = """
INSERT INTO outbox (topic, type, key, value, headers)
SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[], $5::bytea[])
"""

FORGET_INBOX = "DELETE FROM inbox WHERE received_at < $1"


class MigrationError(PermanentError):
    """A migration that was applied is not the one in the folder, or one is missing."""

    slug = "migration"


class Transaction:
    """State, inbox and outbox that commit together or not at all."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        """Wrap an open transaction of `connection`."""
        self.connection = connection
        self.clock = clock
        self.has_events = False

    async def accept(self, messages: Sequence[Message[E]]) -> list[Message[E]]:
        """Return those not seen before, in their order, and remember them."""
        rows = await self.connection.fetch(
            ACCEPT, [message.source for message in messages], [message.id for message in messages]
        )
        fresh = {(row["source"], row["message_id"]) for row in rows}
        accepted = []
        for message in messages:
            name = (message.source, message.id)
            # The same message twice in one poll is taken once: the first removes it.
            if name in fresh:
                fresh.remove(name)
                accepted.append(message)
        return accepted

    async def publish(
        self, events: Sequence[tuple[Event, Message[Event] | None]] | Sequence[Event]
    ) -> None:
        """Add events, each alone or with the message that caused it, to the outbox.

        Raises:
            ContractError: an event breaks its own schema.
        """
        if not events:
            return
        now = self.clock.now()
        pairs = [entry if isinstance(entry, tuple) else (entry, None) for entry in events]
        records = [envelope.write(event, at=now, caused_by=cause) for event, cause in pairs]
        await self.connection.execute(
            ADD_TO_OUTBOX,
            [record.topic for record in records],
            [event.TYPE for event, _ in pairs],
            [record.key for record in records],
            [record.value for record in records],
            [msgspec.msgpack.encode(record.headers) for record in records],
        )
        self.has_events = True


async def _leave(_connection: LoneConnection) -> None:
    """Let a connection go back to the pool as it is, without asking the server to reset it.

    asyncpg has ended its transaction by then. Settings, locks and cursors of ours are those of a
    transaction, or of a connection outside the pool, so that a reset finds nothing: it would only
    cost each transaction one more round trip.
    """


class Database:
    """The service's own database."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", url: str, clock: Clock) -> None:
        """Wrap an open pool; use `connect`."""
        self.pool = pool
        self.url = url
        self.clock = clock
        self.outbox_filled = asyncio.Event()
        self.work_added = asyncio.Event()

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        size: int,
        service: str,
        clock: Clock | None = None,
        options: Mapping[str, str] | None = None,
    ) -> "Database":
        """Open a pool of at most `size` connections, with `options` of PostgreSQL's own."""
        pool = await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=size,
            command_timeout=COMMAND_TIMEOUT_SECONDS,
            server_settings={"application_name": f"quittance-{service}"} | dict(options or {}),
            reset=_leave,
        )
        return cls(pool, url, clock or SystemClock())

    async def close(self) -> None:
        """Close the pool once the transactions under way have ended."""
        await self.pool.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Open a transaction; it commits at the end, or rolls back if the block raises."""
        async with self.pool.acquire() as connection, connection.transaction():
            transaction = Transaction(connection, self.clock)
            yield transaction
        # Only now can the relay of this process see the rows.
        if transaction.has_events:
            self.outbox_filled.set()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """Borrow a connection to read with."""
        async with self.pool.acquire() as connection:
            yield connection

    async def lone_connection(self) -> LoneConnection:
        """Open a connection outside the pool, for a lock that must live as long as it does."""
        connection: LoneConnection = await asyncpg.connect(
            self.url, command_timeout=COMMAND_TIMEOUT_SECONDS
        )
        return connection

    async def ready(self) -> None:
        """Return when the database answers."""
        async with self.pool.acquire(timeout=5) as connection:
            await connection.fetchval("SELECT 1")

    async def forget_old_messages(self) -> None:
        """Drop inbox rows that no replay can meet any more."""
        async with self.pool.acquire() as connection:
            await connection.execute(FORGET_INBOX, self.clock.now() - INBOX_KEPT_FOR)


class Migration(msgspec.Struct, frozen=True):
    """One forward-only step of a schema."""

    origin: str
    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Fingerprint that must never change once applied."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def read_migrations(origin: str, folder: Path) -> list[Migration]:
    """Return the numbered steps of a folder, in order.

    Raises:
        MigrationError: a name that is not `NNNN_verb_noun.sql`, or a number used twice or left out.
    """
    steps = []
    for path in sorted(folder.glob("*.sql")):
        match = re.fullmatch(r"(\d{4})_[a-z0-9_]+\.sql", path.name)
        if match is None:
            raise MigrationError(path.name)
        steps.append(Migration(origin, int(match[1]), path.stem, path.read_text(encoding="utf-8")))
    if [step.number for step in steps] != list(range(1, len(steps) + 1)):
        message = f"{origin}: numbers are not 1, 2, 3…"
        raise MigrationError(message)
    return steps


def all_migrations(service: str, package_folder: Path) -> list[Migration]:
    """Return the shared steps, then the service's: beside its sources, or inside its wheel."""
    inside = package_folder / "migrations"
    folder = inside if inside.is_dir() else package_folder.parents[1] / "migrations"
    return [
        *read_migrations("shared", Path(__file__).parent / "migrations"),
        *read_migrations(service, folder),
    ]


async def migrate(url: str, migrations: Sequence[Migration]) -> list[str]:
    """Apply what is missing, one transaction for each step, and return the names applied.

    Safe to run at the same time from several places: an advisory lock lets one go first.

    Raises:
        MigrationError: an applied step was edited since.
    """
    connection = await asyncpg.connect(url)
    applied = []
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", MIGRATION_LOCK)
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migration (origin text, number int, name text"
            " NOT NULL, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now(),"
            " PRIMARY KEY (origin, number))"
        )
        for step in await _pending(connection, migrations):
            async with connection.transaction():
                await connection.execute(step.sql)
                await connection.execute(
                    "INSERT INTO schema_migration (origin, number, name, sha256)"
                    " VALUES ($1, $2, $3, $4)",
                    step.origin,
                    step.number,
                    step.name,
                    step.sha256,
                )
            applied.append(f"{step.origin}/{step.name}")
    finally:
        await connection.close()
    return applied


async def pending_migrations(url: str, migrations: Sequence[Migration]) -> list[str]:
    """Return the names of the steps that `migrate` would apply."""
    connection = await asyncpg.connect(url)
    try:
        if await connection.fetchval("SELECT to_regclass('schema_migration')") is None:
            return [f"{step.origin}/{step.name}" for step in migrations]
        return [f"{s.origin}/{s.name}" for s in await _pending(connection, migrations)]
    finally:
        await connection.close()


async def _pending(connection: LoneConnection, migrations: Sequence[Migration]) -> list[Migration]:
    rows = await connection.fetch("SELECT origin, number, sha256 FROM schema_migration")
    applied = {(row["origin"], row["number"]): row["sha256"] for row in rows}
    pending = []
    for step in migrations:
        fingerprint = applied.get((step.origin, step.number))
        if fingerprint is None:
            pending.append(step)
        elif fingerprint != step.sha256:
            message = f"{step.origin}/{step.name} was edited after it was applied"
            raise MigrationError(message)
    return pending
