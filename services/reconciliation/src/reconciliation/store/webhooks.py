"""Endpoints, their secrets and what they are sent, in SQL."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec

from reconciliation.domain.webhooks import DeliveryState, Outcome
from reconciliation.ports import Attempt, Backlog, Call, Delivery, Endpoint, Fed, FeedReader
from reconciliation.store.books import ITEM_COLUMNS, feed_item
from shared.postgres import Connection

MAXIMUM_SECRETS = 4
"""Secrets of an endpoint that live at the same time, the current one included."""
MAXIMUM_TESTS = 10
"""Tests of an endpoint that wait at the same time."""

WANTED = """
item.regie = ANY(endpoint.granted)
AND (endpoint.regies IS NULL OR item.regie = ANY(endpoint.regies))
"""

# The same row that a booking takes its positions under: bookings wait until this is decided.
HOLD = """
INSERT INTO feed_counter (authority, position) VALUES ($1, 0)
ON CONFLICT (authority) DO UPDATE SET position = feed_counter.position
"""
NOTE_GRANT = """
UPDATE webhook_endpoint SET granted = $3::text[]
WHERE authority = $1 AND client = $2 AND state <> 'deleted' AND granted <> $3::text[]
RETURNING endpoint_id
"""
ENDPOINT = """
SELECT endpoint_id, authority, client, url, description, regies, granted, state, created_at,
       failures, failing_since, succeeded_at, failed_at
