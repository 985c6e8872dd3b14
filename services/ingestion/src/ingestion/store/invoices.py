"""The invoices that are held, in SQL."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from ingestion.ports import HeldInvoice, InvoiceRow, RegieTotal
from shared.events import InvoiceGenerated
from shared.postgres import Connection

COLUMNS = """
invoice_id, authority, regie, number, version, fingerprint, state, kind, amount_cents, deposit_id,
position, reason, changed_at
"""
_ROWS = """
unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::integer[], $6::text[], $7::text[],
       $8::text[], $9::bigint[], $10::uuid[], $11::integer[], $12::text[], $13::timestamptz[])
"""
# Locked in one order everywhere, so that two deposits of the same invoices never wait in a circle.
LOCK = f"SELECT {COLUMNS} FROM invoice WHERE invoice_id = ANY($1::uuid[]) ORDER BY 1 FOR UPDATE"
# One that is there already was added by another deposit at the same moment: the caller is told.
ADD = f"""
INSERT INTO invoice ({COLUMNS}) SELECT * FROM {_ROWS} ORDER BY 1 ON CONFLICT DO NOTHING
"""
REPLACE = f"""
UPDATE invoice SET version = t.version, fingerprint = t.fingerprint, state = t.state,
    kind = t.kind, amount_cents = t.amount_cents, deposit_id = t.deposit_id,
    position = t.position, reason = t.reason, changed_at = t.changed_at
FROM {_ROWS} AS t ({COLUMNS}) WHERE invoice.invoice_id = t.invoice_id
"""
REMOVE = "DELETE FROM invoice WHERE invoice_id = ANY($1::uuid[])"
FIND = f"SELECT {COLUMNS} FROM invoice WHERE invoice_id = $1"

HOLD = """
INSERT INTO held_invoice (deposit_id, position, invoice_id, version, event, earlier)
SELECT $1, * FROM unnest($2::integer[], $3::uuid[], $4::integer[], $5::bytea[], $6::bytea[])
"""
HELD = """
SELECT position, event, earlier FROM held_invoice
WHERE deposit_id = $1 AND position > $2 ORDER BY position LIMIT $3
"""
HELD_BACKWARDS = """
SELECT position, event, earlier FROM held_invoice
WHERE deposit_id = $1 AND ($2::integer IS NULL OR position < $2) ORDER BY position DESC LIMIT $3
"""
HELD_SAMPLE = """
SELECT position, event, earlier FROM held_invoice
WHERE deposit_id = $1 ORDER BY random() LIMIT $2
"""
DROP_HELD = "DELETE FROM held_invoice WHERE deposit_id = $1"
TOTALS = """
SELECT regie, count(*)::integer AS count,
    sum(CASE kind WHEN 'invoice' THEN amount_cents ELSE -amount_cents END)::bigint AS amount_cents
FROM invoice JOIN held_invoice USING (invoice_id, version)
WHERE held_invoice.deposit_id = $1 AND state = 'held' GROUP BY regie ORDER BY regie
"""

_event_decoder = msgspec.json.Decoder(InvoiceGenerated)
_row_decoder = msgspec.json.Decoder(InvoiceRow)


class PostgresInvoices:
    """Invoices behind one connection; see `ports.Invoices`."""

    def __init__(self, connection: Connection) -> None:
        """Work on `connection`, within its transaction if it has one."""
        self._connection = connection

    async def lock(self, invoice_ids: Sequence[UUID]) -> dict[UUID, InvoiceRow]:
        """Return those that exist, locked until the transaction ends."""
        rows = await self._connection.fetch(LOCK, list(invoice_ids))
        return {row["invoice_id"]: InvoiceRow(**dict(row)) for row in rows}

    async def add(self, rows: Sequence[InvoiceRow]) -> int:
        """Add invoices; return how many were not there."""
        status: str = await self._connection.execute(ADD, *_columns(rows))
        return int(status.rpartition(" ")[2])

    async def replace(self, rows: Sequence[InvoiceRow]) -> None:
        """Replace invoices by id."""
        if rows:
            await self._connection.execute(REPLACE, *_columns(rows))

    async def remove(self, invoice_ids: Sequence[UUID]) -> None:
        """Remove invoices that were never published."""
        if invoice_ids:
            await self._connection.execute(REMOVE, list(invoice_ids))

    async def find(self, invoice_id: UUID, *, lock: bool = False) -> InvoiceRow | None:
        """Return an invoice, locked until the transaction ends if asked, or None."""
        row = await self._connection.fetchrow(FIND + (" FOR UPDATE" if lock else ""), invoice_id)
        return InvoiceRow(**dict(row)) if row else None

    async def hold(self, deposit_id: UUID, held: Sequence[HeldInvoice]) -> None:
        """Keep accepted invoices until they are released or dropped."""
        await self._connection.execute(
            HOLD,
            deposit_id,
            [entry.position for entry in held],
            [entry.event.invoice_id for entry in held],
            [entry.event.version for entry in held],
            [msgspec.json.encode(entry.event) for entry in held],
            [msgspec.json.encode(entry.earlier) if entry.earlier else None for entry in held],
        )

    async def held(self, deposit_id: UUID, after: int, limit: int) -> list[HeldInvoice]:
        """Return held invoices beyond position `after`, in order."""
        return _held(await self._connection.fetch(HELD, deposit_id, after, limit))

    async def held_backwards(
        self, deposit_id: UUID, before: int | None, limit: int
    ) -> list[HeldInvoice]:
        """Return held invoices ahead of position `before`, the last first."""
        return _held(await self._connection.fetch(HELD_BACKWARDS, deposit_id, before, limit))

    async def held_sample(self, deposit_id: UUID, count: int) -> list[HeldInvoice]:
        """Return some held invoices, drawn at random."""
        return _held(await self._connection.fetch(HELD_SAMPLE, deposit_id, count))

    async def drop_held(self, deposit_id: UUID) -> None:
        """Forget the held invoices of a deposit."""
        await self._connection.execute(DROP_HELD, deposit_id)

    async def totals(self, deposit_id: UUID) -> list[RegieTotal]:
        """Return count and sum of what is held, by régie; a credit note counts below zero."""
        rows = await self._connection.fetch(TOTALS, deposit_id)
        return [RegieTotal(**dict(row)) for row in rows]


def _columns(rows: Sequence[InvoiceRow]) -> list[list[object]]:
    """Return one array for each column, in the order of `COLUMNS`."""
    return [[getattr(row, name) for row in rows] for name in InvoiceRow.__struct_fields__]


def _held(rows: Sequence[Any]) -> list[HeldInvoice]:
    return [
        HeldInvoice(
            position=row["position"],
            event=_event_decoder.decode(row["event"]),
            earlier=_row_decoder.decode(row["earlier"]) if row["earlier"] else None,
        )
        for row in rows
    ]
