"""An invoice as payment knows it."""

from datetime import date, datetime
from uuid import UUID

import msgspec


class PayableInvoice(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice, with what was captured for it and did not go back, in cents.

    The dates, subject and debt are absent for invoices that were published before payment kept
    them.
    """

    invoice_id: UUID
    authority: str
    regie: str
    number: str
    version: int
    kind: str
    route: str
    amount_cents: int
    withdrawn_version: int
    captured_cents: int
    published_at: datetime | None = None
    issued_on: date | None = None
    due_on: date | None = None
    subject: str | None = None
    fiscal_year: int | None = None
    debt_reference: str | None = None

    @property
    def outstanding_cents(self) -> int:
        """What is still owed, in cents; never negative."""
        return max(0, self.amount_cents - self.captured_cents)

    @property
    def age(self) -> tuple[date, date, str]:
        """What puts the oldest debt first: due date, then issue, then number."""
        return (self.due_on or date.min, self.issued_on or date.min, self.number)
