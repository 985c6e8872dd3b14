"""What is owed, which moves are legal, and what a notice must match."""

import re
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest
from hypothesis import assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from payment.domain import (
    EDGES,
    FOR_PEOPLE,
    IN_FLIGHT,
    MOVES,
    AttemptState,
    IllegalMoveError,
    NoticeOutcome,
    Verdict,
    Word,
    captured_event,
    facts,
    given_back,
    judge,
    moved,
    new_order_id,
)
from shared import envelope
from shared.events import PaymentCaptured, PaymentReversed
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

CREATED, REDIRECTED, PENDING, CAPTURED, REFUSED, ABANDONED, EXPIRED, REVERSED = AttemptState
README = Path(__file__).parents[3] / "services" / "payment" / "README.md"
WAYS = [(source, target) for source in AttemptState for target in MOVES[source]]
A_REFUND: dict[str, object] = {
    "state": REVERSED,
    "is_payment": False,
    "cause": "refund",
    "provider_reference": "back-1",
}
NO_EDGES = [
    (source, target)
    for source in AttemptState
    for target in AttemptState
    if target not in MOVES[source]
]


def test_an_invoice_paid_twice_owes_nothing_rather_than_less_than_nothing() -> None:
    """L7: an excess is never a negative debt."""
    assert an_invoice(captured_cents=82_00).outstanding_cents == 0


def test_an_order_is_named_in_characters_that_every_provider_takes() -> None:
    """Lyra: at most 32 letters, digits and dashes; read out on the telephone, hence no 0 nor O."""
    assert all(re.fullmatch("[2-9A-HJ-NP-Z]{16}", new_order_id()) for _ in range(100))
    assert len({new_order_id() for _ in range(100)}) == 100


def test_a_capture_is_legal_from_every_state_that_took_no_money() -> None:
    """A late truth is booked, never refused."""
    assert {source for source in AttemptState if CAPTURED in MOVES[source]} == (
        set(AttemptState) - {REVERSED}
    )


def test_nothing_leads_back_into_flight_nor_out_of_what_took_money_but_its_return() -> None:
    """What ended stays ended; money that was taken can only go back."""
    ended = set(AttemptState) - IN_FLIGHT
    assert not any(MOVES[state] & IN_FLIGHT for state in ended)
    assert MOVES[CAPTURED] == {CAPTURED, REVERSED}
    assert MOVES[REVERSED] == frozenset()


