"""The one consumer loop, on a real broker and a real database: batches, burials, retries, order."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer

from demo.broker import EmbeddedBroker
from demo.postgres import EmbeddedPostgres
from shared import envelope, kafka, postgres, topics
from shared.envelope import Message
from shared.environment import CommonSettings
from shared.errors import DomainError, TooManyBurialsError, TransientError
from shared.events import AuthorityConfigured, Event, InvoiceRefused
from shared.outbox import Relay
from shared.postgres import Database, Transaction
from tests.broker.kafka import ApacheKafka
from tests.broker.observing import until

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="module")]

SERVICE = "ingestion"
ROOT = Path(__file__).resolve().parents[2]


class Place:
    """A broker, a database, and what the handlers of a test did."""

    def __init__(self, settings: CommonSettings, database: Database) -> None:
        self.settings = settings
        self.database = database
        self.batches: list[list[str]] = []

    async def send(self, events: Sequence[Event]) -> None:
        producer = kafka.Producer(self.settings, client_id="test")
        await producer.start()
        await producer.send_all([envelope.write(event, at=datetime.now(UTC)) for event in events])
        await producer.stop()

    async def seen(self) -> list[str]:
        async with self.database.reading() as connection:
            rows = await connection.fetch("SELECT name FROM seen ORDER BY id")
            return [row["name"] for row in rows]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    """Return a place with empty topics and an empty database."""
    folder = tmp_path_factory.mktemp("place")
    async with AsyncExitStack() as stack:
        is_apache = os.environ.get("TEST_BROKER", "embedded") == "apache"
        broker: ApacheKafka | EmbeddedBroker = await stack.enter_async_context(
            ApacheKafka()
            if is_apache
            else EmbeddedBroker(port=_free_port(), log=folder / "broker.log")
        )
        server = await stack.enter_async_context(
            EmbeddedPostgres(folder / "postgres", port=_free_port())
        )
        url = await server.create_database("test", role="test", password="t" * 20, fresh=True)
        package = ROOT / "services" / SERVICE / "src" / SERVICE
        await postgres.migrate(url, postgres.all_migrations(SERVICE, package))
        settings = CommonSettings(
            database_url=url,
            kafka_bootstrap_servers=broker.bootstrap_servers,
            kafka_idempotent_producer=is_apache,
            http_port=0,
        )
        await topics.declare_topics(settings, partitions=1, replication=1)
        database = await Database.connect(url, size=4, service="test")
        async with database.reading() as connection:
            await connection.execute(
                "CREATE TABLE seen (id bigint GENERATED ALWAYS AS IDENTITY, name text UNIQUE)"
            )
        yield Place(settings, database)
        await database.close()


def _free_port() -> int:

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def a_refusal(number: str, code: str = "damaged") -> InvoiceRefused:
    return InvoiceRefused(
        invoice_id=UUID(int=1),
        version=1,
        deposit_id=UUID(int=2),
        authority="town",
        regie="R",
        number=number,
        code=code,
        detail="x",
        refused_at=datetime.now(UTC),
    )


class Running:
    """A consumer with the handlers of a test, running until the block ends."""

    def __init__(self, place: Place, *, failures: int = 0) -> None:
        self._place = place
        self._failures = failures
        self._stopping = asyncio.Event()
        self._producer = kafka.Producer(place.settings, client_id="test")
        self.task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        async def ignore(_messages: Sequence[Message[Any]], _transaction: Transaction) -> None:
            return

        consumer = kafka.Consumer(
            SERVICE,
            self._place.settings,
            self._place.database,
            self._producer,
            {InvoiceRefused: self._handle, AuthorityConfigured: ignore},
        )
        self.task = asyncio.create_task(consumer.run(self._stopping))
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._stopping.set()
        if self.task is not None:
            await asyncio.gather(self.task, return_exceptions=True)
        await self._producer.stop()

    async def _handle(
        self, messages: Sequence[Message[InvoiceRefused]], transaction: Transaction
    ) -> None:
        self._place.batches.append([message.data.number for message in messages])
        for message in messages:
            await transaction.connection.execute(
                "INSERT INTO seen (name) VALUES ($1)", message.data.number
            )
        if self._failures:
            self._failures -= 1
            raise TransientError
        if any(message.data.code == "poison" for message in messages):
            reason = "the rule says no"
            raise DomainError(reason)


async def test_a_bad_record_is_buried_alone_and_its_neighbours_go_on_in_order(
    place: Place,
) -> None:
    """A batch that fails is taken record by record; only the bad one goes to the dead letters."""
    await place.send([a_refusal("a"), a_refusal("b", "poison"), a_refusal("c"), a_refusal("d")])

    async with Running(place):
        await until(lambda: _has(place, ["a", "c", "d"]), "the neighbours")

    assert place.batches[0] == ["a", "b", "c", "d"]
    [buried] = await _dead_letters(place)
    assert buried["dead_reason"] == b"refused"
    assert buried["dead_detail"] == b"the rule says no"
    assert buried["dead_topic"] == b"invoice.refused"


async def test_what_may_heal_is_tried_again_until_it_does(place: Place) -> None:
    """A transient failure costs time, never a record; nothing of the failed try stays."""
    await place.send([a_refusal("e")])

    async with Running(place, failures=2):
        await until(lambda: _has(place, ["a", "c", "d", "e"]), "the record after two failures")


async def test_the_same_message_twice_changes_nothing(place: Place) -> None:
    """The inbox knows it by source and id, in one poll and in the next."""
    record = envelope.write(a_refusal("f"), at=datetime.now(UTC))
    producer = kafka.Producer(place.settings, client_id="test")
    await producer.start()
    await producer.send_all([record, record])
    await producer.send_all([record])
    await producer.stop()
    await place.send([a_refusal("g")])

    async with Running(place):
        await until(lambda: _has(place, ["a", "c", "d", "e", "f", "g"]), "both records")


async def test_too_many_bad_records_in_a_row_stop_the_consumer(place: Place) -> None:
    """Then the code is wrong, not the data: it stops loudly instead of burying everything."""
    bad = [a_refusal(f"bad-{number}", "poison") for number in range(kafka.BURIALS_IN_A_ROW + 5)]
    await place.send(bad)

    async with Running(place) as running:
        assert running.task is not None
        with pytest.raises(TooManyBurialsError):
            await asyncio.wait_for(running.task, 60)


async def test_the_relay_sends_what_a_transaction_left_and_forgets_it(place: Place) -> None:
    """In order, once the transaction has committed; a rolled-back one says nothing."""
    producer = kafka.Producer(place.settings, client_id="relay")
    stopping = asyncio.Event()
    relay = asyncio.create_task(Relay(place.database, producer).run(stopping))

    async def roll_back() -> None:
        async with place.database.transaction() as transaction:
            await transaction.publish([a_refusal("never")])
            raise DomainError

    with pytest.raises(DomainError):
        await roll_back()
    async with place.database.transaction() as transaction:
        await transaction.publish([a_refusal("first"), a_refusal("second")])

    async def is_empty() -> bool:
        async with place.database.reading() as connection:
            return bool(await connection.fetchval("SELECT count(*) = 0 FROM outbox"))

    await until(is_empty, "the outbox to empty")
    stopping.set()
    await relay
    await producer.stop()
    sent = [m.data.number for m in await _sent(place) if isinstance(m.data, InvoiceRefused)]
    assert sent[-2:] == ["first", "second"]
    assert "never" not in sent


async def _has(place: Place, names: list[str]) -> bool:
    return await place.seen() == names


async def _sent(place: Place) -> list[Message[Event]]:
    return [
        envelope.read(record.value, record.headers)
        for record in await _read(place, "invoice.refused")
    ]


async def _dead_letters(place: Place) -> list[dict[str, bytes]]:
    records = await _read(place, kafka.dead_letter_topic(SERVICE))
    return [dict(record.headers) for record in records]


async def _read(place: Place, topic: str) -> list[Any]:
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=place.settings.kafka_bootstrap_servers,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        polled = await consumer.getmany(timeout_ms=3000)
        return [record for records in polled.values() for record in records]
    finally:
        await consumer.stop()
