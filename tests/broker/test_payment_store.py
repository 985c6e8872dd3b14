"""Payment's store: one suite for PostgreSQL and for the fake of the unit tests, then the races."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest
import pytest_asyncio

import payment
from demo import ports
from demo.postgres import EmbeddedPostgres
from payment.domain import AlreadyPaidError, Attempt, AttemptState, NoticeOutcome
from payment.handlers.abandon_payment import abandon_payment
from payment.handlers.start_payment import Demand, InProgressError, KeyReusedError, start_payment
from payment.handlers.take_notice import take_notice
from payment.ports import Handover, OpenUnit, PaymentForm, Payments
from payment.schedule import expire_attempts
from payment.store import PostgresPayments
from shared import envelope, postgres
from shared.clock import FixedClock
from shared.errors import DomainError
from shared.events import Event, PaymentCaptured
from shared.events.payment_captured import Allocation
from shared.postgres import Database, Transaction
from tests.broker.observing import until
from tests.unit.payment.payment_builders import (
    INVOICE_ID,
    LIFETIME,
    NOW,
    ORDER_ID,
    OTHER_INVOICE_ID,
    PAYMENT_ID,
    TRANSACTION,
    FakePayments,
    FakeProviders,
    a_body,
    a_captured_attempt,
    a_lyra_account,
    a_notice,
    a_published_invoice,
    a_withdrawal,
    an_attempt,
    notice_fields,
    signed,
)

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="module")]

FORM = PaymentForm(url="https://provider.example/", method="POST", fields={"a": "é"})
EMPTY = "TRUNCATE invoice, attempt, allocation, notice, outbox"
LYRA = a_lyra_account()


class PostgresUnit:
    """One transaction, as the service's own wiring makes it; a gate may hold its commit back."""

    def __init__(self, transaction: Transaction) -> None:
        self.payments = PostgresPayments(transaction.connection)
        self._transaction = transaction

    async def publish(self, events: Sequence[Event]) -> None:
        await self._transaction.publish(events)


class Till:
    """Payment on a database, without its doors."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = FixedClock(NOW)
        self.providers = FakeProviders(LYRA)

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
            await unit.payments.keep_invoices(
                [
                    a_published_invoice(invoice_id=invoice_id, number=str(invoice_id))
                    for invoice_id in invoice_ids or (INVOICE_ID,)
                ]
            )

    async def start(self, *invoice_ids: UUID, key: str | None = None) -> Attempt:
        demand = Demand(
            invoice_ids=invoice_ids or (INVOICE_ID,),
            return_url="https://portail.example/retour",
            idempotency_key=key,
        )
        attempt, _ = await start_payment(demand, self.open, self.providers, self.clock, LIFETIME)
        return attempt

    async def tell(self, order_id: str, open_unit: OpenUnit | None = None, **fields: str) -> None:
        body = a_body(signed(notice_fields(order_id=order_id, **fields)))
        await take_notice(body, LYRA, open_unit or self.open, self.clock)

    async def rows(self, statement: str) -> list[Any]:
        async with self.database.reading() as connection:
            return list(await connection.fetch(statement))

    async def captured(self) -> list[PaymentCaptured]:
        """Return what stands in the outbox."""
        rows = await self.rows("SELECT value, headers FROM outbox ORDER BY id")
        found = [
            envelope.read(row["value"], msgspec.msgpack.decode(row["headers"], type=HEADERS)).data
            for row in rows
        ]
        assert all(isinstance(event, PaymentCaptured) for event in found)
        return found  # type: ignore[return-value]

    async def is_somebody_waiting(self) -> bool:
        [row] = await self.rows("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(row[0])


HEADERS = tuple[tuple[str, bytes], ...]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Database]:
    """Return a database of payment's own, migrated as the service does it."""
    folder = tmp_path_factory.mktemp("payment")
    async with EmbeddedPostgres(folder, port=ports.choose()["database"]) as server:
        url = await server.create_database("payment", role="payment", password="payment")
        steps = postgres.all_migrations("payment", Path(payment.__file__).parent)
        await postgres.migrate(url, steps)
        opened = await Database.connect(url, size=24, service="payment")
        yield opened
        await opened.close()


