"""What is still to be asked of the providers."""

from datetime import datetime, timedelta
from uuid import UUID

from payment.domain import AttemptState
from payment.domain.ladder import NUDGE_PAUSE
from payment.ports import Poll, Question, UnclearAttempt
from shared.postgres import Connection

# Planned once, when the attempt is created.
PLAN = "INSERT INTO poll (payment_id, next_at) VALUES ($1, $2) ON CONFLICT DO NOTHING"
# Whoever nudges, one attempt is not asked about more often than every few seconds; and not at all
# once its money is taken and final.
HASTEN = """
UPDATE poll SET next_at = least(next_at, greatest($2::timestamptz, asked_at + $3::interval))
FROM attempt
WHERE poll.payment_id = $1 AND attempt.payment_id = $1 AND state <> 'reversed'
    AND NOT (state = 'captured' AND is_settled)
"""
STOP = "UPDATE poll SET next_at = NULL, needs_people = false, last_error = '' WHERE payment_id = $1"
# Another worker takes the ones that are skipped.
CLAIM = """
UPDATE poll SET locked_until = $2 FROM attempt
WHERE poll.payment_id = attempt.payment_id AND poll.payment_id IN (
    SELECT payment_id FROM poll
    WHERE next_at <= $1 AND (locked_until IS NULL OR locked_until <= $1)
    ORDER BY next_at LIMIT $3 FOR UPDATE SKIP LOCKED
)
RETURNING poll.payment_id, provider, account, order_id, reference, amount_cents, started_at,
    asked_count, provider_raw
"""
KEEP_ANSWER = """
UPDATE poll SET asked_count = asked_count + 1, asked_at = $2, next_at = $3, needs_people = $4,
    last_error = $5, locked_until = NULL
WHERE payment_id = $1
"""
KEEP_RAW = "UPDATE attempt SET provider_raw = $2 WHERE payment_id = $1"
UNCLEAR = """
SELECT payment_id, order_id, authority, provider, account, state, amount_cents, started_at,
    asked_count, last_error
FROM poll JOIN attempt USING (payment_id)
WHERE needs_people AND ($1::text IS NULL OR authority = $1)
ORDER BY started_at LIMIT $2
"""
COUNT_UNCLEAR = "SELECT count(*) FROM poll WHERE needs_people"


class PostgresPolls:
    """Polls behind one connection; see `ports.Polls`."""

    def __init__(self, connection: Connection) -> None:
        """Work on `connection`, within its transaction."""
        self._connection = connection

    async def plan(self, payment_id: UUID, at: datetime) -> None:
        """Ask about an attempt at `at`, for the first time."""
        await self._connection.execute(PLAN, payment_id, at)

    async def hasten(self, payment_id: UUID, now: datetime) -> None:
        """Ask about an attempt as soon as may be; not one that is settled or cannot be asked."""
        await self._connection.execute(HASTEN, payment_id, now, NUDGE_PAUSE)

    async def stop(self, payment_id: UUID) -> None:
        """Ask no more: the provider has said how it ended."""
        await self._connection.execute(STOP, payment_id)

    async def claim(self, now: datetime, lease: timedelta, limit: int) -> list[Poll]:
        """Take what is due; nobody else takes it until the lease ends."""
        rows = await self._connection.fetch(CLAIM, now, now + lease, limit)
        return [
            Poll(
                payment_id=row["payment_id"],
                provider=row["provider"],
                account=row["account"],
                question=Question(
                    order_id=row["order_id"],
                    reference=row["reference"],
                    amount_cents=row["amount_cents"],
                    started_at=row["started_at"],
                    asked_count=row["asked_count"],
                    raw=row["provider_raw"],
                ),
            )
            for row in rows
        ]

    async def keep_answer(
        self,
        payment_id: UUID,
        *,
        asked_at: datetime,
        next_at: datetime | None,
        needs_people: bool,
        error: str = "",
        raw: bytes | None = None,
    ) -> None:
        """Keep that it was asked, when it is asked again, and whether people must look."""
        await self._connection.execute(
            KEEP_ANSWER, payment_id, asked_at, next_at, needs_people, error
        )
        if raw is not None:
            await self._connection.execute(KEEP_RAW, payment_id, raw)

    async def unclear(self, authority: str | None, limit: int) -> list[UnclearAttempt]:
        """Return the attempts that people must look at, the oldest first."""
        rows = await self._connection.fetch(UNCLEAR, authority, limit)
        return [
            UnclearAttempt(**{**dict(row), "state": AttemptState(row["state"])}) for row in rows
        ]

    async def count_unclear(self) -> int:
        """Return how many attempts people must look at."""
        count: int = await self._connection.fetchval(COUNT_UNCLEAR)
        return count
