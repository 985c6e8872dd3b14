"""A payer starts: once for each invoice, for what is owed, and never inside a transaction."""

from datetime import timedelta
from uuid import UUID

import msgspec
import pytest

from payment.domain import (
    AlreadyPaidError,
    AttemptState,
    DifferentAccountsError,
    NotPayableError,
    WithdrawnError,
)
from payment.handlers.start_payment import (
    Demand,
    InProgressError,
    KeyReusedError,
    NumberTakenError,
    UnknownInvoiceError,
    start_payment,
)
from payment.ports import Handover, Order, PaymentForm
from shared.clock import FixedClock
from tests.unit.payment.payment_builders import (
    INVOICE_ID,
    LIFETIME,
    NOW,
    OTHER_INVOICE_ID,
    FakeProvider,
    FakeProviders,
    FakeUnits,
    a_published_invoice,
    a_withdrawal,
)


class Till:
    """Payment as a payer meets it, with the canteen's invoice published."""

    def __init__(self) -> None:
        self.units = FakeUnits()
        self.provider = FakeProvider(self.units)
        self.providers = FakeProviders(self.provider)
        self.clock = FixedClock(NOW)

    async def publish(self, **changes: object) -> None:
        await self.units.payments.keep_invoices([a_published_invoice(**changes)])

    async def start(self, *invoice_ids: UUID, key: str | None = None) -> tuple[UUID, PaymentForm]:
        demand = Demand(
            invoice_ids=invoice_ids or (INVOICE_ID,),
            return_url="https://portail.example/retour",
            idempotency_key=key,
        )
        attempt, form = await start_payment(
            demand, self.units.open, self.providers, self.clock, LIFETIME
        )
        return attempt.payment_id, form

    def state_of(self, payment_id: UUID) -> AttemptState:
        return self.units.payments.attempts[payment_id].state

    def end(self, payment_id: UUID, state: AttemptState) -> None:
        attempts = self.units.payments.attempts
        attempts[payment_id] = msgspec.structs.replace(attempts[payment_id], state=state)


@pytest.fixture
async def till() -> Till:
    """Return a till with one invoice of 41,00 €."""
    made = Till()
    await made.publish()
    return made


async def test_opens_an_attempt_for_what_is_owed(till: Till) -> None:
    """The provider is asked for the sum that we computed, under a reference of ours."""
    payment_id, _ = await till.start()

    [attempt] = till.units.payments.attempts.values()
    [order] = till.provider.orders
    assert (payment_id, AttemptState.OPEN, 41_00) == (
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

    attempt = till.units.payments.attempts[payment_id]
    assert [41_00, 9_00] == [part.amount_cents for part in attempt.allocations]
    assert till.provider.orders[0].amount_cents == 50_00


async def test_refuses_a_second_attempt_while_one_is_open(till: Till) -> None:
    """L8: the refusal names the open one, and nothing new is kept."""
    payment_id, _ = await till.start()

    with pytest.raises(InProgressError) as raised:
        await till.start()

    assert payment_id == raised.value.attempt.payment_id
    assert [payment_id] == list(till.units.payments.attempts)


async def test_one_open_invoice_holds_up_its_whole_basket(till: Till) -> None:
    """The other invoice stays free to be paid alone."""
    await till.publish(invoice_id=OTHER_INVOICE_ID, number="2026-0043")
    await till.start(INVOICE_ID)

    with pytest.raises(InProgressError):
        await till.start(INVOICE_ID, OTHER_INVOICE_ID)

    payment_id, _ = await till.start(OTHER_INVOICE_ID)
    assert till.state_of(payment_id) is AttemptState.OPEN


async def test_closes_an_attempt_past_its_time_and_goes_on(till: Till) -> None:
    """A payer need not wait for the clock's own round."""
    first, _ = await till.start()
    till.clock.advance(LIFETIME)

    second, _ = await till.start()

    assert till.state_of(first) is AttemptState.EXPIRED
    assert till.state_of(second) is AttemptState.OPEN


async def test_the_same_key_gives_the_same_attempt_and_form(till: Till) -> None:
    """P10: a repeated click changes nothing and leads to the same page."""
    first = await till.start(key="k")

    assert first == await till.start(key="k")
    assert len(till.units.payments.attempts) == 1


async def test_a_key_of_other_invoices_is_refused(till: Till) -> None:
    """P10: another body under one key is an error, never somebody else's form."""
    await till.publish(invoice_id=OTHER_INVOICE_ID, number="2026-0043")
    await till.start(INVOICE_ID, key="k")

    with pytest.raises(KeyReusedError):
        await till.start(OTHER_INVOICE_ID, key="k")

    assert len(till.units.payments.attempts) == 1


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

    with pytest.raises(AlreadyPaidError):
        await till.start(key="k")

    assert len(till.units.payments.attempts) == 1


async def test_refuses_an_invoice_that_is_not_known(till: Till) -> None:
    """Neither one that was never published, nor one of which only the withdrawal came."""
    await till.units.payments.withdraw([a_withdrawal(invoice_id=OTHER_INVOICE_ID)])

    for unknown in (UUID(int=7), OTHER_INVOICE_ID):
        with pytest.raises(UnknownInvoiceError):
            await till.start(INVOICE_ID, unknown)

    assert till.units.payments.attempts == {}
    assert till.provider.orders == []


async def test_refuses_a_withdrawn_invoice_in_whatever_order_the_events_came() -> None:
    """Topics are not ordered against each other."""
    till = Till()
    await till.units.payments.withdraw([a_withdrawal()])
    await till.publish()

    with pytest.raises(WithdrawnError):
        await till.start()


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

    with pytest.raises(DifferentAccountsError):
        await till.start(INVOICE_ID, OTHER_INVOICE_ID)


async def test_refuses_a_regie_that_has_no_account(till: Till) -> None:
    """A plain sentence, not a failure."""
    till.providers = FakeProviders(till.provider, {"CANTINE": None})

    with pytest.raises(NotPayableError, match="paiement en ligne"):
        await till.start()


async def test_prepares_anew_when_the_sum_changed_meanwhile(till: Till) -> None:
    """A new version came while the form was made: the form of the old sum is thrown away."""

    class Interrupted(FakeProvider):
        async def prepare(self, order: Order) -> Handover:
            if not self.orders:
                await till.publish(version=2, amount_cents=30_00)
            return await super().prepare(order)

    till.provider = Interrupted(till.units)
    till.providers = FakeProviders(till.provider)

    payment_id, form = await till.start()

    assert till.units.payments.attempts[payment_id].amount_cents == 30_00
    assert [41_00, 30_00] == [order.amount_cents for order in till.provider.orders]
    assert form.fields == {"number": "000002"}


async def test_draws_again_when_the_providers_number_was_used_that_day(till: Till) -> None:
    """Lyra refuses a number twice in one day; five draws that all fail are put off."""
    till.units.payments.numbers = {("saint-aubin-carte", NOW.date(), "000001")}
    _, form = await till.start()
    assert form.fields == {"number": "000002"}

    other = Till()
    await other.publish()
    other.units.payments.numbers = {
        ("saint-aubin-carte", NOW.date(), f"{number:06d}") for number in range(1, 6)
    }
    with pytest.raises(NumberTakenError):
        await other.start()
    assert other.units.payments.attempts == {}