@pytest_asyncio.fixture(loop_scope="module")
async def till(database: Database) -> Till:
    """Return an empty till on PostgreSQL with one invoice of 41,00 €."""
    async with database.reading() as connection:
        await connection.execute(EMPTY)
    made = Till(database)
    await made.publish()
    return made


@pytest_asyncio.fixture(params=["fake", "postgres"], loop_scope="module")
async def payments(request: pytest.FixtureRequest, database: Database) -> AsyncIterator[Payments]:
    """Return empty payments of either kind, within one transaction."""
    if request.param == "fake":
        yield FakePayments()
        return
    async with database.transaction() as transaction:
        await transaction.connection.execute(EMPTY)
        yield PostgresPayments(transaction.connection)


def a_handover(number: str = "abc123") -> Handover:
    """Return what a provider prepared."""
    return Handover(form=FORM, provider_day=NOW.date(), provider_number=number)


async def keep(payments: Payments, attempt: Attempt, key: str | None = None) -> None:
    """Publish the attempt's invoice and start it."""
    await payments.keep_invoices([a_published_invoice()])
    assert await payments.start(attempt, a_handover(), key)


async def test_gives_back_an_attempt_as_it_was_kept(payments: Payments) -> None:
    """By its name, by its order, by its key with its form, and among the open ones."""
    await keep(payments, an_attempt(), key="k")

    assert an_attempt() == await payments.find(PAYMENT_ID)
    assert an_attempt() == await payments.find(PAYMENT_ID, lock=True)
    assert an_attempt() == await payments.lock_order("lyra", "saint-aubin-carte", ORDER_ID)
    assert (an_attempt(), FORM) == await payments.by_key("k")
    assert [an_attempt()] == await payments.open_attempts([INVOICE_ID, OTHER_INVOICE_ID])


async def test_finds_nothing_under_another_name(payments: Payments) -> None:
    """An order of one account is unknown at another."""
    await keep(payments, an_attempt())

    assert await payments.find(UUID(int=1)) is None
    assert await payments.by_key("k") is None
    assert await payments.lock_order("lyra", "autre", ORDER_ID) is None
    assert await payments.open_attempts([OTHER_INVOICE_ID]) == []


async def test_a_capture_counts_for_its_invoice_and_closes_the_attempt(payments: Payments) -> None:
    """What is owed falls with it."""
    await keep(payments, an_attempt())

    await payments.move(a_captured_attempt(), NOW)

    [invoice] = await payments.lock_invoices([INVOICE_ID])
    assert (41_00, 0) == (invoice.captured_cents, invoice.outstanding_cents)
    assert a_captured_attempt() == await payments.find(PAYMENT_ID)
    assert await payments.open_attempts([INVOICE_ID]) == []


@pytest.mark.parametrize(
    "state", [AttemptState.REFUSED, AttemptState.ABANDONED, AttemptState.EXPIRED]
)
async def test_an_attempt_that_came_to_nothing_frees_the_invoice(
    payments: Payments, state: AttemptState
) -> None:
    """Another may start, and a late capture of the first still finds it."""
    await keep(payments, an_attempt())
    await payments.move(an_attempt(state=state), NOW)

    second = an_attempt(payment_id=UUID(int=2), order_id="SECOND")
    assert await payments.start(second, a_handover("abc124"), None)

    assert [second] == await payments.open_attempts([INVOICE_ID])
    assert an_attempt(state=state) == await payments.find(PAYMENT_ID)


