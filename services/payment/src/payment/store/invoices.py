"""What may be paid."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from payment.domain import PayableInvoice
from shared.events import InvoicePublished, InvoiceWithdrawn
from shared.events.invoice_published import highest_versions
from shared.postgres import Connection

# A lower version may come after a higher one: it must not replace it.
KEEP = """
INSERT INTO invoice (invoice_id, authority, regie, number, version, kind, route, amount_cents,
                     published_at, issued_on, due_on, subject, fiscal_year, debt_reference)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::integer[], $6::text[],
                     $7::text[], $8::bigint[], $9::timestamptz[], $10::date[], $11::date[],
                     $12::text[], $13::integer[], $14::text[])
ON CONFLICT (invoice_id) DO UPDATE SET
    authority = EXCLUDED.authority, regie = EXCLUDED.regie, number = EXCLUDED.number,
    version = EXCLUDED.version, kind = EXCLUDED.kind, route = EXCLUDED.route,
    amount_cents = EXCLUDED.amount_cents, published_at = EXCLUDED.published_at,
    issued_on = EXCLUDED.issued_on, due_on = EXCLUDED.due_on, subject = EXCLUDED.subject,
    fiscal_year = EXCLUDED.fiscal_year, debt_reference = EXCLUDED.debt_reference
WHERE invoice.version < EXCLUDED.version
"""

# A withdrawal may come before its invoice: version 0 stands for one that is not known yet.
WITHDRAW = """
INSERT INTO invoice (invoice_id, authority, regie, number, version, kind, route, amount_cents,
                     withdrawn_version)
SELECT invoice_id, authority, regie, number, 0, 'invoice', 'regie', 0, version
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::integer[])
    AS t (invoice_id, authority, regie, number, version)
ON CONFLICT (invoice_id) DO UPDATE
SET withdrawn_version = greatest(invoice.withdrawn_version, EXCLUDED.withdrawn_version)
"""

READ = """
SELECT invoice_id, authority, regie, number, version, kind, route, amount_cents, withdrawn_version,
    published_at, issued_on, due_on, subject, fiscal_year, debt_reference
FROM invoice WHERE invoice_id = ANY($1::uuid[]) AND version > 0
"""
# Locked in one order everywhere, so that two payers never wait for each other in a circle.
LOCK = READ + "ORDER BY invoice_id FOR UPDATE"
# A statement of its own, after the lock: only so does it see what was committed while it waited.
CAPTURED = """
SELECT invoice_id, sum(cents)::bigint AS captured_cents FROM (
    SELECT invoice_id, allocation.amount_cents AS cents
    FROM allocation JOIN attempt USING (payment_id)
    WHERE invoice_id = ANY($1::uuid[]) AND attempt.state IN ('captured', 'reversed')
    UNION ALL
    SELECT invoice_id, -amount_cents FROM reversal_part WHERE invoice_id = ANY($1::uuid[])
) AS movement GROUP BY invoice_id
"""


class PostgresInvoices:
    """Invoices behind one connection; see `ports.Invoices`."""

    def __init__(self, connection: Connection) -> None:
        """Work on `connection`, within its transaction."""
        self._connection = connection

    async def keep(self, published: Sequence[InvoicePublished]) -> None:
        """Keep the highest version of each invoice."""
        rows = highest_versions(published)
        await self._connection.execute(
            KEEP,
            [row.invoice_id for row in rows],
            [row.authority for row in rows],
            [row.regie for row in rows],
            [row.number for row in rows],
            [row.version for row in rows],
            [row.kind for row in rows],
            [row.route for row in rows],
            [row.amount_cents for row in rows],
            [row.published_at for row in rows],
            [row.issued_on for row in rows],
            [row.due_on for row in rows],
            [row.subject for row in rows],
            [row.fiscal_year for row in rows],
            [row.debt_reference for row in rows],
        )

    async def withdraw(self, withdrawn: Sequence[InvoiceWithdrawn]) -> None:
        """Close invoices up to a version, also ones that are not known yet."""
        latest: dict[UUID, InvoiceWithdrawn] = {}
        for event in withdrawn:
            known = latest.get(event.invoice_id)
            if known is None or known.version < event.version:
                latest[event.invoice_id] = event
        rows = sorted(latest.values(), key=lambda event: event.invoice_id)
        await self._connection.execute(
            WITHDRAW,
            [row.invoice_id for row in rows],
            [row.authority for row in rows],
            [row.regie for row in rows],
            [row.number for row in rows],
            [row.version for row in rows],
        )

    async def lock(self, invoice_ids: Sequence[UUID]) -> list[PayableInvoice]:
        """Return invoices locked until the transaction ends, with what was captured for them."""
        return await self._invoices(LOCK, invoice_ids)

    async def read(self, invoice_ids: Sequence[UUID]) -> list[PayableInvoice]:
        """Return invoices as they are now; nothing is locked."""
        return await self._invoices(READ, invoice_ids)

    async def _invoices(self, statement: str, invoice_ids: Sequence[UUID]) -> list[PayableInvoice]:
        rows: list[Any] = await self._connection.fetch(statement, list(invoice_ids))
        sums = await self._connection.fetch(CAPTURED, list(invoice_ids))
        captured = {row["invoice_id"]: row["captured_cents"] for row in sums}
        found = {
            row["invoice_id"]: PayableInvoice(
                **dict(row), captured_cents=captured.get(row["invoice_id"], 0)
            )
            for row in rows
        }
        return [found[invoice_id] for invoice_id in invoice_ids if invoice_id in found]
