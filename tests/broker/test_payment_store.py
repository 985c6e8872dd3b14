"""Payment's store: one suite for PostgreSQL and for the fake of the unit tests, then the races."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest
import pytest_asyncio

import payment
from demo import ports
from demo.postgres import EmbeddedPostgres
from payment.domain import (
    Attempt,
    AttemptState,
    FoundBy,
    Move,
    NoticeOutcome,
    NotPayableError,
    Reason,
    given_back,
)
from payment.domain.parity import OurLine
from payment.handlers.abandon_payment import abandon_payment
from payment.handlers.close_expired import close_expired
from payment.handlers.start_payment import InProgressError, KeyReusedError
from payment.ports import Handover, OpenUnit, PaymentForm, Poll, Question, Unit
from payment.store.unit import PostgresUnit
from shared import postgres
from shared.errors import DomainError
from shared.events.payment_captured import Allocation
from shared.postgres import Database
from tests.broker.observing import until
from tests.broker.payment_till import EMPTY, Till, payment_database
from tests.unit.payment.payment_builders import (
    INVOICE_ID,
    LIFETIME,
    NOW,
    ORDER_ID,
    OTHER_INVOICE_ID,
    PAYMENT_ID,
    TRANSACTION,
    a_captured_attempt,
    a_notice,
    a_published_invoice,
    a_withdrawal,
    an_attempt,
)
from tests.unit.payment.payment_fakes import RAW, FakeUnit, Memory

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="module")]

FORM = PaymentForm(url="https://provider.example/", method="POST", fields={"a": "é"})
ACCOUNT = ("lyra", "saint-aubin-carte")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Database]:
    """Return a database of payment's own, migrated as the service does it."""
    async with payment_database(tmp_path_factory.mktemp("payment")) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def till(database: Database) -> Till:
    """Return an empty till on PostgreSQL with one invoice of 41,00 €."""
    async with database.reading() as connection:
        await connection.execute(EMPTY)
    made = Till(database)
    await made.publish()
    return made


@pytest_asyncio.fixture(params=["fake", "postgres"], loop_scope="module")
async def unit(request: pytest.FixtureRequest, database: Database) -> AsyncIterator[Unit]:
    """Return one transaction of either kind over nothing."""
    if request.param == "fake":
        yield FakeUnit(Memory())
        return
    async with database.transaction() as transaction:
        await transaction.connection.execute(EMPTY)
        yield PostgresUnit(transaction)


def a_handover(number: str = "abc123", **changes: object) -> Handover:
    """Return what a provider prepared."""
    handover = Handover(form=FORM, provider_day=NOW.date(), provider_number=number)
    return msgspec.structs.replace(handover, **changes)


CREATED = an_attempt(state=AttemptState.CREATED)


async def keep(unit: Unit, attempt: Attempt = CREATED, key: str | None = None) -> Attempt:
    """Publish the attempt's invoice, start it and hand it over."""
    await unit.invoices.keep([a_published_invoice()])
    assert await unit.attempts.create(attempt, key, b"digest")
    assert await unit.attempts.hand_over(attempt.payment_id, a_handover(attempt.order_id[:6]))
    return await move(unit, attempt, AttemptState.REDIRECTED, FoundBy.START)


async def move(unit: Unit, before: Attempt, state: AttemptState, by: FoundBy) -> Attempt:
    """Keep an attempt in another state."""
    after = msgspec.structs.replace(before, state=state)
    await unit.attempts.move(before, after, by, NOW)
    return after


async def test_gives_back_an_attempt_as_it_was_kept(unit: Unit) -> None:
    """By its name, by its order, by its key with its form, and among those in flight."""
    await keep(unit, key="k")

    assert an_attempt() == await unit.attempts.find(PAYMENT_ID)
    assert an_attempt() == await unit.attempts.lock(PAYMENT_ID)
    assert an_attempt() == await unit.attempts.lock_order(*ACCOUNT, ORDER_ID)
    keyed = await unit.attempts.by_key("k")
    assert keyed is not None
    assert (an_attempt(), FORM, b"digest") == (keyed.attempt, keyed.form, keyed.demand_sha256)
    assert [an_attempt()] == await unit.attempts.in_flight([INVOICE_ID, OTHER_INVOICE_ID])


