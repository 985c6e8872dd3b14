"""The billing application issued an invoice, or a higher version, and its deposit was accepted."""

from datetime import date
from typing import Annotated, ClassVar, Literal
from uuid import UUID

import msgspec

from shared.events.event import Cents, Event, Instant, NonEmpty

Route = Literal["regie", "treasury"]
Kind = Literal["invoice", "credit_note"]


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file in the object store: where it is, its size in bytes and the SHA-256 it must have."""

    key: Annotated[str, NonEmpty]
    size_bytes: Annotated[int, msgspec.Meta(gt=0)]
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class Payer(msgspec.Struct, frozen=True, kw_only=True):
    """Who owes: what a message and a letter need, no more."""

    reference: Annotated[str, NonEmpty]
    name: Annotated[str, NonEmpty]
    email: str | None = None
    phone: str | None = None
    address: tuple[str, ...] = ()


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the invoice; `quantity` is a decimal number as text."""

    label: Annotated[str, NonEmpty]
    quantity: str = "1"
    unit_amount_cents: Annotated[int, Cents] | None = None
    amount_cents: Annotated[int, Cents]


class InvoiceGenerated(Event, frozen=True, kw_only=True):
    """An invoice to publish; `document` is the biller's PDF, absent when only data was sent."""

    TOPIC: ClassVar[str] = "invoice.generated"
    TYPE: ClassVar[str] = "invoice.generated.v1"
    PRODUCER: ClassVar[str] = "ingestion"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("publication",)

    invoice_id: UUID
    version: Annotated[int, msgspec.Meta(ge=1)]
    deposit_id: UUID
    authority: Annotated[str, NonEmpty]
    authority_name: Annotated[str, NonEmpty]
    regie: Annotated[str, NonEmpty]
    regie_label: Annotated[str, NonEmpty]
    number: Annotated[str, NonEmpty]
    kind: Kind
    route: Route
    subject: Annotated[str, NonEmpty]
    issued_on: date
    due_on: date
    amount_cents: Annotated[int, msgspec.Meta(gt=0, le=99_999_999_99)]
    currency: Literal["EUR"]
    payer: Payer
    lines: tuple[Line, ...] = ()
    document: StoredFile | None = None
    fiscal_year: int | None = None
    debt_reference: str | None = None
    generated_at: Instant

    @property
    def key(self) -> str:
        """Order is kept for each invoice."""
        return str(self.invoice_id)
