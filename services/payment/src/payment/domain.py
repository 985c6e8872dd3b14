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

    `fact` names the statement, so that the same one told twice is known as such.
    """

    order_id: str
    fact: str
    state: AttemptState | None
    amount_cents: int
    currency: str
    provider_reference: str


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


def moved(attempt: Attempt, notice: Notice) -> Attempt | None:
    """Return the attempt after a notice, or None when the notice changes nothing."""
    target = notice.state
    if target is None or target not in MOVES[attempt.state]:
        return None
    if target is not AttemptState.CAPTURED:
        return msgspec.structs.replace(attempt, state=target)
    return msgspec.structs.replace(
        attempt,
        state=target,
        captured_cents=notice.amount_cents,
        provider_reference=notice.provider_reference,
        allocations=_spread(attempt.allocations, notice.amount_cents),
    )


def _spread(allocations: tuple[Allocation, ...], cents: int) -> tuple[Allocation, ...]:
    """Spread what was really taken over the invoices, in order; a surplus stays on the last."""
    remaining = cents
    spread = []
    for position, allocation in enumerate(allocations):
        is_last = position == len(allocations) - 1
        part = remaining if is_last else min(remaining, allocation.amount_cents)
        remaining -= part
        if part > 0:
            spread.append(msgspec.structs.replace(allocation, amount_cents=part))
    return tuple(spread)


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
