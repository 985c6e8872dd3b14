"""The wiring of ingestion."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import aiohttp
from aiohttp import web

from ingestion.adapters import spool
from ingestion.adapters.publication_client import PublicationClient
from ingestion.adapters.reader import ProcessReader
from ingestion.adapters.spool import Spooled
from ingestion.adapters.table_headings import NAMES
from ingestion.api.deposits import DepositDoors, Intake
from ingestion.api.invoices import InvoiceDoors
from ingestion.api.releases import ReleaseDoors
from ingestion.handlers.on_authority_configured import on_authority_configured
from ingestion.handlers.on_invoice_refused import on_invoice_refused
from ingestion.handlers.read_deposit import Limits, ReadingRoom
from ingestion.handlers.receive_deposit import receive_deposit
from ingestion.handlers.release_deposit import cancel_deposit, release_deposit, release_due
from ingestion.handlers.take_record import PATTERN, take_record
from ingestion.handlers.withdraw_invoice import withdraw_invoice
from ingestion.ports import DepositRow, Incoming, Received, Terms, usable_documents
from ingestion.settings import Settings
from ingestion.store.deposits import PostgresDeposits
from ingestion.store.invoices import PostgresInvoices
from ingestion.worker import Readings
from shared.auth import JwksAuthenticator
from shared.clock import Clock, SystemClock
from shared.envelope import Message
from shared.events import AuthorityConfigured, Event, InvoiceRefused
from shared.foreign_topics import ForeignConsumer, ForeignRecord
from shared.http import Operation, create_application
from shared.kafka import Consumer, Producer
from shared.outbox import Relay
from shared.postgres import Database, Transaction
from shared.schedule import repeat
from shared.service import serve
from shared.storage import Storage

SERVICE = "ingestion"
DATABASE_OPTIONS = {
    # One deposit may multiply the rows of a table: a plan made when it was small would read all of
    # it for each batch. Planning anew costs a batch nothing that can be measured.
    "plan_cache_mode": "force_custom_plan"
}


class _Unit:
    """One transaction of this service; see `ports.Unit`."""

    def __init__(self, transaction: Transaction) -> None:
        self.deposits = PostgresDeposits(transaction.connection)
        self.invoices = PostgresInvoices(transaction.connection)
        self._transaction = transaction

    async def publish(self, events: Sequence[Event]) -> None:
        """Add events to the outbox."""
        await self._transaction.publish(events)


class _Incoming:
    """What came in a request; see `api.deposits.Incoming`."""

    def __init__(self, spooled: Spooled) -> None:
        self._spooled = spooled
        self.folder = spooled.folder
        self.declared = spooled.declared

    @property
    def received(self) -> Received:
        """What came."""
        spooled = self._spooled
        return Received(
            body=spooled.body if spooled.has_body else None,
            parts=spooled.parts,
            documents={
                sha256: spooled.path(document)
                for sha256, document in usable_documents(spooled.parts).items()
            },
            size_bytes=spooled.size_bytes,
            sha256=spooled.sha256,
        )

    async def discard(self) -> None:
        """Remove it from this machine."""
        await spool.remove(self.folder)


class Wiring:
    """The parts that the doors and the loops share."""

    def __init__(
        self, settings: Settings, database: Database, storage: Storage, clock: Clock
    ) -> None:
        """Start nothing yet; `operations` are the doors, `readings` and `releasing` the loops."""
        self.clock = clock
        self._settings = settings
        self._database = database
        self._storage = storage
        self.reader = ProcessReader(settings.reader_processes, settings.reader_memory_bytes)
        room = ReadingRoom(
            open_unit=self.open_unit,
            reader=self.reader,
            files=storage,
            clock=self.clock,
            instance=settings.instance_name,
            limits=Limits(
                document_maximum_bytes=settings.document_maximum_bytes,
                seconds=settings.reader_seconds,
            ),
            documents_in=spool.document_path,
        )
        self.readings = Readings(
            read=room.read,
            fail=room.fail,
            fetch=self._fetch,
            remove=spool.remove,
            open_unit=self.open_unit,
            clock=self.clock,
            instance=settings.instance_name,
        )

    @asynccontextmanager
    async def open_unit(self) -> AsyncIterator[_Unit]:
        """Open a transaction."""
        async with self._database.transaction() as transaction:
            yield _Unit(transaction)

    async def _fetch(self, deposit: DepositRow) -> Path:
        return await spool.fetch(deposit, self._storage)

    def operations(self, session: aiohttp.ClientSession) -> list[Operation]:
        """Return what ingestion serves; publication is asked through `session`."""
        publication = PublicationClient(session, self._settings.publication_url)
        deposits = DepositDoors(
            intake=Intake(receive=self._receive, keep=self._keep, begin=self._begin),
            open_unit=self.open_unit,
        )
        releases = ReleaseDoors(
            release=self._release,
            cancel=self._cancel,
            open_unit=self.open_unit,
            previewer=publication,
            fields=frozenset(NAMES),
            clock=self.clock,
        )
        invoices = InvoiceDoors(
            withdraw=self._withdraw, open_unit=self.open_unit, publication=publication
        )
        return [*deposits.operations(), *releases.operations(), *invoices.operations()]

    async def _receive(self, request: web.Request) -> _Incoming:
        spooled = await spool.receive(
            request,
            file_limit=self._settings.document_maximum_bytes,
            total_limit=self._settings.deposit_maximum_bytes,
        )
        return _Incoming(spooled)

    async def take_record(self, record: ForeignRecord) -> None:
        """Take a deposit that came on a biller's own topic."""
        await take_record(record, self.open_unit, self._spool, self._keep, self._begin)

    async def _spool(self, content: bytes) -> _Incoming:
        return _Incoming(await spool.receive_bytes(content))

    async def _keep(self, received: Received, terms: Terms) -> DepositRow | UUID:
        return await receive_deposit(
            received,
            terms,
            self.open_unit,
            self._storage,
            self.clock,
            self._settings.instance_name,
        )

    def _begin(self, deposit: DepositRow, incoming: Incoming) -> "asyncio.Task[None]":
        return self.readings.begin(deposit, incoming.folder, incoming.declared)

    async def _release(self, deposit_id: UUID) -> None:
        await release_deposit(deposit_id, self.open_unit, self.clock)

    async def _cancel(self, deposit_id: UUID) -> None:
        await cancel_deposit(deposit_id, self.open_unit, self.clock)

    async def _withdraw(self, invoice_id: UUID, reason: str) -> None:
        await withdraw_invoice(invoice_id, reason, self.open_unit, self.clock)

    async def releasing(self, stopping: asyncio.Event) -> None:
        """Publish held deposits when their day comes, until `stopping` is set."""
        await repeat(
            "release held deposits",
            lambda: release_due(self.open_unit, self.clock),
            self._settings.release_interval_seconds,
            stopping,
        )


