"""The letters to send: claimed, looked at, and what became of them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec

from notification.domain import Circumstances, Fact, Letter, State, Wishes
from notification.ports import Attempt, Due
from notification.store.rows import INVOICES, PAID, SEEING, invoices_by_id, paid_by_id
from shared.postgres import Database

# SKIP LOCKED lets several replicas claim side by side without waiting or taking the same letter.
_CLAIM = """
WITH due AS MATERIALIZED (
    SELECT message_id FROM message
    WHERE state = 'waiting' AND {which}
        AND due_at <= $3 AND (claimed_until IS NULL OR claimed_until < $3)
    ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED
)
UPDATE message SET claimed_by = $1, claimed_until = $2 FROM due
WHERE message.message_id = due.message_id
RETURNING message.message_id, address, address_hash, fact, attempts, written_at
"""
# Letters about accounts have a lane of their own: they never queue behind those about invoices.
CLAIM_URGENT = _CLAIM.format(which="kind = 'account'")
CLAIM_OTHERS = _CLAIM.format(which="kind <> 'account'")
RELEASE_OWN = "UPDATE message SET claimed_by = NULL, claimed_until = NULL WHERE claimed_by = $1"

# What the account proved an address chose applies at its earlier addresses as well.
READERS = """
SELECT address_hash, wants_email, wishes FROM wish LEFT JOIN contact USING (account_id)
WHERE address_hash = ANY($1::bytea[])
"""

# By the address that an account proved last, or earlier: whoever proved it since is its reader.
SEEN = f"""
SELECT address_hash, invoice_id FROM wish JOIN viewer USING (account_id)
WHERE address_hash = ANY($3::bytea[]) AND invoice_id = ANY($1::uuid[]) AND {SEEING}
"""

# One statement, so one round trip and one commit. Only a waiting letter moves: an answer that comes
# late is noted among the attempts and never undoes an end. The secrets of a letter about an account
# end with it.
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
    fact = CASE WHEN answer.state <> 'waiting' AND message.kind = 'account'
        THEN message.fact - '{link,code,details}'::text[] ELSE message.fact END,
    claimed_by = NULL, claimed_until = NULL
FROM answer WHERE message.message_id = answer.message_id AND message.state = 'waiting'
"""

_facts: msgspec.json.Decoder[Fact] = msgspec.json.Decoder(Fact)
_wishes = msgspec.json.Decoder(Wishes)


class PostgresDeliveries:
    """The letters to send; see `ports.Deliveries`.

    It borrows plain connections, since `Database.transaction` wakes the workers at each commit and
    a worker that wakes itself would never rest.
    """

    def __init__(
        self, database: Database, *, instance: str, lease: timedelta, is_urgent: bool = False
    ) -> None:
        """Claim for the replica named `instance`, for as long as `lease`.

        `is_urgent` claims letters about accounts, and nothing else; without it, all others.
        """
        self._database = database
        self._instance = instance
        self._lease = lease
        self._claim = CLAIM_URGENT if is_urgent else CLAIM_OTHERS

    async def release_own(self) -> None:
        """Let go of what an earlier life of this replica held."""
        async with self._database.reading() as connection:
            await connection.execute(RELEASE_OWN, self._instance)

    async def claim(self, limit: int) -> list[Due]:
        """Hold at most `limit` letters that are due, under a lease."""
        now = self._database.clock.now()
        async with self._database.reading() as connection:
            rows = await connection.fetch(
                self._claim, self._instance, now + self._lease, now, limit
            )
        return [_due(row) for row in sorted(rows, key=lambda row: row["written_at"])]

    async def circumstances(self, letters: Sequence[Letter]) -> Circumstances:
        """Return what is known now of all that these letters are about."""
        invoice_ids = list({name for letter in letters for name in letter.fact.invoice_ids})
        hashes = [letter.address_hash for letter in letters]
        async with self._database.reading() as connection:
            invoices = await connection.fetch(INVOICES, invoice_ids)
            paid = await connection.fetch(PAID, invoice_ids)
            readers = await connection.fetch(READERS, hashes)
            seen = await connection.fetch(SEEN, invoice_ids, self._database.clock.now(), hashes)
        return Circumstances(
            invoices=invoices_by_id(invoices),
            paid_cents=paid_by_id(paid),
            unwanted=frozenset(row["address_hash"] for row in readers if not row["wants_email"]),
            choices={
                row["address_hash"]: _wishes.decode(row["wishes"]).choices
                for row in readers
                if row["wishes"] is not None
            },
            seen=frozenset((row["address_hash"], row["invoice_id"]) for row in seen),
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
