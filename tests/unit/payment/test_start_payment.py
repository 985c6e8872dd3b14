"""A payer starts: once for each invoice, for what is owed, and never inside a transaction."""

from datetime import timedelta
from uuid import UUID

import msgspec
import pytest

from payment.domain import (
    AttemptState,
    FoundBy,
    NotPayableError,
    PartialPayment,
    Reason,
    Terms,
)
from payment.domain.baskets import AmountRefusedError
from payment.handlers.quote_payment import UnknownInvoiceError
from payment.handlers.start_payment import (
    Demand,
    EmailNeededError,
    GivenUpError,
    InProgressError,
    KeyReusedError,
    NumberTakenError,
    TwinRunningError,
    start_payment,
)
from payment.ports import (
    Handover,
    Order,
    PaymentForm,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from shared.clock import FixedClock
from tests.unit.payment.payment_builders import (
    INVOICE_ID,
    LIFETIME,
    NOW,
    OTHER_INVOICE_ID,
    a_published_invoice,
    a_withdrawal,
)
from tests.unit.payment.payment_fakes import (
    RULES,
    UNAVAILABLE,
    FakeProvider,
    FakeProviders,
    FakeUnits,
)


class Till:
    """Payment as a payer meets it, with the canteen's invoice published."""

    def __init__(self) -> None:
        self.units = FakeUnits()
        self.provider = FakeProvider(self.units)
        self.providers = FakeProviders(self.provider)
        self.clock = FixedClock(NOW)

    async def publish(self, **changes: object) -> None:
        async with self.units.open() as unit:
            await unit.invoices.keep([a_published_invoice(**changes)])

    async def withdraw(self, **changes: object) -> None:
        async with self.units.open() as unit:
            await unit.invoices.withdraw([a_withdrawal(**changes)])

    async def start(
        self,
        *invoice_ids: UUID,
        key: str | None = None,
        is_replay_exact: bool = False,
        **changes: object,
    ) -> tuple[UUID, PaymentForm]:
        demand = Demand(
            invoice_ids=invoice_ids or (INVOICE_ID,),
            return_url="https://portail.example/retour",
            idempotency_key=key,
            is_replay_exact=is_replay_exact,
        )
        attempt, form = await start_payment(
            msgspec.structs.replace(demand, **changes),
            self.units.open,
            self.providers,
            self.clock,
            LIFETIME,
            twin_waits=(),
        )
        return attempt.payment_id, form

    def state_of(self, payment_id: UUID) -> AttemptState:
        return self.units.memory.attempts[payment_id].state

    def states(self) -> list[AttemptState]:
        return [attempt.state for attempt in self.units.memory.attempts.values()]

    def end(self, payment_id: UUID, state: AttemptState) -> None:
        attempts = self.units.memory.attempts
        cents = attempts[payment_id].amount_cents if state is AttemptState.CAPTURED else None
        attempts[payment_id] = msgspec.structs.replace(
            attempts[payment_id], state=state, captured_cents=cents
        )


@pytest.fixture
async def till() -> Till:
    """Return a till with one invoice of 41,00 €."""
    made = Till()
    await made.publish()
    return made


async def test_opens_an_attempt_for_what_is_owed(till: Till) -> None:
    """The provider is asked for the sum that we computed, under a reference of ours."""
    payment_id, _ = await till.start()

    [attempt] = till.units.memory.attempts.values()
    [order] = till.provider.orders
    assert (payment_id, AttemptState.REDIRECTED, 41_00) == (
        attempt.payment_id,
        attempt.state,
        attempt.amount_cents,
    )
    assert (attempt.order_id, 41_00) == (order.order_id, order.amount_cents)
    assert NOW + timedelta(minutes=20) == attempt.expires_at
    assert till.units.published == []


async def test_never_speaks_to_the_provider_within_a_transaction(till: Till) -> None:
    """No lock is held while something outside is slow."""
    await till.start()

    assert till.provider.orders
    assert not till.provider.was_asked_in_a_transaction


async def test_pays_several_invoices_of_one_account_at_once(till: Till) -> None:
    """A basket is one order, with an allocation for each invoice."""
    await till.publish(invoice_id=OTHER_INVOICE_ID, number="2026-0043", amount_cents=9_00)

    payment_id, _ = await till.start(INVOICE_ID, OTHER_INVOICE_ID)

    attempt = till.units.memory.attempts[payment_id]
    assert [41_00, 9_00] == [part.amount_cents for part in attempt.allocations]
    assert till.provider.orders[0].amount_cents == 50_00


async def test_refuses_a_second_attempt_while_one_is_open(till: Till) -> None:
    """L8: the refusal names the open one, and nothing new is kept."""
    payment_id, _ = await till.start()

    with pytest.raises(InProgressError) as raised:
        await till.start()

    assert payment_id == raised.value.attempt.payment_id
    assert [payment_id] == list(till.units.memory.attempts)


async def test_one_open_invoice_holds_up_its_whole_basket(till: Till) -> None:
    """The other invoice stays free to be paid alone."""
    await till.publish(invoice_id=OTHER_INVOICE_ID, number="2026-0043")
    await till.start(INVOICE_ID)

    with pytest.raises(InProgressError):
        await till.start(INVOICE_ID, OTHER_INVOICE_ID)

    payment_id, _ = await till.start(OTHER_INVOICE_ID)
    assert till.state_of(payment_id) is AttemptState.REDIRECTED


async def test_closes_an_attempt_past_its_time_and_goes_on(till: Till) -> None:
    """A payer need not wait for the clock's own round."""
    first, _ = await till.start()
    till.clock.advance(LIFETIME)

    second, _ = await till.start()

    assert till.state_of(first) is AttemptState.EXPIRED
    assert till.state_of(second) is AttemptState.REDIRECTED


async def test_the_same_key_gives_the_same_attempt_and_form(till: Till) -> None:
    """P10: a repeated click changes nothing and leads to the same page."""
    first = await till.start(key="k")

    assert first == await till.start(key="k")
    assert len(till.units.memory.attempts) == 1


async def test_a_key_of_other_invoices_is_refused(till: Till) -> None:
    """P10: another body under one key is an error, never somebody else's form."""
    await till.publish(invoice_id=OTHER_INVOICE_ID, number="2026-0043")
    await till.start(INVOICE_ID, key="k")

    with pytest.raises(KeyReusedError):
        await till.start(OTHER_INVOICE_ID, key="k")

    assert len(till.units.memory.attempts) == 1


@pytest.mark.parametrize(
    "state", [AttemptState.REFUSED, AttemptState.ABANDONED, AttemptState.EXPIRED]
)
async def test_a_key_whose_attempt_came_to_nothing_opens_a_new_one(
    till: Till, state: AttemptState
) -> None:
    """The provider takes no form twice: the old one would lead the payer to an error."""
    first, first_form = await till.start(key="k")
    till.end(first, state)

    second, second_form = await till.start(key="k")

    assert first != second
    assert first_form != second_form
    assert (second, second_form) == await till.start(key="k")


async def test_a_key_whose_attempt_is_past_its_time_opens_a_new_one(till: Till) -> None:
    """Also when nothing has closed the old one yet."""
    first, _ = await till.start(key="k")
    till.clock.advance(LIFETIME)

    second, _ = await till.start(key="k")

    assert first != second
    assert till.state_of(first) is AttemptState.EXPIRED


async def test_a_key_whose_payment_went_through_pays_no_second_time(till: Till) -> None:
    """The invoice says it: nothing is owed."""
    payment_id, _ = await till.start(key="k")
    till.end(payment_id, AttemptState.CAPTURED)

    with pytest.raises(NotPayableError) as raised:
        await till.start(key="k")

    assert raised.value.reason is Reason.ALREADY_PAID

    assert len(till.units.memory.attempts) == 1


async def test_refuses_an_invoice_that_is_not_known(till: Till) -> None:
    """Neither one that was never published, nor one of which only the withdrawal came."""
    await till.withdraw(invoice_id=OTHER_INVOICE_ID)

    for unknown in (UUID(int=7), OTHER_INVOICE_ID):
        with pytest.raises(UnknownInvoiceError):
            await till.start(INVOICE_ID, unknown)

    assert till.units.memory.attempts == {}
    assert till.provider.orders == []


async def test_refuses_a_withdrawn_invoice_in_whatever_order_the_events_came() -> None:
    """Topics are not ordered against each other."""
    till = Till()
    await till.withdraw()
    await till.publish()

    with pytest.raises(NotPayableError) as raised:
        await till.start()

    assert raised.value.reason is Reason.WITHDRAWN


async def test_asks_for_the_sum_of_the_highest_version(till: Till) -> None:
    """A lower version that comes late replaces nothing."""
    await till.publish(version=3, amount_cents=50_00)
    await till.publish(version=2, amount_cents=10_00)

    await till.start()

    assert till.provider.orders[0].amount_cents == 50_00


async def test_refuses_a_basket_whose_regies_are_paid_apart(till: Till) -> None:
    """One payment goes to one account."""
    await till.publish(invoice_id=OTHER_INVOICE_ID, number="1", regie="CRECHE")
    till.providers = FakeProviders(till.provider, {"CRECHE": FakeProvider(till.units, "creche")})

    with pytest.raises(NotPayableError) as raised:
        await till.start(INVOICE_ID, OTHER_INVOICE_ID)

    assert raised.value.reason is Reason.DIFFERENT_ACCOUNTS
    assert till.states() == []


async def test_refuses_a_regie_that_has_no_account(till: Till) -> None:
    """A plain sentence, not a failure."""
    till.providers = FakeProviders(till.provider, {"CANTINE": None})

    with pytest.raises(NotPayableError, match="payée en ligne"):
        await till.start()


async def test_draws_again_when_the_providers_number_was_used_that_day(till: Till) -> None:
    """Lyra refuses a number twice in one day; five draws that all fail are put off."""
    till.units.memory.numbers = {("saint-aubin-carte", NOW.date(), "000001")}
    _, form = await till.start()
    assert form.fields == {"number": "000002"}

    other = Till()
    await other.publish()
    other.units.memory.numbers = {
        ("saint-aubin-carte", NOW.date(), f"{number:06d}") for number in range(1, 6)
    }
    with pytest.raises(NumberTakenError):
        await other.start()
    assert other.states() == [AttemptState.ABANDONED]


async def test_an_attempt_is_kept_before_its_provider_is_called(till: Till) -> None:
    """P13: a process that dies in between leaves a trace, and holds the invoice."""
    seen: list[AttemptState] = []

    class Looking(FakeProvider):
        async def prepare(self, order: Order) -> Handover:
            seen.extend(till.states())
            return await super().prepare(order)

    till.provider = Looking(till.units)
    till.providers = FakeProviders(till.provider)

    payment_id, _ = await till.start()

    assert [AttemptState.CREATED] == seen
    assert [
        (None, AttemptState.CREATED, FoundBy.START),
        (AttemptState.CREATED, AttemptState.REDIRECTED, FoundBy.START),
    ] == [(move.source, move.target, move.found_by) for move in till.units.memory.moves[payment_id]]


@pytest.mark.parametrize(
    ("failure", "state"),
    [
        (ProviderRefusedError("A2", "Adresse incorrecte."), AttemptState.REFUSED),
        (UNAVAILABLE, AttemptState.ABANDONED),
        (TimeoutError(), AttemptState.ABANDONED),
    ],
)
async def test_a_provider_that_prepares_nothing_frees_the_invoice_and_the_key(
    till: Till, failure: Exception, state: AttemptState
) -> None:
    """Nobody was given the way there: the payer may start again at once, under the same key."""
    till.provider.failure = failure
    with pytest.raises((ProviderRefusedError, ProviderUnavailableError)):
        await till.start(key="k")
    assert [state] == till.states()

    till.provider.failure = None
    payment_id, _ = await till.start(key="k")

    assert till.state_of(payment_id) is AttemptState.REDIRECTED


async def test_asks_about_what_may_exist_over_there(till: Till) -> None:
    """P13: its answer was lost, so the first question stays planned."""
    till.provider.rules = msgspec.structs.replace(RULES, can_be_asked=True)
    till.provider.failure = UNAVAILABLE

    with pytest.raises(ProviderUnavailableError):
        await till.start()

    [planned] = till.units.memory.polls.values()
    assert planned.next_at == NOW + timedelta(minutes=2)


async def test_a_crash_while_preparing_is_healed_by_who_starts_next(till: Till) -> None:
    """The attempt of a dead process holds the invoice for a minute, not for ever."""
    till.provider.failure = KeyboardInterrupt()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        await till.start(key="k")
    till.provider.failure = None

    with pytest.raises(TwinRunningError):
        await till.start(key="k")
    with pytest.raises(InProgressError):
        await till.start(key="other")
    till.clock.advance(timedelta(minutes=1))
    payment_id, _ = await till.start(key="k")

    assert [AttemptState.ABANDONED, AttemptState.REDIRECTED] == till.states()
    assert till.state_of(payment_id) is AttemptState.REDIRECTED


async def test_who_gives_up_while_it_is_prepared_is_not_led_away(till: Till) -> None:
    """The form of an abandoned attempt is thrown away."""

    class Slow(FakeProvider):
        async def prepare(self, order: Order) -> Handover:
            [payment_id] = till.units.memory.attempts
            till.end(payment_id, AttemptState.ABANDONED)
            return await super().prepare(order)

    till.providers = FakeProviders(Slow(till.units))

    with pytest.raises(GivenUpError):
        await till.start()

    assert [AttemptState.ABANDONED] == till.states()


async def test_an_exact_replay_gives_the_first_result_whatever_became_of_it(till: Till) -> None:
    """P10: Idempotency-Key, for 24 hours."""
    first = await till.start(key="k", is_replay_exact=True)
    till.end(first[0], AttemptState.REFUSED)

    assert first == await till.start(key="k", is_replay_exact=True)
    till.clock.advance(timedelta(hours=24))
    assert first != await till.start(key="k", is_replay_exact=True)


async def test_an_exact_replay_of_another_body_is_refused(till: Till) -> None:
    """P10: also where only the address of the return differs."""
    await till.start(key="k", is_replay_exact=True)

    with pytest.raises(KeyReusedError):
        await till.start(key="k", is_replay_exact=True, return_url="https://autre.example/")

    assert len(till.states()) == 1


async def test_an_attempt_past_its_time_is_asked_about_before_another_starts(till: Till) -> None:
    """P12: its provider may have taken the money; the question is put at once."""
    till.provider.rules = msgspec.structs.replace(RULES, can_be_asked=True)
    payment_id, _ = await till.start()
    till.clock.advance(LIFETIME)

    with pytest.raises(InProgressError):
        await till.start()

    assert till.state_of(payment_id) is AttemptState.REDIRECTED
    assert till.units.memory.polls[payment_id].next_at == NOW + timedelta(minutes=2)


async def test_pays_a_part_where_the_authority_allows_it(till: Till) -> None:
    """D7: the payer's own sum, and never less than the floor."""
    with pytest.raises(AmountRefusedError) as refused:
        await till.start(amount_cents=10_00)
    assert refused.value.code == "partial-not-allowed"

    partial = PartialPayment(allowed=True, minimum_cents=5_00)
    till.providers = FakeProviders(till.provider, terms=Terms(partial=partial))
    payment_id, _ = await till.start(amount_cents=10_00)

    assert till.units.memory.attempts[payment_id].amount_cents == 10_00


async def test_asks_for_an_address_where_the_provider_wants_one(till: Till) -> None:
    """PayFiP refuses an order without one."""
    till.provider.rules = msgspec.structs.replace(RULES, needs_email=True)

    with pytest.raises(EmailNeededError):
        await till.start()

    assert till.states() == []
