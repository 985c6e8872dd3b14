"""What may be paid, and what a notice does to an attempt."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment.domain import (
    MOVES,
    AlreadyPaidError,
    Attempt,
    AttemptState,
    DifferentAccountsError,
    Notice,
    NotPayableError,
    PayableInvoice,
    WithdrawnError,
    allocate,
    captured_event,
    moved,
    new_order_id,
)

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)


def an_invoice(number: int = 1, **changes: object) -> PayableInvoice:
    content = {
        "invoice_id": UUID(int=number),
        "authority": "town",
        "regie": "R",
        "number": str(number),
        "version": 1,
        "kind": "invoice",
        "route": "regie",
        "amount_cents": 4100,
        "withdrawn_version": 0,
        "captured_cents": 0,
    }
    return PayableInvoice(**(content | changes))  # type: ignore[arg-type]


def an_attempt(state: AttemptState = AttemptState.OPEN, invoices: int = 1) -> Attempt:
    allocations = allocate([an_invoice(number) for number in range(1, invoices + 1)])
    return Attempt(
        payment_id=UUID(int=99),
        order_id="ORDER",
        authority="town",
        provider="lyra",
        account="card",
        amount_cents=4100 * invoices,
        state=state,
        email=None,
        started_at=NOW,
        expires_at=NOW,
        allocations=allocations,
    )


def a_notice(state: AttemptState | None, cents: int = 4100) -> Notice:
    return Notice(
        order_id="ORDER",
        fact="f",
        state=state,
        amount_cents=cents,
        currency="EUR",
        provider_reference="uuid",
    )


def test_what_is_asked_is_what_is_still_owed() -> None:
    """Computed here from the invoice, whatever a browser says."""
    [allocation] = allocate([an_invoice(captured_cents=1000)])

    assert allocation.amount_cents == 3100


@pytest.mark.parametrize(
    ("invoices", "error"),
    [
        ([an_invoice(withdrawn_version=1)], WithdrawnError),
        ([an_invoice(captured_cents=4100)], AlreadyPaidError),
        ([an_invoice(kind="credit_note")], NotPayableError),
        ([an_invoice(route="treasury")], NotPayableError),
        ([an_invoice(1), an_invoice(2, authority="other")], DifferentAccountsError),
        ([an_invoice(1), an_invoice(2, captured_cents=9999)], AlreadyPaidError),
    ],
)
def test_refuses_what_cannot_be_paid_here(
    invoices: list[PayableInvoice], error: type[Exception]
) -> None:
    """Each refusal has its own error, and one bad invoice refuses the whole."""
    with pytest.raises(error):
        allocate(invoices)


@pytest.mark.parametrize("source", list(AttemptState))
@pytest.mark.parametrize("target", list(AttemptState))
def test_moves_only_as_the_table_says(source: AttemptState, target: AttemptState) -> None:
    """A move that is not in the table changes nothing."""
    after = moved(an_attempt(source), a_notice(target))

    assert (after is not None) == (target in MOVES[source])
    if after is not None:
        assert after.state is target


@pytest.mark.parametrize(
    "state", [AttemptState.EXPIRED, AttemptState.ABANDONED, AttemptState.REFUSED]
)
def test_money_taken_late_is_booked(state: AttemptState) -> None:
    """A late truth is booked, never refused."""
    after = moved(an_attempt(state), a_notice(AttemptState.CAPTURED))

    assert after is not None
    assert captured_event(after, NOW).amount_cents == 4100


@given(st.integers(1, 3), st.integers(1, 20_000))
def test_what_was_really_taken_is_spread_without_loss(invoices: int, cents: int) -> None:
    """Less or more than asked: the parts sum to what the provider took."""
    after = moved(an_attempt(invoices=invoices), a_notice(AttemptState.CAPTURED, cents))

    assert after is not None
    assert sum(part.amount_cents for part in after.allocations) == cents
    assert all(part.amount_cents > 0 for part in after.allocations)


def test_a_notice_without_an_answer_changes_nothing() -> None:
    """The bank has not spoken yet."""
    assert moved(an_attempt(), a_notice(None)) is None


def test_order_references_fit_the_provider_and_differ() -> None:
    """At most 32 letters and digits, drawn at random."""
    drawn = {new_order_id() for _ in range(1000)}

    assert len(drawn) == 1000
    assert all(len(order) == 16 and order.isalnum() for order in drawn)
