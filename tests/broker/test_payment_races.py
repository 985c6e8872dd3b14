"""Payers, notices, questions, the clock and crashes at the same moment, on a real PostgreSQL."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from payment import parity
from payment.domain import MOVES, Attempt, AttemptState, Notice, NotPayableError, Reason
from payment.domain.commands import Command
from payment.domain.ladder import LADDER
from payment.domain.parity import Difference, Finding, TheirLine
from payment.handlers.abandon_payment import abandon_payment, come_back
from payment.handlers.act_for_agent import CommandRefusedError, act_for_agent
from payment.handlers.ask_provider import Rescue
from payment.handlers.close_expired import close_expired
from payment.handlers.compare_statement import compare_statement, keep_statement
from payment.handlers.start_payment import InProgressError, TwinRunningError
from payment.handlers.take_notice import take_notice
from payment.ports import Handover, Nudge, Order, ProviderUnavailableError, Question
from payment.store.unit import PostgresUnit
from shared.clock import paris_date
from shared.errors import DomainError
from shared.events import PaymentReversed
from shared.postgres import Database
from tests.broker.payment_till import EMPTY, Till, payment_database
from tests.unit.payment.payment_builders import (
    INVOICE_ID,
    LIFETIME,
    NOW,
    OTHER_TRANSACTION,
    TRANSACTION,
    a_notice,
)
from tests.unit.payment.payment_fakes import RAW, RULES, FakeProvider, FakeProviders, FakeUnits

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="module")]

ASKABLE = msgspec.structs.replace(RULES, can_be_asked=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Database]:
    """Return a database of payment's own, migrated as the service does it."""
    async with payment_database(tmp_path_factory.mktemp("races")) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def till(database: Database) -> Till:
    """Return an empty till on PostgreSQL with one invoice of 41,00 €."""
    async with database.reading() as connection:
        await connection.execute(EMPTY)
    made = Till(database)
    await made.publish()
    return made


class Bank(FakeProvider):
    """A provider that can be asked and knows the truth of each order."""

    def __init__(self) -> None:
        super().__init__(FakeUnits(), rules=ASKABLE)
        self.paid: dict[str, int] = {}
        self.is_down = False
        self.prepared = 0
        self.dies_after_preparing = False

    async def prepare(self, order: Order) -> Handover:
        await asyncio.sleep(0)
        if self.is_down:
            message = "down"
            raise ProviderUnavailableError(message)
        self.prepared += 1
        handover = await super().prepare(order)
        return msgspec.structs.replace(handover, provider_number=uuid4().hex)

    async def ask(self, question: Question) -> Notice | None:
        await asyncio.sleep(0)
        if self.is_down:
            message = "down"
            raise ProviderUnavailableError(message)
        order_id = question.order_id
        if order_id not in self.paid:
            return None
        return a_notice(
            order_id=order_id,
            fact=f"{order_id}/paid",
            amount_cents=self.paid[order_id],
            provider_reference=f"op-{order_id}",
        )


class Office:
    """A till whose provider can be asked."""

    def __init__(self, till: Till) -> None:
        self.till = till
        self.bank = Bank()
        till.providers = FakeProviders(self.bank)
        self.rescue = Rescue(till.open, till.providers, till.clock)

    async def ask(self) -> int:
        """Ask whatever is due."""
        polls = await self.rescue.claim(50)
        await self.rescue.perform(polls)
        return len(polls)

    async def notify(self, attempt: Attempt) -> None:
        """Let the provider tell that an order is paid."""
        self.bank.notice = a_notice(
            order_id=attempt.order_id,
            fact=f"{attempt.order_id}/paid",
            amount_cents=attempt.amount_cents,
            provider_reference=f"op-{attempt.order_id}",
        )
        await take_notice(RAW, self.bank, self.till.open, self.till.clock)

    async def states(self) -> list[str]:
        rows = await self.till.rows("SELECT state FROM attempt ORDER BY started_at, payment_id")
        return [row["state"] for row in rows]


async def test_two_people_who_pay_one_invoice_at_the_same_second(till: Till) -> None:
    """L8, D15: one is led to the provider, the other is told who holds it; one capture."""
    for number in range(20):
        invoice_id = UUID(int=number + 100)
        await till.publish(invoice_id)

        results = await asyncio.gather(
            till.start(invoice_id), till.start(invoice_id), return_exceptions=True
        )

        [opened] = [result for result in results if isinstance(result, Attempt)]
        [held] = [result for result in results if isinstance(result, InProgressError)]
        assert held.attempt.payment_id == opened.payment_id
        await till.tell(opened.order_id, trans_uuid=f"{number:032d}")
        with pytest.raises(NotPayableError) as raised:
            await till.start(invoice_id)
        assert raised.value.reason is Reason.ALREADY_PAID

    assert len(await till.captured()) == 20


