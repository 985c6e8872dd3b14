"""Payment on a real database, without its doors."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import msgspec

import payment
from demo import ports
from demo.postgres import EmbeddedPostgres
from payment.domain import Attempt
from payment.handlers.start_payment import Demand, start_payment
from payment.handlers.take_notice import take_notice
from payment.ports import OpenUnit, Providers, RawNotice
from payment.store.unit import PostgresUnit
from shared import envelope, postgres
from shared.clock import FixedClock
from shared.events import Event, PaymentCaptured
from shared.postgres import Database
from tests.unit.payment.payment_builders import (
    INVOICE_ID,
    LIFETIME,
    NOW,
    a_body,
    a_lyra_account,
    a_published_invoice,
    notice_fields,
    signed,
)
from tests.unit.payment.payment_fakes import FakeProviders

E = TypeVar("E", bound=Event)
HEADERS = tuple[tuple[str, bytes], ...]
LYRA = a_lyra_account()
EMPTY = (
    "TRUNCATE invoice, attempt, allocation, notice, outbox, attempt_move, reversal,"
    " reversal_part, poll, statement_line"
)


class Till:
    """Payment on a database, without its doors."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = FixedClock(NOW)
        self.providers: Providers = FakeProviders(LYRA)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[PostgresUnit]:
        async with self.database.transaction() as transaction:
            yield PostgresUnit(transaction)

    def gated(self, gate: asyncio.Event) -> OpenUnit:
        """Return transactions that commit only once `gate` is open."""

        @asynccontextmanager
        async def open_unit() -> AsyncIterator[PostgresUnit]:
            async with self.database.transaction() as transaction:
                yield PostgresUnit(transaction)
                await gate.wait()

        return open_unit

    async def publish(self, *invoice_ids: UUID) -> None:
        async with self.open() as unit:
            await unit.invoices.keep(
                [
                    a_published_invoice(invoice_id=invoice_id, number=str(invoice_id))
                    for invoice_id in invoice_ids or (INVOICE_ID,)
                ]
            )

    async def start(
        self, *invoice_ids: UUID, key: str | None = None, is_replay_exact: bool = False
    ) -> Attempt:
        demand = Demand(
            invoice_ids=invoice_ids or (INVOICE_ID,),
            return_url="https://portail.example/retour",
            idempotency_key=key,
            is_replay_exact=is_replay_exact,
        )
        attempt, _ = await start_payment(demand, self.open, self.providers, self.clock, LIFETIME)
        return attempt

    async def tell(self, order_id: str, open_unit: OpenUnit | None = None, **fields: str) -> None:
        body = a_body(signed(notice_fields(order_id=order_id, **fields)))
        raw = RawNotice(body=body, query="", content_type="application/x-www-form-urlencoded")
        await take_notice(raw, LYRA, open_unit or self.open, self.clock)

    async def rows(self, statement: str) -> list[Any]:
        async with self.database.reading() as connection:
            return list(await connection.fetch(statement))

    async def captured(self) -> list[PaymentCaptured]:
        """Return the captures that stand in the outbox."""
        return await self.told(PaymentCaptured)

    async def told(self, kind: type[E]) -> list[E]:
        """Return the events of one kind that stand in the outbox."""
        rows = await self.rows("SELECT value, headers FROM outbox ORDER BY id")
        found = [
            envelope.read(row["value"], msgspec.msgpack.decode(row["headers"], type=HEADERS)).data
            for row in rows
        ]
        return [event for event in found if isinstance(event, kind)]

    async def is_somebody_waiting(self) -> bool:
        [row] = await self.rows("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(row[0])


@asynccontextmanager
async def payment_database(folder: Path) -> AsyncIterator[Database]:
    """Open a database of payment's own, migrated as the service does it."""
    async with EmbeddedPostgres(folder, port=ports.choose()["database"]) as server:
        url = await server.create_database("payment", role="payment", password="payment")
        steps = postgres.all_migrations("payment", Path(payment.__file__).parent)
        await postgres.migrate(url, steps)
        opened = await Database.connect(url, size=24, service="payment")
        yield opened
        await opened.close()
