"""The wiring of reconciliation."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from reconciliation.adapters.drops import FileDrops
from reconciliation.adapters.printing import TypstPrinter
from reconciliation.adapters.sealing import FernetSealer
from reconciliation.adapters.webhook_sender import WebhookSender
from reconciliation.api.books import Doors
from reconciliation.api.deliveries import DeliveryDoors
from reconciliation.api.files import FileDoors
from reconciliation.api.receipts import ReceiptDoors
from reconciliation.api.totals import TotalDoors
from reconciliation.api.webhooks import WebhookDoors
from reconciliation.handlers.close_days import close_days
from reconciliation.handlers.on_authority_configured import on_authority_configured
from reconciliation.handlers.on_invoice_published import on_invoice_published
from reconciliation.handlers.on_invoice_withdrawn import on_invoice_withdrawn
from reconciliation.handlers.on_payment_captured import on_payment_captured
from reconciliation.handlers.on_payment_reversed import on_payment_reversed
from reconciliation.handlers.order_collection_files import CollectionFileDesk
from reconciliation.handlers.remind import remind
from reconciliation.handlers.write_collection_files import FileWriter
from reconciliation.ports import Books, OpenUnit, Webhooks
from reconciliation.settings import Settings
from reconciliation.store.books import PostgresBooks
from reconciliation.store.deliveries import PostgresDeliveries, PostgresUpkeep
from reconciliation.store.files import PostgresFiles
from reconciliation.store.receipts import PostgresReceipts
from reconciliation.store.webhooks import PostgresWebhooks
from reconciliation.worker import LEASE, Courier
from shared import metrics
from shared.addresses import Rule
from shared.auth import JwksAuthenticator
from shared.clock import Clock, SystemClock
from shared.envelope import Message
from shared.events import (
    AuthorityConfigured,
    Event,
    InvoicePublished,
    InvoiceWithdrawn,
    PaymentCaptured,
    PaymentReversed,
)
from shared.http import Operation, create_application
from shared.kafka import Consumer, Handler, Producer
from shared.outbox import Relay
from shared.postgres import Database, Transaction
from shared.schedule import repeat
from shared.service import Loop, serve
from shared.storage import Storage
from shared.worker import Worker

SERVICE = "reconciliation"
CALLS_TO_ONE = 4
"""Calls under way at once to one endpoint that answers; one that struggles gets one at a time."""
DROPS_AT_ONCE = 4
"""Files of closed days that are made or left side by side."""
FILES_IDLE_SECONDS = 5.0
DELIVERIES_KEPT = timedelta(days=90)
TIDY_SECONDS = 3600.0
MEASURE_SECONDS = 15.0


class _Unit:
    """One transaction of this service; see `ports.Unit`."""

    def __init__(self, transaction: Transaction) -> None:
        self.books = PostgresBooks(transaction.connection)
        self.webhooks = PostgresWebhooks(transaction.connection)
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

    consumer = _consumer(settings, database, producer)
    sealer = FernetSealer(settings.webhook_key)
    swift, slow = (_sender(settings, is_struggling=struggles) for struggles in (False, True))
    upkeep = PostgresUpkeep(database)
    files = _Files(settings, database, sealer)
    quittances = _Quittances(database)
    application = create_application(
        SERVICE,
        [
            *Doors(open_unit, clock).operations(),
            *WebhookDoors(open_unit, swift, sealer, clock).operations(),
            *DeliveryDoors(open_unit, clock).operations(),
            *quittances.operations(),
            *files.operations(),
        ],
        authenticator=JwksAuthenticator(settings.jwks_url, settings.token_issuer),
        checks={"database": database.ready},
        alive=consumer.alive,
    )
    try:
        # Also proves, before anything is claimed, that every secret can be opened.
        await upkeep.seal_again(sealer.seal_again)
        await files.seal_again(sealer)
        await serve(
            application,
            settings,
            [
                consumer.run,
                Relay(database, producer).run,
                _reminding(settings, open_unit, clock),
                *_telling(settings, database, sealer, swift, slow),
                *_upkeep_loops(upkeep, clock),
                *files.loops(),
            ],
        )
    finally:
        quittances.close()
        await swift.close()
        await slow.close()
        await producer.stop()
        await database.close()


def _reminding(settings: Settings, open_unit: OpenUnit, clock: Clock) -> Loop:
    async def reminding(stopping: asyncio.Event) -> None:
        await repeat(
            "reminders",
            lambda: remind(open_unit, clock, settings.reminder_after_days),
            settings.reminder_interval_seconds,
            stopping,
        )

    return reminding


class _Quittances:
    """The wiring of quittances: their doors, and who sets them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._printer = TypstPrinter()

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[PostgresReceipts]:
        async with self._database.reading() as connection:
            yield PostgresReceipts(connection)

    def operations(self) -> list[Operation]:
        return ReceiptDoors(self._open, self._printer, self._database.clock).operations()

    def close(self) -> None:
        self._printer.close()


