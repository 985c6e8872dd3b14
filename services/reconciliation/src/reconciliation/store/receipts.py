"""Quittances in SQL."""

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from reconciliation.domain.receipts import PaidPart, Receipt, ReceiptName, ReceiptPart
from shared.events import InvoicePublished
from shared.events.invoice_published import highest_versions
from shared.postgres import Connection

# A lower version may come after a higher one: it must not replace it.
KEEP_WORDS = """
INSERT INTO invoice_words (invoice_id, version, authority_name, regie_label, subject, payer_name)
SELECT * FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::text[])
ON CONFLICT (invoice_id) DO UPDATE SET version = EXCLUDED.version,
    authority_name = EXCLUDED.authority_name, regie_label = EXCLUDED.regie_label,
    subject = EXCLUDED.subject, payer_name = EXCLUDED.payer_name
WHERE invoice_words.version < EXCLUDED.version
"""
# What is receipted does not wait again when its fact is told again.
WAIT = """
INSERT INTO receipt_wait (payment_id, authority, regie)
SELECT t.payment_id, t.authority, t.regie
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS t (payment_id, authority, regie)
WHERE NOT EXISTS (
    SELECT FROM receipt WHERE (receipt.payment_id, receipt.authority, receipt.regie)
        = (t.payment_id, t.authority, t.regie))
ON CONFLICT DO NOTHING
"""
WAITING_FOR = """
SELECT DISTINCT receipt_wait.payment_id
FROM receipt_wait JOIN collection USING (payment_id, authority, regie)
WHERE collection.kind = 'payment' AND collection.invoice_id = ANY($1::uuid[])
"""
# Locked in one order, after all accounts and before any counter, so that nobody waits in a circle.
LOCK_WAITING = """
SELECT payment_id, authority, regie FROM receipt_wait WHERE payment_id = ANY($1::uuid[])
ORDER BY payment_id, authority, regie FOR UPDATE
"""
PARTS = """
SELECT collection.payment_id, collection.authority, collection.regie, collection.invoice_id,
    collection.number AS invoice_number, collection.amount_cents, collection.means,
    collection.provider_reference, collection.occurred_at AS paid_at, account.version,
    account.route, coalesce(invoice_words.authority_name, collection.authority) AS authority_name,
    coalesce(invoice_words.regie_label, collection.regie) AS regie_label,
    coalesce(invoice_words.subject, '') AS subject,
    coalesce(invoice_words.payer_name, '') AS payer_name
FROM collection JOIN account USING (invoice_id) LEFT JOIN invoice_words USING (invoice_id)
WHERE collection.payment_id = ANY($1::uuid[]) AND collection.kind = 'payment'
"""
# The counter's row is the lock: until this transaction ends nobody takes a later number, and if it
# is rolled back the number is free again (L10: no gap, so never a sequence).
TAKE_NUMBERS = """
INSERT INTO receipt_counter (authority, regie, year, number) VALUES ($1, $2, $3, $4)
ON CONFLICT (authority, regie, year)
DO UPDATE SET number = receipt_counter.number + EXCLUDED.number
RETURNING number
"""
ADD_RECEIPTS = """
INSERT INTO receipt (authority, regie, year, number, payment_id, authority_name, regie_label, means,
    provider_reference, paid_at, issued_at)
SELECT $1, $2, $3, *, $11::timestamptz FROM unnest($4::integer[], $5::uuid[], $6::text[],
    $7::text[], $8::text[], $9::text[], $10::timestamptz[])
"""
ADD_PARTS = """
INSERT INTO receipt_part (payment_id, authority, regie, invoice_id, invoice_number, subject,
    payer_name, amount_cents)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::text[],
    $7::text[], $8::bigint[])
"""
STOP_WAITING = """
DELETE FROM receipt_wait USING unnest($1::uuid[], $2::text[], $3::text[])
    AS t (payment_id, authority, regie)
WHERE (receipt_wait.payment_id, receipt_wait.authority, receipt_wait.regie)
    = (t.payment_id, t.authority, t.regie)
"""
RECEIPTS = """
SELECT receipt.*, receipt_part.invoice_id, receipt_part.invoice_number, receipt_part.subject,
    receipt_part.payer_name, receipt_part.amount_cents,
    coalesce((
        SELECT sum(collection.amount_cents)::bigint FROM collection
        WHERE collection.payment_id = receipt.payment_id AND collection.kind = 'reversal'
            AND collection.invoice_id = receipt_part.invoice_id), 0) AS returned_cents
FROM receipt JOIN receipt_part USING (payment_id, authority, regie)
"""
OF_PAYMENT = f"""
{RECEIPTS} WHERE receipt.payment_id = $1
ORDER BY authority, regie, receipt.year, receipt.number, receipt_part.invoice_number
"""
# A payment of New Year's Eve belongs to the year that people in France were in.
OF_YEAR = f"""
{RECEIPTS} WHERE authority = $1 AND receipt_part.invoice_id = ANY($3::uuid[])
    AND receipt.paid_at >= make_timestamptz($2, 1, 1, 0, 0, 0, 'Europe/Paris')
    AND receipt.paid_at < make_timestamptz($2 + 1, 1, 1, 0, 0, 0, 'Europe/Paris')
ORDER BY receipt.paid_at, authority, regie, receipt.year, receipt.number,
    receipt_part.invoice_number
"""

