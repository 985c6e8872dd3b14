"""Who comes to see an invoice, and who does no more, is told to notification."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import msgspec
import pytest

from gateway.ports.links import Invitation, NewLink, payer_id_of
from gateway.store import PostgresPortal
from shared.clock import FixedClock
from shared.events import InvoiceAppeared, InvoiceDisappeared, InvoicePublished
from shared.postgres import Database
from tests.unit.gateway.door import EMAIL, NOW, Door, a_withdrawal
from tests.unit.gateway.payers import an_invoice_of, id_of
from tests.unit.gateway.test_appearing import deliver

pytestmark = pytest.mark.enable_socket

DELEGATE = "d@exemple.test"
ENDS_AT = NOW + timedelta(days=30)
PAYER = payer_id_of(an_invoice_of(1))


async def told(database: Database) -> list[tuple[str, str, UUID]]:
    """Return what was told so far and forget it, as (what, end of the invoice's id, account).

    `new` is a new version, `seen` and `until` what came into sight, for ever or for a time.
    """
    async with database.transaction() as transaction:
        rows = await transaction.connection.fetch(
            "WITH gone AS (DELETE FROM outbox WHERE topic LIKE 'invoice.%' RETURNING *)"
            " SELECT topic, value FROM gone ORDER BY id"
        )
    found: list[tuple[str, str, UUID]] = []
    for row in rows:
        if row["topic"] == "invoice.disappeared":
            gone = msgspec.json.decode(row["value"], type=InvoiceDisappeared)
            found.append(("gone", str(gone.invoice_id)[-2:], gone.account_id))
        else:
            event = msgspec.json.decode(row["value"], type=InvoiceAppeared)
            word = "new" if event.is_new else "until" if event.until else "seen"
            assert event.until in (None, ENDS_AT)
            found.append((word, str(event.invoice_id)[-2:], event.account_id))
    return sorted(found)


async def link(door: Door, account_id: UUID, position: int = 1) -> None:
    async with door.portal() as portal:
        new = NewLink(account_id=account_id, evidence="paper_code")
        await portal.link(id_of(position), new, NOW)


async def revoke(door: Door, account_id: UUID, invoice: InvoicePublished | None = None) -> bool:
    async with door.portal() as portal:
        payer_id = payer_id_of(invoice) if invoice else PAYER
        return await portal.revoke(account_id, payer_id, "owner", NOW)


async def lend(
    door: Door, owner_id: UUID, delegate_id: UUID, *, can_read: bool = True, payer_id: UUID = PAYER
) -> UUID:
    """Return the delegation that the delegate has accepted."""
    invitation = Invitation(
        delegation_id=uuid4(),
        owner_id=owner_id,
        payer_ids=(payer_id,),
        email=DELEGATE,
        can_read=can_read,
        can_pay=True,
        ends_at=ENDS_AT,
    )
    async with door.portal() as portal:
        secret = str(uuid4())
        await portal.invite(invitation, secret, NOW + timedelta(days=7), NOW)
        assert await portal.accept(secret, delegate_id, NOW) is not None
    return invitation.delegation_id


async def test_a_link_brings_old_invoices_into_sight_without_alert(door: Door) -> None:
    """Reminders and receipts of what was published before reach whoever links now."""
    account_id = await door.add_account(verified=False)
    await deliver(
        door.database, an_invoice_of(1), an_invoice_of(2), an_invoice_of(3, reference="other")
    )

    await link(door, account_id)
    await link(door, account_id, 2)

    assert await told(door.database) == [("seen", "01", account_id), ("seen", "02", account_id)]


async def test_a_revoked_link_takes_every_invoice_of_the_payer_out_of_sight(door: Door) -> None:
    """And a second revocation has nothing to tell; a code brings them back, as no news."""
    account_id = await door.add_account(verified=False)
    await deliver(door.database, an_invoice_of(1), an_invoice_of(2))
    await link(door, account_id)
    await told(door.database)

    assert [await revoke(door, account_id), await revoke(door, account_id)] == [True, False]
    gone = await told(door.database)
    await deliver(door.database, an_invoice_of(3))
    of_later = await told(door.database)
    await link(door, account_id)

    assert gone == [("gone", "01", account_id), ("gone", "02", account_id)]
    assert of_later == []
    assert [what for what, _, _ in await told(door.database)] == ["seen"] * 3


async def test_what_is_still_seen_another_way_does_not_disappear(door: Door) -> None:
    """One's own right ends and a lent one stays: the invoice is seen until that one's end."""
    owner_id = await door.add_account()
    delegate_id = await door.add_account(email=DELEGATE, verified=False)
    await deliver(door.database, an_invoice_of(1, email=EMAIL))
    await told(door.database)

    await lend(door, owner_id, delegate_id)
    lent = await told(door.database)
    await link(door, delegate_id)
    linked = await told(door.database)
    await revoke(door, delegate_id)

    assert lent == [("until", "01", delegate_id)]
    assert linked == [("seen", "01", delegate_id)]
    assert await told(door.database) == [("until", "01", delegate_id)]


async def test_a_refused_address_takes_out_of_sight_what_it_showed(door: Door) -> None:
    """The owner of the address, and whom they lent it to; what belongs to others stays."""
    owner_id = await door.add_account()
    delegate_id = await door.add_account(email=DELEGATE)
    other_id = await door.add_account(email="o@exemple.test", verified=False)
    other = an_invoice_of(2, email=EMAIL, reference="other")
    await deliver(door.database, an_invoice_of(1, email=EMAIL), other)
    await link(door, other_id)
    await lend(door, owner_id, delegate_id)
    await told(door.database)

    assert await revoke(door, owner_id)

    assert await told(door.database) == sorted(
        [("gone", "01", owner_id), ("gone", "01", delegate_id)]
    )


@pytest.mark.parametrize("can_read", [True, False])
async def test_a_delegation_that_is_ended_takes_out_of_sight_what_it_let_read(
    door: Door, can_read: bool
) -> None:
    """Who might only pay was told nothing, and is told nothing now; nor does a stranger end it."""
    owner_id = await door.add_account()
    delegate_id = await door.add_account(email=DELEGATE)
    await deliver(door.database, an_invoice_of(1, email=EMAIL))
    delegation_id = await lend(door, owner_id, delegate_id, can_read=can_read)
    await told(door.database)

    async with door.portal() as portal:
        assert not await portal.end_delegation(uuid4(), delegation_id, NOW)
    nothing = await told(door.database)
    async with door.portal() as portal:
        assert await portal.end_delegation(delegate_id, delegation_id, NOW)

    assert nothing == []
    assert await told(door.database) == ([("gone", "01", delegate_id)] if can_read else [])


async def test_an_invoice_that_comes_to_a_delegate_says_until_when(door: Door) -> None:
    """Its end by the date is told before it comes: nothing has to be told then."""
    owner_id = await door.add_account()
    delegate_id = await door.add_account(email=DELEGATE)
    await deliver(door.database, an_invoice_of(1, email=EMAIL))
    await lend(door, owner_id, delegate_id)
    await told(door.database)

    await deliver(door.database, an_invoice_of(2, email=EMAIL))

    async with door.database.reading() as connection:
        rows = await connection.fetch("SELECT value FROM outbox WHERE topic = 'invoice.appeared'")
    events = [msgspec.json.decode(row["value"], type=InvoiceAppeared) for row in rows]
    assert {(one.account_id, one.until, one.is_new) for one in events} == {
        (owner_id, None, True),
        (delegate_id, ENDS_AT, True),
    }


async def test_another_address_shows_its_invoices_and_no_more_those_of_the_former(
    door: Door,
) -> None:
    """A proved address is asked for at each question: whoever gives it up has nothing of it."""
    account_id = await door.add_account()
    await deliver(
        door.database,
        an_invoice_of(1, email=EMAIL, reference="a"),
        an_invoice_of(2, email="new@exemple.test", reference="b"),
    )
    await told(door.database)

    async with door.portal() as portal:
        assert await portal.give_address(account_id, "new@exemple.test", NOW)

    assert await told(door.database) == [("gone", "01", account_id), ("seen", "02", account_id)]


async def test_a_closed_account_takes_what_it_lent_out_of_sight(door: Door) -> None:
    """What it saw itself is told by `contact.updated`, which says that it is closed."""
    owner_id = await door.add_account()
    delegate_id = await door.add_account(email=DELEGATE)
    await deliver(door.database, an_invoice_of(1, email=EMAIL))
    await lend(door, owner_id, delegate_id)
    await told(door.database)

    async with door.portal() as portal:
        await portal.close_account(owner_id, NOW)

    assert ("gone", "01", delegate_id) in await told(door.database)


async def test_a_version_for_somebody_else_leaves_the_account_that_saw_the_one_before(
    door: Door,
) -> None:
    """A biller who corrects an address takes the invoice from whom it was wrongly shown to."""
    wrong = await door.add_account()
    right = await door.add_account(email="right@exemple.test")
    await deliver(door.database, an_invoice_of(1, email=EMAIL))
    await told(door.database)

    await deliver(door.database, an_invoice_of(1, email="right@exemple.test", version=2))

    assert await told(door.database) == [("gone", "01", wrong), ("new", "01", right)]


async def test_what_was_withdrawn_does_not_come_into_sight_but_does_leave_it(door: Door) -> None:
    """Nothing is told of it any more, unless a higher version comes."""
    account_id = await door.add_account(verified=False)
    await deliver(door.database, an_invoice_of(1))
    async with door.portal() as portal:
        await portal.withdraw([a_withdrawal()])

    await link(door, account_id)
    nothing = await told(door.database)
    await revoke(door, account_id)

    assert nothing == []
    assert await told(door.database) == [("gone", "01", account_id)]


async def test_a_payer_s_thousands_of_invoices_are_bounded_and_take_few_statements(
    door: Door,
) -> None:
    """The newest thousand come into sight; all of them leave it. Nothing is asked line by line."""
    account_id = await door.add_account(verified=False)
    await door.publish(*(an_invoice_of(n) for n in range(1, 1101)))
    statements: list[str] = []

    async with door.database.transaction() as transaction:
        with transaction.connection.query_logger(lambda record: statements.append(record.query)):
            new = NewLink(account_id=account_id, evidence="paper_code")
            await PostgresPortal(transaction).link(id_of(1), new, NOW)
    seen = await told(door.database)
    await revoke(door, account_id)

    assert len(seen) == 1000
    assert len(await told(door.database)) == 1100
    assert len([one for one in statements if "INTO outbox" not in one]) < 12


async def test_a_transaction_that_fails_tells_of_no_end(door: Door) -> None:
    """The event leaves if, and only if, the right has ended."""
    account_id = await door.add_account(verified=False)
    await deliver(door.database, an_invoice_of(1))
    await link(door, account_id)
    await told(door.database)

    async def fail_after_it() -> None:
        async with door.portal() as portal:
            await portal.revoke(account_id, PAYER, "owner", NOW)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_after_it()

    assert await told(door.database) == []


async def test_an_invoice_that_comes_while_its_link_is_revoked_does_not_stay_in_sight(
    door: Door, clock: FixedClock
) -> None:
    """Whoever commits second knows of the first, or the invoice would be told of for ever."""
    account_id = await door.add_account(verified=False)
    await deliver(door.database, an_invoice_of(1))
    await link(door, account_id)
    await told(door.database)

    async with door.portal() as portal:
        assert await portal.revoke(account_id, PAYER, "owner", NOW)
        # It is inserted meanwhile, and waits before it asks who sees it.
        coming = asyncio.create_task(deliver(door.database, an_invoice_of(2)))
        await asyncio.sleep(0.2)
        assert not coming.done()
        clock.advance(timedelta(seconds=1))
    await coming

    assert await told(door.database) == [("gone", "01", account_id)]


async def test_a_link_that_is_revoked_while_its_invoice_comes_ends_that_one_too(
    door: Door, clock: FixedClock
) -> None:
    """The other way round: the revocation waits, and finds the invoice."""
    account_id = await door.add_account(verified=False)
    await deliver(door.database, an_invoice_of(1))
    await link(door, account_id)
    await told(door.database)

    async with door.portal() as portal:
        await portal.keep_invoices([an_invoice_of(2)])
        await portal.hold_sights()
        assert [viewer.account_id for viewer in await portal.viewers([id_of(2)])] == [account_id]
        revoking = asyncio.create_task(revoke(door, account_id))
        await asyncio.sleep(0.2)
        assert not revoking.done()
        clock.advance(timedelta(seconds=1))
    assert await revoking

    assert await told(door.database) == [("gone", "01", account_id), ("gone", "02", account_id)]
