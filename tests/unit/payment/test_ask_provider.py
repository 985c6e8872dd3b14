"""Attempts whose end is not known are asked about, on a ladder, until the provider says it."""

from datetime import timedelta

import msgspec
import pytest
from prometheus_client import REGISTRY

from payment.domain import AttemptState, FoundBy, Notice
from payment.domain.commands import Command
from payment.domain.ladder import LADDER, next_question
from payment.handlers.abandon_payment import abandon_payment, come_back
from payment.handlers.act_for_agent import CommandRefusedError, act_for_agent
from payment.handlers.ask_provider import Rescue
from payment.handlers.close_expired import close_expired
from payment.ports import ProviderRefusedError
from shared.clock import FixedClock
from shared.events import PaymentCaptured, PaymentReversed
from tests.unit.payment.payment_builders import (
    LIFETIME,
    NOW,
    PAYMENT_ID,
    TRANSACTION,
    a_captured_attempt,
    a_notice,
    an_attempt,
)
from tests.unit.payment.payment_fakes import (
    RULES,
    UNAVAILABLE,
    FakeProvider,
    FakeProviders,
    FakeUnits,
    Planned,
)

ASKABLE = msgspec.structs.replace(RULES, can_be_asked=True)


class Office:
    """One attempt that is asked about, and a clock."""

    def __init__(self, **changes: object) -> None:
        self.units = FakeUnits()
        self.clock = FixedClock(NOW)
        self.provider = FakeProvider(self.units, rules=ASKABLE)
        attempt = msgspec.structs.replace(an_attempt(reference="idop-1"), **changes)
        self.units.memory.attempts[PAYMENT_ID] = attempt
        self.units.memory.polls[PAYMENT_ID] = Planned(next_at=NOW + LADDER[0])
        self.rescue = Rescue(self.units.open, FakeProviders(self.provider), self.clock)

    def state(self) -> AttemptState:
        return self.units.memory.attempts[PAYMENT_ID].state

    @property
    def planned(self) -> Planned:
        return self.units.memory.polls[PAYMENT_ID]

    async def wait(self, delta: timedelta) -> int:
        """Let time pass and ask what is due."""
        self.clock.advance(delta)
        polls = await self.rescue.claim(10)
        await self.rescue.perform(polls)
        return len(polls)


def test_the_ladder_is_the_one_that_was_decided() -> None:
    """D17: 2, 5, 10, 20, 40 minutes, hourly to a day, daily to 30 days."""
    minutes = [2, 5, 10, 20, 40, *(60 * hours for hours in range(1, 25))]
    days = [24 * 60 * days for days in range(2, 31)]

    assert [timedelta(minutes=age) for age in minutes + days] == list(LADDER)
    assert next_question(NOW, NOW + timedelta(days=30)) is None


async def test_asks_at_each_rung_and_outside_any_transaction() -> None:
    """D17: whoever nudges in between, the ladder goes by the age of the attempt."""
    office = Office(expires_at=NOW + timedelta(days=60))
    asked = []

    while office.planned.next_at is not None:
        assert await office.wait(office.planned.next_at - office.clock.now()) == 1
        asked.append(office.clock.now() - NOW)

    assert list(LADDER) == asked
    assert [*range(len(LADDER))] == [one.asked_count for one in office.provider.questions]
    assert not office.provider.was_asked_in_a_transaction


async def test_books_what_a_lost_notice_would_have_told() -> None:
    """P13: through the same path, once, and nothing is asked any more."""
    office = Office()
    office.provider.answer = a_notice()

    await office.wait(LADDER[0])
    await office.wait(timedelta(days=30))

    assert office.state() is AttemptState.CAPTURED
    [event] = office.units.published
    assert isinstance(event, PaymentCaptured)
    assert (None, False) == (office.planned.next_at, office.planned.needs_people)
    assert [FoundBy.POLL] == [move.found_by for move in office.units.memory.moves[PAYMENT_ID]]
    assert len(office.provider.questions) == 1


async def test_two_workers_do_not_ask_the_same_question() -> None:
    """A claim holds until its lease ends."""
    office = Office()
    office.clock.advance(LADDER[0])

    first, second = await office.rescue.claim(10), await office.rescue.claim(10)
    office.clock.advance(timedelta(minutes=2))
    third = await office.rescue.claim(10)

    assert [1, 0, 1] == [len(first), len(second), len(third)]