FROM webhook_endpoint WHERE authority = $1 AND client = $2 AND state <> 'deleted'
"""
# A new address, or one that is called again, starts in good health.
KEEP_ENDPOINT = """
INSERT INTO webhook_endpoint (endpoint_id, authority, client, url, description, regies, granted,
    state, created_at, served_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
ON CONFLICT (endpoint_id) DO UPDATE SET url = EXCLUDED.url, description = EXCLUDED.description,
    regies = EXCLUDED.regies, granted = EXCLUDED.granted, state = EXCLUDED.state,
    is_struggling = false, failures = 0, failing_since = NULL
"""
# What an endpoint may not have, or does not want, any more is not sent later either.
DROP_UNWANTED = f"""
DELETE FROM webhook_delivery AS delivery USING webhook_endpoint AS endpoint, collection AS item
WHERE delivery.endpoint_id = $1 AND delivery.state <> 'delivered'
    AND endpoint.endpoint_id = delivery.endpoint_id AND item.authority = endpoint.authority
    AND item.position = delivery.position AND NOT ({WANTED})
"""
DELETE_ENDPOINT = "UPDATE webhook_endpoint SET state = 'deleted' WHERE endpoint_id = $1"
DELETE_SECRETS = "DELETE FROM webhook_secret WHERE endpoint_id = $1"
BACKLOG = """
SELECT (SELECT count(*) FROM webhook_delivery
        WHERE endpoint_id = $1 AND state = 'waiting') AS waiting,
       (SELECT count(*) FROM webhook_delivery
        WHERE endpoint_id = $1 AND state = 'parked') AS parked,
       (SELECT min(created_at) FROM webhook_delivery
        WHERE endpoint_id = $1 AND state = 'waiting') AS oldest_waiting_at
"""

# Two rotations at once must not both count the same secrets.
LOCK_ENDPOINT = "SELECT 1 FROM webhook_endpoint WHERE endpoint_id = $1 FOR NO KEY UPDATE"
FORGET_SECRETS = "DELETE FROM webhook_secret WHERE endpoint_id = $1 AND retires_at <= $2"
COUNT_SECRETS = "SELECT count(*) FROM webhook_secret WHERE endpoint_id = $1"
RETIRE_SECRETS = """
UPDATE webhook_secret SET retires_at = $2 WHERE endpoint_id = $1 AND retires_at IS NULL
"""
KEEP_SEALED = """
INSERT INTO webhook_secret (secret_id, endpoint_id, sealed, created_at) VALUES ($1, $2, $3, $4)
"""

ANNOUNCE = f"""
INSERT INTO webhook_delivery (endpoint_id, position, invoice_id, created_at, due_at)
SELECT endpoint.endpoint_id, item.position, item.invoice_id, $4::timestamptz, $4::timestamptz
FROM collection AS item JOIN webhook_endpoint AS endpoint USING (authority)
WHERE item.authority = $1 AND item.position BETWEEN $2 AND $3 AND endpoint.state <> 'deleted'
    AND {WANTED}
ORDER BY item.position
"""
OF_ENDPOINT = f"""
FROM collection AS item JOIN webhook_endpoint AS endpoint USING (authority)
WHERE endpoint.endpoint_id = $1 AND {WANTED}
"""
BEYOND = "AND item.position > $2"
BETWEEN = "AND item.recorded_at >= $2 AND item.recorded_at < $3"
# Counted no further than it matters.
COUNT_SINCE = f"SELECT count(*) FROM (SELECT 1 {OF_ENDPOINT} {BEYOND} LIMIT $3) AS found"
COUNT_SPAN = f"SELECT count(*) FROM (SELECT 1 {OF_ENDPOINT} {BETWEEN} LIMIT $4) AS found"
# One that is there already goes out again, from the bottom of the ladder; a call that is under way
# keeps its claim, so that nothing is sent twice at once.
SEND = """
ON CONFLICT (endpoint_id, position) DO UPDATE SET state = 'waiting', tries = 0, ended_at = NULL,
    due_at = EXCLUDED.due_at
"""
INTO_QUEUE = "INSERT INTO webhook_delivery (endpoint_id, position, invoice_id, created_at, due_at)"
SEND_SINCE = f"""
{INTO_QUEUE} SELECT $1, item.position, item.invoice_id, $3::timestamptz, $3::timestamptz
{OF_ENDPOINT} {BEYOND} ORDER BY item.position {SEND}
"""
SEND_SPAN = f"""
{INTO_QUEUE} SELECT $1, item.position, item.invoice_id, $4::timestamptz, $4::timestamptz
{OF_ENDPOINT} {BETWEEN} ORDER BY item.position {SEND}
"""
SEND_WAITING = """
UPDATE webhook_delivery SET tries = 0, due_at = $2 WHERE endpoint_id = $1 AND state = 'waiting'
"""
REPLAY = """
UPDATE webhook_delivery SET state = 'waiting', tries = 0, ended_at = NULL, due_at = $3
WHERE endpoint_id = $1 AND delivery_id = $2
RETURNING 1
"""
ADD_TEST = """
INSERT INTO webhook_delivery (endpoint_id, created_at, due_at)
SELECT $1, $2::timestamptz, $2::timestamptz
WHERE (SELECT count(*) FROM webhook_delivery
       WHERE endpoint_id = $1 AND state = 'waiting' AND position IS NULL) < $3
RETURNING delivery_id
"""

DELIVERY = f"""
SELECT delivery_id, sequence, delivery.state, tries, delivery.created_at, due_at, ended_at,
       {", ".join("item." + name.strip() for name in ITEM_COLUMNS.split(","))}
FROM webhook_delivery AS delivery JOIN webhook_endpoint AS endpoint USING (endpoint_id)
LEFT JOIN collection AS item
    ON item.authority = endpoint.authority AND item.position = delivery.position
WHERE delivery.endpoint_id = $1
"""
DELIVERIES = f"""
{DELIVERY} AND sequence < $2 AND ($3::text IS NULL OR delivery.state = $3)
ORDER BY sequence DESC LIMIT $4
"""
ONE_DELIVERY = f"{DELIVERY} AND delivery_id = $2"
ATTEMPTS = """
SELECT attempted_at, outcome, status, detail, answer, duration_ms FROM webhook_attempt
WHERE delivery_id = $1 ORDER BY attempt_id
"""


class PostgresWebhooks:
    """Endpoints and deliveries behind one connection; see `ports.Webhooks`."""

    def __init__(self, connection: Connection) -> None:
        """Work on `connection`, within its transaction."""
        self._connection = connection

    async def hold(self, authority: str) -> None:
        """Let nothing be booked for the authority until the transaction ends."""
        await self._connection.execute(HOLD, authority)

    async def endpoint(self, reader: FeedReader, granted: Sequence[str]) -> Endpoint | None:
        """Return a client's endpoint, or None; notes the régies that its token covers now."""
        name = (reader.authority, reader.client)
        changed = await self._connection.fetchval(NOTE_GRANT, *name, list(granted))
        if changed is not None:
            await self._connection.execute(DROP_UNWANTED, changed)
        row = await self._connection.fetchrow(ENDPOINT, *name)
        return msgspec.convert(dict(row), Endpoint) if row else None

    async def keep_endpoint(self, endpoint: Endpoint) -> None:
        """Keep an endpoint that is new or was changed; it starts in good health."""
        await self._connection.execute(
            KEEP_ENDPOINT,
            endpoint.endpoint_id,
            endpoint.authority,
            endpoint.client,
            endpoint.url,
            endpoint.description,
            endpoint.regies,
            endpoint.granted,
            endpoint.state,
            endpoint.created_at,
        )
        await self._connection.execute(DROP_UNWANTED, endpoint.endpoint_id)

    async def delete_endpoint(self, endpoint_id: UUID) -> None:
        """Forget an endpoint and its secrets now; what was sent to it goes little by little."""
        await self._connection.execute(DELETE_ENDPOINT, endpoint_id)
        await self._connection.execute(DELETE_SECRETS, endpoint_id)

    async def backlog(self, endpoint_id: UUID) -> Backlog:
        """Return what an endpoint has not got."""
        return Backlog(**dict(await self._connection.fetchrow(BACKLOG, endpoint_id) or {}))

    async def add_secret(
        self, endpoint_id: UUID, sealed: bytes, at: datetime, retires_at: datetime
    ) -> bool:
        """Add a secret; those before it retire then. False if too many live already."""
        await self._connection.execute(LOCK_ENDPOINT, endpoint_id)
        await self._connection.execute(FORGET_SECRETS, endpoint_id, at)
        if await self._connection.fetchval(COUNT_SECRETS, endpoint_id) >= MAXIMUM_SECRETS:
            return False
        await self._connection.execute(RETIRE_SECRETS, endpoint_id, retires_at)
        await self._connection.execute(KEEP_SEALED, uuid4(), endpoint_id, sealed, at)
        return True

    async def announce(self, fed: Sequence[Fed], at: datetime) -> None:
        """Add a delivery of what was booked for each endpoint that wants it."""
        for part in fed:
            await self._connection.execute(ANNOUNCE, part.authority, part.first, part.last, at)

    async def send_since(
        self, endpoint: Endpoint, after: int, at: datetime, limit: int
    ) -> int | None:
        """Send what stands in the feed beyond a position; None, and nothing, beyond `limit`."""
        name = endpoint.endpoint_id
        count: int = await self._connection.fetchval(COUNT_SINCE, name, after, limit + 1)
        if count > limit:
            return None
        await self._connection.execute(SEND_SINCE, name, after, at)
        return count

    async def send_again(
        self, endpoint: Endpoint, span: tuple[datetime, datetime], at: datetime, limit: int
    ) -> int | None:
        """Send what was booked in a span of time; None, and nothing, if it is beyond `limit`."""
        name = endpoint.endpoint_id
        count: int = await self._connection.fetchval(COUNT_SPAN, name, *span, limit + 1)
        if count > limit:
            return None
        await self._connection.execute(SEND_SPAN, name, *span, at)
        return count

    async def send_waiting(self, endpoint_id: UUID, at: datetime) -> None:
        """Try what waits now, from the bottom of the ladder."""
        await self._connection.execute(SEND_WAITING, endpoint_id, at)

    async def add_test(self, endpoint_id: UUID, at: datetime) -> UUID | None:
        """Add a delivery of nothing but itself; None if too many wait already."""
        added: UUID | None = await self._connection.fetchval(
            ADD_TEST, endpoint_id, at, MAXIMUM_TESTS
        )
        return added

    async def replay(self, endpoint_id: UUID, delivery_id: UUID, at: datetime) -> bool:
        """Send one delivery again; False if the endpoint has none of that id."""
        found = await self._connection.fetchval(REPLAY, endpoint_id, delivery_id, at)
        return found is not None

    async def deliveries(
        self, endpoint_id: UUID, state: DeliveryState | None, before: int, limit: int
    ) -> list[Delivery]:
        """Return deliveries, the newest first, from before a sequence number on."""
        rows = await self._connection.fetch(DELIVERIES, endpoint_id, before, state, limit)
        return [delivery(row) for row in rows]

    async def delivery(self, endpoint_id: UUID, delivery_id: UUID) -> Delivery | None:
        """Return one delivery of an endpoint, or None."""
        row = await self._connection.fetchrow(ONE_DELIVERY, endpoint_id, delivery_id)
        return delivery(row) if row else None

    async def attempts(self, delivery_id: UUID) -> list[Attempt]:
        """Return every call of a delivery, oldest first."""
        rows = await self._connection.fetch(ATTEMPTS, delivery_id)
        return [
            Attempt(
                at=row["attempted_at"],
                took=timedelta(milliseconds=row["duration_ms"]),
                call=Call(
                    outcome=Outcome(row["outcome"]),
                    status=row["status"],
                    detail=row["detail"],
                    answer=row["answer"],
                ),
            )
            for row in rows
        ]


def delivery(row: Any) -> Delivery:  # noqa: ANN401 - an asyncpg record
    """Return a delivery from a row of `DELIVERY`."""
    return Delivery(
        delivery_id=row["delivery_id"],
        sequence=row["sequence"],
        state=DeliveryState(row["state"]),
        tries=row["tries"],
        created_at=row["created_at"],
        due_at=row["due_at"],
        ended_at=row["ended_at"],
        event=feed_item(row) if row["fact"] is not None else None,
    )
