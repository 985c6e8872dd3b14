"""The rules of taking money: what is owed, which moves are legal, what a notice must match."""

import secrets
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

import msgspec

from shared.errors import DomainError
from shared.events import PaymentCaptured
from shared.events.payment_captured import Allocation
from shared.money import CURRENCY

ORDER_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Without characters that people mistake for each other: it is read out on the telephone."""
ORDER_LENGTH = 16


class AttemptState(StrEnum):
    """Where an attempt stands."""

    OPEN = "open"
    CAPTURED = "captured"
    REFUSED = "refused"
    ABANDONED = "abandoned"
    EXPIRED = "expired"


MOVES: Mapping[AttemptState, frozenset[AttemptState]] = {
    AttemptState.OPEN: frozenset(
        {
            AttemptState.CAPTURED,
            AttemptState.REFUSED,
            AttemptState.ABANDONED,
            AttemptState.EXPIRED,
        }
    ),
    # A late truth is booked, never refused: the provider may take money for a closed attempt.
    AttemptState.REFUSED: frozenset({AttemptState.CAPTURED}),
    AttemptState.ABANDONED: frozenset({AttemptState.CAPTURED, AttemptState.REFUSED}),
    AttemptState.EXPIRED: frozenset(
        {AttemptState.CAPTURED, AttemptState.REFUSED, AttemptState.ABANDONED}
    ),
    AttemptState.CAPTURED: frozenset(),
}
"""Every legal move; what is not here does not happen."""


class PayableInvoice(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice as payment knows it, with what was captured for it in cents."""

    invoice_id: UUID
    authority: str
    regie: str
    number: str
    version: int
    kind: str
    route: str
    amount_cents: int
    withdrawn_version: int
    captured_cents: int
    published_at: datetime | None = None

    @property
    def outstanding_cents(self) -> int:
        """What is still owed, in cents; never negative."""
        return max(0, self.amount_cents - self.captured_cents)


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try to pay one or several invoices of one authority."""

    payment_id: UUID
    order_id: str
    authority: str
    provider: str
    account: str
    amount_cents: int
    state: AttemptState
    email: str | None
    started_at: datetime
    expires_at: datetime
    allocations: tuple[Allocation, ...]
    captured_cents: int | None = None
    provider_reference: str | None = None


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider says of an order: `state` is None while it does not know yet.

    `fact` names the statement, so that the same one told twice is known as such. `is_foreign`: it
    names another shop or mode than the account's; `is_payment` is false for a refund or a check of
    a card.
    """

    order_id: str
    fact: str
    state: AttemptState | None
    amount_cents: int
    currency: str
    provider_reference: str
    is_foreign: bool = False
    is_payment: bool = True


class NoticeOutcome(StrEnum):
    """What a notice led to; every one of them is kept as it came."""

    CAPTURED = "captured"
    REFUSED = "refused"
    ABANDONED = "abandoned"
    EXPIRED = "expired"
    PENDING = "pending"
    NOTHING_NEW = "nothing-new"
    UNKNOWN_ORDER = "unknown-order"
    OTHER_SHOP = "other-shop"
    OTHER_CURRENCY = "other-currency"
    OTHER_AMOUNT = "other-amount"
    OTHER_OPERATION = "other-operation"
    CAPTURED_AGAIN = "captured-again"
    CONTRADICTS_CAPTURE = "contradicts-capture"


FOR_PEOPLE = frozenset(
    {
        NoticeOutcome.UNKNOWN_ORDER,
        NoticeOutcome.OTHER_SHOP,
        NoticeOutcome.OTHER_CURRENCY,
        NoticeOutcome.OTHER_AMOUNT,
        NoticeOutcome.OTHER_OPERATION,
        NoticeOutcome.CAPTURED_AGAIN,
        NoticeOutcome.CONTRADICTS_CAPTURE,
    }
)
"""Outcomes that move no money here and that somebody must look at in the provider's back office."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What follows from a notice: its outcome, and the attempt in its new state if it moves."""

    outcome: NoticeOutcome
    attempt: Attempt | None = None


class IllegalMoveError(DomainError):
    """The table of moves has no such edge."""

    slug: ClassVar[str] = "illegal-move"


class NotPayableError(DomainError):
    """The invoice cannot be paid here."""

    slug: ClassVar[str] = "not-payable"


class AlreadyPaidError(NotPayableError):
    """Nothing is owed any more."""

    slug: ClassVar[str] = "already-paid"


class WithdrawnError(NotPayableError):
    """The authority took the invoice back."""

    slug: ClassVar[str] = "withdrawn"


class DifferentAccountsError(NotPayableError):
    """The invoices cannot be paid together: their money goes to different accounts."""

    slug: ClassVar[str] = "different-accounts"


def new_order_id() -> str:
    """Return the reference of an attempt at the provider."""
    return "".join(secrets.choice(ORDER_ALPHABET) for _ in range(ORDER_LENGTH))


