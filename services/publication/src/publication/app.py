"""The wiring of publication."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from publication.adapters.jobs import Limits
from publication.adapters.press import Press, PressSettings
from publication.api import operations
from publication.handlers.on_authority_configured import on_authority_configured
from publication.handlers.on_invoice_generated import on_invoice_generated
from publication.handlers.on_invoice_withdrawn import on_invoice_withdrawn
from publication.ports import Claim
from publication.settings import Settings
from publication.store import PostgresFolders
from publication.worker import OpenUnit, Publisher
from shared.auth import JwksAuthenticator
from shared.clock import SystemClock, paris_date
from shared.envelope import Message
from shared.events import AuthorityConfigured, Event, InvoiceGenerated, InvoiceWithdrawn
from shared.events.authority_configured import StampPlace
from shared.http import create_application
from shared.kafka import Consumer, Producer
from shared.outbox import Relay
from shared.postgres import Database, Transaction
from shared.schedule import repeat
from shared.service import serve
from shared.storage import Storage
from shared.worker import Worker

SERVICE = "publication"
BATCH = 16
BATCHES_AT_ONCE = 3
"""While one batch is in the press the next is read and the last is stored."""
PURGED_AT_ONCE = 500


class _Unit:
    """One transaction of this service; see `ports.PublishingUnit`."""

    def __init__(self, transaction: Transaction) -> None:
        self.folders = PostgresFolders(transaction.connection)
        self._transaction = transaction

    async def publish(self, events: Sequence[tuple[Event, Message[InvoiceGenerated]]]) -> None:
        """Add events, each with the message that caused it, to the outbox."""
        await self._transaction.publish(events)


async def run(settings: Settings) -> None:
    """Run publication until it is told to stop."""
    clock = SystemClock()
    database = await Database.connect(
        settings.database_url, size=settings.database_pool_size, service=SERVICE
    )
    storage = Storage(
        settings.storage_url, endpoint=settings.s3_endpoint, region=settings.s3_region
    )
    producer = Producer(settings, client_id=f"quittance-{SERVICE}")

    @asynccontextmanager
    async def open_unit() -> AsyncIterator[_Unit]:
        async with database.transaction() as transaction:
            yield _Unit(transaction)

    @asynccontextmanager
    async def reading() -> AsyncIterator[PostgresFolders]:
        async with database.reading() as connection:
            yield PostgresFolders(connection)

    async def places() -> dict[tuple[str, str], StampPlace]:
        async with reading() as folders:
            return await folders.places()

    async def purge() -> int:
        async with open_unit() as unit:
            count = await unit.folders.purge(paris_date(clock.now()), PURGED_AT_ONCE)
        await _remove_discarded(database, storage)
        return count

    press = Press(_press_settings(settings), places)
    publisher = _publisher(settings, open_unit, storage, press, clock)
    async with open_unit() as unit:
        # Whatever carries this name was held by an earlier life of this replica, which is over.
        await unit.folders.release_own(settings.instance_name)
    consumer = _consumer(settings, database, producer)
    worker = _worker(publisher, database)
    application = create_application(
        SERVICE,
        operations(reading, storage, settings.public_url),
        authenticator=JwksAuthenticator(settings.jwks_url, settings.token_issuer),
        checks={"database": database.ready, "storage": storage.ready},
        alive=consumer.alive,
    )

    async def purging(stopping: asyncio.Event) -> None:
        await repeat("purge documents", purge, settings.purge_interval_seconds, stopping)

    try:
        await serve(
            application,
            settings,
            [consumer.run, Relay(database, producer).run, worker.run, purging],
        )
    finally:
        press.close()
        await producer.stop()
        await database.close()


def _publisher(
    settings: Settings, open_unit: OpenUnit, storage: Storage, press: Press, clock: SystemClock
) -> Publisher:
    return Publisher(
        instance=settings.instance_name,
        open_unit=open_unit,
        shelf=storage,
        paper=press,
        clock=clock,
        readable_days=settings.readable_days,
    )


def _worker(publisher: Publisher, database: Database) -> Worker[Claim]:
    return Worker(
        "paper",
        claim=publisher.claim,
        perform=publisher.perform,
        batch=BATCH,
        concurrency=BATCHES_AT_ONCE,
        wake=database.work_added,
    )


async def _remove_discarded(database: Database, storage: Storage) -> None:
    async with database.reading() as connection:
        keys = await PostgresFolders(connection).discarded(PURGED_AT_ONCE)
    for key in keys:
        await storage.delete(key)
    async with database.transaction() as transaction:
        await PostgresFolders(transaction.connection).forget_discarded(keys)


def _press_settings(settings: Settings) -> PressSettings:
    return PressSettings(
        processes=settings.paper_processes,
        memory_bytes=settings.paper_memory_bytes,
        seconds=settings.paper_seconds,
        sample=settings.rendered_sample,
        limits=Limits(
            maximum_bytes=settings.document_maximum_bytes,
            maximum_pages=settings.document_maximum_pages,
        ),
        public_url=settings.public_url,
    )


def _consumer(settings: Settings, database: Database, producer: Producer) -> Consumer:
    async def generated(
        messages: Sequence[Message[InvoiceGenerated]], transaction: Transaction
    ) -> None:
        await on_invoice_generated(messages, PostgresFolders(transaction.connection))

    async def withdrawn(
        messages: Sequence[Message[InvoiceWithdrawn]], transaction: Transaction
    ) -> None:
        await on_invoice_withdrawn(messages, PostgresFolders(transaction.connection))

    async def configured(
        messages: Sequence[Message[AuthorityConfigured]], transaction: Transaction
    ) -> None:
        await on_authority_configured(messages, PostgresFolders(transaction.connection))

    return Consumer(
        SERVICE,
        settings,
        database,
        producer,
        {
            InvoiceGenerated: generated,
            InvoiceWithdrawn: withdrawn,
            AuthorityConfigured: configured,
        },
    )