_OWN = (
    "authority",
    "regie",
    "year",
    "number",
    "payment_id",
    "authority_name",
    "regie_label",
    "means",
    "provider_reference",
    "paid_at",
    "issued_at",
)


class PostgresReceipts:
    """Quittances behind one connection; see `domain.receipt_ports`."""

    def __init__(self, connection: Connection) -> None:
        """Work on `connection`, within its transaction if it has one."""
        self._connection = connection

    async def keep_words(self, invoices: Sequence[InvoicePublished]) -> None:
        """Keep what a quittance says of each invoice, as its highest version says it."""
        rows = highest_versions(invoices)
        await self._connection.execute(
            KEEP_WORDS,
            [row.invoice_id for row in rows],
            [row.version for row in rows],
            [row.authority_name for row in rows],
            [row.regie_label for row in rows],
            [row.subject for row in rows],
            [row.payer.name for row in rows],
        )

    async def wait(self, names: Sequence[ReceiptName]) -> None:
        """Note that these want a quittance, unless they have one."""
        await self._connection.execute(WAIT, *_columns(names))

    async def waiting_for(self, invoice_ids: Sequence[UUID]) -> list[UUID]:
        """Return the payments that wait for one of these invoices."""
        rows = await self._connection.fetch(WAITING_FOR, list(invoice_ids))
        return [row["payment_id"] for row in rows]

    async def lock_waiting(self, payment_ids: Sequence[UUID]) -> list[ReceiptName]:
        """Return what waits of these payments, locked until the transaction ends."""
        rows = await self._connection.fetch(LOCK_WAITING, list(payment_ids))
        return [ReceiptName(**dict(row)) for row in rows]

    async def parts(self, payment_ids: Sequence[UUID]) -> list[PaidPart]:
        """Return what the books hold of these payments."""
        rows = await self._connection.fetch(PARTS, list(payment_ids))
        return [PaidPart(**dict(row)) for row in rows]

    async def give(self, due: Sequence[tuple[PaidPart, ...]], year: int, at: datetime) -> None:
        """Give a quittance for each group of parts, in order, at the next numbers of its régie."""
        # Counters are locked in one order, so that two batches never wait in a circle.
        for authority, regie in sorted({(group[0].authority, group[0].regie) for group in due}):
            own = [
                group for group in due if (group[0].authority, group[0].regie) == (authority, regie)
            ]
            await self._give(authority, regie, own, year, at)
        parts = [part for group in due for part in group]
        await self._connection.execute(
            ADD_PARTS,
            [part.payment_id for part in parts],
            [part.authority for part in parts],
            [part.regie for part in parts],
            [part.invoice_id for part in parts],
            [part.invoice_number for part in parts],
            [part.subject for part in parts],
            [part.payer_name for part in parts],
            [part.amount_cents for part in parts],
        )

    async def _give(
        self,
        authority: str,
        regie: str,
        own: Sequence[tuple[PaidPart, ...]],
        year: int,
        at: datetime,
    ) -> None:
        last: int = await self._connection.fetchval(TAKE_NUMBERS, authority, regie, year, len(own))
        firsts = [group[0] for group in own]
        await self._connection.execute(
            ADD_RECEIPTS,
            authority,
            regie,
            year,
            list(range(last - len(own) + 1, last + 1)),
            [part.payment_id for part in firsts],
            [part.authority_name for part in firsts],
            [part.regie_label for part in firsts],
            [part.means for part in firsts],
            [part.provider_reference for part in firsts],
            [part.paid_at for part in firsts],
            at,
        )

    async def stop_waiting(self, names: Sequence[ReceiptName]) -> None:
        """Note that these want no quittance any more."""
        await self._connection.execute(STOP_WAITING, *_columns(names))

    async def of_payment(self, payment_id: UUID) -> list[Receipt]:
        """Return the quittances of a payment, with what went back since."""
        return _receipts(await self._connection.fetch(OF_PAYMENT, payment_id))

    async def of_year(
        self, authority: str, year: int, invoice_ids: Sequence[UUID]
    ) -> list[Receipt]:
        """Return what was paid for some invoices in a year, oldest first."""
        return _receipts(await self._connection.fetch(OF_YEAR, authority, year, list(invoice_ids)))


def _columns(names: Sequence[ReceiptName]) -> tuple[list[UUID], list[str], list[str]]:
    return (
        [name.payment_id for name in names],
        [name.authority for name in names],
        [name.regie for name in names],
    )


def _receipts(rows: Sequence[Any]) -> list[Receipt]:
    """Return receipts from rows of `RECEIPTS`: one for each part, side by side."""
    found = []
    for _, group in groupby(
        rows, key=lambda row: (row["payment_id"], row["authority"], row["regie"])
    ):
        members = list(group)
        parts = tuple(
            ReceiptPart(
                invoice_id=row["invoice_id"],
                invoice_number=row["invoice_number"],
                subject=row["subject"],
                payer_name=row["payer_name"],
                amount_cents=row["amount_cents"],
                returned_cents=row["returned_cents"],
            )
            for row in members
        )
        found.append(Receipt(parts=parts, **{name: members[0][name] for name in _OWN}))
    return found