async def test_who_pays_an_attempt_that_was_given_up_leaves_a_credit(till: Till) -> None:
    """Both are booked, at the same moment; the books see 41,00 € too much."""
    first = await till.start()
    await abandon_payment(first.payment_id, till.open, till.clock)
    second = await till.start()

    await asyncio.gather(
        till.tell(first.order_id, trans_uuid=TRANSACTION),
        till.tell(second.order_id, trans_uuid=OTHER_TRANSACTION),
    )

    assert {first.payment_id, second.payment_id} == {
        event.payment_id for event in await till.captured()
    }
    async with till.open() as unit:
        [invoice] = await unit.invoices.read([INVOICE_ID])
    assert (82_00, 0) == (invoice.captured_cents, invoice.outstanding_cents)


async def test_a_hundred_posts_under_one_header_are_one_payment(till: Till) -> None:
    """P10: 1 created, 99 replays or told that it is in progress."""
    office = Office(till)

    results = await asyncio.gather(
        *(till.start(key="k", is_replay_exact=True) for _ in range(100)), return_exceptions=True
    )

    assert {Attempt, TwinRunningError} >= {type(result) for result in results}
    assert len({one.payment_id for one in results if isinstance(one, Attempt)}) == 1
    assert office.bank.prepared == 1
    assert await office.states() == ["redirected"]


async def test_nothing_paid_expires_whoever_comes_first(till: Till) -> None:
    """P12: the clock, a notice, a question, the payer and another payer, in every order."""
    office, chance = Office(till), random.Random(12)
    orders = []
    for number in range(100):
        invoice_id = UUID(int=number + 1000)
        await till.publish(invoice_id)
        attempt = await till.start(invoice_id)
        orders.append(attempt)
        office.bank.paid[attempt.order_id] = attempt.amount_cents
    till.clock.advance(LIFETIME + timedelta(seconds=1))

    async def act(attempt: Attempt) -> None:
        deeds: list[Callable[[], Awaitable[object]]] = [
            lambda: close_expired(till.open, till.clock),
            office.ask,
            lambda: office.notify(attempt),
            lambda: abandon_payment(attempt.payment_id, till.open, till.clock),
            lambda: come_back(attempt.payment_id, till.open, till.clock),
            lambda: till.start(attempt.allocations[0].invoice_id),
        ]
        chance.shuffle(deeds)
        results = await asyncio.gather(
            *(deed() for deed in deeds[: chance.randint(2, 6)]), return_exceptions=True
        )
        for result in results:
            assert not isinstance(result, Exception) or isinstance(result, DomainError)

    for attempt in orders:
        await act(attempt)
    while await office.ask():
        pass

    by_order = {
        row["order_id"]: row["state"]
        for row in await till.rows("SELECT order_id, state FROM attempt")
    }
    assert {by_order[attempt.order_id] for attempt in orders} == {"captured"}
    assert len(await till.captured()) == 100
    assert await till.rows("SELECT 1 FROM attempt_move WHERE target = 'expired'") == []
    for row in await till.rows("SELECT source, target FROM attempt_move WHERE source <> ''"):
        assert AttemptState(row["target"]) in MOVES[AttemptState(row["source"])]


async def test_a_crash_between_the_providers_answer_and_our_note_of_it(till: Till) -> None:
    """P13: the attempt stands, holds the invoice, is asked about, and a payment is booked."""
    office = Office(till)
    opened = till.open
    calls = 0

    @asynccontextmanager
    async def dying() -> AsyncIterator[PostgresUnit]:
        nonlocal calls
        calls += 1
        if calls == 2:
            message = "killed"
            raise KeyboardInterrupt(message)
        async with opened() as unit:
            yield unit

    till.open = dying  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        await till.start(key="k")
    till.open = opened  # type: ignore[method-assign]
    assert await office.states() == ["created"]
    with pytest.raises(InProgressError):
        await till.start()

    [row] = await till.rows("SELECT order_id FROM attempt")
    office.bank.paid[row["order_id"]] = 41_00
    till.clock.advance(LADDER[0])
    assert await office.ask() == 1

    assert await office.states() == ["captured"]
    assert [41_00] == [event.amount_cents for event in await till.captured()]


