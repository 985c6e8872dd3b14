"""The billing application issued an invoice, or a higher version, and its deposit was accepted."""

import re
from datetime import date
from typing import Annotated, ClassVar, Literal
from uuid import UUID

import msgspec

from shared.events.event import Cents, Event, Instant, NonEmpty

Route = Literal["regie", "treasury"]
Kind = Literal["invoice", "credit_note"]

_MADE_UP_REFERENCE = re.compile(r"(?:CII|PES|ROLMRE|TABLE)-[0-9a-f]{16}")
"""What ingestion makes of a name and an address where the biller gave no reference."""


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file in the object store: where it is, its size in bytes and the SHA-256 it must have."""

    key: Annotated[str, NonEmpty]
    size_bytes: Annotated[int, msgspec.Meta(gt=0)]
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class PayerIdentity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who a payer is for the State, as far as the biller knows: fields of FranceConnect's pivot.

    `birthdate` is `YYYY-MM-DD`, with `00` for a day or a month that nobody knows; `birthplace` is
    the INSEE code of the commune, empty for who was born abroad, and `birthcountry` the INSEE code
    of the country (`99100` is France).
    """

    family_name: Annotated[str, NonEmpty]
    given_names: Annotated[tuple[Annotated[str, NonEmpty], ...], msgspec.Meta(min_length=1)]
    birthdate: Annotated[str, msgspec.Meta(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    gender: Literal["male", "female"] | None = None
    birthplace: Annotated[str, msgspec.Meta(pattern="^([0-9][0-9AB][0-9]{3})?$")] | None = None
    birthcountry: Annotated[str, msgspec.Meta(pattern="^[0-9]{5}$")] | None = None


class Payer(msgspec.Struct, frozen=True, kw_only=True):
    """Who owes: what a message and a letter need, no more."""

    reference: Annotated[str, NonEmpty]
    name: Annotated[str, NonEmpty]
    email: str | None = None
    phone: str | None = None
    address: tuple[str, ...] = ()

    @property
    def own_reference(self) -> str | None:
        """The biller's own reference; None where it gave none and one was made up.

        A made-up one is the same for a father and a son of one name at one address.
        """
        return None if _MADE_UP_REFERENCE.fullmatch(self.reference) else self.reference


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the invoice; `quantity` is a decimal number as text."""

    label: Annotated[str, NonEmpty]
    quantity: str = "1"
    unit_amount_cents: Annotated[int, Cents] | None = None
    amount_cents: Annotated[int, Cents]


class InvoiceGenerated(Event, frozen=True, kw_only=True):
    """An invoice to publish; `document` is the biller's PDF, absent when only data was sent.

    `payer_identity` is who the payer is for the State, where the biller says so.
    """

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
    payer_identity: PayerIdentity | None = None
    lines: tuple[Line, ...] = ()
    document: StoredFile | None = None
    fiscal_year: int | None = None
    debt_reference: str | None = None
    generated_at: Instant

    @property
    def key(self) -> str:
        """Order is kept for each invoice."""
        return str(self.invoice_id)