async def test_finds_nothing_under_another_name(unit: Unit) -> None:
    """An order of one account is unknown at another."""
    await keep(unit)

    assert await unit.attempts.find(UUID(int=1)) is None
    assert await unit.attempts.lock(UUID(int=1)) is None
    assert await unit.attempts.by_key("k") is None
    assert await unit.attempts.lock_order("lyra", "autre", ORDER_ID) is None
    assert await unit.attempts.by_reference(*ACCOUNT, "") is None
    assert await unit.attempts.in_flight([OTHER_INVOICE_ID]) == []


async def test_finds_an_attempt_by_the_providers_own_name(unit: Unit) -> None:
    """PayFiP's notices hold nothing else."""
    await unit.invoices.keep([a_published_invoice()])
    await unit.attempts.create(CREATED, None, b"")
    await unit.attempts.hand_over(PAYMENT_ID, a_handover(reference="idop-1", raw=b"{}"))

    found = await unit.attempts.by_reference(*ACCOUNT, "idop-1")

    assert found == msgspec.structs.replace(CREATED, reference="idop-1")
    assert await unit.attempts.by_reference("lyra", "autre", "idop-1") is None


async def test_a_capture_counts_for_its_invoice_until_it_goes_back(unit: Unit) -> None:
    """What is owed falls with it, and rises with what is returned."""
    opened = await keep(unit)
    paid = a_captured_attempt(means="payfip", is_settled=False)
    await unit.attempts.move(opened, paid, FoundBy.NOTICE, NOW)
    [invoice] = await unit.invoices.lock([INVOICE_ID])
    assert (41_00, 0) == (invoice.captured_cents, invoice.outstanding_cents)
    assert paid == await unit.attempts.find(PAYMENT_ID)
    assert await unit.attempts.in_flight([INVOICE_ID]) == []

    part = given_back(paid, 10_00, "r-1", "refund")
    await unit.attempts.move(paid, part, FoundBy.AGENT, NOW, "a.martin")
    whole = given_back(part, 31_00, "r-2", "chargeback")
    await unit.attempts.move(part, whole, FoundBy.NOTICE, NOW + LIFETIME)

    [invoice] = await unit.invoices.read([INVOICE_ID])
    assert (0, 41_00) == (invoice.captured_cents, invoice.outstanding_cents)
    found = await unit.attempts.find(PAYMENT_ID)
    assert found is not None
    assert msgspec.structs.replace(whole, closed_by=FoundBy.NOTICE) == found


async def test_keeps_the_history_of_every_move(unit: Unit) -> None:
    """Who found it, when, from where, to where."""
    opened = await keep(unit)
    await move(unit, opened, AttemptState.ABANDONED, FoundBy.PAYER)

    created, redirected, abandoned = AttemptState.CREATED, opened.state, AttemptState.ABANDONED
    assert [
        Move(source=None, target=created, found_by=FoundBy.START, moved_at=NOW),
        Move(source=created, target=redirected, found_by=FoundBy.START, moved_at=NOW),
        Move(source=redirected, target=abandoned, found_by=FoundBy.PAYER, moved_at=NOW),
    ] == await unit.attempts.history(PAYMENT_ID)


@pytest.mark.parametrize(
    "state", [AttemptState.REFUSED, AttemptState.ABANDONED, AttemptState.EXPIRED]
)
async def test_an_attempt_that_came_to_nothing_frees_the_invoice(
    unit: Unit, state: AttemptState
) -> None:
    """Another may start, and a late capture of the first still finds it."""
    await move(unit, await keep(unit), state, FoundBy.CLOCK)

    second = await keep(
        unit, msgspec.structs.replace(CREATED, payment_id=UUID(int=2), order_id="SECOND")
    )

    assert [second] == await unit.attempts.in_flight([INVOICE_ID])
    first = an_attempt(state=state, closed_by=FoundBy.CLOCK)
    assert first == await unit.attempts.find(PAYMENT_ID)