def allocate(invoices: list[PayableInvoice]) -> tuple[Allocation, ...]:
    """Return what is to be paid for each invoice: all that is owed, computed here and nowhere else.

    Raises:
        WithdrawnError, AlreadyPaidError, NotPayableError, DifferentAccountsError: it cannot be.
    """
    if len({invoice.authority for invoice in invoices}) != 1:
        message = "Ces factures ne peuvent être payées ensemble."
        raise DifferentAccountsError(message)
    for invoice in invoices:
        _require_payable(invoice)
    return tuple(
        Allocation(
            invoice_id=invoice.invoice_id,
            authority=invoice.authority,
            regie=invoice.regie,
            number=invoice.number,
            amount_cents=invoice.outstanding_cents,
            published_at=invoice.published_at,
        )
        for invoice in invoices
    )


def _require_payable(invoice: PayableInvoice) -> None:
    if invoice.withdrawn_version >= invoice.version:
        message = f"La facture {invoice.number} a été retirée."
        raise WithdrawnError(message)
    if invoice.kind == "credit_note":
        message = f"{invoice.number} est un avoir : il n’y a rien à payer."
        raise NotPayableError(message)
    if invoice.route != "regie":
        message = f"La facture {invoice.number} se paie auprès de la trésorerie."
        raise NotPayableError(message)
    if invoice.outstanding_cents == 0:
        message = f"La facture {invoice.number} est déjà payée."
        raise AlreadyPaidError(message)


def moved(attempt: Attempt, target: AttemptState, provider_reference: str = "") -> Attempt:
    """Return the attempt in another state; a capture takes what was asked, neither more nor less.

    Raises:
        IllegalMoveError: the table has no such move, or a capture that names no operation.
    """
    is_capture = target is AttemptState.CAPTURED
    if target not in MOVES[attempt.state] or (is_capture and not provider_reference):
        message = f"{attempt.state.value} -> {target.value}"
        raise IllegalMoveError(message)
    if not is_capture:
        return msgspec.structs.replace(attempt, state=target)
    return msgspec.structs.replace(
        attempt,
        state=target,
        captured_cents=attempt.amount_cents,
        provider_reference=provider_reference,
    )


def judge(attempt: Attempt | None, notice: Notice) -> Verdict:
    """Compare a notice with the stored order, and say what follows (ASVS 2.2.3).

    Money is booked only for the sum that was asked. Another sum, and a second operation of an order
    that is paid, are for people: the form signature of some providers does not bind names to
    values, so that a payer could forge either of them from a genuine notice.
    """
    mismatch = _mismatch(attempt, notice)
    if mismatch is not None or attempt is None:
        return Verdict(outcome=mismatch or NoticeOutcome.UNKNOWN_ORDER)
    target = notice.state
    if target is None:
        return Verdict(outcome=NoticeOutcome.PENDING)
    if attempt.state is AttemptState.CAPTURED:
        return Verdict(outcome=_after_capture(attempt, notice, target))
    if target is AttemptState.CAPTURED and notice.amount_cents != attempt.amount_cents:
        return Verdict(outcome=NoticeOutcome.OTHER_AMOUNT)
    if target not in MOVES[attempt.state]:
        return Verdict(outcome=NoticeOutcome.NOTHING_NEW)
    after = moved(attempt, target, notice.provider_reference)
    return Verdict(outcome=NoticeOutcome(target.value), attempt=after)


def _mismatch(attempt: Attempt | None, notice: Notice) -> NoticeOutcome | None:
    if notice.is_foreign:
        return NoticeOutcome.OTHER_SHOP
    if attempt is None:
        return NoticeOutcome.UNKNOWN_ORDER
    if notice.currency != CURRENCY:
        return NoticeOutcome.OTHER_CURRENCY
    return None if notice.is_payment else NoticeOutcome.OTHER_OPERATION


def _after_capture(attempt: Attempt, notice: Notice, target: AttemptState) -> NoticeOutcome:
    is_same = notice.provider_reference == attempt.provider_reference
    if target is not AttemptState.CAPTURED:
        # A refused first try may be told after the try that went through.
        return NoticeOutcome.CONTRADICTS_CAPTURE if is_same else NoticeOutcome.NOTHING_NEW
    if not is_same:
        return NoticeOutcome.CAPTURED_AGAIN
    is_equal = notice.amount_cents == attempt.captured_cents
    return NoticeOutcome.NOTHING_NEW if is_equal else NoticeOutcome.OTHER_AMOUNT


def captured_event(attempt: Attempt, at: datetime) -> PaymentCaptured:
    """Return the fact that the money of a captured attempt was taken."""
    return PaymentCaptured(
        payment_id=attempt.payment_id,
        authority=attempt.authority,
        means="card",
        provider=attempt.provider,
        provider_reference=attempt.provider_reference or "",
        amount_cents=attempt.captured_cents or 0,
        currency="EUR",
        allocations=attempt.allocations,
        receipt_email=attempt.email,
        captured_at=at,
    )
