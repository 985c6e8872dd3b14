"""From a link in the gateway's database to a mail in notification's, and to its end."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple, TypeVar
from uuid import UUID, uuid4

import msgspec
import pytest
import pytest_asyncio

import gateway
import notification
from demo import ports
from demo.postgres import EmbeddedPostgres
from gateway.handlers.on_invoice_published import on_invoice_published as show
from gateway.ports.links import Invitation, NewLink, payer_id_of
from gateway.store import PostgresPeople, PostgresPortal
from notification.app import HANDLERS
from shared.clock import FixedClock
from shared.envelope import Message
from shared.events import EVENTS, ContactUpdated, Event, InvoicePublished, ReminderDue
from shared.postgres import Database, all_migrations, migrate
from tests.unit.gateway.door import NOW
from tests.unit.gateway.payers import an_invoice_of, id_of

pytestmark = [pytest.mark.enable_socket, pytest.mark.asyncio]

E = TypeVar("E", bound=Event)
SERVICES = {"gateway": gateway, "notification": notification}
OWNER, READER = "owner@exemple.test", "reader@exemple.test"
INVOICE = an_invoice_of(1)
PAYER = payer_id_of(INVOICE)


class Town(NamedTuple):
    """Both databases, and the clock of both services."""

    databases: Mapping[str, Database]
    clock: FixedClock

    async def publish(self, invoice: InvoicePublished) -> None:
        """Let both services read of an invoice."""
        async with self.databases["gateway"].transaction() as transaction:
            await show([a_message(invoice)], PostgresPortal(transaction))
        await self.deliver(invoice)

    async def deliver(self, event: Event) -> None:
        """Let notification read an event."""
        async with self.databases["notification"].transaction() as transaction:
            await HANDLERS[type(event)]([a_message(event)], transaction)

    async def carry(self) -> None:
        """Hand what the gateway said to notification: the last first, and then again."""
        async with self.databases["gateway"].transaction() as transaction:
            rows = await transaction.connection.fetch(
                "WITH gone AS (DELETE FROM outbox RETURNING *) SELECT * FROM gone ORDER BY id DESC"
            )
        struct_of = {struct.TOPIC: struct for struct in EVENTS.values()}
        events = [msgspec.json.decode(row["value"], type=struct_of[row["topic"]]) for row in rows]
        for event in [*events, *reversed(events)]:
            await self.deliver(event)
        self.clock.advance(timedelta(minutes=1))

    async def open_account(self, email: str) -> UUID:
        """Open an account with a proved address, and tell notification."""
        account_id = uuid4()
        async with self.databases["gateway"].transaction() as transaction:
            await PostgresPeople(transaction.connection).keep_account(
                account_id, email, "hash", NOW, NOW
            )
        await self.deliver(ContactUpdated(account_id=account_id, email=email, updated_at=NOW))
        return account_id

    async def link(self, account_id: UUID) -> None:
        """Prove the payer with the paper's code."""
        async with self.databases["gateway"].transaction() as transaction:
            new = NewLink(account_id=account_id, evidence="paper_code")
            await PostgresPortal(transaction).link(INVOICE.invoice_id, new, self.clock.now())
        await self.carry()

    async def revoke(self, account_id: UUID) -> None:
        """See the payer's invoices no more."""
        async with self.databases["gateway"].transaction() as transaction:
            now = self.clock.now()
            assert await PostgresPortal(transaction).revoke(account_id, PAYER, "owner", now)
        await self.carry()

    async def lend(self, owner_id: UUID, delegate_id: UUID) -> None:
        """Let another account read, for an hour."""
        now = self.clock.now()
        invitation = Invitation(
            delegation_id=uuid4(),
            owner_id=owner_id,
            payer_ids=(PAYER,),
            email=READER,
            can_read=True,
            can_pay=False,
            ends_at=now + timedelta(hours=1),
        )
        async with self.databases["gateway"].transaction() as transaction:
            portal = PostgresPortal(transaction)
            await portal.invite(invitation, "secret", now + timedelta(days=7), now)
            assert await portal.accept("secret", delegate_id, now) is not None
        await self.carry()

    async def remind(self, level: int) -> list[str]:
        """Let a reminder be due; return whom it is written to."""
        await self.deliver(
            ReminderDue(
                invoice_id=INVOICE.invoice_id,
                version=1,
                level=level,
                authority=INVOICE.authority,
                regie=INVOICE.regie,
                number=INVOICE.number,
                due_on=INVOICE.due_on,
                outstanding_cents=INVOICE.amount_cents,
                currency="EUR",
                decided_at=self.clock.now(),
            )
        )
        async with self.databases["notification"].reading() as connection:
            rows = await connection.fetch(
                "SELECT address FROM message WHERE kind = 'reminder' AND fact_key = $1 ORDER BY 1",
                f"{id_of(1)}/{level}",
            )
        return [row["address"] for row in rows]

    async def announced(self) -> list[str]:
        """Return to whom an invoice was announced."""
        async with self.databases["notification"].reading() as connection:
            rows = await connection.fetch(
                "SELECT address FROM message WHERE kind = 'invoice_published' ORDER BY 1"
            )
        return [row["address"] for row in rows]