async def test_uses_no_number_and_no_key_twice(payments: Payments) -> None:
    """The provider's number of the day; and the key, until it is released."""
    await keep(payments, an_attempt(), key="k")
    await payments.move(an_attempt(state=AttemptState.REFUSED), NOW)
    second = an_attempt(payment_id=UUID(int=2), order_id="SECOND")

    assert not await payments.start(second, a_handover("abc123"), None)
    assert not await payments.start(second, a_handover("abc124"), "k")

    await payments.release_key(PAYMENT_ID)
    assert await payments.start(second, a_handover("abc124"), "k")


@pytest.mark.parametrize("is_reversed", [False, True])
async def test_keeps_the_highest_version_whatever_comes_first(
    payments: Payments, is_reversed: bool
) -> None:
    """In one batch or in several."""
    versions = [a_published_invoice(version=n, amount_cents=n * 100) for n in (1, 3, 2)]
    ordered = versions[::-1] if is_reversed else versions

    await payments.keep_invoices(ordered)
    await payments.keep_invoices([a_published_invoice(version=2, amount_cents=7)])

    [invoice] = await payments.lock_invoices([INVOICE_ID])
    assert (3, 300) == (invoice.version, invoice.amount_cents)


@pytest.mark.parametrize("is_reversed", [False, True])
async def test_keeps_a_withdrawal_that_comes_before_its_invoice(
    payments: Payments, is_reversed: bool
) -> None:
    """And shows nothing of an invoice of which only that is known."""

    async def publish() -> None:
        await payments.keep_invoices([a_published_invoice()])

    async def withdraw() -> None:
        await payments.withdraw([a_withdrawal(version=1), a_withdrawal(version=0)])

    await (withdraw() if is_reversed else publish())
    if is_reversed:
        assert await payments.lock_invoices([INVOICE_ID]) == []
    await (publish() if is_reversed else withdraw())

    [invoice] = await payments.lock_invoices([INVOICE_ID])
    assert (1, 1, 41_00) == (invoice.version, invoice.withdrawn_version, invoice.amount_cents)


async def test_returns_invoices_in_the_order_asked(payments: Payments) -> None:
    """The basket is shown as it was chosen; what is not known is left out."""
    await payments.keep_invoices(
        [a_published_invoice(), a_published_invoice(invoice_id=OTHER_INVOICE_ID, number="2")]
    )

    found = await payments.lock_invoices([OTHER_INVOICE_ID, UUID(int=9), INVOICE_ID])

    assert [OTHER_INVOICE_ID, INVOICE_ID] == [invoice.invoice_id for invoice in found]


async def test_keeps_a_fact_once(payments: Payments) -> None:
    """By provider, account and fact."""

    async def told(account: str, fact: str) -> bool:
        notice = a_notice(fact=fact)
        return await payments.keep_notice(
            "lyra", account, notice, b"\x00raw", NoticeOutcome.CAPTURED, NOW
        )

    assert [True, False, True, True] == [
        await told("a", "1"),
        await told("a", "1"),
        await told("a", "2"),
        await told("b", "1"),
    ]


async def test_a_fact_of_an_unknown_order_is_new_once_the_order_is_known(
    payments: Payments,
) -> None:
    """And only once."""
    outcomes = [
        NoticeOutcome.UNKNOWN_ORDER,
        NoticeOutcome.UNKNOWN_ORDER,
        NoticeOutcome.CAPTURED,
        NoticeOutcome.CAPTURED,
        NoticeOutcome.UNKNOWN_ORDER,
    ]

    assert [True, False, True, False, False] == [
        await payments.keep_notice("lyra", "a", a_notice(), b"raw", outcome, NOW)
        for outcome in outcomes
    ]


@pytest.mark.parametrize(
    ("now", "count"),
    [(NOW + LIFETIME, 0), (NOW + LIFETIME + timedelta(microseconds=1), 1)],
)
async def test_finds_attempts_past_their_time(
    payments: Payments, now: datetime, count: int
) -> None:
    """Not one moment early."""
    await keep(payments, an_attempt())

    assert count == len(await payments.expired(now, 10))
    assert await payments.expired(now, 0) == []


