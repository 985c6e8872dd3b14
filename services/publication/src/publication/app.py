"""The wiring of publication."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from publication.adapters.jobs import Limits
from publication.adapters.press import Press, PressSettings
from publication.adapters.print_run import ProcessBinder
from publication.api import documents, previews
from publication.api.pages import PageDoors
from publication.api.print_runs import PrintRunDoors
from publication.domain import PrintRun, pages_folder
from publication.handlers.bind_print_run import PrintRunBinder
from publication.handlers.find_print_run import find_merged_file, find_print_run
from publication.handlers.on_authority_configured import on_authority_configured
from publication.handlers.on_invoice_generated import on_invoice_generated
from publication.handlers.on_invoice_withdrawn import on_invoice_withdrawn
from publication.handlers.preview_invoice import preview_invoice
from publication.handlers.show_pages import PageShower
from publication.ports import Claim, Demand, PrintRunClaim, PrintRunStanding, PrintRunState
from publication.settings import Settings
from publication.store import PostgresFolders, PostgresPrintRuns
from publication.worker import OpenUnit, Publisher
from shared.auth import JwksAuthenticator, Principal
from shared.clock import Clock, SystemClock, paris_date
from shared.envelope import Message
from shared.events import AuthorityConfigured, Event, InvoiceGenerated, InvoiceWithdrawn
from shared.events.authority_configured import StampPlace
from shared.http import Operation, create_application
from shared.kafka import Consumer, Producer
from shared.outbox import Relay
from shared.postgres import Database, Transaction
from shared.schedule import repeat
from shared.service import serve
from shared.storage import Storage
from shared.worker import Worker

SERVICE = "publication"
BATCH = 32
"""Invoices recorded and told to the others at once: each of them pays for a batch, not for one."""
BATCHES_AT_ONCE = 2
"""While one batch is recorded the next is in the press."""
PURGED_AT_ONCE = 500
PRINT_RUN_PATIENCE_SECONDS = 10.0
"""A run that takes longer is answered with 202, well before any proxy gives up."""
PART_KEPT_FOR = timedelta(days=35)
"""How much longer than its documents a deposit is known: as long as a topic may be replayed."""


class _Unit:
    """One transaction of this service; see `ports.PublishingUnit`."""

    def __init__(self, transaction: Transaction) -> None:
        self.folders = PostgresFolders(transaction.connection)
        self._transaction = transaction

    async def publish(self, events: Sequence[tuple[Event, Message[InvoiceGenerated]]]) -> None:
        """Add events, each with the message that caused it, to the outbox."""
        await self._transaction.publish(events)


class _Folders:
    """The wiring of folders: their transactions, and what happens to them by the clock."""

    def __init__(
        self, settings: Settings, database: Database, storage: Storage, clock: Clock
    ) -> None:
        self._settings = settings
        self._database = database
        self._storage = storage
        self._clock = clock

    @asynccontextmanager
    async def open_unit(self) -> AsyncIterator[_Unit]:
        async with self._database.transaction() as transaction:
            yield _Unit(transaction)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[PostgresFolders]:
        async with self._database.reading() as connection:
            yield PostgresFolders(connection)

    async def places(self) -> dict[tuple[str, str], StampPlace]:
        async with self.reading() as folders:
            return await folders.places()

    async def release_own(self) -> None:
        async with self.open_unit() as unit:
            await unit.folders.release_own(self._settings.instance_name)

    async def purge_by_the_clock(self, stopping: asyncio.Event) -> None:
        interval_seconds = self._settings.purge_interval_seconds
        await repeat("purge documents", self._purge, interval_seconds, stopping)

    async def _purge(self) -> int:
        today = paris_date(self._clock.now())
        kept_for = timedelta(days=self._settings.readable_days) + PART_KEPT_FOR
        async with self.open_unit() as unit:
            count = await unit.folders.purge(today, PURGED_AT_ONCE)
            await unit.folders.forget_parts(today - kept_for)
        await self._remove_discarded()
        return count

    async def _remove_discarded(self) -> None:
        async with self.reading() as folders:
            keys = await folders.discarded(PURGED_AT_ONCE)
        for key in keys:
            await self._storage.delete(key)
            # The pictures of its pages go with it.
            await self._storage.delete_below(pages_folder(key))
        async with self.open_unit() as unit:
            await unit.folders.forget_discarded(keys)


class _PrintRuns:
    """The wiring of print runs: their doors, and the worker that binds what was asked for."""

    def __init__(
        self, settings: Settings, database: Database, storage: Storage, clock: SystemClock
    ) -> None:
        self._instance = settings.instance_name
        self._database = database
        self._storage = storage
        self._asked = asyncio.Event()
        binder = PrintRunBinder(
            instance=settings.instance_name,
            open_runs=self._open,
            archive=storage,
            binder=ProcessBinder(
                memory_bytes=settings.paper_memory_bytes, seconds=settings.paper_seconds
            ),
            clock=clock,
        )
        self.worker: Worker[PrintRunClaim] = Worker(
            "print run",
            claim=binder.claim,
            perform=binder.perform,
            batch=1,
            concurrency=1,
            wake=self._asked,
        )

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[PostgresPrintRuns]:
        async with self._database.transaction() as transaction:
            yield PostgresPrintRuns(transaction.connection)

    async def release_own(self) -> None:
        async with self._open() as runs:
            await runs.release_own(self._instance)

    def operations(self) -> list[Operation]:
        async def find(demand: Demand, caller: Principal) -> PrintRun:
            return await find_print_run(
                demand, may_act_for=caller.may_act_for, open_runs=self._open
            )

        async def merge(run: PrintRun) -> PrintRunStanding | None:
            return await find_merged_file(
                run,
                patience_seconds=PRINT_RUN_PATIENCE_SECONDS,
                open_runs=self._open,
                wake=self._asked.set,
            )

        async def forget(run: PrintRun) -> None:
            async with self._open() as runs:
                await runs.forget(run.key, PrintRunState.MADE)

        return PrintRunDoors(
            find=find, merge=merge, forget=forget, storage=self._storage
        ).operations()


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

    folders = _Folders(settings, database, storage, clock)

    async def preview(invoice: InvoiceGenerated) -> bytes:
        return await preview_invoice(invoice, shelf=storage, press=press, clock=clock)

    press = Press(_press_settings(settings), folders.places)
    publisher = _publisher(settings, folders.open_unit, storage, press, clock)
    shower = PageShower(press, storage, folders.reading)
    print_runs = _PrintRuns(settings, database, storage, clock)
    # Whatever carries this name was held by an earlier life of this replica, which is over.
    await folders.release_own()
    await print_runs.release_own()
    consumer = _consumer(settings, database, producer)
    worker = _worker(publisher, database)
    application = create_application(
        SERVICE,
        [
            *documents.operations(folders.reading, storage, settings.public_url),
            *print_runs.operations(),
            *PageDoors(folders.reading, pages=shower.pages, picture=shower.picture).operations(),
            *previews.operations(preview),
        ],
        authenticator=JwksAuthenticator(settings.jwks_url, settings.token_issuer),
        checks={"database": database.ready, "storage": storage.ready},
        alive=consumer.alive,
    )

    try:
        await serve(
            application,
            settings,
            [
                consumer.run,
                Relay(database, producer).run,
                worker.run,
                print_runs.worker.run,
                folders.purge_by_the_clock,
            ],
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
