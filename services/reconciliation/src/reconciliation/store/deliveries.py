"""The queue of deliveries in SQL: who is served next, and what became of a call."""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from reconciliation.domain.webhooks import (
    DeliveryState,
    Outcome,
    Verdict,
    is_struggling,
)
from reconciliation.ports import Attempt, Claim
from reconciliation.store.webhooks import ONE_DELIVERY, delivery
from shared.postgres import Connection, Database

TIDIED_AT_ONCE = 2_000
"""Rows that one statement removes: many small ones hold nobody up."""

# Of an invoice only the oldest event that waits may go: order is kept, and a parked or delivered
# one holds nothing back. Looked up for one row after another, in the order of the index: a join
# would read the whole backlog of an endpoint each time.
NEXT_DELIVERY = """
SELECT delivery_id FROM webhook_delivery AS delivery
WHERE delivery.endpoint_id = {endpoint} AND delivery.state = 'waiting' AND delivery.due_at <= $2
    AND (delivery.claimed_until IS NULL OR delivery.claimed_until <= $2)
    AND (SELECT true FROM webhook_delivery AS earlier
         WHERE earlier.endpoint_id = delivery.endpoint_id AND earlier.state = 'waiting'
             AND earlier.invoice_id = delivery.invoice_id
             AND earlier.position < delivery.position LIMIT 1) IS NULL
ORDER BY delivery.due_at, delivery.position LIMIT 1
"""
# The endpoint's row is the lock under which its calls are counted and given out: a replica that
# meets it locked serves another endpoint. NO KEY, so that bookings may refer to it meanwhile.
NEXT_ENDPOINT = f"""
SELECT endpoint_id, url FROM webhook_endpoint AS endpoint
WHERE state = 'active' AND is_struggling = $1
    AND (SELECT count(*) FROM webhook_delivery AS held
         WHERE held.endpoint_id = endpoint.endpoint_id AND held.claim_id IS NOT NULL
             AND held.claimed_until > $2) < $3
    AND ({NEXT_DELIVERY.format(endpoint="endpoint.endpoint_id")}) IS NOT NULL
ORDER BY served_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
"""
CALLS_UNDER_WAY = """
SELECT count(*) FROM webhook_delivery
WHERE endpoint_id = $1 AND claim_id IS NOT NULL AND claimed_until > $2
"""
# A statement of its own, after the lock: it sees what the one before us claimed.
HOLD_DELIVERY = f"""
UPDATE webhook_delivery SET claim_id = $3, claimed_until = $4
WHERE delivery_id = ({NEXT_DELIVERY.format(endpoint="$1")})
RETURNING delivery_id
"""
SERVE = "UPDATE webhook_endpoint SET served_at = $2 WHERE endpoint_id = $1"
SECRETS = """
SELECT sealed FROM webhook_secret
WHERE endpoint_id = $1 AND (retires_at IS NULL OR retires_at > $2)
ORDER BY created_at DESC, retires_at DESC NULLS FIRST
"""

# Locked before the delivery, as when it was claimed.
LOCK_HEALTH = """
SELECT failures, url FROM webhook_endpoint WHERE endpoint_id = $1 FOR NO KEY UPDATE
"""
NOTE_SUCCESS = """
UPDATE webhook_endpoint SET failures = 0, failing_since = NULL, succeeded_at = $2,
    is_struggling = $3
WHERE endpoint_id = $1
"""
NOTE_FAILURE = """
UPDATE webhook_endpoint SET failures = failures + 1, failed_at = $2,
    failing_since = coalesce(failing_since, $2), is_struggling = $3
WHERE endpoint_id = $1
"""
DISABLE = """
UPDATE webhook_endpoint SET state = 'disabled' WHERE endpoint_id = $1 AND state = 'active'
"""
# Only the claim that stands decides: an answer that comes after the lease is noted and no more.
KEEP_VERDICT = """
UPDATE webhook_delivery SET state = $3, tries = $4, due_at = coalesce($5, due_at), ended_at = $6,
    claim_id = NULL, claimed_until = NULL
WHERE delivery_id = $1 AND claim_id = $2
"""
# What stands behind it is due when it is, or now if it is over: nobody looks at it in between.
MOVE_FOLLOWERS = """
UPDATE webhook_delivery SET due_at = $4
WHERE endpoint_id = $1 AND invoice_id = $2 AND position > $3 AND state = 'waiting'
    AND claim_id IS NULL
"""
# An endpoint deleted while it was called may have lost the delivery: nothing is noted then.
ADD_ATTEMPT = """
INSERT INTO webhook_attempt (delivery_id, attempted_at, outcome, status, detail, answer,
    duration_ms)
SELECT delivery_id, $2, $3, $4, $5, $6, $7 FROM webhook_delivery WHERE delivery_id = $1
FOR KEY SHARE
"""

OLDEST_WAITING = """
SELECT min(delivery.created_at)
FROM webhook_delivery AS delivery JOIN webhook_endpoint AS endpoint USING (endpoint_id)
WHERE delivery.state = 'waiting' AND endpoint.state = 'active'
"""
FORGET_DELIVERIES = """
DELETE FROM webhook_delivery WHERE delivery_id IN (
    SELECT delivery_id FROM webhook_delivery JOIN webhook_endpoint AS endpoint USING (endpoint_id)
    WHERE coalesce(ended_at, due_at) < $1 OR endpoint.state = 'deleted' LIMIT $2)
"""
FORGET_ATTEMPTS = """
DELETE FROM webhook_attempt WHERE attempt_id IN (
    SELECT attempt_id FROM webhook_attempt WHERE attempted_at < $1 LIMIT $2)
"""
FORGET_SECRETS = "DELETE FROM webhook_secret WHERE retires_at <= $1"
FORGET_ENDPOINTS = """
DELETE FROM webhook_endpoint AS endpoint WHERE state = 'deleted' AND NOT EXISTS (
    SELECT 1 FROM webhook_delivery WHERE webhook_delivery.endpoint_id = endpoint.endpoint_id)
"""
ALL_SECRETS = "SELECT secret_id, sealed FROM webhook_secret ORDER BY secret_id FOR UPDATE"
SEAL_AGAIN = "UPDATE webhook_secret SET sealed = $2 WHERE secret_id = $1"


