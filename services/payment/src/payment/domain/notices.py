"""What a provider says of an order, and what follows from it."""

from enum import StrEnum

import msgspec

from payment.domain.attempts import (
    MOVES,
    TOOK_MONEY,
    Attempt,
    AttemptState,
    Cause,
    given_back,
    moved,
)
from shared.events.payment_captured import Means
from shared.money import CURRENCY


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider says of an order: `state` is None while it does not know yet.

    `fact` names the statement, so that the same one told twice is known as such. `is_foreign`: it
    names another shop or mode than the account's; `is_payment` is false for a refund or a check of
    a card; `fields_differ`: an answer names another debt, payer or sum than was asked.

    Money that went back: `state` is REVERSED, `cause` says why, `amount_cents` is what went back
    and `provider_reference` names that operation (`is_payment` is false). `is_settled` is false
    while a captured payment may still come back unpaid (a direct debit): it is asked about again.
    `raw` is kept for `Question.raw`.
    """

    order_id: str
    fact: str
    state: AttemptState | None
    amount_cents: int
    currency: str
    provider_reference: str
    is_foreign: bool = False
    is_payment: bool = True
    fields_differ: bool = False
    is_settled: bool = True
    cause: Cause | None = None
    means: Means = "card"
    raw: bytes | None = None


Word = Notice | AttemptState
"""What moves an attempt: the provider's word, or a move that is ours to make."""


class NoticeOutcome(StrEnum):
    """What a notice led to; every one of them is kept as it came."""

    CAPTURED = "captured"
    REFUSED = "refused"
    ABANDONED = "abandoned"
    EXPIRED = "expired"
    PENDING = "pending"
    REDIRECTED = "redirected"
    REVERSED = "reversed"
    PART_REVERSED = "part-reversed"
    SETTLED = "settled"
    ASKED = "asked"
    NOTHING_NEW = "nothing-new"
    UNKNOWN_ORDER = "unknown-order"
    OTHER_SHOP = "other-shop"
    OTHER_CURRENCY = "other-currency"
    OTHER_AMOUNT = "other-amount"
    OTHER_FIELDS = "other-fields"
    OTHER_OPERATION = "other-operation"
    CAPTURED_AGAIN = "captured-again"
    CONTRADICTS_CAPTURE = "contradicts-capture"
    TOO_MUCH_BACK = "too-much-back"


FOR_PEOPLE = frozenset(
    {
        NoticeOutcome.UNKNOWN_ORDER,
        NoticeOutcome.OTHER_SHOP,
        NoticeOutcome.OTHER_CURRENCY,
        NoticeOutcome.OTHER_AMOUNT,
        NoticeOutcome.OTHER_FIELDS,
        NoticeOutcome.OTHER_OPERATION,
        NoticeOutcome.CAPTURED_AGAIN,
        NoticeOutcome.CONTRADICTS_CAPTURE,
        NoticeOutcome.TOO_MUCH_BACK,
    }
)
"""Outcomes that move no money here and that somebody must look at in the provider's back office."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What follows from a word: its outcome, and the attempt as it is then if it moves."""

    outcome: NoticeOutcome
    attempt: Attempt | None = None


def judge(attempt: Attempt | None, word: Word) -> Verdict:
    """Compare a word with the stored order, and say what follows (ASVS 2.2.3).

    Money is booked only for the sum that was asked. Another sum, and a second operation of an order
    that is paid, are for people: the form signature of some providers does not bind names to
    values, so that a payer could forge either of them from a genuine notice.
    """
    if isinstance(word, AttemptState):
        return _own(attempt, word)
    mismatch = _mismatch(attempt, word)
    if mismatch is not None or attempt is None:
        return Verdict(outcome=mismatch or NoticeOutcome.UNKNOWN_ORDER)
    if word.state is AttemptState.REVERSED:
        return _back(attempt, word)
    target = word.state or AttemptState.PENDING
    if attempt.state in TOOK_MONEY:
        return _after_capture(attempt, word)
    if target is AttemptState.CAPTURED and word.amount_cents != attempt.amount_cents:
        return Verdict(outcome=NoticeOutcome.OTHER_AMOUNT)
    if target not in MOVES[attempt.state]:
        is_pending = target is AttemptState.PENDING
        return Verdict(outcome=NoticeOutcome.PENDING if is_pending else NoticeOutcome.NOTHING_NEW)
    after = moved(
        attempt, target, word.provider_reference, means=word.means, is_settled=word.is_settled
    )
    return Verdict(outcome=NoticeOutcome(target.value), attempt=after)


