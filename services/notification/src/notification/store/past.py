"""Letters and pushes that ended long ago: they name people, and nobody asks for them any more."""

from datetime import datetime

from shared.postgres import Database

AT_ONCE = 5_000
"""So that no lock is held for long."""

# SKIP LOCKED lets several replicas tidy side by side. What was answered goes with its letter.
FORGET_MESSAGES = """
WITH old AS MATERIALIZED (
    SELECT message_id FROM message WHERE ended_at < $1
    ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED
), answered AS (
    DELETE FROM delivery_attempt USING old WHERE delivery_attempt.message_id = old.message_id
)
DELETE FROM message USING old WHERE message.message_id = old.message_id
RETURNING message.message_id
"""
FORGET_PUSHES = """
WITH old AS MATERIALIZED (
    SELECT push_id FROM push WHERE ended_at < $1
    ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED
)
DELETE FROM push USING old WHERE push.push_id = old.push_id
RETURNING push.push_id
"""


async def forget_ended(database: Database, before: datetime, *, at_once: int = AT_ONCE) -> int:
    """Remove the letters and pushes that ended before a moment; return how many.

    A fact that is read again after that is told again: `before` must be older than any replay.
    """
    count = 0
    for statement in (FORGET_MESSAGES, FORGET_PUSHES):
        removed = at_once
        while removed == at_once:
            async with database.transaction() as transaction:
                rows = await transaction.connection.fetch(statement, before, at_once)
            removed = len(rows)
            count += removed
    return count