def test_the_readme_shows_the_table_of_moves() -> None:
    """P11: the written state machine is the one that runs."""
    text = README.read_text(encoding="utf-8").partition("## States")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([a-z]+)` \| `([a-z]+)` \| ([^|]+) \|$", text, re.MULTILINE)

    assert [(edge.source.value, edge.target.value, edge.meaning) for edge in EDGES] == rows


@pytest.mark.parametrize(("source", "target"), WAYS)
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


@pytest.mark.parametrize("state", [CREATED, REDIRECTED, PENDING, REFUSED, ABANDONED, EXPIRED])
def test_books_a_capture_whatever_became_of_the_attempt(state: AttemptState) -> None:
    """P12: money that was taken is never turned away."""
    attempt = an_attempt(state=state)

    verdict = judge(attempt, a_notice())

    paid = a_captured_attempt(closed_by=None)
    assert Verdict(outcome=NoticeOutcome.CAPTURED, attempt=paid) == verdict


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"amount_cents": 40_99}, NoticeOutcome.OTHER_AMOUNT),
        ({"amount_cents": 41_01}, NoticeOutcome.OTHER_AMOUNT),
        ({"amount_cents": 0}, NoticeOutcome.OTHER_AMOUNT),
        ({"currency": "840"}, NoticeOutcome.OTHER_CURRENCY),
        ({"is_foreign": True}, NoticeOutcome.OTHER_SHOP),
        ({"is_payment": False}, NoticeOutcome.OTHER_OPERATION),
        ({"fields_differ": True}, NoticeOutcome.OTHER_FIELDS),
        ({"order_id": "OTHER"}, NoticeOutcome.OTHER_FIELDS),
        (A_REFUND, NoticeOutcome.OTHER_OPERATION),
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
    verdict = judge(an_attempt(), a_notice(state=None))

    pending = an_attempt(state=PENDING)
    assert Verdict(outcome=NoticeOutcome.PENDING, attempt=pending) == verdict
    assert Verdict(outcome=NoticeOutcome.PENDING) == judge(pending, a_notice(state=None))
    assert Verdict(outcome=NoticeOutcome.PENDING) == judge(
        an_attempt(state=EXPIRED), a_notice(state=None)
    )


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


def test_a_part_that_went_back_leaves_the_rest_captured() -> None:
    """D13: from the last invoice on, since the oldest debt was paid first."""
    other = msgspec.structs.replace(
        an_attempt().allocations[0], invoice_id=OTHER_INVOICE_ID, amount_cents=9_00
    )
    paid = a_captured_attempt(
        amount_cents=50_00, captured_cents=50_00, allocations=(*an_attempt().allocations, other)
    )

    first = judge(paid, a_notice(**A_REFUND | {"amount_cents": 10_00}))
    assert first.attempt is not None
    second = judge(
        first.attempt,
        a_notice(**A_REFUND | {"amount_cents": 40_00, "provider_reference": "back-2"}),
    )

    assert second.attempt is not None
    assert (NoticeOutcome.PART_REVERSED, CAPTURED) == (first.outcome, first.attempt.state)
    assert (NoticeOutcome.REVERSED, REVERSED) == (second.outcome, second.attempt.state)
    [event] = facts(paid, first.attempt, NOW)
    assert isinstance(event, PaymentReversed)
    assert [(OTHER_INVOICE_ID, 9_00), (INVOICE_ID, 1_00)] == [
        (part.invoice_id, part.amount_cents) for part in event.allocations
    ]
    [rest] = second.attempt.returned[1].parts
    assert (INVOICE_ID, 40_00) == (rest.invoice_id, rest.amount_cents)
    record = envelope.write(event, at=NOW)
    assert envelope.read(record.value, record.headers).data == event


@pytest.mark.parametrize("cents", [0, 41_01])
def test_never_gives_back_more_than_was_taken(cents: int) -> None:
    """W16: such a word is kept for people, and moves nothing."""
    verdict = judge(a_captured_attempt(), a_notice(**A_REFUND | {"amount_cents": cents}))

    assert Verdict(outcome=NoticeOutcome.TOO_MUCH_BACK) == verdict


@pytest.mark.parametrize(
    ("state", "cents", "reference"),
    [(REFUSED, 1, "r"), (CAPTURED, 0, "r"), (CAPTURED, 41_01, "r"), (CAPTURED, 1, "")],
)
def test_raises_on_a_return_that_cannot_be(state: AttemptState, cents: int, reference: str) -> None:
    """P11: of what took no money, of too much, or of no operation."""
    paid = a_captured_attempt(state=state)

    with pytest.raises(IllegalMoveError):
        given_back(paid, cents, reference, "refund")


def test_the_same_return_told_twice_is_nothing_new() -> None:
    """Whatever the provider calls its statement: the operation is what counts."""
    first = judge(a_captured_attempt(), a_notice(**A_REFUND | {"amount_cents": 1_00}))
    assert first.attempt is not None

    again = judge(first.attempt, a_notice(**A_REFUND | {"amount_cents": 1_00, "fact": "later"}))

    assert Verdict(outcome=NoticeOutcome.NOTHING_NEW) == again


def test_a_direct_debit_that_comes_back_is_reversed_whole() -> None:
    """W19: it is booked when the payer agrees, and may still be refused by the payer's bank."""
    paid = judge(an_attempt(), a_notice(is_settled=False, means="direct_debit")).attempt
    assert paid is not None

    verdict = judge(paid, a_notice(state=REFUSED))

    assert verdict.outcome is NoticeOutcome.REVERSED
    assert verdict.attempt is not None
    [entry] = verdict.attempt.returned
    assert ("chargeback", 41_00) == (entry.cause, entry.amount_cents)
    assert captured_event(paid, NOW).means == "direct_debit"


def test_a_direct_debit_becomes_final() -> None:
    """From then on a word against it is a contradiction."""
    paid = judge(an_attempt(), a_notice(is_settled=False)).attempt

    settled = judge(paid, a_notice(is_settled=True))

    assert settled.outcome is NoticeOutcome.SETTLED
    verdict = judge(settled.attempt, a_notice(state=REFUSED))
    assert Verdict(outcome=NoticeOutcome.CONTRADICTS_CAPTURE) == verdict


@pytest.mark.parametrize("target", [CAPTURED, REVERSED])
def test_no_money_moves_without_the_providers_word(target: AttemptState) -> None:
    """What is ours to say is where the payer is, never what the bank did."""
    assert Verdict(outcome=NoticeOutcome.NOTHING_NEW) == judge(an_attempt(), target)


class Ledger(RuleBasedStateMachine):
    """Law: an attempt moves by the table only, and its money always adds up.

    Whatever is said, by whom, how often and in what order: the allocations sum up to what was
    asked; what was captured is that or nothing, once; what went back is never more.
    """

    walked: ClassVar[set[tuple[AttemptState, AttemptState]]] = set()

    def __init__(self) -> None:
        super().__init__()
        other = msgspec.structs.replace(
            an_attempt().allocations[0], invoice_id=OTHER_INVOICE_ID, amount_cents=9_00
        )
        self.attempt = an_attempt(
            state=CREATED, amount_cents=50_00, allocations=(*an_attempt().allocations, other)
        )
        self.captures = 0

    @rule(
        state=st.sampled_from([None, CAPTURED, REFUSED, ABANDONED, EXPIRED, REVERSED]),
        cents=st.sampled_from([0, 1, 10_00, 25_00, 50_00, 50_01, 314_159]),
        reference=st.sampled_from([TRANSACTION, OTHER_TRANSACTION, "back-1", "back-2", ""]),
        currency=st.sampled_from(["EUR", "EUR", "EUR", "840"]),
        fault=st.sampled_from([None, None, None, "is_foreign", "fields_differ"]),
        is_settled=st.booleans(),
    )
    def told(
        self,
        state: AttemptState | None,
        cents: int,
        reference: str,
        currency: str,
        fault: str | None,
        is_settled: bool,
    ) -> None:
        """A provider says something, true or not."""
        assume(state is not CAPTURED or reference)
        is_back = state is REVERSED
        notice = a_notice(
            state=state,
            amount_cents=cents,
            provider_reference=reference,
            currency=currency,
            is_settled=is_settled,
            is_payment=not is_back,
            cause="refund" if is_back else None,
            **({fault: True} if fault else {}),
        )
        self._apply(notice)

    @rule(state=st.sampled_from([None, CAPTURED, REFUSED, ABANDONED, EXPIRED]))
    def truth(self, state: AttemptState | None) -> None:
        """A provider says what is so."""
        self._apply(a_notice(state=state, amount_cents=50_00))

    @rule(
        cents=st.sampled_from([1, 10_00, 25_00, 50_00]),
        reference=st.sampled_from(["back-1", "back-2", "back-3"]),
    )
    def refund(self, cents: int, reference: str) -> None:
        """The authority gives money back."""
        back = {"amount_cents": cents, "provider_reference": reference}
        self._apply(a_notice(**A_REFUND | back))

    @initialize(is_led_away=st.booleans())
    def begin(self, *, is_led_away: bool) -> None:
        """Either the provider's first answer was kept, or it was lost."""
        if is_led_away:
            self._apply(REDIRECTED)

    @rule(word=st.sampled_from(AttemptState))
    def own(self, word: AttemptState) -> None:
        """The payer, the browser, the clock or the start says something."""
        self._apply(word)

    def _apply(self, word: Word) -> None:
        before = self.attempt
        after = judge(before, word).attempt
        if after is None:
            return
        assert after.state in MOVES[before.state]
        self.walked.add((before.state, after.state))
        self.captures += before.captured_cents is None is not after.captured_cents
        events = facts(before, after, NOW)
        for event in events:
            assert isinstance(event, PaymentCaptured | PaymentReversed)
            assert event.amount_cents == sum(part.amount_cents for part in event.allocations)
        self.attempt = after

    @invariant()
    def adds_up(self) -> None:
        """The law."""
        attempt = self.attempt
        assert sum(part.amount_cents for part in attempt.allocations) == 50_00
        assert self.captures <= 1
        assert attempt.captured_cents == (50_00 if self.captures else None)
        assert 0 <= attempt.returned_cents <= (attempt.captured_cents or 0)
        assert (attempt.state is REVERSED) == (attempt.returned_cents == 50_00)
        gone = [part for entry in attempt.returned for part in entry.parts]
        for part in attempt.allocations:
            back = sum(one.amount_cents for one in gone if one.invoice_id == part.invoice_id)
            assert back <= part.amount_cents


def test_no_sequence_of_words_makes_the_money_wrong_and_every_edge_is_walked() -> None:
    """P11, D13: 100 % of the table in random walks, 0 move outside it."""
    Ledger.walked.clear()

    run_state_machine_as_test(
        Ledger,
        settings=settings(
            max_examples=300, stateful_step_count=30, deadline=None, derandomize=True
        ),
    )

    assert {(edge.source, edge.target) for edge in EDGES} == Ledger.walked
