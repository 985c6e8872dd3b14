"""Several invoices in one payment: which can be, and how the sum is split."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar
from uuid import UUID

import msgspec

from payment.domain.invoices import PayableInvoice
from payment.domain.payability import (
    NO_HOLD,
    Hold,
    NotPayableError,
    Reason,
    reason_against,
    reason_of_sum,
)
from payment.domain.terms import Offer
from shared.errors import DomainError
from shared.events.payment_captured import Allocation
from shared.money import format_euros


class AmountRefusedError(DomainError):
    """The payer wants to pay another sum than can be paid; `code` says which rule refuses."""

    slug: ClassVar[str] = "amount-refused"

    def __init__(self, code: str, sentence: str) -> None:
        """Say which rule refuses, and to the payer why."""
        super().__init__(sentence)
        self.code = code


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice that cannot be in the payment, and why."""

    invoice_id: UUID
    number: str
    reason: Reason


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """What a payment of some invoices would be, oldest debt first; no offer: nothing to pay.

    `outstanding_cents` is what is owed on the invoices that can be paid.
    """

    offer: Offer | None
    route: str
    allocations: tuple[Allocation, ...]
    outstanding_cents: int
    refused: tuple[Refused, ...]

    @property
    def total_cents(self) -> int:
        """What would be asked of the provider."""
        return sum(allocation.amount_cents for allocation in self.allocations)


def quote(
    invoices: Sequence[PayableInvoice],
    offers: Mapping[UUID, Offer | None],
    holds: Mapping[UUID, Hold],
    now: datetime,
    amount_cents: int | None = None,
) -> Quote:
    """Return what can be paid together and how it is split: computed here and nowhere else.

    The oldest invoice that can be paid names the account; what belongs to another is refused.

    Raises:
        AmountRefusedError: the payer's own sum cannot be paid.
    """
    accepted: list[PayableInvoice] = []
    refused: list[Refused] = []
    for invoice in sorted(invoices, key=lambda one: one.age):
        offer = offers.get(invoice.invoice_id)
        hold = holds.get(invoice.invoice_id, NO_HOLD)
        reason = reason_against(invoice, offer, hold, now)
        if reason is None and accepted and offer is not None:
            first = accepted[0]
            reason = _reason_beside(first, offers[first.invoice_id], invoice, offer)
        if reason is None:
            accepted.append(invoice)
        else:
            refused.append(_refused(invoice, reason))
    if not accepted:
        return _nothing(refused)
    offer = offers[accepted[0].invoice_id]
    assert offer is not None  # noqa: S101 - what is accepted has an offer
    outstanding = sum(invoice.outstanding_cents for invoice in accepted)
    if amount_cents is not None and amount_cents != outstanding:
        require_part(accepted, offer, outstanding, amount_cents)
    to_pay = outstanding if amount_cents is None else amount_cents
    reason = reason_of_sum(to_pay, offer)
    if reason is not None:
        return _nothing([*refused, *(_refused(invoice, reason) for invoice in accepted)])
    return Quote(
        offer=offer,
        route=accepted[0].route,
        allocations=split(accepted, to_pay),
        outstanding_cents=outstanding,
        refused=tuple(refused),
    )


def _nothing(refused: list[Refused]) -> Quote:
    return Quote(offer=None, route="", allocations=(), outstanding_cents=0, refused=tuple(refused))


def _refused(invoice: PayableInvoice, reason: Reason) -> Refused:
    return Refused(invoice_id=invoice.invoice_id, number=invoice.number, reason=reason)


def _reason_beside(
    first: PayableInvoice, first_offer: Offer | None, other: PayableInvoice, offer: Offer
) -> Reason | None:
    is_same = first_offer is not None and first_offer.name == offer.name
    if not is_same or (first.authority, first.route) != (other.authority, other.route):
        return Reason.DIFFERENT_ACCOUNTS
    return None if offer.rules.takes_several else Reason.PAID_ALONE


def require_part(
    invoices: Sequence[PayableInvoice], offer: Offer, outstanding: int, cents: int
) -> None:
    """Accept a sum that is not all that is owed.

    A titre is paid whole (TIPI knows no part of one). What remains must itself be payable online.

    Raises:
        AmountRefusedError: too much, too little, or a part where none may be paid.
    """
    if cents > outstanding:
        sentence = f"Il reste {format_euros(outstanding)} à payer : vous ne pouvez payer davantage."
        raise AmountRefusedError("amount-too-high", sentence)
    partial = offer.terms.partial
    if not partial.allowed or any(invoice.route == "treasury" for invoice in invoices):
        sentence = "Cette facture se paie en une seule fois."
        raise AmountRefusedError("partial-not-allowed", sentence)
    floor = max(partial.minimum_cents, offer.rules.minimum_cents)
    if cents < floor:
        sentence = f"Le paiement partiel est possible à partir de {format_euros(floor)}."
        raise AmountRefusedError("amount-too-low", sentence)
    if outstanding - cents < offer.rules.minimum_cents:
        sentence = (
            f"Il doit rester au moins {format_euros(offer.rules.minimum_cents)}, ou rien, à payer."
        )
        raise AmountRefusedError("rest-too-low", sentence)


def split(invoices: Sequence[PayableInvoice], cents: int) -> tuple[Allocation, ...]:
    """Return the parts of a sum, oldest debt first; an invoice that gets nothing is left out."""
    parts = []
    for invoice in sorted(invoices, key=lambda one: one.age):
        share = min(cents, invoice.outstanding_cents)
        cents -= share
        if share > 0:
            parts.append(
                Allocation(
                    invoice_id=invoice.invoice_id,
                    authority=invoice.authority,
                    regie=invoice.regie,
                    number=invoice.number,
                    amount_cents=share,
                    published_at=invoice.published_at,
                )
            )
    return tuple(parts)


def require_whole(found: Quote) -> Offer:
    """Return the account of a quote in which no invoice is refused.

    Raises:
        NotPayableError: one is; an invoice of another account counts last.
    """
    if found.refused or found.offer is None:
        last = {Reason.DIFFERENT_ACCOUNTS, Reason.PAID_ALONE}
        first = min(found.refused, key=lambda entry: entry.reason in last)
        raise NotPayableError(first.reason, first.number)
    return found.offer
