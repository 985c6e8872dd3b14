"""The billing application took an invoice back: it is no longer owed nor shown."""

from typing import Annotated, ClassVar
from uuid import UUID

import msgspec

from shared.events.event import Event, Instant, NonEmpty


class InvoiceWithdrawn(Event, frozen=True, kw_only=True):
    """The invoice up to `version` is cancelled, with the biller's reason."""

    TOPIC: ClassVar[str] = "invoice.withdrawn"
    TYPE: ClassVar[str] = "invoice.withdrawn.v1"
    PRODUCER: ClassVar[str] = "ingestion"
    CONSUMERS: ClassVar[tuple[str, ...]] = (
        "publication",
        "payment",
        "reconciliation",
        "gateway",
    )

    invoice_id: UUID
    version: Annotated[int, msgspec.Meta(ge=1)]
    authority: Annotated[str, NonEmpty]
    regie: Annotated[str, NonEmpty]
    number: Annotated[str, NonEmpty]
    reason: Annotated[str, NonEmpty]
    withdrawn_at: Instant

    @property
    def key(self) -> str:
        """Order is kept for each invoice."""
        return str(self.invoice_id)