async def test_an_attempt_past_its_time_is_asked_about_before_it_expires() -> None:
    """P12: 0 expired while the provider says paid."""
    paid, unpaid = Office(), Office()
    paid.provider.answer = a_notice()

    for office in (paid, unpaid):
        office.clock.advance(2 * LIFETIME)
        assert await close_expired(office.units.open, office.clock) == 0
        await office.wait(timedelta(0))

    assert (AttemptState.CAPTURED, AttemptState.EXPIRED) == (paid.state(), unpaid.state())
    # It is asked about further on: a late success is booked.
    assert unpaid.planned.next_at == NOW + timedelta(hours=1)
    unpaid.provider.answer = a_notice()
    await unpaid.wait(timedelta(hours=1))
    assert unpaid.state() is AttemptState.CAPTURED


async def test_an_outage_expires_nothing_and_is_over_within_ten_minutes() -> None:
    """P12, P13: who does not answer has not said that nothing was paid."""
    office = Office()
    office.provider.answer = UNAVAILABLE
    for _ in range(20):
        await office.wait(timedelta(minutes=10))
    assert office.state() is AttemptState.REDIRECTED
    assert office.planned.last_error == "no answer in time"

    office.provider.answer = a_notice()
    await office.wait(timedelta(minutes=10))

    assert office.state() is AttemptState.CAPTURED


async def test_what_is_unclear_after_a_day_waits_for_people() -> None:
    """P13: with a visible count, and is asked about all the same."""
    office = Office()
    office.provider.answer = a_notice(state=None)
    await office.wait(timedelta(hours=23))
    assert await _unclear(office) == 0

    await office.wait(timedelta(hours=1))

    assert await _unclear(office) == 1
    assert office.state() is AttemptState.PENDING
    office.provider.answer = a_notice(fact="known at last")
    await office.wait(timedelta(days=1))
    assert await _unclear(office) == 0


async def _unclear(office: Office) -> float | None:
    await office.rescue.count_unclear()
    return REGISTRY.get_sample_value("quittance_people_queue", {"kind": "attempt"})


async def test_a_question_that_is_refused_for_good_is_for_people() -> None:
    """W20: nobody guesses."""
    office = Office()
    office.provider.answer = ProviderRefusedError("T2", "Contrat inconnu.")

    await office.wait(LADDER[0])

    assert (None, True, "T2: Contrat inconnu.") == (
        office.planned.next_at,
        office.planned.needs_people,
        office.planned.last_error,
    )


async def test_an_account_that_is_gone_leaves_its_attempts_to_people() -> None:
    """Nobody is left to ask."""
    office = Office()
    office.units.memory.attempts[PAYMENT_ID] = an_attempt(account="former")

    await office.wait(LADDER[0])

    assert (True, "no such account") == (
        office.planned.needs_people,
        office.planned.last_error,
    )


async def test_what_was_never_handed_over_needs_nobody() -> None:
    """The process died between the call and the note of it: nobody was given the way there."""
    office = Office(state=AttemptState.CREATED, reference="")
    office.provider.answer = ProviderRefusedError("P1", "Opération inconnue.")

    await office.wait(2 * LIFETIME)

    assert office.state() is AttemptState.ABANDONED
    assert (None, False) == (office.planned.next_at, office.planned.needs_people)


async def test_a_direct_debit_is_asked_about_until_it_is_final() -> None:
    """D17, W19: booked at once, daily to 30 days, and reversed when it comes back."""
    office = Office()
    office.provider.answer = a_notice(is_settled=False, means="direct_debit")
    await office.wait(LADDER[0])
    assert office.state() is AttemptState.CAPTURED
    for _ in range(5):
        await office.wait(timedelta(days=1))
    assert not office.planned.needs_people

    office.provider.answer = a_notice(state=AttemptState.REFUSED, fact="Z")
    await office.wait(timedelta(days=1))
    await office.wait(timedelta(days=1))

    assert office.state() is AttemptState.REVERSED
    captured, returned = office.units.published
    assert isinstance(captured, PaymentCaptured)
    assert isinstance(returned, PaymentReversed)
    assert (41_00, "chargeback") == (returned.amount_cents, returned.cause)


