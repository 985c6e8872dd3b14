"""The document of an invoice cannot be published: the biller must send another one."""

from typing import Annotated, ClassVar
from uuid import UUID

import msgspec

from shared.events.event import Event, Instant, NonEmpty


class InvoiceRefused(Event, frozen=True, kw_only=True):
    """One version was turned down; `code` is stable, `detail` a French sentence for the biller."""

    TOPIC: ClassVar[str] = "invoice.refused"
    TYPE: ClassVar[str] = "invoice.refused.v1"
    PRODUCER: ClassVar[str] = "publication"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("ingestion",)

    invoice_id: UUID
    version: Annotated[int, msgspec.Meta(ge=1)]
    deposit_id: UUID
    authority: Annotated[str, NonEmpty]
    regie: Annotated[str, NonEmpty]
    number: Annotated[str, NonEmpty]
    code: Annotated[str, msgspec.Meta(pattern="^[a-z0-9_]{1,60}$")]
    detail: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    refused_at: Instant

    @property
    def key(self) -> str:
        """Order is kept for each invoice."""
        return str(self.invoice_id)
