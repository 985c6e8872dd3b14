"""The relay: sends what transactions left in the outbox, in order, until the broker has it."""

import asyncio

import msgspec
import structlog

from shared import metrics
from shared.envelope import Record
from shared.kafka import Producer
from shared.postgres import RELAY_LOCK, RETRYABLE_ERRORS, Database, LoneConnection

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

BATCH = 500
IDLE_SECONDS = 0.1
"""Longest wait for rows written by another replica; our own transactions wake the relay at once."""
PAUSE_AFTER_FAILURE_SECONDS = 1.0

OLDEST_FIRST = """
SELECT id, topic, type, key, value, headers,
       extract(epoch FROM clock_timestamp() - created_at)::float8 AS age_seconds
FROM outbox ORDER BY id LIMIT $1
"""
REMOVE = "DELETE FROM outbox WHERE id = ANY($1::bigint[])"


class Relay:
    """Sends one service's outbox; of several replicas one relays at a time (advisory lock).

    Rows are deleted once the broker acknowledged them: what is in the table is the queue. Nothing
    remembers a last id, since ids are taken before commit and a lower one may appear later. A crash
    between the acknowledgement and the delete sends again, with the same event id, which every
    inbox stops.
    """

    def __init__(self, database: Database, producer: Producer) -> None:
        """Relay from `database` through `producer`."""
        self._database = database
        self._producer = producer

    async def run(self, stopping: asyncio.Event) -> None:
        """Relay until `stopping` is set; survives the loss of the database and of the broker."""
        while not stopping.is_set():
            try:
                await self._lead(stopping)
            except RETRYABLE_ERRORS as error:
                logger.warning("relay interrupted", error=repr(error))
                await asyncio.sleep(PAUSE_AFTER_FAILURE_SECONDS)

    async def _lead(self, stopping: asyncio.Event) -> None:
        # The lock lives as long as its connection: a dead leader frees it without a timeout.
        connection = await self._database.lone_connection()
        try:
            while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", RELAY_LOCK):
                if stopping.is_set():
                    return
                await asyncio.sleep(PAUSE_AFTER_FAILURE_SECONDS)
            while not stopping.is_set():
                self._database.outbox_filled.clear()
                if await self._send_batch(connection) < BATCH:
                    await self._wait()
        finally:
            await connection.close()

    async def _send_batch(self, connection: LoneConnection) -> int:
        rows = await connection.fetch(OLDEST_FIRST, BATCH)
        metrics.OUTBOX_OLDEST_SECONDS.set(rows[0]["age_seconds"] if rows else 0)
        if not rows:
            return 0
        records = [
            Record(
                topic=row["topic"],
                key=row["key"],
                value=row["value"],
                headers=msgspec.msgpack.decode(row["headers"], type=tuple[tuple[str, bytes], ...]),
            )
            for row in rows
        ]
        await self._producer.send_all(records)
        await connection.execute(REMOVE, [row["id"] for row in rows])
        for row in rows:
            metrics.OUTBOX_SENT.labels(row["type"]).inc()
        return len(rows)

    async def _wait(self) -> None:
        try:
            await asyncio.wait_for(self._database.outbox_filled.wait(), IDLE_SECONDS)
        except TimeoutError:
            return
