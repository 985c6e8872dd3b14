"""The invoice can be read, and if it is owed paid, at its public address."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, ClassVar, Literal
from uuid import UUID

import msgspec

from shared.events.event import Event, Instant, NonEmpty
from shared.events.invoice_generated import Kind, Payer, PayerIdentity, Route, StoredFile


class InvoicePublished(Event, frozen=True, kw_only=True):
    """One version of an invoice is public; a higher version replaces a lower one.

    `token` opens the invoice without an account: 128 random bits, the same for all versions so that
    the old paper's QR code leads to the new document.
    """

    TOPIC: ClassVar[str] = "invoice.published"
    TYPE: ClassVar[str] = "invoice.published.v1"
    PRODUCER: ClassVar[str] = "publication"
    CONSUMERS: ClassVar[tuple[str, ...]] = (
        "payment",
        "reconciliation",
        "notification",
        "gateway",
    )

    invoice_id: UUID
    version: Annotated[int, msgspec.Meta(ge=1)]
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
    fiscal_year: int | None = None
    debt_reference: str | None = None
    token: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]{22,64}$")]
    document: StoredFile
    generated_at: Instant
    published_at: Instant
    readable_until: date

    @property
    def key(self) -> str:
        """Order is kept for each invoice."""
        return str(self.invoice_id)


def highest_versions(published: Sequence[InvoicePublished]) -> list[InvoicePublished]:
    """Return the highest version of each invoice, by id: one order in which all lock their rows."""
    highest: dict[UUID, InvoicePublished] = {}
    for invoice in published:
        known = highest.get(invoice.invoice_id)
        if known is None or known.version < invoice.version:
            highest[invoice.invoice_id] = invoice
    return sorted(highest.values(), key=lambda invoice: invoice.invoice_id)
