"""Facts about invoices: what is known, what waits, what is to be written."""

from collections.abc import Collection, Sequence
from uuid import UUID

import msgspec

from notification.domain import Invoice, Letter, Movement, Parked, awaited_ids
from notification.store.contacts import PostgresContacts
from notification.store.rows import INVOICES, as_json, invoices_by_id

# Sorted, so that two transactions never hold places for each other; a place already held is enough.
HOLD_PLACES = """
INSERT INTO invoice (invoice_id) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING
"""
# Locked in one order everywhere, for the same reason.
LOCK_INVOICES = """
SELECT details FROM invoice WHERE invoice_id = ANY($1::uuid[]) ORDER BY invoice_id FOR UPDATE
"""
KEEP_INVOICES = """
UPDATE invoice SET version = t.version, details = t.details
FROM unnest($1::uuid[], $2::integer[], $3::jsonb[]) AS t (invoice_id, version, details)
WHERE invoice.invoice_id = t.invoice_id AND invoice.version < t.version
"""

# The same fact under another message id changes nothing.
KEEP_MOVEMENTS = """
INSERT INTO movement (fact_id, invoice_id, payment_id, amount_cents, receipt_address)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::text[])
ON CONFLICT DO NOTHING
"""
PAYMENTS = """
SELECT DISTINCT payment_id, receipt_address FROM movement
WHERE payment_id = ANY($1::uuid[]) AND amount_cents > 0
"""

# A fact that still waits after one of several arrivals is already there.
PARK = """
INSERT INTO parked_fact (kind, fact_key, awaits, fact) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING
"""
# Locked, so that of two arrivals for one fact the second sees what the first brought.
PARKED = """
SELECT fact FROM parked_fact WHERE awaits && $1::uuid[] ORDER BY kind, fact_key FOR UPDATE
"""
UNPARK = """
DELETE FROM parked_fact USING unnest($1::text[], $2::text[]) AS t (kind, fact_key)
WHERE parked_fact.kind = t.kind AND parked_fact.fact_key = t.fact_key
"""

# A letter about the same fact to the same address exists, perhaps sent: it is left as it is.
ADD_LETTERS = """
INSERT INTO message (message_id, kind, fact_key, address_hash, address, fact, state, reason,
                     written_at, due_at, ended_at)
SELECT message_id, kind, fact_key, address_hash, address, fact, state, reason,
       $9::timestamptz, $9::timestamptz,
       CASE WHEN state <> 'waiting' THEN $9::timestamptz END
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::jsonb[], $7::text[],
            $8::text[])
    AS t (message_id, kind, fact_key, address_hash, address, fact, state, reason)
ON CONFLICT DO NOTHING
"""

_facts: msgspec.json.Decoder[Parked] = msgspec.json.Decoder(Parked)


class PostgresOffice(PostgresContacts):
    """What is known and what is to be told; see `ports.Office`."""

    async def lock_invoices(self, invoice_ids: Collection[UUID]) -> dict[UUID, Invoice]:
        """Return the invoices known, holding a lock on each of these ids, known or not."""
        ordered = sorted(invoice_ids)
        await self._connection.execute(HOLD_PLACES, ordered)
        return invoices_by_id(await self._connection.fetch(LOCK_INVOICES, ordered))

    async def invoices(self, invoice_ids: Collection[UUID]) -> dict[UUID, Invoice]:
        """Return the invoices known, without a lock."""
        return invoices_by_id(await self._connection.fetch(INVOICES, list(invoice_ids)))

    async def keep_invoices(self, invoices: Sequence[Invoice]) -> None:
        """Remember these versions in place of lower ones."""
        await self._connection.execute(
            KEEP_INVOICES,
            [invoice.invoice_id for invoice in invoices],
            [invoice.version for invoice in invoices],
            [as_json(invoice) for invoice in invoices],
        )

    async def keep_movements(self, movements: Sequence[Movement]) -> None:
        """Remember money that came or went; one already known changes nothing."""
        await self._connection.execute(
            KEEP_MOVEMENTS,
            [movement.fact_id for movement in movements],
            [movement.invoice_id for movement in movements],
            [movement.payment_id for movement in movements],
            [movement.amount_cents for movement in movements],
            [movement.receipt_address for movement in movements],
        )

    async def payments(self, payment_ids: Collection[UUID]) -> dict[UUID, str | None]:
        """Return the captured payments known, each with the address its receipt was asked at."""
        if not payment_ids:
            return {}
        rows = await self._connection.fetch(PAYMENTS, list(payment_ids))
        return {row["payment_id"]: row["receipt_address"] for row in rows}

    async def park(self, facts: Sequence[Parked]) -> None:
        """Put facts aside until what they await has arrived; one already there stays."""
        await self._connection.executemany(
            PARK, [(fact.kind, fact.key, awaited_ids(fact), as_json(fact)) for fact in facts]
        )

    async def parked(self, arrived: Collection[UUID]) -> list[Parked]:
        """Return, locked, the facts put aside that await one of these ids."""
        rows = await self._connection.fetch(PARKED, list(arrived))
        return [_facts.decode(row["fact"]) for row in rows]

    async def unpark(self, facts: Sequence[Parked]) -> None:
        """Forget that these facts were put aside."""
        if facts:
            await self._connection.execute(
                UNPARK, [fact.kind for fact in facts], [fact.key for fact in facts]
            )

    async def add_letters(self, letters: Sequence[Letter]) -> None:
        """Add letters to send; one about the same fact to the same address is left as it is."""
        if not letters:
            return
        ordered = sorted(letters, key=lambda letter: letter.message_id)
        await self._connection.execute(
            ADD_LETTERS,
            [letter.message_id for letter in ordered],
            [letter.fact.kind for letter in ordered],
            [letter.fact.key for letter in ordered],
            [letter.address_hash for letter in ordered],
            [letter.address for letter in ordered],
            [as_json(letter.fact) for letter in ordered],
            [letter.state for letter in ordered],
            [letter.reason for letter in ordered],
            self._now,
        )
