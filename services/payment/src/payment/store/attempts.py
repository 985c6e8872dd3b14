"""Attempts, what holds an invoice, and the history of every move."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from payment.domain import Attempt, AttemptState, FoundBy, Move, Returned
from payment.domain.parity import OurLine
from payment.ports import Handover, KeyedAttempt, PaymentForm
from shared.events.payment_captured import Allocation
from shared.postgres import Connection

COLUMNS = """
SELECT payment_id, order_id, attempt.authority, provider, account, attempt.amount_cents, state,
       email, started_at, expires_at, captured_cents, provider_reference, reference, means,
       is_settled, closed_by, form, demand_sha256
FROM attempt
"""
IN_FLIGHT = (
    COLUMNS
    + """
WHERE payment_id IN (
    SELECT payment_id FROM allocation WHERE invoice_id = ANY($1::uuid[]) AND is_open
) ORDER BY payment_id
"""
)
RECENT_STARTS = """
SELECT invoice_id, max(started_at) AS started_at
FROM allocation JOIN attempt USING (payment_id)
WHERE invoice_id = ANY($1::uuid[]) AND started_at > $2
    AND state IN ('abandoned', 'expired') AND closed_by IN ('payer', 'clock', 'return')
GROUP BY invoice_id
"""
BY_KEY = COLUMNS + "WHERE idempotency_key = $1"
BY_ID = COLUMNS + "WHERE payment_id = $1"
BY_REFERENCE = COLUMNS + "WHERE provider = $1 AND account = $2 AND reference = $3"
# Invoices first, then the attempt: the order in which a payment starts, so that no two wait for
# each other, and nobody starts one while a capture of the same invoice is being kept.
LOCK_INVOICES_OF = """
SELECT invoice_id FROM invoice WHERE invoice_id IN (
    SELECT invoice_id FROM allocation WHERE payment_id = $1
) ORDER BY invoice_id FOR UPDATE
"""
LOCK = BY_ID + " FOR UPDATE OF attempt"
ID_OF_ORDER = """
SELECT payment_id FROM attempt WHERE provider = $1 AND account = $2 AND order_id = $3
"""
# One that a poll will ask about is not closed by the clock: its provider is asked first (P12).
OVERDUE = """
SELECT payment_id FROM attempt
WHERE state IN ('created', 'redirected', 'pending') AND expires_at < $1 AND NOT EXISTS (
    SELECT 1 FROM poll WHERE poll.payment_id = attempt.payment_id AND next_at IS NOT NULL
) ORDER BY expires_at LIMIT $2
"""
ALLOCATIONS = """
SELECT payment_id, invoice_id, invoice.authority, regie, number, allocation.amount_cents,
       published_at
FROM allocation JOIN invoice USING (invoice_id)
WHERE payment_id = ANY($1::uuid[])
ORDER BY payment_id, due_on NULLS FIRST, issued_on NULLS FIRST, number, invoice_id
"""
RETURNED = """
SELECT payment_id, reversal_id, reference, cause, invoice_id, amount_cents
FROM reversal JOIN reversal_part USING (reversal_id)
WHERE payment_id = ANY($1::uuid[]) ORDER BY returned_at, reversal_id, position
"""

# The key may have been used a moment ago: that makes the caller look again.
CREATE = """
INSERT INTO attempt (payment_id, order_id, idempotency_key, demand_sha256, authority, provider,
    account, amount_cents, state, email, started_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'created', $9, $10, $11)
ON CONFLICT (idempotency_key) DO NOTHING
RETURNING payment_id
"""
ADD_ALLOCATIONS = """
INSERT INTO allocation (payment_id, invoice_id, amount_cents)
SELECT $1, * FROM unnest($2::uuid[], $3::bigint[])
"""
HAND_OVER = """
UPDATE attempt SET provider_day = $2, provider_number = $3, form = $4, reference = $5,
    provider_raw = $6
WHERE payment_id = $1
"""
MOVE = """
UPDATE attempt SET state = $2, captured_cents = $3, provider_reference = $4, means = $5,
    is_settled = $6, returned_cents = $7,
    closed_by = CASE WHEN $8 THEN $9 ELSE closed_by END,
    ended_at = CASE WHEN $8 THEN coalesce($10, ended_at) END
WHERE payment_id = $1
"""
CLOSE_ALLOCATIONS = "UPDATE allocation SET is_open = false WHERE payment_id = $1 AND is_open"
RELEASE_KEY = "UPDATE attempt SET idempotency_key = NULL WHERE payment_id = $1"
ADD_HISTORY = """
INSERT INTO attempt_move (payment_id, source, target, found_by, moved_at, detail)
VALUES ($1, $2, $3, $4, $5, $6)
"""
HISTORY = """
SELECT source, target, found_by, moved_at, detail FROM attempt_move
WHERE payment_id = $1 ORDER BY move_id
"""
ADD_REVERSAL = """
INSERT INTO reversal (reversal_id, payment_id, reference, cause, returned_at)
VALUES ($1, $2, $3, $4, $5)
"""
ADD_REVERSAL_PARTS = """
INSERT INTO reversal_part (reversal_id, position, invoice_id, amount_cents)
SELECT $1, position, invoice_id, amount_cents
FROM unnest($2::uuid[], $3::bigint[]) WITH ORDINALITY AS t (invoice_id, amount_cents, position)
"""
LISTED = """
SELECT payment_id::text, order_id, reference,
       coalesce(provider_reference, '') AS provider_reference,
       coalesce(captured_cents, 0) AS captured_cents, returned_cents
