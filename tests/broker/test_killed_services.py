"""Five hundred deposits while every service is killed in turn: nothing lost, nothing twice."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition

from demo import samples
from demo.biller import Biller, BillerError
from demo.town import SERVICES, Town
from shared import kafka, topics
from shared.envelope import Record
from shared.environment import CommonSettings
from tests.broker.observing import an_invoice, count, mails, messages, query, until

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="module")]

INVOICES = 500
PER_DEPOSIT = 10
BETWEEN_KILLS_SECONDS = 0.8
SMTP_CONNECTIONS = 4
"""After a kill at most one mail of each open connection may be sent again, as it was."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def biller(town: Town) -> AsyncIterator[Biller]:
    """Return the town's billing application, logged in."""
    async with aiohttp.ClientSession() as session:
        biller = Biller(town.endpoints(), session)
        await biller.log_in()
        yield biller


async def _deposit_all(biller: Biller) -> None:
    """Deposit as a billing application does: again with the same key until it is answered."""
    for start in range(0, INVOICES, PER_DEPOSIT):
        invoices = [an_invoice(f"K{number}") for number in range(start, start + PER_DEPOSIT)]
        while True:
            try:
                receipt = await biller.deposit_json(invoices, key=f"deposit-{start}")
            except (aiohttp.ClientError, TimeoutError, BillerError):
                await asyncio.sleep(0.2)
                continue
            assert receipt["created"] == PER_DEPOSIT
            break
        await asyncio.sleep(0.1)


async def _kill_each(town: Town, done: asyncio.Event) -> None:
    for service in SERVICES:
        town.processes[service].kill()
        await asyncio.sleep(BETWEEN_KILLS_SECONDS)
    done.set()


async def test_nothing_is_lost_or_doubled_when_every_service_is_killed(
    town: Town, biller: Biller
) -> None:
    """P1: kill -9 of each service in turn; each invoice is published, mailed and booked once."""
    killed = asyncio.Event()

    await asyncio.gather(_deposit_all(biller), _kill_each(town, killed))

    published = "SELECT count(*) FROM folder WHERE state = 'published'"
    booked = "SELECT count(*) FROM entry WHERE kind = 'invoice'"
    shown = "SELECT count(*) FROM invoice WHERE version > 0"
    await until(lambda: _equals(town, "publication", published, INVOICES), "publication", 90)
    await until(lambda: _equals(town, "reconciliation", booked, INVOICES), "the books")
    await until(lambda: _equals(town, "gateway", shown, INVOICES), "the portal")
    await until(lambda: _all_mailed(town), "the mails")
    assert killed.is_set()
    assert all(town.processes[service].restarts >= 1 for service in SERVICES)
    facts = Counter(message.id for message in await messages(town, "invoice.published"))
    invoices = {
        message.data.key: message.id for message in await messages(town, "invoice.published")
    }
    assert len(facts) == INVOICES
    assert len(invoices) == INVOICES
    letters = Counter(mail["message_id"] for mail in await mails(town))
    assert len(letters) == INVOICES
    assert sum(letters.values()) - INVOICES <= SMTP_CONNECTIONS


async def test_the_books_sum_to_zero(town: Town, biller: Biller) -> None:
    """Double entry: whatever happened, each régie's accounts cancel out."""
    [total] = await query(town, "reconciliation", "SELECT sum(amount_cents) FROM line")
    by_regie = await query(
        town,
        "reconciliation",
        "SELECT regie, sum(amount_cents) AS total FROM line JOIN entry USING (entry_id) GROUP BY 1",
    )
    claims = await count(
        town, "reconciliation", "SELECT sum(amount_cents) FROM line WHERE account = 'CREANCE'"
    )

    assert total[0] == 0
    assert [row["total"] for row in by_regie] == [0]
    assert claims == INVOICES * 4100


STATES = {
    "ingestion": ["deposit", "deposit_line", "invoice"],
    "publication": ["folder", "discarded_object"],
    "payment": ["invoice", "attempt", "allocation", "notice"],
    "reconciliation": ["entry", "line", "account", "collection", "feed_counter", "reminder"],
    "notification": ["message"],
    "gateway": ["invoice", "movement", "account"],
}


