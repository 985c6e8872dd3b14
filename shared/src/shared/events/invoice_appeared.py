"""An invoice, or a new version of it, appeared in somebody's account."""

from typing import Annotated, ClassVar
from uuid import UUID

import msgspec

from shared.events.event import Event, Instant, NonEmpty
from shared.events.invoice_generated import Kind


class InvoiceAppeared(Event, frozen=True, kw_only=True):
    """The holder of the account sees this version now, however the invoice was linked to it.

    Several accounts may see one invoice: one event for each. It names the invoice and the account,
    never a person or an amount. `until` is when a right that is lent ends by itself; one's own has
    none. Without `is_new` it was published before and only comes into sight now, by a link to an
    old invoice for one: what happens to it from now on is told, the invoice itself is not.
    """

    TOPIC: ClassVar[str] = "invoice.appeared"
    TYPE: ClassVar[str] = "invoice.appeared.v1"
    PRODUCER: ClassVar[str] = "gateway"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("notification",)

    invoice_id: UUID
    version: Annotated[int, msgspec.Meta(ge=1)]
    account_id: UUID
    authority: Annotated[str, NonEmpty]
    regie: Annotated[str, NonEmpty]
    kind: Kind = "invoice"
    appeared_at: Instant
    until: Instant | None = None
    is_new: bool = True

    @property
    def key(self) -> str:
        """Order is kept for each account."""
        return str(self.account_id)
