"""What an account paid, by month."""

from collections.abc import Sequence
from datetime import date
from typing import Protocol
from uuid import UUID

import msgspec


class PaidMonth(msgspec.Struct, frozen=True, kw_only=True):
    """What was paid in a month, less what was given back in it; `month` is its first day."""

    month: date
    amount_cents: int


class Months(Protocol):
    """Money by month."""

    async def paid_by_month(self, invoice_ids: Sequence[UUID], first: date) -> list[PaidMonth]:
        """Return what was paid for some invoices from a day on, by month in France."""
        ...