async def test_the_database_itself_allows_one_open_attempt_for_an_invoice(till: Till) -> None:
    """L8: should a lock be forgotten one day, the index still holds."""
    async with till.open() as unit:
        assert await unit.payments.start(an_attempt(), a_handover(), None)
    other = an_attempt(payment_id=UUID(int=2), order_id="SECOND")

    with pytest.raises(asyncpg.UniqueViolationError):
        async with till.open() as unit:
            await unit.payments.start(other, a_handover("abc124"), None)

    assert [PAYMENT_ID] == [row[0] for row in await till.rows("SELECT payment_id FROM attempt")]


async def test_fifty_notices_at_once_are_booked_once(till: Till) -> None:
    """W5, F24: one event in the outbox, one notice in the table."""
    attempt = await till.start()

    await asyncio.gather(*(till.tell(attempt.order_id) for _ in range(50)))

    [event] = await till.captured()
    assert (attempt.payment_id, 41_00) == (event.payment_id, event.amount_cents)
    assert len(await till.rows("SELECT 1 FROM notice")) == 1


async def test_twenty_payers_of_one_invoice_at_once_open_one_attempt(till: Till) -> None:
    """L8: the others are told who holds it."""
    results = await asyncio.gather(*(till.start() for _ in range(20)), return_exceptions=True)

    [opened] = [result for result in results if isinstance(result, Attempt)]
    refused = [result for result in results if isinstance(result, InProgressError)]
    assert len(refused) == 19
    assert {opened.payment_id} == {error.attempt.payment_id for error in refused}


async def test_a_hundred_posts_of_one_key_are_one_payment(till: Till) -> None:
    """P10: every one of them gets the same attempt."""
    results = await asyncio.gather(*(till.start(key="k") for _ in range(100)))

    assert len({attempt.payment_id for attempt in results}) == 1
    assert len(await till.rows("SELECT 1 FROM attempt")) == 1


async def test_one_key_for_two_invoices_at_once_is_refused_to_one_of_them(till: Till) -> None:
    """P10: neither a failure nor somebody else's form."""
    await till.publish(OTHER_INVOICE_ID)

    results = await asyncio.gather(
        till.start(INVOICE_ID, key="k"),
        till.start(OTHER_INVOICE_ID, key="k"),
        return_exceptions=True,
    )

    assert {Attempt, KeyReusedError} == {type(result) for result in results}


async def test_a_late_capture_is_not_undone_by_a_payer_who_starts_again(till: Till) -> None:
    """P12: the attempt is past its time, its capture not yet committed, another payer comes."""
    attempt = await till.start()
    till.clock.advance(LIFETIME + timedelta(seconds=1))

    result = await _start_during(
        till, attempt, lambda open_unit: till.tell(attempt.order_id, open_unit)
    )

    assert isinstance(result, AlreadyPaidError)
    states = await till.rows("SELECT state FROM attempt")
    assert ["captured"] == [row["state"] for row in states]
    assert len(await till.captured()) == 1


async def test_a_capture_of_a_closed_attempt_is_seen_by_who_starts_meanwhile(till: Till) -> None:
    """The sum owed is read after the lock, so a capture that commits meanwhile counts."""
    attempt = await till.start()
    await abandon_payment(attempt.payment_id, till.open, till.clock)

    result = await _start_during(
        till, attempt, lambda open_unit: till.tell(attempt.order_id, open_unit)
    )

    assert isinstance(result, AlreadyPaidError)
    assert len(await till.rows("SELECT 1 FROM attempt")) == 1


