"""The wiring of the gateway."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from gateway.adapters.passwords import Passwords
from gateway.adapters.services import Services
from gateway.adapters.tokens import TokenSigner
from gateway.api.accounts import Accounts
from gateway.api.invoices import Invoices
from gateway.api.oauth import OAuth
from gateway.api.paying import Paying
from gateway.api.regie import Regie
from gateway.api.web import Site, pages, set_up
from gateway.handlers.on_invoice_published import on_invoice_published
from gateway.handlers.on_invoice_withdrawn import on_invoice_withdrawn
from gateway.handlers.on_payment_captured import on_payment_captured
from gateway.handlers.on_payment_reversed import on_payment_reversed
from gateway.handlers.on_reminder_due import on_reminder_due
from gateway.ports import ReadModel
from gateway.settings import Settings
from gateway.store import PostgresPortal
from shared.clock import SystemClock
from shared.envelope import Message
from shared.events import (
    InvoicePublished,
    InvoiceWithdrawn,
    PaymentCaptured,
    PaymentReversed,
    ReminderDue,
)
from shared.http import create_application
from shared.kafka import Consumer, Handler, Producer
from shared.outbox import Relay
from shared.postgres import Database, Transaction
from shared.service import serve

SERVICE = "gateway"


async def run(settings: Settings) -> None:
    """Run the gateway until it is told to stop."""
    signer = TokenSigner(
        settings.token_signing_key, settings.token_previous_key, settings.token_issuer
    )
    database = await Database.connect(
        settings.database_url, size=settings.database_pool_size, service=SERVICE
    )
    producer = Producer(settings, client_id=f"quittance-{SERVICE}")
    consumer = _consumer(settings, database, producer)

    @asynccontextmanager
    async def open_portal() -> AsyncIterator[PostgresPortal]:
        async with database.transaction() as transaction:
            yield PostgresPortal(transaction.connection)

    async with aiohttp.ClientSession() as session:
        services = Services(
            session,
            signer.own,
            payment_url=settings.payment_url,
            publication_url=settings.publication_url,
            figures_url=settings.figures_url,
        )
        passwords = Passwords()
        invoices = Invoices(services)
        parts = (
            Accounts(passwords),
            invoices,
            Paying(services, invoices),
            Regie(services, passwords),
            OAuth(signer),
        )
        application = create_application(
            SERVICE,
            [operation for part in parts for operation in part.operations()],
            checks={"database": database.ready},
            alive=consumer.alive,
            middlewares=[pages],
        )
        site = Site(
            open_portal=open_portal,
            clock=SystemClock(),
            public_url=settings.public_url.rstrip("/"),
            card_origins=tuple(settings.card_provider_origins.split()),
            is_secure=settings.cookie_secure,
        )
        set_up(application, site)
        try:
            await serve(application, settings, [consumer.run, Relay(database, producer).run])
        finally:
            await producer.stop()
            await database.close()


def _shown(
    handle: Callable[[Sequence[Message[Any]], ReadModel], Awaitable[None]],
) -> Handler:
    async def handler(messages: Sequence[Message[Any]], transaction: Transaction) -> None:
        await handle(messages, PostgresPortal(transaction.connection))

    return handler


def _consumer(settings: Settings, database: Database, producer: Producer) -> Consumer:
    return Consumer(
        SERVICE,
        settings,
        database,
        producer,
        {
            InvoicePublished: _shown(on_invoice_published),
            InvoiceWithdrawn: _shown(on_invoice_withdrawn),
            PaymentCaptured: _shown(on_payment_captured),
            PaymentReversed: _shown(on_payment_reversed),
            ReminderDue: _shown(on_reminder_due),
        },
    )
