"""What is owed, which moves are legal, and what a notice must match."""

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment.domain import (
    FOR_PEOPLE,
    MOVES,
    AlreadyPaidError,
    Attempt,
    AttemptState,
    DifferentAccountsError,
    IllegalMoveError,
    Notice,
    NoticeOutcome,
    NotPayableError,
    Verdict,
    WithdrawnError,
    allocate,
    captured_event,
    judge,
    moved,
    new_order_id,
)
from shared import envelope
from tests.unit.payment.payment_builders import (
    INVOICE_ID,
    NOW,
    OTHER_INVOICE_ID,
    OTHER_TRANSACTION,
    TRANSACTION,
    a_captured_attempt,
    a_notice,
    an_attempt,
    an_invoice,
)

OPEN, CAPTURED, REFUSED, ABANDONED, EXPIRED = AttemptState
EDGES = [(source, target) for source in AttemptState for target in MOVES[source]]
NO_EDGES = [
    (source, target)
    for source in AttemptState
    for target in AttemptState
    if target not in MOVES[source]
]


def test_asks_for_what_is_still_owed_on_each_invoice() -> None:
    """S16: the amount is computed from the invoice and from what was captured, nothing else."""
    half_paid = an_invoice(captured_cents=20_00)
    other = an_invoice(invoice_id=OTHER_INVOICE_ID, number="2026-0043", amount_cents=7_50)

    allocations = allocate([half_paid, other])

    assert [(INVOICE_ID, 21_00), (OTHER_INVOICE_ID, 7_50)] == [
        (part.invoice_id, part.amount_cents) for part in allocations
    ]


def test_an_invoice_paid_twice_owes_nothing_rather_than_less_than_nothing() -> None:
    """L7: an excess is never a negative debt."""
    assert an_invoice(captured_cents=82_00).outstanding_cents == 0


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"captured_cents": 41_00}, AlreadyPaidError),
        ({"captured_cents": 82_00}, AlreadyPaidError),
        ({"withdrawn_version": 1}, WithdrawnError),
        ({"withdrawn_version": 1, "captured_cents": 41_00}, WithdrawnError),
        ({"kind": "credit_note"}, NotPayableError),
        ({"route": "treasury"}, NotPayableError),
    ],
)
def test_refuses_an_invoice_that_cannot_be_paid_by_card(
    changes: dict[str, object], error: type[NotPayableError]
) -> None:
    """Each reason has a slug of its own, and one such invoice refuses the whole basket."""
    basket = [an_invoice(invoice_id=OTHER_INVOICE_ID), an_invoice(**changes)]

    with pytest.raises(NotPayableError) as raised:
        allocate(basket)

    assert error is type(raised.value)


def test_a_version_above_the_withdrawn_one_can_be_paid() -> None:
    """A withdrawal closes an invoice up to a version: the biller may issue it anew."""
    assert allocate([an_invoice(version=2, withdrawn_version=1)])[0].amount_cents == 41_00


def test_refuses_invoices_of_two_authorities_in_one_payment() -> None:
    """Their money goes to different accounts."""
    with pytest.raises(DifferentAccountsError):
        allocate([an_invoice(), an_invoice(invoice_id=OTHER_INVOICE_ID, authority="val-de-brume")])


def test_an_order_is_named_in_characters_that_every_provider_takes() -> None:
    """Lyra: at most 32 letters, digits and dashes; read out on the telephone, hence no 0 nor O."""
    assert all(re.fullmatch("[2-9A-HJ-NP-Z]{16}", new_order_id()) for _ in range(100))
    assert len({new_order_id() for _ in range(100)}) == 100


def test_a_capture_is_legal_from_every_state_but_itself() -> None:
    """A late truth is booked, never refused."""
    assert {source for source in AttemptState if CAPTURED in MOVES[source]} == (
        set(AttemptState) - {CAPTURED}
    )


def test_nothing_leads_back_to_an_open_attempt_nor_out_of_a_captured_one() -> None:
    """What ended stays ended; money that goes back is another fact."""
    assert not any(OPEN in targets for targets in MOVES.values())
    assert MOVES[CAPTURED] == frozenset()


@pytest.mark.parametrize(("source", "target"), EDGES)
def test_walks_every_edge_of_the_table(source: AttemptState, target: AttemptState) -> None:
    """P11: each legal move can be made, and takes what was asked when it is a capture."""
    after = moved(an_attempt(state=source), target, TRANSACTION)

    assert target is after.state
    assert (41_00 if target is CAPTURED else None) == after.captured_cents
    assert (TRANSACTION if target is CAPTURED else None) == after.provider_reference


@pytest.mark.parametrize(("source", "target"), NO_EDGES)
def test_raises_on_a_move_that_the_table_does_not_have(
    source: AttemptState, target: AttemptState
) -> None:
    """P11: an illegal move never happens silently."""
    with pytest.raises(IllegalMoveError):
        moved(an_attempt(state=source), target, TRANSACTION)


def test_refuses_a_capture_that_names_no_operation() -> None:
    """The books need the provider's reference."""
    with pytest.raises(IllegalMoveError):
        moved(an_attempt(), CAPTURED)