@pytest.mark.parametrize("late", [timedelta(0), LIFETIME + timedelta(seconds=1)])
async def test_who_starts_while_an_attempt_is_given_up_gets_the_next_one(
    till: Till, late: timedelta
) -> None:
    """The attempt that held the invoice is closed by the time the lock is had."""
    attempt = await till.start()
    till.clock.advance(late)

    result = await _start_during(
        till,
        attempt,
        lambda open_unit: abandon_payment(attempt.payment_id, open_unit, till.clock),
    )

    assert isinstance(result, Attempt)
    states = await till.rows("SELECT state FROM attempt ORDER BY started_at, state")
    assert ["abandoned", "open"] == [row["state"] for row in states]


async def _start_during(
    till: Till, attempt: Attempt, deed: Callable[[OpenUnit], Awaitable[object]]
) -> Attempt | BaseException:
    """Start a payment while `deed` holds its locks, let it commit, and return what came of it."""
    gate = asyncio.Event()
    doing = asyncio.ensure_future(deed(till.gated(gate)))
    starting: asyncio.Future[Attempt] = asyncio.Future()
    try:
        await until(lambda: _is_locked(till, attempt), "the locks to be held")
        starting = asyncio.ensure_future(till.start())
        await until(till.is_somebody_waiting, "the payer to wait", 5)
    finally:
        # A failed wait must not leave a transaction open for ever.
        gate.set()
        await doing
    [result] = await asyncio.gather(starting, return_exceptions=True)
    return result


async def _is_locked(till: Till, attempt: Attempt) -> bool:
    rows = await till.rows(
        f"SELECT 1 FROM attempt WHERE payment_id = '{attempt.payment_id}' FOR UPDATE SKIP LOCKED"
    )
    return not rows


async def test_whatever_happens_at_once_every_capture_is_booked_once(till: Till) -> None:
    """F16, F25: payers, notices, second thoughts and the clock, in baskets that overlap."""
    chance = random.Random(20261124)
    invoices = [uuid4() for _ in range(4)]
    await till.publish(*invoices)
    orders: list[Attempt] = []
    told: set[str] = set()

    async def act() -> None:
        match chance.randrange(4):
            case 0:
                basket = chance.sample(invoices, chance.randint(1, 3))
                orders.append(await till.start(*basket))
            case 1 if orders:
                attempt = chance.choice(orders)
                await till.tell(attempt.order_id, amount=str(attempt.amount_cents))
                told.add(attempt.order_id)
            case 2 if orders:
                await abandon_payment(chance.choice(orders).payment_id, till.open, till.clock)
            case _:
                till.clock.advance(timedelta(minutes=3))
                await expire_attempts(till.open, till.clock)

    for _ in range(25):
        results = await asyncio.gather(*(act() for _ in range(16)), return_exceptions=True)
        errors = [result for result in results if isinstance(result, BaseException)]
        assert [] == [error for error in errors if not isinstance(error, DomainError)]

    events = await till.captured()
    assert sorted(told) == sorted(
        attempt.order_id
        for attempt in orders
        if attempt.payment_id in {event.payment_id for event in events}
    )
    assert len(events) == len(told) > 0
    for event in events:
        assert event.amount_cents == sum(part.amount_cents for part in event.allocations)
    states = await till.rows("SELECT order_id FROM attempt WHERE state = 'captured'")
    assert sorted(told) == sorted(row["order_id"] for row in states)


async def test_a_basket_comes_back_whole(till: Till) -> None:
    """Several allocations of one attempt, through the tables and into the event."""
    await till.publish(OTHER_INVOICE_ID)
    attempt = await till.start(OTHER_INVOICE_ID, INVOICE_ID)

    await till.tell(attempt.order_id, amount="8200", trans_uuid=TRANSACTION)

    [event] = await till.captured()
    assert {INVOICE_ID: 41_00, OTHER_INVOICE_ID: 41_00} == _by_invoice(event.allocations)
    assert event.amount_cents == 82_00


def _by_invoice(allocations: Sequence[Allocation]) -> dict[UUID, int]:
    return {part.invoice_id: part.amount_cents for part in allocations}