class PostgresDeliveries:
    """The queue of one lane; see `ports.Deliveries`."""

    def __init__(
        self, database: Database, *, is_struggling: bool, calls: int, lease: timedelta
    ) -> None:
        """Serve the endpoints that struggle, or those that do not, each `calls` at a time."""
        self._database = database
        self._is_struggling = is_struggling
        self._calls = calls
        self._lease = lease

    async def claim(self) -> Claim | None:
        """Hold the next delivery, of the endpoint that was served longest ago."""
        now = self._database.clock.now()
        async with self._database.transaction() as transaction:
            connection = transaction.connection
            endpoint = await connection.fetchrow(
                NEXT_ENDPOINT, self._is_struggling, now, self._calls
            )
            if endpoint is None:
                return None
            name = endpoint["endpoint_id"]
            if await connection.fetchval(CALLS_UNDER_WAY, name, now) >= self._calls:
                return None
            claim_id, until = uuid4(), now + self._lease
            held = await connection.fetchval(HOLD_DELIVERY, name, now, claim_id, until)
            if held is None:
                return None
            await connection.execute(SERVE, name, now)
            return Claim(
                claim_id=claim_id,
                claimed_until=until,
                endpoint_id=name,
                url=endpoint["url"],
                secrets=await _secrets(connection, name, now),
                delivery=delivery(await connection.fetchrow(ONE_DELIVERY, name, held)),
            )

    async def record(self, claim: Claim, attempt: Attempt, verdict: Verdict) -> None:
        """Note a call, the endpoint's health, and the verdict if the claim still stands."""
        async with self._database.transaction() as transaction:
            connection = transaction.connection
            await _note_health(connection, claim, attempt)
            await _keep_verdict(connection, claim, verdict, attempt.at + attempt.took)
            await connection.execute(
                ADD_ATTEMPT,
                claim.delivery.delivery_id,
                attempt.at,
                attempt.call.outcome,
                attempt.call.status,
                attempt.call.detail,
                attempt.call.answer,
                attempt.took // timedelta(milliseconds=1),
            )


class PostgresUpkeep:
    """What is done by the clock, and before anything else."""

    def __init__(self, database: Database) -> None:
        """Look after `database`."""
        self._database = database

    async def oldest_waiting_at(self) -> datetime | None:
        """Return since when the oldest delivery of a living endpoint waits."""
        async with self._database.reading() as connection:
            found: datetime | None = await connection.fetchval(OLDEST_WAITING)
            return found

    async def forget(self, before: datetime) -> int:
        """Remove what ended before, and what is left of endpoints that were deleted."""
        now = self._database.clock.now()
        removed = 0
        async with self._database.reading() as connection:
            for statement in (FORGET_ATTEMPTS, FORGET_DELIVERIES):
                count = TIDIED_AT_ONCE
                while count == TIDIED_AT_ONCE:
                    # asyncpg answers `DELETE 17`.
                    answer = await connection.execute(statement, before, TIDIED_AT_ONCE)
                    count = int(answer.rpartition(" ")[2])
                    removed += count
            await connection.execute(FORGET_SECRETS, now)
            await connection.execute(FORGET_ENDPOINTS)
        return removed

    async def seal_again(self, again: Callable[[bytes], bytes]) -> None:
        """Replace every sealed secret by what `again` makes of it."""
        async with self._database.transaction() as transaction:
            # Locked, so that two replicas that start together do it one after the other.
            for row in await transaction.connection.fetch(ALL_SECRETS):
                await transaction.connection.execute(
                    SEAL_AGAIN, row["secret_id"], again(row["sealed"])
                )


async def _secrets(connection: Connection, endpoint_id: UUID, now: datetime) -> tuple[bytes, ...]:
    rows = await connection.fetch(SECRETS, endpoint_id, now)
    return tuple(row["sealed"] for row in rows)


async def _keep_verdict(
    connection: Connection, claim: Claim, verdict: Verdict, at: datetime
) -> None:
    await connection.execute(
        KEEP_VERDICT,
        claim.delivery.delivery_id,
        claim.claim_id,
        verdict.state,
        claim.delivery.tries + 1,
        verdict.due_at,
        None if verdict.state is DeliveryState.WAITING else at,
    )
    if claim.delivery.event is not None:
        await connection.execute(
            MOVE_FOLLOWERS,
            claim.endpoint_id,
            claim.delivery.event.invoice_id,
            claim.delivery.event.position,
            verdict.due_at or at,
        )


async def _note_health(connection: Connection, claim: Claim, attempt: Attempt) -> None:
    health = await connection.fetchrow(LOCK_HEALTH, claim.endpoint_id)
    # An address that was changed meanwhile is not judged by what the old one answered.
    if health is None or health["url"] != claim.url:
        return
    outcome = attempt.call.outcome
    at = attempt.at + attempt.took
    struggles = is_struggling(outcome, failures=health["failures"] + 1, took=attempt.took)
    statement = NOTE_SUCCESS if outcome is Outcome.DELIVERED else NOTE_FAILURE
    await connection.execute(statement, claim.endpoint_id, at, struggles)
    if outcome is Outcome.GONE:
        await connection.execute(DISABLE, claim.endpoint_id)
