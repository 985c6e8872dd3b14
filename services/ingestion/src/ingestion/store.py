"""All the SQL of ingestion."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from ingestion.domain import Known
from ingestion.ports import (
    AuthorityRow,
    DepositRow,
    InvoiceRow,
    KeptInvoice,
    LineRow,
    OpenedDeposit,
    RegieRow,
)
from shared.events import InvoiceRefused
from shared.events.authority_configured import AuthorityConfigured
from shared.postgres import Connection

# An older revision may come late: it must not replace a newer one.
KEEP_AUTHORITY = """
INSERT INTO authority (authority, name, revision) VALUES ($1, $2, $3)
ON CONFLICT (authority) DO UPDATE SET name = EXCLUDED.name, revision = EXCLUDED.revision
WHERE authority.revision < EXCLUDED.revision
RETURNING authority
"""
FORGET_REGIES = "DELETE FROM regie WHERE authority = $1"
ADD_REGIES = """
INSERT INTO regie (authority, code, label, route)
SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[])
"""
REGIES = """
SELECT authority.name, regie.code, regie.label, regie.route
FROM authority LEFT JOIN regie USING (authority) WHERE authority.authority = $1
"""

# A twin request with the same key waits here for the first, then finds its deposit.
OPEN_DEPOSIT = """
INSERT INTO deposit (deposit_id, authority, client, idempotency_key, body_sha256, format,
                     received_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (authority, client, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
RETURNING deposit_id
"""
EARLIER_DEPOSIT = """
SELECT deposit_id, body_sha256 FROM deposit
WHERE authority = $1 AND client = $2 AND idempotency_key = $3
"""
ADD_LINES = """
INSERT INTO deposit_line (deposit_id, position, regie, number, invoice_id, version, status, code,
                          pointer, message)
SELECT $1, * FROM unnest($2::integer[], $3::text[], $4::text[], $5::uuid[], $6::integer[],
                         $7::text[], $8::text[], $9::text[], $10::text[])
"""

# Places are taken in one order, so that two deposits of the same invoices never block each other;
# a place that exists is the normal case of a second version.
TAKE_PLACES = """
INSERT INTO invoice (invoice_id, authority, regie, number, version, fingerprint, state, changed_at)
SELECT invoice_id, $2, regie, number, 0, '', 'generated', $5
FROM unnest($1::uuid[], $3::text[], $4::text[]) AS t (invoice_id, regie, number)
ORDER BY invoice_id
ON CONFLICT DO NOTHING
"""
LOCK_INVOICES = """
SELECT invoice_id, version, fingerprint, state FROM invoice
WHERE invoice_id = ANY($1::uuid[]) ORDER BY invoice_id FOR UPDATE
"""
KEEP_INVOICES = """
UPDATE invoice SET version = t.version, fingerprint = t.fingerprint, state = 'generated',
    kind = t.kind, amount_cents = t.amount_cents, deposit_id = $6, reason = NULL, changed_at = $7
FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::text[], $5::bigint[])
    AS t (invoice_id, version, fingerprint, kind, amount_cents)
WHERE invoice.invoice_id = t.invoice_id
"""
REMOVE_UNUSED_PLACES = "DELETE FROM invoice WHERE invoice_id = ANY($1::uuid[]) AND version = 0"

REFUSE_LINE = """
UPDATE deposit_line SET status = 'rejected', code = $3, message = $4,
    pointer = '/invoices/' || position || '/pdf'
WHERE invoice_id = $1 AND version = $2 AND deposit_id = $5 AND status <> 'rejected'
"""
REFUSE_INVOICE = """
UPDATE invoice SET state = 'refused', reason = $3
WHERE invoice_id = $1 AND version = $2 AND state = 'generated'
"""
WITHDRAW_INVOICE = """
UPDATE invoice SET state = 'withdrawn', reason = $2, changed_at = $3 WHERE invoice_id = $1
"""

FIND_DEPOSIT = """
SELECT deposit_id, authority, format, received_at,
    count(*) FILTER (WHERE status = 'created') AS created,
    count(*) FILTER (WHERE status = 'unchanged') AS unchanged,
    count(*) FILTER (WHERE status = 'superseded') AS superseded,
    count(*) FILTER (WHERE status = 'rejected') AS rejected,
    count(deposit_line.position) AS total
FROM deposit LEFT JOIN deposit_line USING (deposit_id)
WHERE deposit_id = $1 GROUP BY deposit_id
"""
FIND_LINES = """
SELECT position, regie, number, invoice_id, version, status, code, pointer, message
FROM deposit_line
WHERE deposit_id = $1 AND ($2::text IS NULL OR status = $2) AND position > $3
ORDER BY position LIMIT $4
"""
FIND_INVOICE = """
SELECT invoice_id, authority, regie, number, version, state, kind, amount_cents, deposit_id,
       reason, changed_at
FROM invoice WHERE invoice_id = $1 AND version > 0
"""


class PostgresDeposits:
    """Deposits behind one connection; see `ports.Deposits`."""

    def __init__(self, connection: Connection) -> None:
        """Work on `connection`, within its transaction if it has one."""
        self._connection = connection

    async def keep_authority(self, configured: AuthorityConfigured) -> None:
        """Replace what is known of an authority, unless a newer revision is known."""
        row = await self._connection.fetchrow(
            KEEP_AUTHORITY, configured.authority, configured.name, configured.revision
        )
        if row is None:
            return
        await self._connection.execute(FORGET_REGIES, configured.authority)
        await self._connection.execute(
            ADD_REGIES,
            configured.authority,
            [regie.code for regie in configured.regies],
            [regie.label for regie in configured.regies],
            [regie.route for regie in configured.regies],
        )

    async def authority(self, authority: str) -> AuthorityRow | None:
        """Return an authority with its régies, or None while it is not configured."""
        rows = await self._connection.fetch(REGIES, authority)
        if not rows:
            return None
        regies = {
            row["code"]: RegieRow(code=row["code"], label=row["label"], route=row["route"])
            for row in rows
            if row["code"] is not None
        }
        return AuthorityRow(name=rows[0]["name"], regies=regies)

    async def earlier_deposit(
        self, authority: str, client: str, idempotency_key: str
    ) -> tuple[UUID, str] | None:
        """Return the deposit made under that key and the SHA-256 of its body."""
        row = await self._connection.fetchrow(EARLIER_DEPOSIT, authority, client, idempotency_key)
        return (row["deposit_id"], row["body_sha256"]) if row else None

    async def open_deposit(self, deposit: OpenedDeposit) -> bool:
        """Record a deposit; False when another one has the same idempotency key."""
        row = await self._connection.fetchrow(
            OPEN_DEPOSIT,
            deposit.deposit_id,
            deposit.authority,
            deposit.client,
            deposit.idempotency_key,
            deposit.body_sha256,
            deposit.format,
            deposit.received_at,
        )
        return row is not None

    async def lock_invoices(
        self, authority: str, places: Mapping[UUID, tuple[str, str]], now: datetime
    ) -> dict[UUID, Known]:
        """Hold the invoices (régie, number) by id; return those of which a version is held."""
        await self._connection.execute(
            TAKE_PLACES,
            list(places),
            authority,
            [regie for regie, _ in places.values()],
            [number for _, number in places.values()],
            now,
        )
        rows = await self._connection.fetch(LOCK_INVOICES, list(places))
        # A refused version counts as never held, so that it can be sent again as it was.
        return {
            row["invoice_id"]: Known(version=row["version"], fingerprint=row["fingerprint"])
            for row in rows
            if row["version"] > 0 and row["state"] != "refused"
        }

    async def keep_invoices(
        self, deposit_id: UUID, invoices: Sequence[KeptInvoice], now: datetime
    ) -> None:
        """Replace the held versions by these."""
        await self._connection.execute(
            KEEP_INVOICES,
            [invoice.invoice_id for invoice in invoices],
            [invoice.version for invoice in invoices],
            [invoice.fingerprint for invoice in invoices],
            [invoice.kind for invoice in invoices],
            [invoice.amount_cents for invoice in invoices],
            deposit_id,
            now,
        )

    async def remove_unused_places(self, invoice_ids: Sequence[UUID]) -> None:
        """Give back places that no version came to take."""
        await self._connection.execute(REMOVE_UNUSED_PLACES, list(invoice_ids))

    async def add_lines(self, deposit_id: UUID, lines: Sequence[LineRow]) -> None:
        """Record what became of each line."""
        await self._connection.execute(
            ADD_LINES,
            deposit_id,
            [line.position for line in lines],
            [line.regie for line in lines],
            [line.number for line in lines],
            [line.invoice_id for line in lines],
            [line.version for line in lines],
            [line.status for line in lines],
            [line.code for line in lines],
            [line.pointer for line in lines],
            [line.message for line in lines],
        )

    async def refuse(self, refusals: Sequence[InvoiceRefused]) -> None:
        """Turn created lines into rejected ones, and let the same version be sent again."""
        for refusal in refusals:
            await self._connection.execute(
                REFUSE_INVOICE, refusal.invoice_id, refusal.version, refusal.detail
            )
            await self._connection.execute(
                REFUSE_LINE,
                refusal.invoice_id,
                refusal.version,
                refusal.code,
                refusal.detail,
                refusal.deposit_id,
            )

    async def withdraw(self, invoice_id: UUID, reason: str, now: datetime) -> None:
        """Mark an invoice as taken back."""
        await self._connection.execute(WITHDRAW_INVOICE, invoice_id, reason, now)

    async def find_deposit(self, deposit_id: UUID) -> DepositRow | None:
        """Return a deposit with its totals, or None."""
        row = await self._connection.fetchrow(FIND_DEPOSIT, deposit_id)
        return DepositRow(**dict(row)) if row else None

    async def find_lines(
        self, deposit_id: UUID, status: str | None, after: int, limit: int
    ) -> list[LineRow]:
        """Return at most `limit` lines beyond position `after`, in order."""
        rows = await self._connection.fetch(FIND_LINES, deposit_id, status, after, limit)
        return [LineRow(**dict(row)) for row in rows]

    async def find_invoice(self, invoice_id: UUID, *, lock: bool = False) -> InvoiceRow | None:
        """Return an invoice, locked until the transaction ends if asked, or None."""
        statement = FIND_INVOICE + (" FOR UPDATE" if lock else "")
        row: Any = await self._connection.fetchrow(statement, invoice_id)
        return InvoiceRow(**dict(row)) if row else None