@pytest.mark.parametrize(
    ("state", "by", "counts"),
    [
        (AttemptState.ABANDONED, FoundBy.PAYER, True),
        (AttemptState.EXPIRED, FoundBy.CLOCK, True),
        (AttemptState.ABANDONED, FoundBy.POLL, False),
        (AttemptState.REFUSED, FoundBy.NOTICE, False),
    ],
)
async def test_knows_what_began_lately_and_whose_end_we_only_suppose(
    unit: Unit, state: AttemptState, by: FoundBy, counts: bool
) -> None:
    """Until the provider has said it, its page may still be open."""
    await move(unit, await keep(unit), state, by)

    found = await unit.attempts.recent_starts([INVOICE_ID], NOW - LIFETIME)

    assert found == ({INVOICE_ID: NOW} if counts else {})
    assert await unit.attempts.recent_starts([INVOICE_ID], NOW) == {}


async def test_uses_no_number_and_no_key_twice(unit: Unit) -> None:
    """The provider's number of the day; and the key, until it is released."""
    await move(unit, await keep(unit, key="k"), AttemptState.REFUSED, FoundBy.NOTICE)
    second = msgspec.structs.replace(CREATED, payment_id=UUID(int=2), order_id="SECOND")

    assert not await unit.attempts.create(second, "k", b"")

    await unit.attempts.release_key(PAYMENT_ID)
    assert await unit.attempts.create(second, "k", b"")
    assert not await unit.attempts.hand_over(UUID(int=2), a_handover(ORDER_ID[:6]))
    assert await unit.attempts.hand_over(UUID(int=2), a_handover("abc124"))


@pytest.mark.parametrize("is_reversed", [False, True])
async def test_keeps_the_highest_version_whatever_comes_first(
    unit: Unit, is_reversed: bool
) -> None:
    """In one batch or in several."""
    versions = [a_published_invoice(version=n, amount_cents=n * 100) for n in (1, 3, 2)]
    ordered = versions[::-1] if is_reversed else versions

    await unit.invoices.keep(ordered)
    await unit.invoices.keep([a_published_invoice(version=2, amount_cents=7)])

    [invoice] = await unit.invoices.lock([INVOICE_ID])
    assert (3, 300) == (invoice.version, invoice.amount_cents)


async def test_keeps_what_baskets_and_the_treasury_need(unit: Unit) -> None:
    """Dates, subject and the reference of the debt."""
    event = a_published_invoice(fiscal_year=2026, debt_reference="DETTE4711")

    await unit.invoices.keep([event])

    [invoice] = await unit.invoices.read([INVOICE_ID])
    assert (event.due_on, event.issued_on, event.subject, 2026, "DETTE4711") == (
        invoice.due_on,
        invoice.issued_on,
        invoice.subject,
        invoice.fiscal_year,
        invoice.debt_reference,
    )


@pytest.mark.parametrize("is_reversed", [False, True])
async def test_keeps_a_withdrawal_that_comes_before_its_invoice(
    unit: Unit, is_reversed: bool
) -> None:
    """And shows nothing of an invoice of which only that is known."""

    async def publish() -> None:
        await unit.invoices.keep([a_published_invoice()])

    async def withdraw() -> None:
        await unit.invoices.withdraw([a_withdrawal(version=1), a_withdrawal(version=0)])

    await (withdraw() if is_reversed else publish())
    if is_reversed:
        assert await unit.invoices.lock([INVOICE_ID]) == []
    await (publish() if is_reversed else withdraw())

    [invoice] = await unit.invoices.lock([INVOICE_ID])
    assert (1, 1, 41_00) == (invoice.version, invoice.withdrawn_version, invoice.amount_cents)


async def test_returns_invoices_in_the_order_asked(unit: Unit) -> None:
    """The basket is shown as it was chosen; what is not known is left out."""
    await unit.invoices.keep(
        [a_published_invoice(), a_published_invoice(invoice_id=OTHER_INVOICE_ID, number="2")]
    )

    found = await unit.invoices.lock([OTHER_INVOICE_ID, UUID(int=9), INVOICE_ID])

    assert [OTHER_INVOICE_ID, INVOICE_ID] == [invoice.invoice_id for invoice in found]


async def test_keeps_a_fact_once(unit: Unit) -> None:
    """By provider, account and fact."""

    async def told(account: str, fact: str) -> bool:
        notice = a_notice(fact=fact)
        return await unit.notices.keep(("lyra", account), notice, RAW, NoticeOutcome.CAPTURED, NOW)

    assert [True, False, True, True] == [
        await told("a", "1"),
        await told("a", "1"),
        await told("a", "2"),
        await told("b", "1"),
    ]


