"""The dunning rule of the régie says that the payer must be reminded now."""

from datetime import date
from typing import Annotated, ClassVar, Literal
from uuid import UUID

import msgspec

from shared.events.event import Event, Instant, NonEmpty


class ReminderDue(Event, frozen=True, kw_only=True):
    """An invoice is overdue; `level` counts the reminders of this invoice from 1."""

    TOPIC: ClassVar[str] = "reminder.due"
    TYPE: ClassVar[str] = "reminder.due.v1"
    PRODUCER: ClassVar[str] = "reconciliation"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("notification", "gateway")

    invoice_id: UUID
    version: Annotated[int, msgspec.Meta(ge=1)]
    level: Annotated[int, msgspec.Meta(ge=1)]
    authority: Annotated[str, NonEmpty]
    regie: Annotated[str, NonEmpty]
    number: Annotated[str, NonEmpty]
    due_on: date
    outstanding_cents: Annotated[int, msgspec.Meta(gt=0)]
    currency: Literal["EUR"]
    decided_at: Instant

    @property
    def key(self) -> str:
        """Order is kept for each invoice."""
        return str(self.invoice_id)
