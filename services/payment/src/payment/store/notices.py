"""Every word of the providers, as it came, and their own lists."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

from payment.domain import Attempt, Notice, NoticeOutcome
from payment.domain.parity import TheirLine
from payment.ports import RawNotice
from shared.postgres import Connection

# Providers repeat themselves: the same fact is stored, and acted on, once. Only one whose order was
# not known when it first came, as after a restore from a backup, counts as new when it is.
KEEP = """
INSERT INTO notice (provider, account, fact, order_id, body, query, outcome, received_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (provider, account, fact) DO UPDATE SET outcome = EXCLUDED.outcome
WHERE notice.outcome = 'unknown-order' AND EXCLUDED.outcome <> 'unknown-order'
RETURNING notice_id
"""
# A nudge proves nothing, and anybody can repeat it: the same bytes are kept once.
KEEP_NUDGE = """
INSERT INTO notice (provider, account, fact, order_id, body, query, outcome, received_at)
VALUES ($1, $2, $3, $4, $5, $6, 'asked', $7)
ON CONFLICT (provider, account, fact) DO NOTHING
"""
# A list may be handed in again, later and longer.
KEEP_STATEMENT = """
INSERT INTO statement_line (account, order_name, reference, state, amount_cents, at)
SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::timestamptz[])
ON CONFLICT (account, order_name, reference) DO UPDATE
SET state = EXCLUDED.state, amount_cents = EXCLUDED.amount_cents, at = EXCLUDED.at
"""
STATEMENT = """
SELECT order_name, reference, state, amount_cents, at FROM statement_line
WHERE account = $1 AND (
    (at >= $2 AND at < $3) OR order_name = ANY($4::text[]) OR reference = ANY($4::text[])
) ORDER BY order_name, reference
"""


class PostgresNotices:
    """Notices behind one connection; see `ports.Notices`."""

    def __init__(self, connection: Connection) -> None:
        """Work on `connection`, within its transaction."""
        self._connection = connection

    async def keep(
        self,
        source: tuple[str, str],
        notice: Notice,
        raw: RawNotice,
        outcome: NoticeOutcome,
        at: datetime,
    ) -> bool:
        """Keep a notice as it came; False when this fact was told before."""
        row = await self._connection.fetchrow(
            KEEP,
            *source,
            notice.fact,
            notice.order_id,
            raw.body,
            raw.query,
            outcome.value,
            at,
        )
        return row is not None

    async def keep_nudge(
        self, source: tuple[str, str], attempt: Attempt, raw: RawNotice, at: datetime
    ) -> None:
        """Keep a notice that proves nothing; the same one again is not kept again."""
        digest = sha256(raw.body + b"?" + raw.query.encode()).hexdigest()
        await self._connection.execute(
            KEEP_NUDGE, *source, f"nudge/{digest}", attempt.order_id, raw.body, raw.query, at
        )

    async def keep_statement(self, account: str, lines: Sequence[TheirLine]) -> None:
        """Keep a provider's list; a line that is there already is replaced."""
        latest = {(line.order, line.reference): line for line in lines}
        rows = [latest[name] for name in sorted(latest)]
        await self._connection.execute(
            KEEP_STATEMENT,
            account,
            [row.order for row in rows],
            [row.reference for row in rows],
            [row.state for row in rows],
            [row.amount_cents for row in rows],
            [row.at for row in rows],
        )

    async def statement(
        self, account: str, first: datetime, last: datetime, names: Sequence[str] = ()
    ) -> list[TheirLine]:
        """Return the lines of a period, and those that have one of these names."""
        rows = await self._connection.fetch(STATEMENT, account, first, last, list(names))
        return [
            TheirLine(
                order=row["order_name"],
                reference=row["reference"],
                state=row["state"],
                amount_cents=row["amount_cents"],
                at=row["at"],
            )
            for row in rows
        ]