@pytest.mark.parametrize("state", [OPEN, REFUSED, ABANDONED, EXPIRED])
def test_books_a_capture_whatever_became_of_the_attempt(state: AttemptState) -> None:
    """P12: money that was taken is never turned away."""
    attempt = an_attempt(state=state)

    verdict = judge(attempt, a_notice())

    assert Verdict(outcome=NoticeOutcome.CAPTURED, attempt=a_captured_attempt()) == verdict


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"amount_cents": 40_99}, NoticeOutcome.OTHER_AMOUNT),
        ({"amount_cents": 41_01}, NoticeOutcome.OTHER_AMOUNT),
        ({"amount_cents": 0}, NoticeOutcome.OTHER_AMOUNT),
        ({"currency": "840"}, NoticeOutcome.OTHER_CURRENCY),
        ({"is_foreign": True}, NoticeOutcome.OTHER_SHOP),
        ({"is_payment": False}, NoticeOutcome.OTHER_OPERATION),
    ],
)
def test_books_nothing_of_a_notice_that_does_not_match_the_order(
    changes: dict[str, object], outcome: NoticeOutcome
) -> None:
    """W2, W3, W4, W16: the raw notice is kept for people, the invoice stays unpaid."""
    verdict = judge(an_attempt(), a_notice(**changes))

    assert Verdict(outcome=outcome) == verdict
    assert outcome in FOR_PEOPLE


def test_keeps_a_notice_of_an_unknown_order_for_people() -> None:
    """W7: it is signed, so money may be there: not lost, not booked."""
    assert Verdict(outcome=NoticeOutcome.UNKNOWN_ORDER) == judge(None, a_notice())


def test_waits_while_the_provider_does_not_know() -> None:
    """A pending authorisation is neither a capture nor a refusal."""
    assert Verdict(outcome=NoticeOutcome.PENDING) == judge(an_attempt(), a_notice(state=None))


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, NoticeOutcome.NOTHING_NEW),
        ({"provider_reference": OTHER_TRANSACTION}, NoticeOutcome.CAPTURED_AGAIN),
        ({"amount_cents": 30_00}, NoticeOutcome.OTHER_AMOUNT),
        ({"state": REFUSED}, NoticeOutcome.CONTRADICTS_CAPTURE),
        ({"state": ABANDONED}, NoticeOutcome.CONTRADICTS_CAPTURE),
        (
            {"state": REFUSED, "provider_reference": OTHER_TRANSACTION},
            NoticeOutcome.NOTHING_NEW,
        ),
    ],
)
def test_no_notice_moves_an_attempt_that_is_captured(
    changes: dict[str, object], outcome: NoticeOutcome
) -> None:
    """W6: no regress; a second operation, or a word against the first, is for people to see."""
    assert Verdict(outcome=outcome) == judge(a_captured_attempt(), a_notice(**changes))


@pytest.mark.parametrize("state", [ABANDONED, EXPIRED])
def test_learns_late_that_the_card_was_refused(state: AttemptState) -> None:
    """The provider knows better than the payer or the clock."""
    verdict = judge(an_attempt(state=state), a_notice(state=REFUSED))

    assert verdict.outcome is NoticeOutcome.REFUSED
    assert verdict.attempt == an_attempt(state=REFUSED)


def test_a_refusal_after_a_refusal_is_nothing_new() -> None:
    """The payer may try several cards on the provider's page."""
    verdict = judge(an_attempt(state=REFUSED), a_notice(state=REFUSED))

    assert Verdict(outcome=NoticeOutcome.NOTHING_NEW) == verdict


def test_tells_a_capture_as_the_contract_wants_it() -> None:
    """The event passes its own schema, with the money spread as it was asked."""
    event = captured_event(a_captured_attempt(), NOW)

    record = envelope.write(event, at=NOW)
    assert envelope.read(record.value, record.headers).data == event
    assert ("card", "lyra", TRANSACTION, 41_00) == (
        event.means,
        event.provider,
        event.provider_reference,
        event.amount_cents,
    )
    assert event.receipt_email == "camille.martin@exemple.test"


notices = st.builds(
    a_notice,
    state=st.sampled_from([None, CAPTURED, REFUSED, ABANDONED]),
    amount_cents=st.sampled_from([0, 41_00, 41_01, 314_159]),
    currency=st.sampled_from(["EUR", "840"]),
    provider_reference=st.sampled_from([TRANSACTION, OTHER_TRANSACTION]),
    is_foreign=st.booleans(),
    is_payment=st.booleans(),
)
moves = st.one_of(notices, st.sampled_from([ABANDONED, EXPIRED]))


def _apply(attempt: Attempt, move: Notice | AttemptState) -> Attempt:
    if isinstance(move, Notice):
        return judge(attempt, move).attempt or attempt
    return moved(attempt, move) if move in MOVES[attempt.state] else attempt


@given(st.lists(moves, max_size=12))
def test_no_history_books_another_sum_than_the_allocations_or_books_twice(
    history: list[Notice | AttemptState],
) -> None:
    """Law: Σ allocations = what was asked = what was captured, and there is one capture at most."""
    attempt = an_attempt()
    captures = 0

    for move in history:
        before, attempt = attempt, _apply(attempt, move)
        captures += attempt.state is CAPTURED and before.state is not CAPTURED
        assert attempt.state is before.state or attempt.state in MOVES[before.state]

    assert captures <= 1
    assert sum(part.amount_cents for part in attempt.allocations) == attempt.amount_cents
    assert (attempt.amount_cents if captures else None) == attempt.captured_cents
    assert msgspec.structs.replace(
        attempt, state=OPEN, captured_cents=None, provider_reference=None
    ) == (an_attempt())
