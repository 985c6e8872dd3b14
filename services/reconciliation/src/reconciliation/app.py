"""The wiring of reconciliation."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from reconciliation.api.books import Doors
from reconciliation.handlers.on_authority_configured import on_authority_configured
from reconciliation.handlers.on_invoice_published import on_invoice_published
from reconciliation.handlers.on_invoice_withdrawn import on_invoice_withdrawn
from reconciliation.handlers.on_payment_captured import on_payment_captured
from reconciliation.handlers.on_payment_reversed import on_payment_reversed
from reconciliation.handlers.remind import remind
from reconciliation.ports import Books
from reconciliation.settings import Settings
from reconciliation.store.books import PostgresBooks
from shared.auth import JwksAuthenticator
from shared.clock import SystemClock
from shared.envelope import Message
from shared.events import (
    AuthorityConfigured,
    Event,
    InvoicePublished,
    InvoiceWithdrawn,
    PaymentCaptured,
    PaymentReversed,
)
from shared.http import create_application
from shared.kafka import Consumer, Handler, Producer
from shared.outbox import Relay
from shared.postgres import Database, Transaction
from shared.schedule import repeat
from shared.service import serve

SERVICE = "reconciliation"


class _Unit:
    """One transaction of this service; see `ports.Unit`."""

    def __init__(self, transaction: Transaction) -> None:
        self.books = PostgresBooks(transaction.connection)
        self._transaction = transaction

    async def publish(
        self, events: Sequence[Event], caused_by: Message[Event] | None = None
    ) -> None:
        """Add events to the outbox."""
        await self._transaction.publish([(event, caused_by) for event in events])


async def run(settings: Settings) -> None:
    """Run reconciliation until it is told to stop."""
    clock = SystemClock()
    database = await Database.connect(
        settings.database_url, size=settings.database_pool_size, service=SERVICE
    )
    producer = Producer(settings, client_id=f"quittance-{SERVICE}")

    @asynccontextmanager
    async def open_unit() -> AsyncIterator[_Unit]:
        async with database.transaction() as transaction:
            yield _Unit(transaction)

    async def reminding(stopping: asyncio.Event) -> None:
        await repeat(
            "reminders",
            lambda: remind(open_unit, clock, settings.reminder_after_days),
            settings.reminder_interval_seconds,
            stopping,
        )

    async def configured(
        messages: Sequence[Message[AuthorityConfigured]], transaction: Transaction
    ) -> None:
        await on_authority_configured(messages, PostgresBooks(transaction.connection))

    consumer = Consumer(
        SERVICE,
        settings,
        database,
        producer,
        {
            InvoicePublished: _booked(on_invoice_published),
            InvoiceWithdrawn: _booked(on_invoice_withdrawn),
            PaymentCaptured: _booked(on_payment_captured),
            PaymentReversed: _booked(on_payment_reversed),
            AuthorityConfigured: configured,
        },
    )
    application = create_application(
        SERVICE,
        Doors(open_unit).operations(),
        authenticator=JwksAuthenticator(settings.jwks_url, settings.token_issuer),
        checks={"database": database.ready},
        alive=consumer.alive,
    )
    try:
        await serve(application, settings, [consumer.run, Relay(database, producer).run, reminding])
    finally:
        await producer.stop()
        await database.close()


def _booked(
    handle: Callable[[Sequence[Message[Any]], Books, datetime], Awaitable[None]],
) -> Handler:
    async def handler(messages: Sequence[Message[Any]], transaction: Transaction) -> None:
        await handle(messages, PostgresBooks(transaction.connection), transaction.clock.now())

    return handler
