"""What a test sees of a town from outside: databases, topics, the mailbox."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any

import aiohttp
import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from demo.town import Town
from shared import envelope
from shared.envelope import Message
from shared.events import Event

POLL_SECONDS = 0.2


async def until(holds: Callable[[], Awaitable[bool]], what: str, seconds: float = 60.0) -> None:
    """Return once `holds`; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not await holds():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        await asyncio.sleep(POLL_SECONDS)


async def query(town: Town, service: str, statement: str, *arguments: object) -> list[Any]:
    """Return the rows of a statement on a service's database."""
    connection = await asyncpg.connect(town.database_of(service))
    try:
        return list(await connection.fetch(statement, *arguments))
    finally:
        await connection.close()


async def count(town: Town, service: str, statement: str, *arguments: object) -> int:
    """Return the one number of a statement on a service's database."""
    [row] = await query(town, service, statement, *arguments)
    return int(row[0])


async def messages(town: Town, topic: str) -> list[Message[Event]]:
    """Return every event of a topic, from offset 0 to its end."""
    consumer = AIOKafkaConsumer(bootstrap_servers=town.kafka_servers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        await consumer._client.set_topics([topic])
        partitions = [
            TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()
        ]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        found: list[Message[Event]] = []
        for partition in partitions:
            consumer.seek(partition, 0)
        while any([await consumer.position(p) < ends[p] for p in partitions]):
            polled = await consumer.getmany(timeout_ms=1000)
            found += [
                envelope.read(record.value, record.headers)
                for records in polled.values()
                for record in records
            ]
        return found
    finally:
        await consumer.stop()


async def mails(town: Town) -> list[dict[str, Any]]:
    """Return what is in the mailbox."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(town.url("mailbox") + "/api/messages") as answer,
    ):
        content: list[dict[str, Any]] = await answer.json()
        return content


def an_invoice(number: str, **changes: object) -> dict[str, Any]:
    """Return an invoice as a biller sends it."""
    today = date.today()  # noqa: DTZ011 - the biller's own calendar
    invoice = {
        "regie": "CANTINE",
        "number": number,
        "issued_on": today.isoformat(),
        "due_on": (today + timedelta(days=30)).isoformat(),
        "amount_cents": 4100,
        "currency": "EUR",
        "subject": "Restauration scolaire",
        "route": "regie",
        "payer": {
            "reference": f"FAM-{number}",
            "name": "Camille Martin",
            "email": f"famille-{number}@example.org".lower(),
        },
    }
    return invoice | changes
