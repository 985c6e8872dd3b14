"""The read model is the same whatever the order; counting attempts withstands many at once."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from itertools import permutations
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest

from gateway.handlers.on_invoice_published import on_invoice_published
from gateway.handlers.on_invoice_withdrawn import on_invoice_withdrawn
from gateway.handlers.on_payment_captured import on_payment_captured
from gateway.handlers.on_payment_reversed import on_payment_reversed
from gateway.handlers.on_reminder_due import on_reminder_due
from gateway.ports import Bucket, InvoiceView
from gateway.store import PostgresPortal
from shared.envelope import Message
from shared.events import Event, PaymentCaptured, PaymentReversed
from shared.events.payment_captured import Allocation
from shared.postgres import Database
from tests.unit.gateway.door import (
    INVOICE_ID,
    NOW,
    OTHER_INVOICE_ID,
    TODAY,
    TOKEN,
    a_reminder,
    a_withdrawal,
    an_invoice,
)

pytestmark = pytest.mark.enable_socket


async def paper(portal: PostgresPortal) -> InvoiceView | None:
    """Return what the code of the paper opens."""
    found = await portal.papers([TOKEN])
    return found[TOKEN].invoice if TOKEN in found else None


Handle = Callable[[list[Message[Any]], PostgresPortal], Coroutine[Any, Any, None]]
PAYMENT_ID = UUID("00000000-0000-4000-8000-0000000000aa")
REVERSAL_ID = UUID("00000000-0000-4000-8000-0000000000bb")
HANDLERS: dict[str, Handle] = {
    "invoice.published": on_invoice_published,
    "invoice.withdrawn": on_invoice_withdrawn,
    "payment.captured": on_payment_captured,
    "payment.reversed": on_payment_reversed,
    "reminder.due": on_reminder_due,
}


def an_allocation(invoice_id: UUID = INVOICE_ID, amount_cents: int = 4150) -> Allocation:
    return Allocation(
        invoice_id=invoice_id,
        authority="saint-aubin",
        regie="CANTINE",
        number="2026-0042",
        amount_cents=amount_cents,
    )


def a_capture(*allocations: Allocation) -> PaymentCaptured:
    parts = allocations or (an_allocation(),)
    return PaymentCaptured(
        payment_id=PAYMENT_ID,
        authority="saint-aubin",
        means="card",
        provider="lyra",
        provider_reference="1",
        amount_cents=sum(part.amount_cents for part in parts),
        currency="EUR",
        allocations=parts,
        captured_at=NOW,
    )


def a_reversal(amount_cents: int = 1000) -> PaymentReversed:
    return PaymentReversed(
        reversal_id=REVERSAL_ID,
        payment_id=PAYMENT_ID,
        authority="saint-aubin",
        means="card",
        provider="lyra",
        provider_reference="1",
        cause="refund",
        amount_cents=amount_cents,
        currency="EUR",
        allocations=(an_allocation(amount_cents=amount_cents),),
        reversed_at=NOW,
    )


def a_message(event: Event) -> Message[Any]:
    return Message(
        id="x",
        source="x",
        type=event.TYPE,
        subject=event.key,
        time=NOW,
        traceparent="",
        causation_id=None,
        data=event,
    )


async def deliver(database: Database, *events: Event) -> None:
    """Hand each event to its handler, each in a transaction of its own."""
    for event in events:
        async with database.transaction() as transaction:
            portal = PostgresPortal(transaction)
            await HANDLERS[event.TOPIC]([a_message(event)], portal)


async def rows(database: Database) -> list[list[Any]]:
    async with database.reading() as connection:
        return [
            [tuple(row) for row in await connection.fetch(f"SELECT * FROM {table} ORDER BY 1")]
            for table in ("invoice", "movement")
        ]


async def empty(database: Database) -> None:
    async with database.transaction() as transaction:
        await transaction.connection.execute("TRUNCATE invoice, movement")


async def test_the_same_facts_leave_the_same_rows_in_any_order(database: Database) -> None:
    """Topics are not ordered against each other: all 120 orders of five facts."""
    facts = [an_invoice(), an_invoice(version=2), a_withdrawal(), a_capture(), a_reminder()]
    found = []

    for order in permutations(facts):
        await empty(database)
        await deliver(database, *order)
        found.append(await rows(database))

    assert all(state == found[0] for state in found)


async def test_the_same_facts_twice_leave_the_same_rows(database: Database) -> None:
    """A replay from the first offset changes nothing, even past the inbox."""
    facts = [an_invoice(), a_capture(), a_reversal(), a_withdrawal(), a_reminder()]
    await deliver(database, *facts)
    once = await rows(database)

    await deliver(database, *facts, *reversed(facts))

    assert await rows(database) == once


async def test_a_batch_with_two_versions_keeps_the_higher(database: Database) -> None:
    """Both may come in one poll, and one statement may not touch a row twice."""
    async with database.transaction() as transaction:
        portal = PostgresPortal(transaction)
        messages = [a_message(an_invoice(version=version)) for version in (2, 3, 1)]
        await on_invoice_published(messages, portal)

        shown = await paper(portal)

    assert shown is not None
    assert shown.version == 3


async def test_a_payment_that_comes_before_its_invoice_is_joined(database: Database) -> None:
    """Kept until the invoice is known."""
    await deliver(database, a_capture(), an_invoice())

    async with database.transaction() as transaction:
        shown = await paper(PostgresPortal(transaction))

    assert shown is not None
    assert (shown.paid_cents, shown.outstanding_cents) == (4150, 0)


async def test_a_payment_of_several_invoices_counts_for_each_its_part(database: Database) -> None:
    """Many to many: allocations, not totals."""
    parts = (an_allocation(amount_cents=4150), an_allocation(OTHER_INVOICE_ID, 99))
    await deliver(database, an_invoice(), a_capture(*parts))

    async with database.transaction() as transaction:
        shown = await paper(PostgresPortal(transaction))

    assert shown is not None
    assert shown.paid_cents == 4150


async def test_money_that_went_back_is_owed_again(database: Database) -> None:
    """A reversal reopens its part of the invoice."""
    await deliver(database, a_reversal(), an_invoice(), a_capture())

    async with database.transaction() as transaction:
        shown = await paper(PostgresPortal(transaction))

    assert shown is not None
    assert shown.outstanding_cents == 1000


async def test_a_payment_of_a_part_leaves_the_rest_to_pay(database: Database) -> None:
    """D7: partly paid, with what remains; a second one settles it, and a reversal reopens it."""
    first = a_capture(an_allocation(amount_cents=1250), an_allocation(OTHER_INVOICE_ID, 99))
    rest = msgspec.structs.replace(
        a_capture(an_allocation(amount_cents=2900)), payment_id=OTHER_INVOICE_ID
    )
    found = []

    for event in (an_invoice(), first, rest, a_reversal(1250)):
        await deliver(database, event)
        async with database.transaction() as transaction:
            shown = await paper(PostgresPortal(transaction))
            movements = await PostgresPortal(transaction).movements(INVOICE_ID)
        assert shown is not None
        sums = sorted(movement.amount_cents for movement in movements)
        found.append((shown.status(TODAY), shown.outstanding_cents, sums))

    assert found == [
        ("to_pay", 4150, []),
        ("partly_paid", 2900, [1250]),
        ("paid", 0, [1250, 2900]),
        ("partly_paid", 1250, [-1250, 1250, 2900]),
    ]


async def test_the_latest_reminder_is_the_one_kept(database: Database) -> None:
    """Also when an older one comes after it."""
    later = NOW + timedelta(days=3)
    await deliver(database, a_reminder(later), an_invoice(), a_reminder())

    async with database.transaction() as transaction:
        shown = await paper(PostgresPortal(transaction))

    assert shown is not None
    assert shown.reminded_at == later


async def test_a_public_token_is_kept_as_a_digest_only(database: Database) -> None:
    """S13: whoever reads the table opens no invoice."""
    await deliver(database, an_invoice())

    async with database.reading() as connection:
        text = str(await connection.fetchrow("SELECT * FROM invoice"))

    assert TOKEN not in text


async def test_many_attempts_at_once_get_no_more_tries_than_many_in_a_row(
    database: Database,
) -> None:
    """Each is counted before it is made, one after the other."""
    bucket = Bucket(name="login:name:x", free=5, longest_seconds=300)

    async def knock() -> timedelta | None:
        async with database.transaction() as transaction:
            return await PostgresPortal(transaction).knock([bucket], NOW)

    waits = await asyncio.gather(*(knock() for _ in range(30)))

    assert [wait for wait in waits if wait is None] == [None] * 5


async def test_waits_double_up_to_their_limit_and_start_anew_after_a_quiet_time(
    database: Database,
) -> None:
    """Growing delay, no lockout."""
    bucket = Bucket(name="x", free=2, longest_seconds=100)
    now, waits = NOW, []

    async with database.transaction() as transaction:
        portal = PostgresPortal(transaction)
        for _ in range(7):
            await portal.knock([bucket], now)
            wait = await portal.closed_for([bucket], now)
            waits.append(wait.total_seconds() if wait else 0)
            now += wait or timedelta()
        now += timedelta(minutes=16)
        await portal.knock([bucket], now)
        fresh = await portal.closed_for([bucket], now)

    assert waits == [0, 15, 30, 60, 100, 100, 100]
    assert fresh is None


async def test_a_success_among_failures_does_not_open_a_closed_bucket(database: Database) -> None:
    """Whoever guesses from one place cannot clear it with an account of their own."""
    bucket = Bucket(name="address", free=3, longest_seconds=900)
    own = Bucket(name="own account", free=5, longest_seconds=300)
    closed = []

    async with database.transaction() as transaction:
        portal = PostgresPortal(transaction)
        for _ in range(3):
            await portal.knock([bucket], NOW)
            closed.append(await portal.closed_for([bucket], NOW) is not None)
            await portal.knock([bucket], NOW)
            await portal.forgive(own, [bucket])

    assert closed == [False, False, True]


async def test_a_session_belongs_to_a_citizen_or_to_an_agent(database: Database) -> None:
    """Never to both, never to nobody: the table itself says so."""
    async with database.transaction() as transaction:
        with pytest.raises(asyncpg.CheckViolationError):
            await PostgresPortal(transaction).open_session("s" * 43, NOW)
