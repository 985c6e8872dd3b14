"""An invoice is not to be seen in somebody's account any more."""

from typing import ClassVar
from uuid import UUID

from shared.events.event import Event, Instant


class InvoiceDisappeared(Event, frozen=True, kw_only=True):
    """The last right by which an account saw an invoice has ended: it is told no more about it.

    A link was revoked, an address given up, a delegation ended. What ends by its date alone is not
    told: `InvoiceAppeared.until` said it. Of this and an `InvoiceAppeared` of the same invoice and
    account the later moment counts, in whatever order the two are read.
    """

    TOPIC: ClassVar[str] = "invoice.disappeared"
    TYPE: ClassVar[str] = "invoice.disappeared.v1"
    PRODUCER: ClassVar[str] = "gateway"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("notification",)

    invoice_id: UUID
    account_id: UUID
    disappeared_at: Instant

    @property
    def key(self) -> str:
        """Order is kept for each account."""
        return str(self.account_id)
