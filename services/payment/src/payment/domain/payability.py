"""Why an invoice cannot be paid online: one closed list, and a plain sentence for each."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar

import msgspec

from payment.domain.invoices import PayableInvoice
from payment.domain.terms import Offer
from shared.clock import paris_date
from shared.errors import DomainError


class Reason(StrEnum):
    """Why an invoice cannot be paid online, now or ever. The list is a contract: it only grows."""

    WITHDRAWN = "withdrawn"
    CREDIT_NOTE = "credit-note"
    ALREADY_PAID = "already-paid"
    DIRECT_DEBIT_PLANNED = "direct-debit-planned"
    TRANSFERRED = "transferred"
    DISPUTED = "disputed"
    IN_FLIGHT = "payment-in-progress"
    RECENT_ATTEMPT = "recent-attempt"
    NO_PROVIDER = "no-provider"
    NO_DEBT_REFERENCE = "no-debt-reference"
    NOT_YET = "not-yet-payable"
    TOO_LATE = "too-late"
    REGIE_CLOSED = "regie-closed"
    MAINTENANCE = "maintenance"
    BELOW_MINIMUM = "below-minimum"
    ABOVE_MAXIMUM = "above-maximum"
    DIFFERENT_ACCOUNTS = "different-accounts"
    PAID_ALONE = "paid-alone"


SENTENCES: Mapping[Reason, str] = {
    Reason.WITHDRAWN: "Cette facture a été retirée : vous n’avez rien à payer.",
    Reason.CREDIT_NOTE: "Ceci est un avoir : il n’y a rien à payer.",
    Reason.ALREADY_PAID: "Cette facture est déjà payée.",
    Reason.DIRECT_DEBIT_PLANNED: "Cette facture sera prélevée : vous n’avez rien à faire.",
    Reason.TRANSFERRED: "Cette facture a été transmise au Trésor public, qui en assure le"
    " recouvrement.",
    Reason.DISPUTED: "Cette facture est contestée : son paiement est suspendu.",
    Reason.IN_FLIGHT: "Un paiement de cette facture est déjà en cours.",
    Reason.RECENT_ATTEMPT: "Un paiement de cette facture vient d’être tenté : réessayez dans"
    " quelques minutes.",
    Reason.NO_PROVIDER: "Cette facture ne peut pas être payée en ligne.",
    Reason.NO_DEBT_REFERENCE: "La référence du titre manque : cette facture ne peut pas être payée"
    " en ligne.",
    Reason.NOT_YET: "Cette facture pourra être payée en ligne le lendemain de sa publication.",
    Reason.TOO_LATE: "Le délai de paiement en ligne de cette facture est dépassé.",
    Reason.REGIE_CLOSED: "La régie est fermée : le paiement en ligne reprendra à sa réouverture.",
    Reason.MAINTENANCE: "Le service de paiement est en maintenance : réessayez un peu plus tard.",
    Reason.BELOW_MINIMUM: "Le montant est inférieur au minimum du paiement en ligne.",
    Reason.ABOVE_MAXIMUM: "Le montant dépasse le maximum du paiement en ligne.",
    Reason.DIFFERENT_ACCOUNTS: "Cette facture ne peut être payée avec les autres : elle relève d’un"
    " autre compte.",
    Reason.PAID_ALONE: "Cette facture se paie seule.",
}


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """What other attempts say against starting one for an invoice.

    `recent_start` is when the latest attempt began whose end the provider has not told.
    """

    is_in_flight: bool = False
    recent_start: datetime | None = None


NO_HOLD = Hold()


class NotPayableError(DomainError):
    """An invoice cannot be paid online now."""

    slug: ClassVar[str] = "not-payable"

    def __init__(self, reason: Reason, number: str = "") -> None:
        """Say why, and of which invoice."""
        super().__init__(SENTENCES[reason])
        self.reason = reason
        self.number = number


def reason_against(
    invoice: PayableInvoice, offer: Offer | None, hold: Hold, now: datetime
) -> Reason | None:
    """Return why nothing can be paid online for an invoice now, whatever the sum; None if it can.

    What concerns the debt itself comes first: it holds longest.
    """
    if invoice.withdrawn_version >= invoice.version:
        return Reason.WITHDRAWN
    if invoice.kind == "credit_note":
        return Reason.CREDIT_NOTE
    if invoice.outstanding_cents == 0:
        return Reason.ALREADY_PAID
    if hold.is_in_flight:
        return Reason.IN_FLIGHT
    if offer is None or invoice.route not in offer.rules.routes:
        return Reason.NO_PROVIDER
    return _of_route(invoice, offer, now) or _of_account(invoice, offer, hold, now)


def _of_route(invoice: PayableInvoice, offer: Offer, now: datetime) -> Reason | None:
    """Judge a titre: its online service knows it some days later, by its references."""
    if invoice.route != "treasury":
        return None
    if invoice.debt_reference is None or invoice.fiscal_year is None:
        return Reason.NO_DEBT_REFERENCE
    if invoice.published_at is None:
        return None
    known_on = paris_date(invoice.published_at) + timedelta(days=offer.terms.days_until_known)
    return None if known_on <= paris_date(now) else Reason.NOT_YET


def _of_account(invoice: PayableInvoice, offer: Offer, hold: Hold, now: datetime) -> Reason | None:
    closure = offer.terms.closure_at(now)
    if closure is not None:
        return Reason.REGIE_CLOSED if closure.cause == "regie" else Reason.MAINTENANCE
    days = offer.terms.days_after_due
    if (
        days is not None
        and invoice.due_on is not None
        and paris_date(now) > invoice.due_on + timedelta(days=days)
    ):
        return Reason.TOO_LATE
    pause = offer.rules.pause_between_attempts
    if hold.recent_start is not None and now < hold.recent_start + pause:
        return Reason.RECENT_ATTEMPT
    return None


def reason_of_sum(cents: int, offer: Offer) -> Reason | None:
    """Return why this sum cannot be paid to an account, or None."""
    if cents < offer.rules.minimum_cents:
        return Reason.BELOW_MINIMUM
    return Reason.ABOVE_MAXIMUM if cents > offer.rules.maximum_cents else None


def least_cents(invoice: PayableInvoice, offer: Offer) -> int:
    """Return the least that can be paid for an invoice: all of it, where no part may be."""
    partial = offer.terms.partial
    if not partial.allowed or invoice.route == "treasury":
        return invoice.outstanding_cents
    floor = max(partial.minimum_cents, offer.rules.minimum_cents)
    return min(floor, invoice.outstanding_cents)


class Payability(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an invoice can be paid online now, and if not why."""

    payable: bool
    reason: Reason | None
    sentence: str
    outstanding_cents: int
    minimum_cents: int
    accounts: tuple[tuple[str, str], ...]
    in_flight_until: datetime | None