def _own(attempt: Attempt | None, target: AttemptState) -> Verdict:
    """Judge a move of ours: money is never among them, and what cannot be is nothing new."""
    if attempt is None or target in TOOK_MONEY or target not in MOVES[attempt.state]:
        return Verdict(outcome=NoticeOutcome.NOTHING_NEW)
    return Verdict(outcome=NoticeOutcome(target.value), attempt=moved(attempt, target))


def _mismatch(attempt: Attempt | None, notice: Notice) -> NoticeOutcome | None:
    if notice.is_foreign:
        return NoticeOutcome.OTHER_SHOP
    if attempt is None:
        return NoticeOutcome.UNKNOWN_ORDER
    if notice.fields_differ or notice.order_id != attempt.order_id:
        return NoticeOutcome.OTHER_FIELDS
    if notice.currency != CURRENCY:
        return NoticeOutcome.OTHER_CURRENCY
    is_return = notice.state is AttemptState.REVERSED and notice.cause is not None
    return None if notice.is_payment or is_return else NoticeOutcome.OTHER_OPERATION


def _back(attempt: Attempt, notice: Notice) -> Verdict:
    """Judge money that went back: once for each operation, never more than was taken."""
    if notice.provider_reference in {entry.reference for entry in attempt.returned}:
        return Verdict(outcome=NoticeOutcome.NOTHING_NEW)
    if attempt.state not in TOOK_MONEY or notice.cause is None or not notice.provider_reference:
        return Verdict(outcome=NoticeOutcome.OTHER_OPERATION)
    rest = (attempt.captured_cents or 0) - attempt.returned_cents
    if not 0 < notice.amount_cents <= rest:
        return Verdict(outcome=NoticeOutcome.TOO_MUCH_BACK)
    after = given_back(attempt, notice.amount_cents, notice.provider_reference, notice.cause)
    is_all = after.state is AttemptState.REVERSED
    return Verdict(
        outcome=NoticeOutcome.REVERSED if is_all else NoticeOutcome.PART_REVERSED, attempt=after
    )


def _after_capture(attempt: Attempt, notice: Notice) -> Verdict:
    if notice.state is None:
        return Verdict(outcome=NoticeOutcome.PENDING)
    is_same = notice.provider_reference == attempt.provider_reference
    if notice.state is not AttemptState.CAPTURED:
        return _taken_back_by_bank(attempt, notice) if is_same else _NOTHING_NEW
    if not is_same:
        return Verdict(outcome=NoticeOutcome.CAPTURED_AGAIN)
    if notice.amount_cents != attempt.captured_cents:
        return Verdict(outcome=NoticeOutcome.OTHER_AMOUNT)
    if notice.is_settled and not attempt.is_settled and attempt.state is AttemptState.CAPTURED:
        after = msgspec.structs.replace(attempt, is_settled=True)
        return Verdict(outcome=NoticeOutcome.SETTLED, attempt=after)
    return _NOTHING_NEW


_NOTHING_NEW = Verdict(outcome=NoticeOutcome.NOTHING_NEW)


def _taken_back_by_bank(attempt: Attempt, notice: Notice) -> Verdict:
    """Judge the captured operation itself being told as not paid.

    Of one that could still come back, as a direct debit can, that is the bank's return. Of one that
    was final it is a contradiction.
    """
    if attempt.state is AttemptState.REVERSED:
        return _NOTHING_NEW
    rest = (attempt.captured_cents or 0) - attempt.returned_cents
    if attempt.is_settled or notice.state is not AttemptState.REFUSED:
        return Verdict(outcome=NoticeOutcome.CONTRADICTS_CAPTURE)
    reference = f"{notice.provider_reference}/returned"
    after = given_back(attempt, rest, reference, "chargeback")
    return Verdict(outcome=NoticeOutcome.REVERSED, attempt=after)