async def test_an_answer_about_another_debt_changes_nothing() -> None:
    """W18, S15: an operation of another invoice proves nothing of this one."""
    office = Office()
    office.provider.answer = a_notice(fields_differ=True)

    await office.wait(LADDER[0])

    assert office.state() is AttemptState.REDIRECTED
    assert office.units.published == []


async def test_the_payers_return_is_a_hint_and_asks_at_once() -> None:
    """S15: what the browser brings proves nothing."""
    office = Office()

    attempt = await come_back(PAYMENT_ID, office.units.open, office.clock)

    assert attempt is not None
    assert (AttemptState.PENDING, NOW) == (attempt.state, office.planned.next_at)
    assert office.units.published == []


async def test_who_gives_up_is_asked_about_and_a_late_success_is_booked() -> None:
    """The books show a credit if the invoice moved on."""
    office = Office()
    await abandon_payment(PAYMENT_ID, office.units.open, office.clock)
    office.provider.answer = a_notice()

    await office.wait(timedelta(0))

    assert office.state() is AttemptState.CAPTURED


async def test_nudges_do_not_make_us_ask_without_pause() -> None:
    """W17: five seconds between two questions about one attempt."""
    office = Office()
    await office.wait(LADDER[0])

    for _ in range(50):
        async with office.units.open() as unit:
            await unit.polls.hasten(PAYMENT_ID, office.clock.now())

    assert office.planned.next_at == office.clock.now() + timedelta(seconds=5)


def a_command(**changes: object) -> Command:
    """Return that an agent saw the payment in the back office."""
    command = Command(agent="a.martin", state="captured", reference=TRANSACTION)
    return msgspec.structs.replace(command, **changes)


async def test_an_agent_books_what_the_back_office_shows() -> None:
    """Once, through the path of every move, with the agent's name in the history."""
    office = Office()

    for _ in range(2):
        await act_for_agent(PAYMENT_ID, a_command(), office.units.open, office.clock)

    assert office.state() is AttemptState.CAPTURED
    assert len(office.units.published) == 1
    [move] = office.units.memory.moves[PAYMENT_ID]
    assert (FoundBy.AGENT, "a.martin") == (move.found_by, move.detail)
    assert office.planned.next_at is None


async def test_an_agent_gives_money_back_in_parts_and_never_too_much() -> None:
    """D13, W16: a refusal keeps nothing."""
    office = Office()
    office.units.memory.attempts[PAYMENT_ID] = a_captured_attempt()

    async def back(reference: str, cents: int | None) -> None:
        command = a_command(state="reversed", reference=reference, amount_cents=cents)
        await act_for_agent(PAYMENT_ID, command, office.units.open, office.clock)

    await back("r-1", 10_00)
    await back("r-1", 10_00)
    with pytest.raises(CommandRefusedError):
        await back("r-2", 31_01)
    assert len(office.units.memory.notices) == 1
    await back("r-3", None)

    assert office.state() is AttemptState.REVERSED
    assert [10_00, 31_00] == [
        event.amount_cents for event in office.units.published if isinstance(event, PaymentReversed)
    ]


async def test_an_agent_cannot_speak_of_what_does_not_exist() -> None:
    """The door answers 404."""
    units = FakeUnits()
    clock = FixedClock(NOW)

    assert await act_for_agent(PAYMENT_ID, a_command(), units.open, clock) is None
    assert await come_back(PAYMENT_ID, units.open, clock) is None


class Late(FakeProvider):
    """A provider that answers after something else has happened."""

    def __init__(self, office: Office) -> None:
        super().__init__(office.units, rules=ASKABLE)
        self._office = office

    async def ask(self, question: object) -> Notice | None:
        attempts = self._office.units.memory.attempts
        attempts[PAYMENT_ID] = a_captured_attempt(reference="idop-1")
        return None


async def test_a_notice_that_comes_while_the_provider_is_asked_is_kept() -> None:
    """The attempt is read again under its lock: no answer undoes a capture."""
    office = Office()
    office.rescue = Rescue(office.units.open, FakeProviders(Late(office)), office.clock)

    await office.wait(2 * LIFETIME)

    assert office.state() is AttemptState.CAPTURED
    assert office.planned.next_at is None