async def run(settings: Settings) -> None:
    """Run ingestion until it is told to stop."""
    database = await Database.connect(
        settings.database_url,
        size=settings.database_pool_size,
        service=SERVICE,
        options=DATABASE_OPTIONS,
    )
    storage = Storage(
        settings.storage_url, endpoint=settings.s3_endpoint, region=settings.s3_region
    )
    producer = Producer(settings, client_id=f"quittance-{SERVICE}")
    wiring = Wiring(settings, database, storage, SystemClock())
    consumer = _consumer(settings, database, producer)
    foreign = ForeignConsumer(
        SERVICE, settings, producer, pattern=PATTERN, handle=wiring.take_record
    )
    async with aiohttp.ClientSession() as session:
        application = create_application(
            SERVICE,
            wiring.operations(session),
            authenticator=JwksAuthenticator(settings.jwks_url, settings.token_issuer),
            checks={"database": database.ready, "storage": storage.ready},
            alive=consumer.alive,
            # What is spooled to disk is counted there; this bounds what is read into memory.
            maximum_body_bytes=settings.deposit_maximum_bytes,
        )
        try:
            await serve(
                application,
                settings,
                [
                    consumer.run,
                    foreign.run,
                    Relay(database, producer).run,
                    wiring.readings.run,
                    wiring.releasing,
                ],
            )
        finally:
            wiring.reader.close()
            await producer.stop()
            await database.close()


def _consumer(settings: Settings, database: Database, producer: Producer) -> Consumer:
    async def authorities(
        messages: Sequence[Message[AuthorityConfigured]], transaction: Transaction
    ) -> None:
        await on_authority_configured(messages, PostgresDeposits(transaction.connection))

    async def refusals(
        messages: Sequence[Message[InvoiceRefused]], transaction: Transaction
    ) -> None:
        await on_invoice_refused(messages, PostgresDeposits(transaction.connection))

    return Consumer(
        SERVICE,
        settings,
        database,
        producer,
        {AuthorityConfigured: authorities, InvoiceRefused: refusals},
    )
