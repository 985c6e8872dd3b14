"""What the embedded broker cannot do and production relies on, asked of Apache Kafka itself."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from shared import kafka
from tests.broker.kafka import ApacheKafka

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="module")]

READ_SECONDS = 20.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def broker() -> AsyncIterator[ApacheKafka]:
    """Return a broker for the tests of this module."""
    async with ApacheKafka() as broker:
        yield broker


async def _create(broker: ApacheKafka, topic: str) -> None:
    admin = AIOKafkaAdminClient(**kafka.connection_options(broker.settings))
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, 1)])
    finally:
        await admin.close()


async def _read(broker: ApacheKafka, topic: str, count: int) -> list[bytes | None]:
    consumer = AIOKafkaConsumer(
        **kafka.connection_options(broker.settings), isolation_level="read_committed"
    )
    await consumer.start()
    try:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        return [
            (await asyncio.wait_for(consumer.getone(), READ_SECONDS)).value for _ in range(count)
        ]
    finally:
        await consumer.stop()


async def test_an_idempotent_producer_writes_every_record_once_and_in_order(
    broker: ApacheKafka,
) -> None:
    """`KAFKA_IDEMPOTENT_PRODUCER` stays on in production, so the outbox's order is the topic's."""
    await _create(broker, "idempotent")
    producer = AIOKafkaProducer(
        **kafka.connection_options(broker.settings), enable_idempotence=True, acks="all"
    )
    await producer.start()

    try:
        sent = [await producer.send("idempotent", b"%d" % number) for number in range(500)]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()

    assert [b"%d" % number for number in range(500)] == await _read(broker, "idempotent", 500)


async def test_a_reader_of_committed_records_never_sees_an_aborted_transaction(
    broker: ApacheKafka,
) -> None:
    """The transaction coordinator works on one node: its topic has one replica here."""
    await _create(broker, "transactional")
    producer = AIOKafkaProducer(
        **kafka.connection_options(broker.settings), transactional_id="test-transactional"
    )
    await producer.start()

    try:
        await producer.begin_transaction()
        await producer.send_and_wait("transactional", b"aborted")
        await producer.abort_transaction()
        async with producer.transaction():
            await producer.send_and_wait("transactional", b"committed")
    finally:
        await producer.stop()

    assert [b"committed"] == await _read(broker, "transactional", 1)


async def test_a_killed_broker_comes_back_with_every_acknowledged_record(
    broker: ApacheKafka,
) -> None:
    """Tests that kill the broker find the same one again, not an empty one."""
    await _create(broker, "durable")
    producer = AIOKafkaProducer(**kafka.connection_options(broker.settings), acks="all")
    await producer.start()
    try:
        await producer.send_and_wait("durable", b"acknowledged")
    finally:
        await producer.stop()

    await broker.kill()
    await broker.start()

    assert [b"acknowledged"] == await _read(broker, "durable", 1)


async def test_a_topic_that_nobody_declared_is_not_created(broker: ApacheKafka) -> None:
    """Topics exist by declaration only, here as in production."""
    admin = AIOKafkaAdminClient(**kafka.connection_options(broker.settings))
    await admin.start()

    try:
        await admin.describe_topics(["never.declared"])
        topics = await admin.list_topics()
    finally:
        await admin.close()

    assert "never.declared" not in topics
