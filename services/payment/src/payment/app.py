"""The wiring of payment."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from payment.adapters.accounts import Account, ConfiguredProviders, read_accounts
from payment.adapters.lyra import LyraAccount
from payment.api import MAXIMUM_BODY_BYTES, Doors, PaymentDemand
from payment.domain import Attempt
from payment.handlers.abandon_payment import abandon_payment
from payment.handlers.on_invoice_published import on_invoice_published
from payment.handlers.on_invoice_withdrawn import on_invoice_withdrawn
from payment.handlers.start_payment import Demand, start_payment
from payment.handlers.take_notice import take_notice
from payment.ports import PaymentForm, Provider
from payment.schedule import expire_attempts
from payment.settings import Settings
from payment.store import PostgresPayments
from shared.auth import JwksAuthenticator
from shared.clock import SystemClock
from shared.envelope import Message
from shared.events import Event, InvoicePublished, InvoiceWithdrawn
from shared.http import create_application
from shared.kafka import Consumer, Producer
from shared.outbox import Relay
from shared.postgres import Database, Transaction
from shared.schedule import repeat
from shared.service import serve

SERVICE = "payment"


class _Unit:
    """One transaction of this service; see `ports.Unit`."""

    def __init__(self, transaction: Transaction) -> None:
        self.payments = PostgresPayments(transaction.connection)
        self._transaction = transaction

    async def publish(self, events: Sequence[Event]) -> None:
        """Add events to the outbox."""
        await self._transaction.publish(events)


async def run(settings: Settings) -> None:
    """Run payment until it is told to stop."""
    providers = _providers(settings)
    clock = SystemClock()
    database = await Database.connect(
        settings.database_url, size=settings.database_pool_size, service=SERVICE
    )
    producer = Producer(settings, client_id=f"quittance-{SERVICE}")
    lifetime = timedelta(seconds=settings.attempt_lifetime_seconds)

    @asynccontextmanager
    async def open_unit() -> AsyncIterator[_Unit]:
        async with database.transaction() as transaction:
            yield _Unit(transaction)

    async def start(demand: PaymentDemand) -> tuple[Attempt, PaymentForm]:
        wanted = Demand(
            invoice_ids=demand.invoice_ids,
            return_url=demand.return_url,
            email=demand.email,
            language=demand.language,
            idempotency_key=demand.idempotency_key,
        )
        return await start_payment(wanted, open_unit, providers, clock, lifetime)

    async def find(payment_id: UUID) -> Attempt | None:
        async with open_unit() as unit:
            return await unit.payments.find(payment_id)

    async def abandon(payment_id: UUID) -> Attempt | None:
        return await abandon_payment(payment_id, open_unit, clock)

    async def take(body: bytes, provider: Provider) -> None:
        await take_notice(body, provider, open_unit, clock)

    async def expire(stopping: asyncio.Event) -> None:
        await repeat(
            "expire attempts",
            lambda: expire_attempts(open_unit, clock),
            settings.expiry_interval_seconds,
            stopping,
        )

    consumer = _consumer(settings, database, producer)
    doors = Doors(start=start, find=find, abandon=abandon, take=take, providers=providers)
    application = create_application(
        SERVICE,
        doors.operations(),
        authenticator=JwksAuthenticator(settings.jwks_url, settings.token_issuer),
        checks={"database": database.ready},
        alive=consumer.alive,
        maximum_body_bytes=MAXIMUM_BODY_BYTES,
    )
    try:
        await serve(application, settings, [consumer.run, Relay(database, producer).run, expire])
    finally:
        await producer.stop()
        await database.close()


def _providers(settings: Settings) -> ConfiguredProviders:
    base = settings.public_notify_url.rstrip("/")

    def lyra(account: Account) -> Provider:
        return LyraAccount(account, f"{base}/payments/notify/lyra/{account.account}")

    return ConfiguredProviders(read_accounts(Path(settings.provider_accounts_file)), {"lyra": lyra})


def _consumer(settings: Settings, database: Database, producer: Producer) -> Consumer:
    async def published(
        messages: Sequence[Message[InvoicePublished]], transaction: Transaction
    ) -> None:
        await on_invoice_published(messages, PostgresPayments(transaction.connection))

    async def withdrawn(
        messages: Sequence[Message[InvoiceWithdrawn]], transaction: Transaction
    ) -> None:
        await on_invoice_withdrawn(messages, PostgresPayments(transaction.connection))

    return Consumer(
        SERVICE,
        settings,
        database,
        producer,
        {InvoicePublished: published, InvoiceWithdrawn: withdrawn},
    )
