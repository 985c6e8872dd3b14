"""The SQL of documents: which parts of a payment an account sees, and what a paper's code opens."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from gateway.ports import PaidYear
from gateway.store.rows import Rows
from gateway.store.seen import seen
from gateway.store.visitors import digest

OWN_PARTS = f"""
SELECT movement.invoice_id, bool_or(own.can_read) AS can_read
FROM movement JOIN ({seen("$1", "$2")}) AS own USING (invoice_id)
WHERE movement.payment_id = $3 AND movement.amount_cents > 0
GROUP BY movement.invoice_id ORDER BY movement.invoice_id
"""
# A payment of New Year's Eve belongs to the year that people in France were in. What the treasury
# took is the DGFiP's to attest.
PAID_YEARS = """
SELECT invoice.authority, max(invoice.authority_name) AS authority_name,
    extract(year FROM movement.occurred_at AT TIME ZONE 'Europe/Paris')::integer AS year
FROM movement JOIN invoice USING (invoice_id)
WHERE movement.invoice_id = ANY($1) AND movement.amount_cents > 0
    AND invoice.version > 0 AND invoice.route = 'regie'
GROUP BY 1, 3 ORDER BY 3 DESC, 2
"""
IS_SEALED = """
SELECT second_proof AND NOT EXISTS (
        SELECT FROM opening
        WHERE browser_sha256 = $2 AND invoice_id = $3 AND expires_at > $4)
FROM authority WHERE authority = $1
"""


class PostgresDocuments(Rows):
    """What documents need, within one transaction; see `ports.DocumentRows`."""

    async def own_parts(self, account_id: UUID, payment_id: UUID) -> dict[UUID, bool]:
        """Return which invoices of a payment an account sees, and whether it may read each."""
        rows = await self._connection.fetch(OWN_PARTS, account_id, self.now(), payment_id)
        return {row["invoice_id"]: row["can_read"] for row in rows}

    async def paid_years(self, invoice_ids: Sequence[UUID]) -> list[PaidYear]:
        """Return to which authorities and in which years some invoices were paid, newest first."""
        rows = await self._connection.fetch(PAID_YEARS, list(invoice_ids))
        return [PaidYear(**dict(row)) for row in rows]

    async def is_sealed(
        self, authority: str, invoice_id: UUID, browser: str, now: datetime
    ) -> bool:
        """Tell whether an authority asks for more than the code, which this browser did not give.

        An authority that is not set here asks for nothing.
        """
        found: bool | None = await self._connection.fetchval(
            IS_SEALED, authority, digest(browser), invoice_id, now
        )
        return bool(found)