async def test_a_fact_of_an_unknown_order_is_new_once_the_order_is_known(unit: Unit) -> None:
    """And only once."""
    outcomes = [
        NoticeOutcome.UNKNOWN_ORDER,
        NoticeOutcome.UNKNOWN_ORDER,
        NoticeOutcome.CAPTURED,
        NoticeOutcome.CAPTURED,
        NoticeOutcome.UNKNOWN_ORDER,
    ]

    assert [True, False, True, False, False] == [
        await unit.notices.keep(("lyra", "a"), a_notice(), RAW, outcome, NOW)
        for outcome in outcomes
    ]


@pytest.mark.parametrize(
    ("now", "count"),
    [(NOW + LIFETIME, 0), (NOW + LIFETIME + timedelta(microseconds=1), 1)],
)
async def test_finds_attempts_past_their_time(unit: Unit, now: datetime, count: int) -> None:
    """Not one moment early, and none that a poll will ask about first."""
    await keep(unit)

    assert count == len(await unit.attempts.overdue(now, 10))
    assert await unit.attempts.overdue(now, 0) == []
    await unit.polls.plan(PAYMENT_ID, now)
    assert await unit.attempts.overdue(now, 10) == []
    await unit.polls.stop(PAYMENT_ID)
    assert count == len(await unit.attempts.overdue(now, 10))


async def test_a_question_is_claimed_once_until_its_lease_ends(unit: Unit) -> None:
    """With what the provider's library wants to see again."""
    await keep(unit)
    await unit.polls.plan(PAYMENT_ID, NOW)
    await unit.polls.plan(PAYMENT_ID, NOW + LIFETIME)
    lease = timedelta(minutes=2)
    poll = Poll(
        payment_id=PAYMENT_ID,
        provider="lyra",
        account="saint-aubin-carte",
        question=Question(
            order_id=ORDER_ID, reference="", amount_cents=41_00, started_at=NOW, asked_count=0
        ),
    )

    assert await unit.polls.claim(NOW - timedelta(seconds=1), lease, 10) == []
    assert [poll] == await unit.polls.claim(NOW, lease, 10)
    assert await unit.polls.claim(NOW, lease, 10) == []
    assert [poll] == await unit.polls.claim(NOW + lease, lease, 10)

    await unit.polls.keep_answer(
        PAYMENT_ID, asked_at=NOW, next_at=NOW, needs_people=False, raw=b"{}"
    )
    [again] = await unit.polls.claim(NOW, lease, 10)
    assert (1, b"{}") == (again.question.asked_count, again.question.raw)


async def test_a_nudge_hastens_a_question_with_a_pause(unit: Unit) -> None:
    """And none is asked about what is settled."""
    opened = await keep(unit)
    await unit.polls.hasten(PAYMENT_ID, NOW)
    await unit.polls.plan(PAYMENT_ID, NOW + LIFETIME)
    lease = timedelta(minutes=2)

    await unit.polls.hasten(PAYMENT_ID, NOW)
    assert len(await unit.polls.claim(NOW, lease, 10)) == 1
    await unit.polls.keep_answer(PAYMENT_ID, asked_at=NOW, next_at=None, needs_people=False)
    await unit.polls.hasten(PAYMENT_ID, NOW)
    assert await unit.polls.claim(NOW + timedelta(seconds=4), lease, 10) == []
    assert len(await unit.polls.claim(NOW + timedelta(seconds=5), lease, 10)) == 1

    await unit.attempts.move(opened, a_captured_attempt(), FoundBy.POLL, NOW)
    await unit.polls.stop(PAYMENT_ID)
    await unit.polls.hasten(PAYMENT_ID, NOW + LIFETIME)
    assert await unit.polls.claim(NOW + 2 * LIFETIME, lease, 10) == []


async def test_shows_what_waits_for_people(unit: Unit) -> None:
    """Until the provider has spoken."""
    await keep(unit)
    await unit.polls.plan(PAYMENT_ID, NOW)
    await unit.polls.keep_answer(
        PAYMENT_ID, asked_at=NOW, next_at=None, needs_people=True, error="T2"
    )

    [unclear] = await unit.polls.unclear("saint-aubin", 10)

    assert (PAYMENT_ID, AttemptState.REDIRECTED, 1, "T2") == (
        unclear.payment_id,
        unclear.state,
        unclear.asked_count,
        unclear.last_error,
    )
    assert len(await unit.polls.unclear(None, 10)) == await unit.polls.count_unclear() == 1
    assert await unit.polls.unclear("autre", 10) == []
    await unit.polls.stop(PAYMENT_ID)
    assert await unit.polls.count_unclear() == 0


