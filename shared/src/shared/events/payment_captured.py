"""Money was taken for one or several invoices."""

from typing import Annotated, ClassVar, Literal
from uuid import UUID

import msgspec

from shared.events.event import Event, Instant, NonEmpty

Means = Literal["card", "payfip", "cash", "cheque", "transfer", "direct_debit", "cesu"]


class Allocation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The part of a payment that goes to one invoice, in cents.

    `published_at` says since when the invoice could be paid: who measures that delay needs no join.
    """

    invoice_id: UUID
    authority: Annotated[str, NonEmpty]
    regie: Annotated[str, NonEmpty]
    number: Annotated[str, NonEmpty]
    amount_cents: Annotated[int, msgspec.Meta(gt=0)]
    published_at: Instant | None = None


class PaymentCaptured(Event, frozen=True, kw_only=True):
    """The provider says the money is taken; `provider_reference` names the operation over there.

    `receipt_email` is where the payer asked the receipt to go, if anywhere.
    """

    TOPIC: ClassVar[str] = "payment.captured"
    TYPE: ClassVar[str] = "payment.captured.v1"
    PRODUCER: ClassVar[str] = "payment"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("reconciliation", "notification", "gateway")

    payment_id: UUID
    authority: Annotated[str, NonEmpty]
    means: Means
    provider: Annotated[str, NonEmpty]
    provider_reference: Annotated[str, NonEmpty]
    amount_cents: Annotated[int, msgspec.Meta(gt=0, le=99_999_999_99)]
    currency: Literal["EUR"]
    allocations: Annotated[tuple[Allocation, ...], msgspec.Meta(min_length=1)]
    receipt_email: str | None = None
    captured_at: Instant

    @property
    def key(self) -> str:
        """Order is kept for each payment: it may span several invoices."""
        return str(self.payment_id)
