"""The wiring of ingestion."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from multiprocessing import get_context
from uuid import UUID

import aiohttp
from aiohttp import web

from ingestion.adapters import facturx, json_deposit, parts
from ingestion.adapters.publication_client import PublicationClient
from ingestion.api import Doors, Readers
from ingestion.domain import InvoiceDraft, Rejection, Route, UnreadableDepositError
from ingestion.handlers.on_authority_configured import on_authority_configured
from ingestion.handlers.on_invoice_refused import on_invoice_refused
from ingestion.handlers.take_deposit import take_deposit
from ingestion.handlers.withdraw_invoice import withdraw_invoice
from ingestion.ports import Receipt, ReceivedDeposit
from ingestion.settings import Settings
from ingestion.store import PostgresDeposits
from shared.auth import JwksAuthenticator
from shared.clock import SystemClock
from shared.envelope import Message
from shared.events import AuthorityConfigured, Event, InvoiceRefused
from shared.http import create_application
from shared.kafka import Consumer, Producer
from shared.outbox import Relay
from shared.postgres import Database, Transaction
from shared.service import serve
from shared.storage import Storage

SERVICE = "ingestion"


class _Unit:
    """One transaction of this service; see `ports.Unit`."""

    def __init__(self, transaction: Transaction) -> None:
        self.deposits = PostgresDeposits(transaction.connection)
        self._transaction = transaction

    async def publish(self, events: Sequence[Event]) -> None:
        """Add events to the outbox."""
        await self._transaction.publish(events)


async def run(settings: Settings) -> None:
    """Run ingestion until it is told to stop."""
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

    async def take(received: ReceivedDeposit) -> Receipt:
        return await take_deposit(received, open_unit, storage, clock)

    async def withdraw(invoice_id: UUID, reason: str) -> None:
        await withdraw_invoice(invoice_id, reason, open_unit, clock)

    consumer = _consumer(settings, database, producer)
    # Parsing foreign files is CPU work: in other processes it never holds up the event loop.
    pool = ProcessPoolExecutor(settings.reader_processes, mp_context=get_context("spawn"))
    async with aiohttp.ClientSession() as session:
        doors = Doors(
            readers=_readers(settings, pool),
            take_deposit=take,
            withdraw=withdraw,
            open_unit=open_unit,
            publication=PublicationClient(session, settings.publication_url),
        )
        application = create_application(
            SERVICE,
            doors.operations(),
            authenticator=JwksAuthenticator(settings.jwks_url, settings.token_issuer),
            checks={"database": database.ready, "storage": storage.ready},
            maximum_body_bytes=settings.deposit_maximum_bytes,
        )
        try:
            await serve(application, settings, [consumer.run, Relay(database, producer).run])
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            await producer.stop()
            await database.close()


def _readers(settings: Settings, pool: ProcessPoolExecutor) -> Readers:
    async def read_facturx(
        content: bytes, regie: str | None, route: Route
    ) -> InvoiceDraft | Rejection:
        running = asyncio.get_running_loop()
        try:
            return await running.run_in_executor(
                pool, partial(facturx.read, content, regie, route=route)
            )
        except UnreadableDepositError as error:
            return Rejection(code=error.code, pointer=error.pointer, message=error.detail)

    async def read_parts(request: web.Request) -> parts.Parts:
        return await parts.read_parts(
            request,
            file_limit=settings.document_maximum_bytes,
            total_limit=settings.deposit_maximum_bytes,
        )

    return Readers(
        json=lambda body: json_deposit.read(body).lines,
        facturx=read_facturx,
        parts=read_parts,
        check_file=parts.check_file,
    )


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
