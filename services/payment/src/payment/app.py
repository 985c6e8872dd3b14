"""The wiring of payment."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from payment.adapters.accounts import read_accounts
from payment.adapters.providers import ConfiguredProviders
from payment.api import Doors, PaymentDemand, QuoteDemand
from payment.api.notices import STATEMENT_BYTES
from payment.domain import Attempt, Move, Quote
from payment.domain.commands import Command
from payment.domain.parity import Finding, TheirLine
from payment.domain.payability import Payability
from payment.handlers.abandon_payment import abandon_payment, come_back
from payment.handlers.act_for_agent import act_for_agent
from payment.handlers.ask_provider import COUNTED_SECONDS, Rescue
from payment.handlers.close_expired import close_expired
from payment.handlers.compare_statement import compare_statement, keep_statement
from payment.handlers.on_invoice_published import on_invoice_published
from payment.handlers.on_invoice_withdrawn import on_invoice_withdrawn
from payment.handlers.quote_payment import payabilities, quote_payment
from payment.handlers.start_payment import Demand, start_payment
from payment.handlers.take_notice import take_notice
from payment.ports import PaymentForm, Poll, Provider, Providers, RawNotice, UnclearAttempt
from payment.settings import Settings
from payment.store.invoices import PostgresInvoices
from payment.store.unit import PostgresUnit
from shared.auth import JwksAuthenticator
from shared.clock import Clock, SystemClock
from shared.envelope import Message
from shared.events import InvoicePublished, InvoiceWithdrawn
from shared.http import create_application
from shared.kafka import Consumer, Producer
from shared.outbox import Relay
from shared.postgres import Database, Transaction
from shared.schedule import repeat
from shared.service import serve
from shared.worker import Worker

SERVICE = "payment"
SHOWN_AT_MOST = 500


class Till:
    """What stands behind the doors; see `api.Desk`."""

    def __init__(
        self, database: Database, providers: Providers, clock: Clock, lifetime: timedelta
    ) -> None:
        """Keep everything in `database` and speak to `providers`."""
        self._database = database
        self._providers = providers
        self._clock = clock
        self._lifetime = lifetime

    @asynccontextmanager
    async def open(self) -> AsyncIterator[PostgresUnit]:
        """Open one transaction."""
        async with self._database.transaction() as transaction:
            yield PostgresUnit(transaction)

    async def start(
        self, demand: PaymentDemand, *, is_replay_exact: bool
    ) -> tuple[Attempt, PaymentForm]:
        """Open an attempt."""
        wanted = Demand(
            invoice_ids=demand.invoice_ids,
            return_url=demand.return_url,
            email=demand.email,
            language=demand.language,
            amount_cents=demand.amount_cents,
            idempotency_key=demand.idempotency_key,
            is_replay_exact=is_replay_exact,
        )
        return await start_payment(wanted, self.open, self._providers, self._clock, self._lifetime)

    async def quote(self, demand: QuoteDemand) -> Quote:
        """Return what a payment would be."""
        return await quote_payment(
            demand.invoice_ids, demand.amount_cents, self.open, self._providers, self._clock
        )

    async def payabilities(self, invoice_ids: Sequence[UUID]) -> dict[UUID, Payability]:
        """Return whether invoices can be paid online; unknown ones are left out."""
        return await payabilities(invoice_ids, self.open, self._providers, self._clock)

    async def find(self, payment_id: UUID) -> Attempt | None:
        """Return an attempt."""
        async with self.open() as unit:
            return await unit.attempts.find(payment_id)

    async def history(self, payment_id: UUID) -> list[Move]:
        """Return the moves of an attempt."""
        async with self.open() as unit:
            return await unit.attempts.history(payment_id)

    async def abandon(self, payment_id: UUID) -> Attempt | None:
        """Close an attempt for the payer."""
        return self._woken(await abandon_payment(payment_id, self.open, self._clock))

    async def come_back(self, payment_id: UUID) -> Attempt | None:
        """Note that the payer is back."""
        return self._woken(await come_back(payment_id, self.open, self._clock))

    async def ask(self, payment_id: UUID) -> Attempt | None:
        """Have the provider asked soon."""
        async with self.open() as unit:
            await unit.polls.hasten(payment_id, self._clock.now())
            return self._woken(await unit.attempts.find(payment_id))

    async def act(self, payment_id: UUID, command: Command) -> Attempt | None:
        """Record what an agent found."""
        return await act_for_agent(payment_id, command, self.open, self._clock)

    async def unclear(self, authority: str | None) -> tuple[int, list[UnclearAttempt]]:
        """Return how many attempts need people, and the oldest of an authority."""
        async with self.open() as unit:
            attempts = await unit.polls.unclear(authority, SHOWN_AT_MOST)
            return await unit.polls.count_unclear(), attempts

    async def keep_statement(self, account: str, lines: Sequence[TheirLine]) -> None:
        """Keep a provider's list."""
        await keep_statement(account, lines, self.open)

    async def compare(self, account: str, first: date, last: date) -> list[Finding]:
        """Compare with the provider's list."""
        return await compare_statement(account, first, last, self.open)

    async def take(self, raw: RawNotice, provider: Provider) -> None:
        """Take a notice."""
        await take_notice(raw, provider, self.open, self._clock)
        # Should it be a nudge, the worker need not wait for its next look.
        self._database.work_added.set()

    def _woken(self, attempt: Attempt | None) -> Attempt | None:
        self._database.work_added.set()
        return attempt