async def test_the_truth_is_known_soon_after_an_outage(till: Till) -> None:
    """P13: 50 orders whose end was cut off: each as the provider has it, within 15 minutes."""
    office = Office(till)
    orders = []
    for number in range(50):
        invoice_id = UUID(int=number + 2000)
        await till.publish(invoice_id)
        attempt = await till.start(invoice_id)
        orders.append(attempt)
        if number % 2:
            office.bank.paid[attempt.order_id] = attempt.amount_cents
    office.bank.is_down = True
    for _ in range(30):
        till.clock.advance(timedelta(minutes=7))
        await asyncio.gather(office.ask(), office.ask(), close_expired(till.open, till.clock))
    assert set(await office.states()) == {"redirected"}

    office.bank.is_down = False
    for _ in range(3):
        till.clock.advance(timedelta(minutes=5))
        await asyncio.gather(office.ask(), office.ask())

    by_order = {
        row["order_id"]: row["state"]
        for row in await till.rows("SELECT order_id, state FROM attempt")
    }
    for attempt in orders:
        is_paid = attempt.order_id in office.bank.paid
        assert by_order[attempt.order_id] == ("captured" if is_paid else "expired")
    assert len(await till.captured()) == 25
    lines = [
        TheirLine(
            order=order_id,
            reference=f"op-{order_id}",
            state="captured",
            amount_cents=cents,
            at=till.clock.now(),
        )
        for order_id, cents in office.bank.paid.items()
    ]
    account, day = "saint-aubin-carte", paris_date(till.clock.now())
    await keep_statement(account, lines, till.open)
    assert await compare_statement(account, day, day, till.open) == []


async def test_fifty_nudges_at_once_ask_once(till: Till) -> None:
    """W17: whoever nudges, the notice's answer waits for no question."""
    office = Office(till)
    attempt = await till.start()
    office.bank.notice = Nudge(reference=attempt.reference)

    await asyncio.gather(*(take_notice(RAW, office.bank, till.open, till.clock) for _ in range(50)))

    assert office.bank.questions == []
    assert [1, 0] == [await office.ask(), await office.ask()]
    assert len(await till.rows("SELECT 1 FROM notice WHERE outcome = 'asked'")) == 1


async def test_refunds_at_once_never_give_back_more_than_was_taken(till: Till) -> None:
    """W16: ten agents give 10,00 € of 41,00 € back; four succeed."""
    attempt = await till.start()
    await till.tell(attempt.order_id)

    async def back(number: int) -> Attempt | None:
        command = Command(agent="a", state="reversed", reference=f"r-{number}", amount_cents=10_00)
        return await act_for_agent(attempt.payment_id, command, till.open, till.clock)

    results = await asyncio.gather(*(back(number) for number in range(10)), return_exceptions=True)

    refused = [result for result in results if isinstance(result, CommandRefusedError)]
    assert len(refused) == 6
    assert [10_00] * 4 == [event.amount_cents for event in await till.told(PaymentReversed)]
    async with till.open() as unit:
        [invoice] = await unit.invoices.read([INVOICE_ID])
    assert (1_00, 40_00) == (invoice.captured_cents, invoice.outstanding_cents)


async def test_a_refund_told_by_many_at_once_goes_back_once(till: Till) -> None:
    """The operation's own name is what counts."""
    attempt = await till.start()
    await till.tell(attempt.order_id)
    command = Command(agent="a", state="reversed", reference="r", cause="chargeback")

    await asyncio.gather(
        *(act_for_agent(attempt.payment_id, command, till.open, till.clock) for _ in range(20))
    )

    [event] = await till.told(PaymentReversed)
    assert (41_00, "chargeback") == (event.amount_cents, event.cause)
    assert (await till.rows("SELECT state FROM attempt"))[0]["state"] == "reversed"


async def test_the_database_itself_refuses_to_give_back_too_much(till: Till) -> None:
    """Should a rule be forgotten one day, the check still holds."""
    attempt = await till.start()
    await till.tell(attempt.order_id)

    with pytest.raises(asyncpg.CheckViolationError):
        await till.rows("UPDATE attempt SET returned_cents = 4101")

    [row] = await till.rows("SELECT returned_cents FROM attempt")
    assert row["returned_cents"] == 0


async def test_the_command_compares_with_the_providers_own_file(till: Till) -> None:
    """Empty when equal; the same file again changes nothing."""
    attempt = await till.start()
    await till.tell(attempt.order_id)
    day = paris_date(NOW)
    heading = "order_id;trans_uuid;amount;status;created_at"
    ours = f"{attempt.order_id};{TRANSACTION};4100;CAPTURED;{NOW.isoformat()}"
    theirs = f"STRANGER;{OTHER_TRANSACTION};900;CAPTURED;{NOW.isoformat()}"

    async def differences(*lines: str) -> list[Finding]:
        content = "\n".join((heading, *lines)).encode()
        return await parity.compare(till.database.url, content, "saint-aubin-carte", day, day)

    assert await differences(ours) == []
    assert await differences(ours) == []
    [finding] = await differences(ours, theirs)
    assert (Difference.MISSING_HERE, "STRANGER", 9_00) == (
        finding.difference,
        finding.order,
        finding.theirs_cents,
    )
