"""Money that was taken went back: refund, chargeback or cancelled capture."""

from typing import Annotated, ClassVar, Literal
from uuid import UUID

import msgspec

from shared.events.event import Event, Instant, NonEmpty
from shared.events.payment_captured import Allocation, Means


class PaymentReversed(Event, frozen=True, kw_only=True):
    """All or part of a captured payment returned; `allocations` say which invoices it reopens."""

    TOPIC: ClassVar[str] = "payment.reversed"
    TYPE: ClassVar[str] = "payment.reversed.v1"
    PRODUCER: ClassVar[str] = "payment"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("reconciliation", "notification", "gateway")

    reversal_id: UUID
    payment_id: UUID
    authority: Annotated[str, NonEmpty]
    means: Means
    provider: Annotated[str, NonEmpty]
    provider_reference: Annotated[str, NonEmpty]
    cause: Literal["refund", "chargeback", "cancelled"]
    amount_cents: Annotated[int, msgspec.Meta(gt=0, le=99_999_999_99)]
    currency: Literal["EUR"]
    allocations: Annotated[tuple[Allocation, ...], msgspec.Meta(min_length=1)]
    reversed_at: Instant

    @property
    def key(self) -> str:
        """Order is kept for each payment."""
        return str(self.payment_id)