async def _snapshot(town: Town) -> dict[str, object]:
    state: dict[str, object] = {}
    for service, tables in STATES.items():
        for table in tables:
            rows = await query(town, service, f"SELECT t::text AS row FROM {table} t ORDER BY 1")
            state[f"{service}.{table}"] = [row["row"] for row in rows]
        state[f"{service}.outbox"] = await count(town, service, "SELECT count(*) FROM outbox")
    state["mails"] = len(await mails(town))
    state["topics"] = {
        topic: len(await messages(town, topic))
        for topic in ("invoice.generated", "invoice.published", "reminder.due", "invoice.refused")
    }
    return state


async def _caught_up(town: Town, service: str, ends: dict[TopicPartition, int]) -> bool:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=town.kafka_servers,
        group_id=f"quittance.{service}",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        consumer.assign(list(ends))
        return all([(await consumer.committed(p) or 0) >= end for p, end in ends.items() if end])
    finally:
        await consumer.stop()


@pytest.mark.parametrize("remembers", [True, False], ids=["inbox kept", "inbox emptied"])
async def test_topics_read_again_from_the_start_change_nothing(
    town: Town, biller: Biller, remembers: bool
) -> None:
    """P3: with the inbox, and even without it, a replay has no effect and sends no mail."""
    before = await _snapshot(town)

    for service in SERVICES:
        await town.processes[service].stop()
        if not remembers:
            await query(town, service, "DELETE FROM inbox")
        heard = kafka.consumed_topics(service)
        ends = await topics.rewind(_settings(town), f"quittance.{service}", heard)
        await town.processes[service].start()
        await until(partial(_caught_up, town, service, ends), f"{service} to read again")
    await asyncio.sleep(2)

    after = await _snapshot(town)
    assert before.keys() == after.keys()
    for name, content in before.items():
        assert content == after[name], name


async def test_a_record_that_does_not_decode_is_buried_with_its_reason(
    town: Town, biller: Biller
) -> None:
    """F20: the poison goes to the dead-letter topic, its neighbours and the flow go on."""
    producer = kafka.Producer(_settings(town), client_id="poison")
    await producer.start()
    poison = Record(
        topic="invoice.generated", key=b"x", value=b"{not json", headers=(("ce_id", b"poison"),)
    )
    await producer.send_all([poison])
    await producer.stop()

    receipt = await biller.deposit_json([an_invoice("AFTER-POISON")])
    [line] = await biller.lines(receipt["deposit_id"])
    await biller.wait_published(line["invoice_id"])

    [buried] = await _dead_letters(town, "publication")
    assert buried["ce_id"] == b"poison"
    assert buried["dead_reason"] == b"contract"
    assert buried["dead_topic"] == b"invoice.generated"


async def test_every_sample_is_published_after_all_that(town: Town, biller: Biller) -> None:
    """The town still works: a Factur-X goes all the way."""
    [sample, *_] = samples.read_all()

    receipt = await biller.deposit_facturx(sample.path.read_bytes(), "LOYERS")
    [line] = await biller.lines(receipt["deposit_id"])
    state = await biller.wait_published(line["invoice_id"])

    assert state["state"] == "published"


async def _dead_letters(town: Town, service: str) -> list[dict[str, Any]]:
    topic = kafka.dead_letter_topic(service)
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=town.kafka_servers, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        polled = await consumer.getmany(timeout_ms=5000)
        return [dict(record.headers) for records in polled.values() for record in records]
    finally:
        await consumer.stop()


def _settings(town: Town) -> CommonSettings:
    return CommonSettings(
        database_url="",
        kafka_bootstrap_servers=town.kafka_servers,
        kafka_idempotent_producer=False,
        http_port=0,
    )


async def _equals(town: Town, service: str, statement: str, expected: int) -> bool:
    return await count(town, service, statement) == expected


async def _all_mailed(town: Town) -> bool:
    sent = "SELECT count(*) FROM message WHERE state = 'sent'"
    return await count(town, "notification", sent) == INVOICES
