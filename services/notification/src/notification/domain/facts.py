"""The facts that are told, and what is known of the invoices they are about."""

from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Literal, TypeAlias
from uuid import UUID

import msgspec

from notification.domain.addresses import one_line
from shared.events import (
    InvoiceAppeared,
    InvoicePublished,
    LetterDue,
    PaymentCaptured,
    PaymentReversed,
    ReminderDue,
)
from shared.events.invoice_generated import Kind, Route
from shared.events.letter_due import LetterKind
from shared.events.payment_captured import Allocation, Means


class Invoice(msgspec.Struct, frozen=True, kw_only=True):
    """What the texts say about an invoice: its highest version known."""

    invoice_id: UUID
    version: int
    authority: str
    authority_name: str
    regie: str
    regie_label: str
    number: str
    kind: Kind
    route: Route
    subject: str
    issued_on: date
    due_on: date
    amount_cents: int
    payer_name: str
    payer_email: str | None
    token: str
    readable_until: date
    generated_at: datetime

    @classmethod
    def of(cls, event: InvoicePublished) -> "Invoice":
        """Return what is kept of a published invoice, its texts made safe to print anywhere."""
        return cls(
            invoice_id=event.invoice_id,
            version=event.version,
            authority=event.authority,
            authority_name=one_line(event.authority_name),
            regie=event.regie,
            regie_label=one_line(event.regie_label),
            number=one_line(event.number),
            kind=event.kind,
            route=event.route,
            subject=one_line(event.subject),
            issued_on=event.issued_on,
            due_on=event.due_on,
            amount_cents=event.amount_cents,
            payer_name=one_line(event.payer.name),
            payer_email=one_line(event.payer.email or "") or None,
            token=event.token,
            readable_until=event.readable_until,
            generated_at=event.generated_at,
        )


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a payment or a reversal that concerns one invoice, in cents."""

    invoice_id: UUID
    number: str
    amount_cents: int


class _Fact(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    traceparent: str

    @property
    def kind(self) -> str:
        """Name of the sort of message that tells this fact."""
        return str(self.__struct_config__.tag)


class Publication(_Fact, frozen=True, kw_only=True, tag="invoice_published"):
    """A version of an invoice is public."""

    invoice_id: UUID
    version: int

    @property
    def key(self) -> str:
        """Name of the fact."""
        return f"{self.invoice_id}/{self.version}"

    @property
    def invoice_ids(self) -> tuple[UUID, ...]:
        """The invoices it is about."""
        return (self.invoice_id,)


class Receipt(_Fact, frozen=True, kw_only=True, tag="receipt"):
    """Money was taken; `address` is where the payer asked the receipt to go, if anywhere."""

    payment_id: UUID
    means: Means
    reference: str
    parts: tuple[Part, ...]
    address: str | None
    captured_at: datetime

    @property
    def key(self) -> str:
        """Name of the fact."""
        return str(self.payment_id)

    @property
    def invoice_ids(self) -> tuple[UUID, ...]:
        """The invoices it is about."""
        return tuple(part.invoice_id for part in self.parts)


class Reversal(_Fact, frozen=True, kw_only=True, tag="reversal"):
    """Money that was taken went back."""

    reversal_id: UUID
    payment_id: UUID
    means: Means
    reference: str
    cause: Literal["refund", "chargeback", "cancelled"]
    parts: tuple[Part, ...]
    reversed_at: datetime

    @property
    def key(self) -> str:
        """Name of the fact."""
        return str(self.reversal_id)

    @property
    def invoice_ids(self) -> tuple[UUID, ...]:
        """The invoices it is about."""
        return tuple(part.invoice_id for part in self.parts)


class Reminder(_Fact, frozen=True, kw_only=True, tag="reminder"):
    """The dunning rule wants the payer reminded; `level` counts from 1."""

    invoice_id: UUID
    version: int
    level: int
    due_on: date
    outstanding_cents: int

    @property
    def key(self) -> str:
        """Name of the fact."""
        return f"{self.invoice_id}/{self.level}"

    @property
    def invoice_ids(self) -> tuple[UUID, ...]:
        """The invoices it is about."""
        return (self.invoice_id,)


class AccountNews(_Fact, frozen=True, kw_only=True, tag="account"):
    """Something happened to an account, or its holder must prove an address.

    `link` and `code` are secrets, and like `details` are erased once the letter has ended.
    """

    letter_id: UUID
    about: LetterKind
    language: str
    link: str | None = None
    code: str | None = None
    expires_at: datetime | None = None
    details: dict[str, str] = {}

    @property
    def key(self) -> str:
        """Name of the fact."""
        return str(self.letter_id)

    @property
    def invoice_ids(self) -> tuple[UUID, ...]:
        """It is about no invoice."""
        return ()


class Appearance(_Fact, frozen=True, kw_only=True, tag="appearance"):
    """A version of an invoice is in an account; told as a publication once both are known."""

    invoice_id: UUID
    version: int
    account_id: UUID

    @property
    def key(self) -> str:
        """Name of the fact."""
        return f"{self.invoice_id}/{self.version}/{self.account_id}"

    @property
    def invoice_ids(self) -> tuple[UUID, ...]:
        """The invoices it is about."""
        return (self.invoice_id,)

    @property
    def publication(self) -> Publication:
        """The fact that a reader is told."""
        return Publication(
            traceparent=self.traceparent, invoice_id=self.invoice_id, version=self.version
        )


InvoiceFact: TypeAlias = Publication | Receipt | Reversal | Reminder
"""What may have to wait for its invoice, and is told to the payer."""
Fact: TypeAlias = InvoiceFact | AccountNews
"""What a letter tells."""
Parked: TypeAlias = InvoiceFact | Appearance
"""What may be put aside."""


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """Money that reached an invoice (positive cents) or left it (negative cents)."""

    fact_id: UUID
    invoice_id: UUID
    payment_id: UUID
    amount_cents: int
    receipt_address: str | None


def parts_of(allocations: Iterable[Allocation]) -> tuple[Part, ...]:
    """Return one part for each invoice, in the order in which they are first named."""
    parts: dict[UUID, Part] = {}
    for allocation in allocations:
        known = parts.get(allocation.invoice_id)
        parts[allocation.invoice_id] = Part(
            invoice_id=allocation.invoice_id,
            number=one_line(allocation.number),
            amount_cents=allocation.amount_cents + (known.amount_cents if known else 0),
        )
    return tuple(parts.values())


def receipt_of(event: PaymentCaptured, traceparent: str) -> Receipt:
    """Return the fact that a receipt tells."""
    return Receipt(
        traceparent=traceparent,
        payment_id=event.payment_id,
        means=event.means,
        reference=one_line(event.provider_reference),
        parts=parts_of(event.allocations),
        address=one_line(event.receipt_email or "") or None,
        captured_at=event.captured_at,
    )


def reversal_of(event: PaymentReversed, traceparent: str) -> Reversal:
    """Return the fact that the news of a reversal tells."""
    return Reversal(
        traceparent=traceparent,
        reversal_id=event.reversal_id,
        payment_id=event.payment_id,
        means=event.means,
        reference=one_line(event.provider_reference),
        cause=event.cause,
        parts=parts_of(event.allocations),
        reversed_at=event.reversed_at,
    )


def reminder_of(event: ReminderDue, traceparent: str) -> Reminder:
    """Return the fact that a reminder tells."""
    return Reminder(
        traceparent=traceparent,
        invoice_id=event.invoice_id,
        version=event.version,
        level=event.level,
        due_on=event.due_on,
        outstanding_cents=event.outstanding_cents,
    )


def appearance_of(event: InvoiceAppeared, traceparent: str) -> Appearance:
    """Return the fact that the holder of an account is told."""
    return Appearance(
        traceparent=traceparent,
        invoice_id=event.invoice_id,
        version=event.version,
        account_id=event.account_id,
    )


def news_of(event: LetterDue, traceparent: str) -> AccountNews:
    """Return the fact that a letter about an account tells, its texts made safe to print."""
    return AccountNews(
        traceparent=traceparent,
        letter_id=event.letter_id,
        about=event.kind,
        language=event.language,
        link=event.link,
        code=one_line(event.code or "") or None,
        expires_at=event.expires_at,
        details={name: one_line(value) for name, value in event.details.items()},
    )


def movements_of(fact: Receipt | Reversal) -> list[Movement]:
    """Return what a payment or its reversal does to each invoice."""
    is_receipt = isinstance(fact, Receipt)
    return [
        Movement(
            fact_id=fact.payment_id if isinstance(fact, Receipt) else fact.reversal_id,
            invoice_id=part.invoice_id,
            payment_id=fact.payment_id,
            amount_cents=part.amount_cents if is_receipt else -part.amount_cents,
            receipt_address=fact.address if isinstance(fact, Receipt) else None,
        )
        for part in fact.parts
    ]


def awaited_ids(fact: Parked) -> tuple[UUID, ...]:
    """Return what must have arrived: invoices, the payment of a reversal, an account."""
    if isinstance(fact, Reversal):
        return (*fact.invoice_ids, fact.payment_id)
    if isinstance(fact, Appearance):
        return (*fact.invoice_ids, fact.account_id)
    return fact.invoice_ids


def are_invoices_known(fact: Parked, invoices: Mapping[UUID, Invoice]) -> bool:
    """Tell whether the invoices a fact refers to have arrived, in the version that it names."""
    if any(invoice_id not in invoices for invoice_id in fact.invoice_ids):
        return False
    if isinstance(fact, Reminder | Publication | Appearance):
        return invoices[fact.invoice_id].version >= fact.version
    return True


def is_ready(
    fact: Parked,
    invoices: Mapping[UUID, Invoice],
    payments: Mapping[UUID, str | None],
    accounts: Container[UUID] = (),
) -> bool:
    """Tell whether all that the fact refers to has arrived: topics are not ordered."""
    if not are_invoices_known(fact, invoices):
        return False
    if isinstance(fact, Appearance):
        return fact.account_id in accounts
    return not isinstance(fact, Reversal) or fact.payment_id in payments


def newest(invoices: Sequence[Invoice]) -> dict[UUID, Invoice]:
    """Return the highest version of each invoice."""
    highest: dict[UUID, Invoice] = {}
    for invoice in invoices:
        known = highest.get(invoice.invoice_id)
        if known is None or known.version < invoice.version:
            highest[invoice.invoice_id] = invoice
    return highest