async def run(settings: Settings) -> None:
    """Run payment until it is told to stop."""
    clock = SystemClock()
    providers = ConfiguredProviders(
        read_accounts(Path(settings.provider_accounts_file), settings.provider_sealing_keys),
        settings.public_notify_url,
        clock,
    )
    database = await Database.connect(
        settings.database_url, size=settings.database_pool_size, service=SERVICE
    )
    producer = Producer(settings, client_id=f"quittance-{SERVICE}")
    lifetime = timedelta(seconds=settings.attempt_lifetime_seconds)
    till = Till(database, providers, clock, lifetime)
    consumer = _consumer(settings, database, producer)
    application = create_application(
        SERVICE,
        Doors(till, providers).operations(),
        authenticator=JwksAuthenticator(settings.jwks_url, settings.token_issuer),
        checks={"database": database.ready},
        alive=consumer.alive,
        maximum_body_bytes=STATEMENT_BYTES,
    )
    try:
        await serve(
            application,
            settings,
            [
                consumer.run,
                Relay(database, producer).run,
                *_background(settings, till, database, providers, clock),
            ],
        )
    finally:
        await producer.stop()
        await database.close()


def _background(
    settings: Settings, till: Till, database: Database, providers: Providers, clock: Clock
) -> list[Callable[[asyncio.Event], Coroutine[Any, Any, None]]]:
    rescue = Rescue(till.open, providers, clock)
    worker: Worker[Poll] = Worker(
        "ask providers",
        claim=rescue.claim,
        perform=rescue.perform,
        # One at a time: a provider that is slow holds up nobody else's question.
        batch=1,
        concurrency=settings.ask_concurrency,
        wake=database.work_added,
    )

    async def expire(stopping: asyncio.Event) -> None:
        await repeat(
            "expire attempts",
            lambda: close_expired(till.open, clock),
            settings.expiry_interval_seconds,
            stopping,
        )

    async def count(stopping: asyncio.Event) -> None:
        await repeat("count unclear attempts", rescue.count_unclear, COUNTED_SECONDS, stopping)

    return [worker.run, expire, count]


def _consumer(settings: Settings, database: Database, producer: Producer) -> Consumer:
    async def published(
        messages: Sequence[Message[InvoicePublished]], transaction: Transaction
    ) -> None:
        await on_invoice_published(messages, PostgresInvoices(transaction.connection))

    async def withdrawn(
        messages: Sequence[Message[InvoiceWithdrawn]], transaction: Transaction
    ) -> None:
        await on_invoice_withdrawn(messages, PostgresInvoices(transaction.connection))

    return Consumer(
        SERVICE,
        settings,
        database,
        producer,
        {InvoicePublished: published, InvoiceWithdrawn: withdrawn},
    )