async def test_lists_what_an_account_captured_and_what_is_named(unit: Unit) -> None:
    """For the comparison with the provider's own list."""
    opened = await keep(unit)
    account = "saint-aubin-carte"
    day = (NOW, NOW + timedelta(days=1))
    assert await unit.attempts.listed(account, *day, []) == []
    assert len(await unit.attempts.listed(account, *day, [ORDER_ID])) == 1

    await unit.attempts.move(opened, a_captured_attempt(), FoundBy.NOTICE, NOW)

    line = OurLine(
        payment_id=str(PAYMENT_ID),
        order_id=ORDER_ID,
        reference="",
        provider_reference=TRANSACTION,
        captured_cents=41_00,
        returned_cents=0,
    )
    assert [line] == await unit.attempts.listed(account, *day, [])
    later = (NOW + LIFETIME, NOW + timedelta(days=1))
    assert await unit.attempts.listed(account, *later, []) == []
    assert [line] == await unit.attempts.listed(account, *later, [TRANSACTION])


async def test_the_database_itself_allows_one_open_attempt_for_an_invoice(till: Till) -> None:
    """L8: should a lock be forgotten one day, the index still holds."""
    async with till.open() as unit:
        assert await unit.attempts.create(CREATED, None, b"")
    other = msgspec.structs.replace(CREATED, payment_id=UUID(int=2), order_id="SECOND")

    with pytest.raises(asyncpg.UniqueViolationError):
        async with till.open() as unit:
            await unit.attempts.create(other, None, b"")

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

    assert isinstance(result, NotPayableError)
    assert result.reason is Reason.ALREADY_PAID
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

    assert isinstance(result, NotPayableError)
    assert result.reason is Reason.ALREADY_PAID
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
    assert ["abandoned", "redirected"] == [row["state"] for row in states]


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
                await close_expired(till.open, till.clock)

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


OLD_ATTEMPT = """
WITH invoice AS (
    INSERT INTO invoice (invoice_id, authority, regie, number, version, kind, route, amount_cents)
    VALUES ($1, 'saint-aubin', 'CANTINE', '2026-0042', 1, 'invoice', 'regie', 4100)
), attempt AS (
    INSERT INTO attempt (payment_id, order_id, idempotency_key, authority, provider, account,
        provider_day, provider_number, amount_cents, state, form, started_at, expires_at)
    VALUES ($2, $3, 'k', 'saint-aubin', 'lyra', 'saint-aubin-carte', '2026-11-24', 'abc123', 4100,
        'open', '{"url": "u", "method": "POST", "fields": {}}', $4, $5)
)
INSERT INTO allocation (payment_id, invoice_id, amount_cents) VALUES ($2, $1, 4100)
"""


async def test_an_attempt_from_before_the_written_moves_can_still_end(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The second migration: what was open is with the provider, and its capture is booked."""
    folder = tmp_path_factory.mktemp("older")
    steps = postgres.all_migrations("payment", Path(payment.__file__).parent)
    older = [step for step in steps if (step.origin, step.number) != ("payment", 2)]
    async with EmbeddedPostgres(folder, port=ports.choose()["database"]) as server:
        url = await server.create_database("payment", role="payment", password="payment")
        await postgres.migrate(url, older)
        database = await Database.connect(url, size=4, service="payment")
        async with database.reading() as connection:
            await connection.execute(
                OLD_ATTEMPT, INVOICE_ID, PAYMENT_ID, ORDER_ID, NOW, NOW + LIFETIME
            )
        assert await postgres.migrate(url, steps) == ["payment/0002_keep_moves_and_questions"]

        till = Till(database)
        with pytest.raises(InProgressError):
            await till.start()
        assert (await till.start(key="k")).payment_id == PAYMENT_ID
        await till.tell(ORDER_ID)

        assert [41_00] == [event.amount_cents for event in await till.captured()]
        await database.close()
