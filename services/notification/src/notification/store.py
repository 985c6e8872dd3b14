"""All the SQL of notification."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from notification.domain import (
    Circumstances,
    Fact,
    Invoice,
    Letter,
    Movement,
    State,
    awaited_ids,
    fingerprint,
)
from notification.ports import Attempt, Due
from shared.events import ContactUpdated
from shared.postgres import Connection, Database

# Sorted, so that two transactions never hold places for each other; a place already held is enough.
HOLD_PLACES = """
INSERT INTO invoice (invoice_id) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING
"""
# Locked in one order everywhere, for the same reason.
LOCK_INVOICES = """
SELECT details FROM invoice WHERE invoice_id = ANY($1::uuid[]) ORDER BY invoice_id FOR UPDATE
"""
INVOICES = """
SELECT details FROM invoice WHERE invoice_id = ANY($1::uuid[]) AND details IS NOT NULL
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
PAID = """
SELECT invoice_id, sum(amount_cents)::bigint AS paid_cents FROM movement
WHERE invoice_id = ANY($1::uuid[]) GROUP BY invoice_id
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

# An account's earlier addresses follow its latest wish, unless a newer one is known.
FOLLOW_WISH = """
UPDATE wish SET wants_email = $2, updated_at = $3 WHERE account_id = $1 AND updated_at < $3
"""
# Events of two accounts may name one address: the newer wish counts.
KEEP_WISH = """
INSERT INTO wish (address_hash, account_id, wants_email, updated_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (address_hash) DO UPDATE SET account_id = EXCLUDED.account_id,
    wants_email = EXCLUDED.wants_email, updated_at = EXCLUDED.updated_at
WHERE wish.updated_at < EXCLUDED.updated_at
"""
UNWANTED = "SELECT address_hash FROM wish WHERE address_hash = ANY($1::bytea[]) AND NOT wants_email"

# SKIP LOCKED lets several replicas claim side by side without waiting or taking the same letter.
CLAIM = """
WITH due AS MATERIALIZED (
    SELECT message_id FROM message
    WHERE state = 'waiting' AND due_at <= $3 AND (claimed_until IS NULL OR claimed_until < $3)
    ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED
)
UPDATE message SET claimed_by = $1, claimed_until = $2 FROM due
WHERE message.message_id = due.message_id
RETURNING message.message_id, address, address_hash, fact, attempts, written_at
"""
RELEASE_OWN = "UPDATE message SET claimed_by = NULL, claimed_until = NULL WHERE claimed_by = $1"

# One statement, so one round trip and one commit. Only a waiting letter moves: an answer that comes
# late is noted among the attempts and never undoes an end.
KEEP = """
WITH answer AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::boolean[], $5::timestamptz[],
                         $6::timestamptz[], $7::integer[], $8::text[])
        AS t (message_id, state, reason, was_tried, at, next_at, code, words)
), noted AS (
    INSERT INTO delivery_attempt (message_id, attempted_at, state, code, answer)
    SELECT message_id, at, state, code, words FROM answer WHERE was_tried
)
UPDATE message SET state = answer.state, reason = answer.reason,
    attempts = attempts + answer.was_tried::integer,
    due_at = coalesce(answer.next_at, due_at),
    ended_at = CASE WHEN answer.state <> 'waiting' THEN answer.at END,
    claimed_by = NULL, claimed_until = NULL