FROM attempt
WHERE account = $1 AND (
    (captured_cents IS NOT NULL AND ended_at >= $2 AND ended_at < $3)
    OR order_id = ANY($4::text[]) OR provider_reference = ANY($4::text[])
    OR (reference <> '' AND reference = ANY($4::text[]))
) ORDER BY order_id
"""


class PostgresAttempts:
    """Attempts behind one connection; see `ports.Attempts`."""

    def __init__(self, connection: Connection) -> None:
        """Work on `connection`, within its transaction."""
        self._connection = connection

    async def in_flight(self, invoice_ids: Sequence[UUID]) -> list[Attempt]:
        """Return the attempts that hold one of these invoices."""
        return await self._attempts(await self._connection.fetch(IN_FLIGHT, list(invoice_ids)))

    async def recent_starts(
        self, invoice_ids: Sequence[UUID], since: datetime
    ) -> dict[UUID, datetime]:
        """Return when the latest attempt of each invoice began whose end we only suppose."""
        rows = await self._connection.fetch(RECENT_STARTS, list(invoice_ids), since)
        return {row["invoice_id"]: row["started_at"] for row in rows}

    async def by_key(self, idempotency_key: str) -> KeyedAttempt | None:
        """Return the attempt that was started under a key, with its form."""
        row = await self._connection.fetchrow(BY_KEY, idempotency_key)
        if row is None:
            return None
        [attempt] = await self._attempts([row])
        form = row["form"]
        return KeyedAttempt(
            attempt=attempt,
            demand_sha256=row["demand_sha256"],
            form=msgspec.json.decode(form, type=PaymentForm) if form else None,
        )

    async def release_key(self, payment_id: UUID) -> None:
        """Let the key of an attempt start another one."""
        await self._connection.execute(RELEASE_KEY, payment_id)

    async def create(
        self, attempt: Attempt, idempotency_key: str | None, demand_sha256: bytes
    ) -> bool:
        """Keep a new attempt and its first history; False when its key was used meanwhile."""
        row = await self._connection.fetchrow(
            CREATE,
            attempt.payment_id,
            attempt.order_id,
            idempotency_key,
            demand_sha256,
            attempt.authority,
            attempt.provider,
            attempt.account,
            attempt.amount_cents,
            attempt.email,
            attempt.started_at,
            attempt.expires_at,
        )
        if row is None:
            return False
        await self._connection.execute(
            ADD_ALLOCATIONS,
            attempt.payment_id,
            [allocation.invoice_id for allocation in attempt.allocations],
            [allocation.amount_cents for allocation in attempt.allocations],
        )
        await self._note(attempt.payment_id, None, attempt.state, FoundBy.START, attempt.started_at)
        return True

    async def hand_over(self, payment_id: UUID, handover: Handover) -> bool:
        """Keep what the provider prepared; False when its number of the day was used before."""
        try:
            # A savepoint: a number that is taken must not undo the rest of the transaction.
            async with self._connection.transaction():
                await self._connection.execute(
                    HAND_OVER,
                    payment_id,
                    handover.provider_day,
                    handover.provider_number,
                    msgspec.json.encode(handover.form),
                    handover.reference,
                    handover.raw,
                )
        except asyncpg.UniqueViolationError:
            return False
        return True

    async def find(self, payment_id: UUID) -> Attempt | None:
        """Return an attempt, or None."""
        return await self._one(BY_ID, payment_id)

    async def lock(self, payment_id: UUID) -> Attempt | None:
        """Return an attempt, or None; it and its invoices are locked."""
        await self._connection.execute(LOCK_INVOICES_OF, payment_id)
        return await self._one(LOCK, payment_id)

    async def lock_order(self, provider: str, account: str, order_id: str) -> Attempt | None:
        """Return the attempt of an order, or None; it and its invoices are locked."""
        payment_id = await self._connection.fetchval(ID_OF_ORDER, provider, account, order_id)
        return await self.lock(payment_id) if payment_id else None

    async def by_reference(self, provider: str, account: str, reference: str) -> Attempt | None:
        """Return the attempt that the provider calls so, or None."""
        if not reference:
            return None
        return await self._one(BY_REFERENCE, provider, account, reference)

    async def move(
        self, before: Attempt, after: Attempt, found_by: FoundBy, at: datetime, detail: str = ""
    ) -> None:
        """Keep an attempt as it is now, and in its history who found that, and when."""
        is_closed = not after.is_in_flight
        is_end = is_closed and after.state is not before.state
        # When the money was taken stays the end, whatever went back later.
        ended_at = None if before.captured_cents is not None or not is_closed else at
        await self._connection.execute(
            MOVE,
            after.payment_id,
            after.state.value,
            after.captured_cents,
            after.provider_reference,
            after.means,
            after.is_settled,
            after.returned_cents,
            is_closed,
            found_by.value if is_end else (before.closed_by or found_by).value,
            ended_at,
        )
        await self._note(after.payment_id, before.state, after.state, found_by, at, detail)
        for entry in after.returned[len(before.returned) :]:
            await self._keep_returned(after.payment_id, entry, at)
        if is_closed:
            await self._connection.execute(CLOSE_ALLOCATIONS, after.payment_id)

    async def _keep_returned(self, payment_id: UUID, entry: Returned, at: datetime) -> None:
        await self._connection.execute(
            ADD_REVERSAL, entry.reversal_id, payment_id, entry.reference, entry.cause, at
        )
        await self._connection.execute(
            ADD_REVERSAL_PARTS,
            entry.reversal_id,
            [part.invoice_id for part in entry.parts],
            [part.amount_cents for part in entry.parts],
        )

    async def _note(
        self,
        payment_id: UUID,
        source: AttemptState | None,
        target: AttemptState,
        found_by: FoundBy,
        at: datetime,
        detail: str = "",
    ) -> None:
        await self._connection.execute(
            ADD_HISTORY,
            payment_id,
            source.value if source else None,
            target.value,
            found_by.value,
            at,
            detail,
        )

    async def history(self, payment_id: UUID) -> list[Move]:
        """Return every move of an attempt, the first one first."""
        rows = await self._connection.fetch(HISTORY, payment_id)
        return [
            Move(
                source=AttemptState(row["source"]) if row["source"] else None,
                target=AttemptState(row["target"]),
                found_by=FoundBy(row["found_by"]),
                moved_at=row["moved_at"],
                detail=row["detail"],
            )
            for row in rows
        ]

    async def overdue(self, now: datetime, limit: int) -> list[UUID]:
        """Return attempts in flight past their time, that no poll will ask about."""
        return [row["payment_id"] for row in await self._connection.fetch(OVERDUE, now, limit)]

    async def listed(
        self, account: str, first: datetime, last: datetime, names: Sequence[str]
    ) -> list[OurLine]:
        """Return what an account captured in a period, and the attempts that have these names."""
        rows = await self._connection.fetch(LISTED, account, first, last, list(names))
        return [OurLine(**dict(row)) for row in rows]

    async def _one(self, statement: str, *arguments: object) -> Attempt | None:
        row = await self._connection.fetchrow(statement, *arguments)
        return (await self._attempts([row]))[0] if row else None

    async def _attempts(self, rows: Sequence[Any]) -> list[Attempt]:
        ids = [row["payment_id"] for row in rows]
        allocations: dict[UUID, dict[UUID, Allocation]] = {payment_id: {} for payment_id in ids}
        for row in await self._connection.fetch(ALLOCATIONS, ids):
            allocations[row["payment_id"]][row["invoice_id"]] = Allocation(
                invoice_id=row["invoice_id"],
                authority=row["authority"],
                regie=row["regie"],
                number=row["number"],
                amount_cents=row["amount_cents"],
                published_at=row["published_at"],
            )
        returned = await self._returned(ids, allocations)
        return [
            Attempt(
                payment_id=row["payment_id"],
                order_id=row["order_id"],
                authority=row["authority"],
                provider=row["provider"],
                account=row["account"],
                amount_cents=row["amount_cents"],
                state=AttemptState(row["state"]),
                email=row["email"],
                started_at=row["started_at"],
                expires_at=row["expires_at"],
                captured_cents=row["captured_cents"],
                provider_reference=row["provider_reference"],
                reference=row["reference"],
                means=row["means"],
                is_settled=row["is_settled"],
                closed_by=FoundBy(row["closed_by"]) if row["closed_by"] else None,
                allocations=tuple(allocations[row["payment_id"]].values()),
                returned=tuple(returned[row["payment_id"]].values()),
            )
            for row in rows
        ]

    async def _returned(
        self, ids: list[UUID], allocations: dict[UUID, dict[UUID, Allocation]]
    ) -> dict[UUID, dict[UUID, Returned]]:
        returned: dict[UUID, dict[UUID, Returned]] = {payment_id: {} for payment_id in ids}
        for row in await self._connection.fetch(RETURNED, ids):
            entries = returned[row["payment_id"]]
            known = entries.get(row["reversal_id"])
            part = msgspec.structs.replace(
                allocations[row["payment_id"]][row["invoice_id"]], amount_cents=row["amount_cents"]
            )
            entries[row["reversal_id"]] = Returned(
                reversal_id=row["reversal_id"],
                reference=row["reference"],
                cause=row["cause"],
                parts=(*(known.parts if known else ()), part),
            )
        return returned
