"""The SQL of what was paid by month."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from gateway.ports import PaidMonth
from gateway.store.rows import Rows

# A payment of the last evening of a month belongs to the month that people in France were in.
PAID_BY_MONTH = """
SELECT date_trunc('month', occurred_at AT TIME ZONE 'Europe/Paris')::date AS month,
    sum(amount_cents)::bigint AS amount_cents
FROM movement
WHERE invoice_id = ANY($1) AND occurred_at >= $2::date::timestamp AT TIME ZONE 'Europe/Paris'
GROUP BY 1 ORDER BY 1
"""


class PostgresMonths(Rows):
    """Money by month within one transaction; see `ports.Months`."""

    async def paid_by_month(self, invoice_ids: Sequence[UUID], first: date) -> list[PaidMonth]:
        """Return what was paid for some invoices from a day on, by month in France."""
        rows = await self._connection.fetch(PAID_BY_MONTH, list(invoice_ids), first)
        return [PaidMonth(**dict(row)) for row in rows]