class _Files:
    """The closing of days, and the files made from them."""

    def __init__(self, settings: Settings, database: Database, sealer: FernetSealer) -> None:
        self._settings = settings
        self._database = database
        self._clock = database.clock
        storage = Storage(
            settings.storage_url, endpoint=settings.s3_endpoint, region=settings.s3_region
        )
        drops = FileDrops(_rule(settings))
        self._writer = FileWriter(self._open, storage, drops, sealer, self._clock)
        self._desk = CollectionFileDesk(self._open, drops, sealer, self._clock)

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[PostgresFiles]:
        async with self._database.transaction() as transaction:
            yield PostgresFiles(transaction.connection)

    async def seal_again(self, sealer: FernetSealer) -> None:
        async with self._open() as files:
            await files.seal_again(sealer.seal_again)

    def operations(self) -> list[Operation]:
        return [
            *TotalDoors(self._open, self._clock).operations(),
            *FileDoors(self._open, self._desk, self._writer.content).operations(),
        ]

    def loops(self) -> list[Loop]:
        worker = Worker(
            "collection files",
            claim=self._writer.claim,
            perform=self._writer.perform,
            batch=1,
            concurrency=DROPS_AT_ONCE,
            wake=asyncio.Event(),
            idle_seconds=FILES_IDLE_SECONDS,
        )
        return [self._closing, worker.run]

    async def _closing(self, stopping: asyncio.Event) -> None:
        grace = timedelta(seconds=self._settings.closing_grace_seconds)
        await repeat(
            "closing of days",
            lambda: close_days(self._open, self._clock, grace),
            self._settings.closing_interval_seconds,
            stopping,
        )


def _consumer(settings: Settings, database: Database, producer: Producer) -> Consumer:
    async def configured(
        messages: Sequence[Message[AuthorityConfigured]], transaction: Transaction
    ) -> None:
        await on_authority_configured(messages, PostgresBooks(transaction.connection))

    async def published(
        messages: Sequence[Message[InvoicePublished]], transaction: Transaction
    ) -> None:
        connection = transaction.connection
        await on_invoice_published(
            messages,
            PostgresBooks(connection),
            PostgresReceipts(connection),
            transaction.clock.now(),
        )

    async def captured(
        messages: Sequence[Message[PaymentCaptured]], transaction: Transaction
    ) -> None:
        connection = transaction.connection
        await on_payment_captured(
            messages,
            PostgresBooks(connection),
            PostgresWebhooks(connection),
            PostgresReceipts(connection),
            transaction.clock.now(),
        )

    return Consumer(
        SERVICE,
        settings,
        database,
        producer,
        {
            InvoicePublished: published,
            InvoiceWithdrawn: _booked(on_invoice_withdrawn),
            PaymentCaptured: captured,
            PaymentReversed: _announced(on_payment_reversed),
            AuthorityConfigured: configured,
        },
    )


def _booked(
    handle: Callable[[Sequence[Message[Any]], Books, datetime], Awaitable[None]],
) -> Handler:
    async def handler(messages: Sequence[Message[Any]], transaction: Transaction) -> None:
        await handle(messages, PostgresBooks(transaction.connection), transaction.clock.now())

    return handler


def _announced(
    handle: Callable[[Sequence[Message[Any]], Books, Webhooks, datetime], Awaitable[None]],
) -> Handler:
    async def handler(messages: Sequence[Message[Any]], transaction: Transaction) -> None:
        connection = transaction.connection
        await handle(
            messages,
            PostgresBooks(connection),
            PostgresWebhooks(connection),
            transaction.clock.now(),
        )

    return handler


def _rule(settings: Settings) -> Rule:
    hosts = (host.strip().lower() for host in settings.webhook_allowed_hosts.split(","))
    return Rule(
        allows_private=settings.webhook_allow_private,
        allowed_hosts=tuple(host for host in hosts if host),
    )


def _sender(settings: Settings, *, is_struggling: bool) -> WebhookSender:
    return WebhookSender(_rule(settings), calls=_calls(settings, is_struggling=is_struggling))


def _calls(settings: Settings, *, is_struggling: bool) -> int:
    return max(1, settings.webhook_calls // 2 if is_struggling else settings.webhook_calls)


def _telling(
    settings: Settings,
    database: Database,
    sealer: FernetSealer,
    swift: WebhookSender,
    slow: WebhookSender,
) -> list[Loop]:
    """Return the work of the two lanes: who does not answer holds up nobody who does."""
    # One event for each worker: it clears it, and would take another's signal away.
    wakes = (database.work_added, asyncio.Event())
    loops: list[Loop] = []
    for sender, wake, struggles in zip((swift, slow), wakes, (False, True), strict=True):
        deliveries = PostgresDeliveries(
            database,
            is_struggling=struggles,
            calls=1 if struggles else CALLS_TO_ONE,
            lease=LEASE,
        )
        courier = Courier(
            deliveries,
            sender,
            sealer,
            database.clock,
            chance=secrets.SystemRandom().random,
            wakes=wakes,
        )
        worker = Worker(
            "webhooks-struggling" if struggles else "webhooks",
            claim=courier.claim,
            perform=courier.perform,
            batch=1,
            concurrency=_calls(settings, is_struggling=struggles),
            wake=wake,
        )
        loops.append(worker.run)
    return loops


def _upkeep_loops(upkeep: PostgresUpkeep, clock: Clock) -> list[Loop]:
    async def tidy() -> int:
        return await upkeep.forget(clock.now() - DELIVERIES_KEPT)

    async def measure() -> int:
        oldest = await upkeep.oldest_waiting_at()
        age = (clock.now() - oldest).total_seconds() if oldest else 0
        metrics.WEBHOOK_OLDEST_SECONDS.set(age)
        return 0

    async def tidying(stopping: asyncio.Event) -> None:
        await repeat("old deliveries", tidy, TIDY_SECONDS, stopping)

    async def measuring(stopping: asyncio.Event) -> None:
        await repeat("oldest delivery", measure, MEASURE_SECONDS, stopping)

    return [tidying, measuring]