def a_message(event: E) -> Message[E]:
    return Message(
        id=str(uuid4()),
        source=f"/quittance/{event.PRODUCER}",
        type=event.TYPE,
        subject=event.key,
        time=NOW,
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        causation_id=None,
        data=event,
    )


@pytest_asyncio.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    """Return both services' databases, empty."""
    clock = FixedClock(NOW)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            EmbeddedPostgres(tmp_path, port=ports.choose()["database"])
        )
        databases = {}
        for name, package in SERVICES.items():
            url = await server.create_database(name, role=name, password="of-tests-only")
            await migrate(url, all_migrations(name, Path(str(package.__file__)).parent))
            databases[name] = await Database.connect(url, size=2, service=name, clock=clock)
            stack.push_async_callback(databases[name].close)
        yield Town(databases, clock)


async def test_reminders_follow_the_right_to_see_the_invoice(town: Town) -> None:
    """Linked, revoked, linked again: told as long as it is seen, and never announced as new."""
    account_id = await town.open_account(OWNER)
    await town.publish(INVOICE)
    await town.carry()

    before = await town.remind(1)
    await town.link(account_id)
    linked = await town.remind(2)
    await town.revoke(account_id)
    revoked = await town.remind(3)
    await town.link(account_id)
    linked_again = await town.remind(4)

    assert (before, linked, revoked, linked_again) == ([], [OWNER], [], [OWNER])
    assert await town.announced() == []


async def test_a_lent_right_ends_with_its_hour_and_with_its_owner_s(town: Town) -> None:
    """By the date without a word more; by the owner's revocation with one."""
    owner_id, reader_id = await town.open_account(OWNER), await town.open_account(READER)
    await town.publish(INVOICE)
    await town.link(owner_id)
    await town.lend(owner_id, reader_id)

    lent = await town.remind(1)
    town.clock.advance(timedelta(hours=1))
    ended_by_date = await town.remind(2)
    await town.lend(owner_id, reader_id)
    lent_again = await town.remind(3)
    await town.revoke(owner_id)

    assert lent == lent_again == [OWNER, READER]
    assert ended_by_date == [OWNER]
    assert await town.remind(4) == []


async def test_a_later_version_is_news_to_who_sees_it_and_to_nobody_else(town: Town) -> None:
    """Of two accounts that saw the first, one has revoked its link."""
    staying, leaving = await town.open_account(OWNER), await town.open_account(READER)
    await town.publish(INVOICE)
    await town.link(staying)
    await town.link(leaving)
    await town.revoke(leaving)

    await town.publish(an_invoice_of(1, version=2))
    await town.carry()

    assert await town.announced() == [OWNER]
