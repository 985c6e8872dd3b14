"""What is asked and answered at the doors."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from payment.domain import SENTENCES, Attempt, AttemptState, Move, Quote, Reason
from payment.domain.parity import Finding
from payment.domain.payability import Payability
from payment.ports import PaymentForm, UnclearAttempt

EMAIL = r"^[^\s@<>]+@[^\s@<>]+(?![\s\S])"
Invoices = Annotated[tuple[UUID, ...], msgspec.Meta(min_length=1, max_length=50)]
Cents = Annotated[int, msgspec.Meta(gt=0, le=99_999_999_99)]


class PaymentDemand(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which invoices are to be paid, and where the payer comes back to.

    Amounts are computed here. `amount_cents` is only the payer's wish to pay a part, where the
    authority allows it.
    """

    invoice_ids: Invoices
    return_url: Annotated[str, msgspec.Meta(pattern=r"^https?://\S+(?![\s\S])", max_length=250)]
    email: Annotated[str, msgspec.Meta(pattern=EMAIL, max_length=80)] | None = None
    language: Annotated[str, msgspec.Meta(pattern="^(fr|en)$")] = "fr"
    amount_cents: Cents | None = None
    idempotency_key: Annotated[str, msgspec.Meta(pattern=r"^[!-~]{1,100}(?![\s\S])")] | None = None


class StartedPayment(msgspec.Struct, frozen=True, kw_only=True):
    """The attempt that was opened and the form to hand the payer over with."""

    payment_id: UUID
    amount_cents: int
    expires_at: datetime
    form: PaymentForm


class QuoteDemand(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which invoices would be paid, and how much of them if not all."""

    invoice_ids: Invoices
    amount_cents: Cents | None = None


class PaidInvoice(msgspec.Struct, frozen=True, kw_only=True):
    """One invoice of a payment."""

    invoice_id: UUID
    number: str
    amount_cents: int


class RefusedInvoice(msgspec.Struct, frozen=True, kw_only=True):
    """One invoice that cannot be in the payment, and why."""

    invoice_id: UUID
    number: str
    reason: Reason
    sentence: str


class AccountName(msgspec.Struct, frozen=True, kw_only=True):
    """An account at a provider."""

    provider: str
    account: str


class QuotedPayment(msgspec.Struct, frozen=True, kw_only=True):
    """What the payment would be: its parts in the order in which they are paid."""

    allocations: tuple[PaidInvoice, ...]
    total_cents: int
    outstanding_cents: int
    account: AccountName | None
    needs_email: bool
    refused: tuple[RefusedInvoice, ...]


class PayabilityDemand(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which invoices somebody looks at."""

    invoice_ids: Annotated[tuple[UUID, ...], msgspec.Meta(min_length=1, max_length=200)]


class InvoicePayability(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an invoice can be paid online now, and if not why."""

    payable: bool
    reason: Reason | None
    sentence: str
    outstanding_cents: int
    minimum_cents: int
    accounts: tuple[AccountName, ...]
    in_flight_until: datetime | None


class PaymentState(msgspec.Struct, frozen=True, kw_only=True):
    """Where a payment stands, by the provider's own word; `step` is the exact state."""

    payment_id: UUID
    state: Literal["open", "captured", "refused", "abandoned", "expired", "reversed"]
    step: AttemptState
    amount_cents: int
    started_at: datetime
    invoices: tuple[PaidInvoice, ...]
    provider_reference: str | None = None
    returned_cents: int = 0


class History(msgspec.Struct, frozen=True, kw_only=True):
    """Every move of an attempt."""

    moves: tuple[Move, ...]


class UnclearAttempts(msgspec.Struct, frozen=True, kw_only=True):
    """Attempts that people must look at."""

    count: int
    attempts: tuple[UnclearAttempt, ...]


class Parity(msgspec.Struct, frozen=True, kw_only=True):
    """Every difference between our attempts and the provider's own list."""

    account: str
    findings: tuple[Finding, ...]


def paid(attempt: Attempt) -> PaymentState:
    """Return an attempt as the gateway sees it."""
    return PaymentState(
        payment_id=attempt.payment_id,
        state="open" if attempt.is_in_flight else attempt.state.value,  # type: ignore[arg-type]
        step=attempt.state,
        amount_cents=attempt.amount_cents,
        started_at=attempt.started_at,
        invoices=tuple(
            PaidInvoice(
                invoice_id=part.invoice_id, number=part.number, amount_cents=part.amount_cents
            )
            for part in attempt.allocations
        ),
        provider_reference=attempt.provider_reference,
        returned_cents=attempt.returned_cents,
    )


def quoted(found: Quote) -> QuotedPayment:
    """Return a quote as the gateway sees it."""
    offer = found.offer
    return QuotedPayment(
        allocations=tuple(
            PaidInvoice(
                invoice_id=part.invoice_id, number=part.number, amount_cents=part.amount_cents
            )
            for part in found.allocations
        ),
        total_cents=found.total_cents,
        outstanding_cents=found.outstanding_cents,
        account=AccountName(provider=offer.provider, account=offer.account) if offer else None,
        needs_email=offer is not None and offer.rules.needs_email,
        refused=tuple(
            RefusedInvoice(
                invoice_id=entry.invoice_id,
                number=entry.number,
                reason=entry.reason,
                sentence=SENTENCES[entry.reason],
            )
            for entry in found.refused
        ),
    )


def payable(found: Payability) -> InvoicePayability:
    """Return the payability of an invoice as the gateway sees it."""
    return InvoicePayability(
        payable=found.payable,
        reason=found.reason,
        sentence=found.sentence,
        outstanding_cents=found.outstanding_cents,
        minimum_cents=found.minimum_cents,
        accounts=tuple(
            AccountName(provider=provider, account=account) for provider, account in found.accounts
        ),
        in_flight_until=found.in_flight_until,
    )
