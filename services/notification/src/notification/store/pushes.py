"""The pushes to send: claimed by push service, looked at, and what became of them."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from notification.domain import News, Push, PushCircumstances
from notification.ports import DuePush, PushAttempt
from notification.store.rows import (
    CONTACTS,
    DEVICES,
    INVOICES,
    PAID,
    SEEING,
    contacts_by_id,
    devices_of,
    invoices_by_id,
    paid_by_id,
)
from shared.postgres import Database

# One push service at a time, the one whose first push waits longest: what is paused or busy is
# stepped over however much waits for it. SKIP LOCKED lets several replicas claim side by side
# without waiting or taking the same push.
CLAIM = """
WITH next_host AS MATERIALIZED (
    SELECT push_host.host FROM push_host CROSS JOIN LATERAL (
        SELECT is_test, due_at FROM push
        WHERE push.host = push_host.host AND state = 'waiting' AND due_at <= $3
            AND (claimed_until IS NULL OR claimed_until < $3)
        ORDER BY is_test DESC, due_at LIMIT 1
    ) AS first
    WHERE (paused_until IS NULL OR paused_until <= $3) AND push_host.host <> ALL($5::text[])
    ORDER BY first.is_test DESC, first.due_at LIMIT 1
), due AS MATERIALIZED (
    SELECT push_id FROM push
    WHERE host = (SELECT host FROM next_host) AND state = 'waiting' AND due_at <= $3
        AND (claimed_until IS NULL OR claimed_until < $3)
    ORDER BY is_test DESC, due_at LIMIT $4 FOR UPDATE SKIP LOCKED
)
UPDATE push SET claimed_by = $1, claimed_until = $2 FROM due WHERE push.push_id = due.push_id
RETURNING push.push_id, kind, fact_key, account_id, device_id, host, news, attempts, written_at
"""
RELEASE_OWN = "UPDATE push SET claimed_by = NULL, claimed_until = NULL WHERE claimed_by = $1"

# One statement, so one round trip and one commit. Only a waiting push moves: an answer that comes
# late never undoes an end. A device that renewed its endpoint meanwhile is not the one that is
# gone.
KEEP = """
WITH answer AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::boolean[], $5::timestamptz[],
                         $6::timestamptz[], $7::integer[], $8::text[], $9::text[])
        AS t (push_id, state, reason, was_tried, at, next_at, code, words, gone_endpoint)
), removed AS (
    DELETE FROM device USING answer WHERE device.endpoint = answer.gone_endpoint
), reached AS (
    UPDATE device SET last_sent_at = answer.at FROM answer JOIN push USING (push_id)
    WHERE answer.state = 'sent'
        AND (device.account_id, device.device_id) = (push.account_id, push.device_id)
)
UPDATE push SET state = answer.state, reason = answer.reason,
    attempts = attempts + answer.was_tried::integer,
    code = CASE WHEN answer.was_tried THEN answer.code ELSE push.code END,
    answer = CASE WHEN answer.was_tried THEN answer.words ELSE push.answer END,
    due_at = coalesce(answer.next_at, due_at),
    ended_at = CASE WHEN answer.state <> 'waiting' THEN answer.at END,
    claimed_by = NULL, claimed_until = NULL
FROM answer WHERE push.push_id = answer.push_id AND push.state = 'waiting'
"""
SEEN = f"""
SELECT invoice_id, account_id FROM viewer
WHERE invoice_id = ANY($1::uuid[]) AND account_id = ANY($3::uuid[]) AND {SEEING}
"""
# Of two replicas that were told to wait, the longer wait holds.
PAUSE = """
INSERT INTO push_host (host, paused_until) VALUES ($1, $2)
ON CONFLICT (host) DO UPDATE
SET paused_until = greatest(push_host.paused_until, EXCLUDED.paused_until)
"""

_news = msgspec.json.Decoder(News)


class PostgresPushes:
    """The pushes to send; see `ports.Pushes`.

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

    async def claim(self, limit: int, *, busy: Collection[str]) -> list[DuePush]:
        """Hold at most `limit` pushes that are due, all of one push service, under a lease."""
        now = self._database.clock.now()
        until = now + self._lease
        async with self._database.reading() as connection:
            rows = await connection.fetch(CLAIM, self._instance, until, now, limit, list(busy))
        return [_due(row) for row in rows]

    async def circumstances(self, pushes: Sequence[Push]) -> PushCircumstances:
        """Return what is known now of all that these pushes are about."""
        invoice_ids = list({push.news.invoice_id for push in pushes if push.news.invoice_id})
        account_ids = list({push.account_id for push in pushes})
        async with self._database.reading() as connection:
            invoices = await connection.fetch(INVOICES, invoice_ids)
            paid = await connection.fetch(PAID, invoice_ids)
            devices = await connection.fetch(DEVICES, account_ids)
            contacts = await connection.fetch(CONTACTS, account_ids)
            now = self._database.clock.now()
            seen = await connection.fetch(SEEN, invoice_ids, now, account_ids)
        return PushCircumstances(
            invoices=invoices_by_id(invoices),
            paid_cents=paid_by_id(paid),
            devices={device.name: device for device in devices_of(devices)},
            contacts=contacts_by_id(contacts),
            seen=frozenset((row["invoice_id"], row["account_id"]) for row in seen),
        )

    async def keep(self, attempts: Sequence[PushAttempt]) -> None:
        """Record what became of pushes, let go of them, and remove devices that are gone."""
        async with self._database.reading() as connection:
            await connection.execute(
                KEEP,
                [attempt.push_id for attempt in attempts],
                [attempt.state for attempt in attempts],
                [attempt.reason for attempt in attempts],
                [attempt.was_tried for attempt in attempts],
                [attempt.at for attempt in attempts],
                [attempt.next_at for attempt in attempts],
                [attempt.code for attempt in attempts],
                [attempt.answer for attempt in attempts],
                [attempt.gone_endpoint for attempt in attempts],
            )

    async def pause(self, host: str, until: datetime) -> None:
        """Leave a push service alone until then, on every replica."""
        async with self._database.reading() as connection:
            await connection.execute(PAUSE, host, until)


def _due(row: Any) -> DuePush:  # noqa: ANN401 - an asyncpg record
    push = Push(
        push_id=row["push_id"],
        kind=row["kind"],
        fact_key=row["fact_key"],
        account_id=row["account_id"],
        device_id=row["device_id"],
        host=row["host"],
        news=_news.decode(row["news"]),
    )
    return DuePush(push=push, attempts=row["attempts"], written_at=row["written_at"])
