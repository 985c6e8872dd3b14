"""Who sees an invoice is told to notification: each account once for each version."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from gateway.handlers.on_invoice_published import on_invoice_published
from gateway.ports.links import Invitation, NewLink, Viewer, payer_id_of
from gateway.store import PostgresPortal
from shared.clock import FixedClock
from shared.envelope import Message
from shared.events import InvoiceAppeared, InvoicePublished
from shared.postgres import Database
from tests.unit.gateway.door import EMAIL, NOW, Door, a_withdrawal
from tests.unit.gateway.payers import IDENTITY, an_invoice_of, id_of

pytestmark = pytest.mark.enable_socket


def a_message(invoice: InvoicePublished) -> Message[Any]:
    return Message(
        id=str(uuid4()),
        source="x",
        type=invoice.TYPE,
        subject=invoice.key,
        time=NOW,
        traceparent="",
        causation_id=None,
        data=invoice,
    )


async def deliver(database: Database, *invoices: InvoicePublished) -> list[str]:
    """Hand invoices to the handler in one transaction; return the statements it took."""
    statements: list[str] = []
    async with database.transaction() as transaction:
        with transaction.connection.query_logger(lambda record: statements.append(record.query)):
            await on_invoice_published(
                [a_message(invoice) for invoice in invoices], PostgresPortal(transaction)
            )
    return statements


async def appeared(database: Database) -> list[tuple[str, int, UUID]]:
    """Return which new versions were told, as (end of the invoice's id, version, account)."""
    async with database.reading() as connection:
        rows = await connection.fetch(
            "SELECT value FROM outbox WHERE topic = 'invoice.appeared' ORDER BY id"
        )
    told = [msgspec.json.decode(row["value"], type=InvoiceAppeared) for row in rows]
    return [(str(one.invoice_id)[-2:], one.version, one.account_id) for one in told if one.is_new]


async def test_an_invoice_of_a_proved_address_appears_once(door: Door) -> None:
    """A replay, or the same version in another message, tells nobody again."""
    account_id = await door.add_account()
    invoice = an_invoice_of(1, email=EMAIL)

    await deliver(door.database, invoice, invoice)
    await deliver(door.database, invoice)

    assert await appeared(door.database) == [("01", 1, account_id)]


async def test_a_higher_version_appears_and_a_lower_one_does_not(door: Door) -> None:
    """What replaces an invoice is news; what it replaced is not."""
    account_id = await door.add_account()

    for version in (2, 1, 3):
        await deliver(door.database, an_invoice_of(1, email=EMAIL, version=version))

    assert await appeared(door.database) == [("01", 2, account_id), ("01", 3, account_id)]


async def test_an_invoice_withdrawn_before_it_came_appears_to_nobody(door: Door) -> None:
    """Topics are not ordered against each other; a higher version does appear."""
    account_id = await door.add_account()
    async with door.portal() as portal:
        await portal.withdraw([a_withdrawal()])

    await deliver(door.database, an_invoice_of(1, email=EMAIL))
    await deliver(door.database, an_invoice_of(1, email=EMAIL, version=2))

    assert await appeared(door.database) == [("01", 2, account_id)]


async def test_everybody_who_sees_it_is_told_by_whichever_way(
    door: Door, clock: FixedClock
) -> None:
    """A link, a proved address, a delegation to read; not an unproved address, nor one to pay."""
    by_address = await door.add_account()
    by_link = await door.add_account(email="b@exemple.test", verified=False)
    reader = await door.add_account(email="c@exemple.test")
    payer = await door.add_account(email="d@exemple.test")
    await door.add_account(email="e@exemple.test")
    first = an_invoice_of(1)
    await door.publish(first)
    async with door.portal() as portal:
        await portal.link(first.invoice_id, NewLink(account_id=by_link, evidence="paper_code"), NOW)
        for delegate_id, can_read in ((reader, True), (payer, False)):
            secret = str(uuid4())
            invitation = Invitation(
                delegation_id=uuid4(),
                owner_id=by_link,
                payer_ids=(payer_id_of(first),),
                email="x@exemple.test",
                can_read=can_read,
                can_pay=True,
                ends_at=NOW + timedelta(days=1),
            )
            await portal.invite(invitation, secret, NOW + timedelta(days=7), NOW)
            assert await portal.accept(secret, delegate_id, NOW) is not None

    await deliver(door.database, an_invoice_of(2, email=EMAIL))
    clock.advance(timedelta(days=1))
    await deliver(door.database, an_invoice_of(3, email=EMAIL))

    told = await appeared(door.database)
    assert sorted(account for number, _, account in told if number == "02") == sorted(
        [by_address, by_link, reader]
    )
    assert sorted(account for number, _, account in told if number == "03") == sorted(
        [by_address, by_link]
    )


async def test_a_transaction_that_fails_tells_nobody(door: Door) -> None:
    """The event leaves if, and only if, the invoice is kept."""
    await door.add_account()

    async def fail_after_it() -> None:
        async with door.portal() as portal:
            await on_invoice_published([a_message(an_invoice_of(1, email=EMAIL))], portal)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_after_it()

    assert await appeared(door.database) == []
    assert await door.count("invoice") == 0


async def test_a_thousand_invoices_take_as_many_statements_as_one(door: Door) -> None:
    """A month's deposit comes in polls: nothing is asked line by line."""
    account_id = await door.add_account()
    # asyncpg asks for the types that it does not know yet, once.
    await deliver(door.database, an_invoice_of(1, email=EMAIL, identity=IDENTITY))
    one = await deliver(door.database, an_invoice_of(2, email=EMAIL, identity=IDENTITY))

    many = await deliver(
        door.database,
        *(
            an_invoice_of(n, email=EMAIL, reference=f"R-{n}", identity=IDENTITY)
            for n in range(3, 1003)
        ),
    )

    assert len(many) == len(one) == 7
    assert len(await appeared(door.database)) == 1002
    assert {account for _, _, account in await appeared(door.database)} == {account_id}


async def test_viewers_are_told_for_the_invoices_that_are_asked_for_alone(door: Door) -> None:
    """One payer's other invoices are not in the answer."""
    account_id = await door.add_account()
    await door.publish(an_invoice_of(1, email=EMAIL), an_invoice_of(2, email=EMAIL))

    async with door.portal() as portal:
        found = await portal.viewers([id_of(2), id_of(9)])

    assert found == [Viewer(invoice_id=id_of(2), account_id=account_id)]