FROM answer WHERE message.message_id = answer.message_id AND message.state = 'waiting'
"""

_facts: msgspec.json.Decoder[Fact] = msgspec.json.Decoder(Fact)
_invoices = msgspec.json.Decoder(Invoice)


def _json(content: Fact | Invoice) -> str:
    return msgspec.json.encode(content).decode()


def _by_id(rows: Sequence[Any]) -> dict[UUID, Invoice]:
    invoices = [_invoices.decode(row["details"]) for row in rows if row["details"] is not None]
    return {invoice.invoice_id: invoice for invoice in invoices}


class PostgresOffice:
    """What is known and what is to be told; see `ports.Office`."""

    def __init__(self, connection: Connection, now: datetime) -> None:
        """Work within the transaction of `connection`; letters are dated `now`."""
        self._connection = connection
        self._now = now

    async def lock_invoices(self, invoice_ids: Collection[UUID]) -> dict[UUID, Invoice]:
        """Return the invoices known, holding a lock on each of these ids, known or not."""
        ordered = sorted(invoice_ids)
        await self._connection.execute(HOLD_PLACES, ordered)
        return _by_id(await self._connection.fetch(LOCK_INVOICES, ordered))

    async def invoices(self, invoice_ids: Collection[UUID]) -> dict[UUID, Invoice]:
        """Return the invoices known, without a lock."""
        return _by_id(await self._connection.fetch(INVOICES, list(invoice_ids)))

    async def keep_invoices(self, invoices: Sequence[Invoice]) -> None:
        """Remember these versions in place of lower ones."""
        await self._connection.execute(
            KEEP_INVOICES,
            [invoice.invoice_id for invoice in invoices],
            [invoice.version for invoice in invoices],
            [_json(invoice) for invoice in invoices],
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

    async def park(self, facts: Sequence[Fact]) -> None:
        """Put facts aside until what they await has arrived; one already there stays."""
        await self._connection.executemany(
            PARK, [(fact.kind, fact.key, awaited_ids(fact), _json(fact)) for fact in facts]
        )

    async def parked(self, arrived: Collection[UUID]) -> list[Fact]:
        """Return, locked, the facts put aside that await one of these ids."""
        rows = await self._connection.fetch(PARKED, list(arrived))
        return [_facts.decode(row["fact"]) for row in rows]

    async def unpark(self, facts: Sequence[Fact]) -> None:
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
            [_json(letter.fact) for letter in ordered],
            [letter.state for letter in ordered],
            [letter.reason for letter in ordered],
            self._now,
        )

    async def keep_wish(self, contact: ContactUpdated) -> None:
        """Remember whether the account wants e-mail, at each address it ever proved.

        A closed account (no address) leaves its last wish standing: closing it asks for no mail.
        """
        if contact.email is None:
            return
        at = contact.updated_at
        await self._connection.execute(FOLLOW_WISH, contact.account_id, contact.wants_email, at)
        await self._connection.execute(
            KEEP_WISH, fingerprint(contact.email), contact.account_id, contact.wants_email, at
        )


class PostgresDeliveries:
    """The letters to send; see `ports.Deliveries`.

    It borrows plain connections, since `Database.transaction` wakes the workers at each commit and
    a worker that wakes itself would never rest.
    """

    def __init__(self, database: Database, *, instance: str, lease: timedelta) -> None:
        """Claim for the replica named `instance`, for as long as `lease`."""
        self._database = database
        self._instance = instance
        self._lease = lease

    async def release_own(self) -> None:
        """Let go of what an earlier life of this replica held."""
        async with self._database.reading() as connection:
            await connection.execute(RELEASE_OWN, self._instance)

    async def claim(self, limit: int) -> list[Due]:
        """Hold at most `limit` letters that are due, under a lease."""
        now = self._database.clock.now()
        async with self._database.reading() as connection:
            rows = await connection.fetch(CLAIM, self._instance, now + self._lease, now, limit)
        return [_due(row) for row in sorted(rows, key=lambda row: row["written_at"])]

    async def circumstances(self, letters: Sequence[Letter]) -> Circumstances:
        """Return what is known now of all that these letters are about."""
        invoice_ids = list({name for letter in letters for name in letter.fact.invoice_ids})
        hashes = [letter.address_hash for letter in letters]
        async with self._database.reading() as connection:
            invoices = await connection.fetch(INVOICES, invoice_ids)
            paid = await connection.fetch(PAID, invoice_ids)
            unwanted = await connection.fetch(UNWANTED, hashes)
        return Circumstances(
            invoices=_by_id(invoices),
            paid_cents={row["invoice_id"]: row["paid_cents"] for row in paid},
            unwanted=frozenset(row["address_hash"] for row in unwanted),
        )

    async def keep(self, attempts: Sequence[Attempt]) -> None:
        """Record what became of letters and let go of them."""
        async with self._database.reading() as connection:
            await connection.execute(
                KEEP,
                [attempt.message_id for attempt in attempts],
                [attempt.state for attempt in attempts],
                [attempt.reason for attempt in attempts],
                [attempt.was_tried for attempt in attempts],
                [attempt.at for attempt in attempts],
                [attempt.next_at for attempt in attempts],
                [attempt.code for attempt in attempts],
                [attempt.answer for attempt in attempts],
            )


def _due(row: Any) -> Due:  # noqa: ANN401 - an asyncpg record
    letter = Letter(
        message_id=row["message_id"],
        address=row["address"],
        address_hash=row["address_hash"],
        fact=_facts.decode(row["fact"]),
        state=State.WAITING,
    )
    return Due(letter=letter, attempts=row["attempts"], written_at=row["written_at"])
