"""Deposits and their lines, in SQL."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from ingestion.domain import DepositStatus, PublishMode, Rejection, Release
from ingestion.ports import (
    AuthorityRow,
    DepositProgress,
    DepositRow,
    Document,
    LineRow,
    ReadingResult,
    RegieRow,
    Totals,
)
from shared.events import InvoiceRefused
from shared.events.authority_configured import AuthorityConfigured
from shared.postgres import Connection

# An older revision may come late: it must not replace a newer one.
KEEP_AUTHORITY = """
INSERT INTO authority (authority, name, revision) VALUES ($1, $2, $3)
ON CONFLICT (authority) DO UPDATE SET name = EXCLUDED.name, revision = EXCLUDED.revision
WHERE authority.revision < EXCLUDED.revision
RETURNING authority
"""
FORGET_REGIES = "DELETE FROM regie WHERE authority = $1"
ADD_REGIES = """
INSERT INTO regie (authority, code, label, route)
SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[])
"""
FORGET_BILLERS = "DELETE FROM kafka_biller WHERE authority = $1"
# A client of one authority never becomes another's by being named there too.
ADD_BILLER = """
INSERT INTO kafka_biller (client_id, authority, regies) VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING
"""
KAFKA_BILLER = "SELECT authority, regies FROM kafka_biller WHERE client_id = $1"
REGIES = """
SELECT authority.name, regie.code, regie.label, regie.route
FROM authority LEFT JOIN regie USING (authority) WHERE authority.authority = $1
"""

# A twin request with the same key waits here for the first, then finds its deposit.
OPEN = """
INSERT INTO deposit (deposit_id, authority, client, regies, idempotency_key, body_sha256, regie,
    version, publish, publish_on, is_dry_run, has_body, parts, size_bytes, received_at, status,
    release, format, claimed_by, claimed_until)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 'reading', 'none', '',
    $16, $17)
ON CONFLICT (authority, client, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
RETURNING deposit_id
"""
EARLIER = """
SELECT deposit_id, body_sha256 FROM deposit
WHERE authority = $1 AND client = $2 AND idempotency_key = $3
"""
# Ours from before a restart are taken back at once, others' once they have fallen silent; what
# another replica takes at the same moment is skipped.
CLAIM = """
UPDATE deposit SET claimed_by = $1, claimed_until = $4, attempts = attempts + 1
WHERE deposit_id IN (
    SELECT deposit_id FROM deposit
    WHERE status = 'reading' AND deposit_id <> ALL($2::uuid[])
        AND (claimed_until < $3 OR claimed_by = $1)
    ORDER BY received_at LIMIT $5 FOR UPDATE SKIP LOCKED
)
RETURNING deposit_id, authority, client, regies, idempotency_key, body_sha256, regie, version,
    publish, publish_on, is_dry_run, has_body, parts, size_bytes, received_at, attempts
"""
HOLD_CLAIMS = """
UPDATE deposit SET claimed_until = $2 WHERE deposit_id = ANY($1::uuid[]) AND status = 'reading'
"""
REPORT = """
UPDATE deposit SET read_bytes = $2, total = $3 WHERE deposit_id = $1 AND status = 'reading'
"""
ADD_LINES = """
INSERT INTO deposit_line (deposit_id, position, regie, number, invoice_id, version, status, code,
                          pointer, message)
SELECT $1, * FROM unnest($2::integer[], $3::text[], $4::text[], $5::uuid[], $6::integer[],
                         $7::text[], $8::text[], $9::text[], $10::text[])
"""
FINISH = """
UPDATE deposit SET status = 'done', release = $3, format = $4, read_bytes = size_bytes,
    total = $5, created = $6, unchanged = $7, superseded = $8, rejected = $9, amount_cents = $10,
    mapping = $11, parts = NULL, claimed_by = NULL, claimed_until = NULL
WHERE deposit_id = $1 AND status = 'reading' AND claimed_by = $2
RETURNING deposit_id
"""
# Without its key: the same may be sent again once it is mended.
FAIL = """
UPDATE deposit SET status = 'failed', format = $3, problem_code = $4, problem_pointer = $5,
    problem_detail = $6, idempotency_key = NULL, total = 0, parts = NULL, claimed_by = NULL,
    claimed_until = NULL
WHERE deposit_id = $1 AND status = 'reading' AND claimed_by = $2
RETURNING deposit_id
"""

REFUSE_INVOICE = """
UPDATE invoice SET state = 'refused', reason = $3
WHERE invoice_id = $1 AND version = $2 AND state = 'generated'
RETURNING position, CASE kind WHEN 'invoice' THEN amount_cents ELSE -amount_cents END AS cents
"""
# The position is known unless a higher version came meanwhile: then the deposit is gone through.
REFUSE_LINE = """
WITH refused AS (
    UPDATE deposit_line AS new SET status = 'rejected', code = $4, message = $5,
        pointer = '/invoices/' || new.position || '/pdf'
    FROM deposit_line AS old
    WHERE new.deposit_id = $1 AND new.invoice_id = $2 AND new.version = $3
        AND ($6::integer IS NULL OR new.position = $6) AND new.status <> 'rejected'
        AND old.deposit_id = new.deposit_id AND old.position = new.position
    RETURNING old.status
)
UPDATE deposit SET rejected = deposit.rejected + t.refused, created = deposit.created - t.created,
    superseded = deposit.superseded - t.superseded, unchanged = deposit.unchanged - t.unchanged,
    amount_cents = amount_cents - $7
FROM (
    SELECT count(*) AS refused, count(*) FILTER (WHERE status = 'created') AS created,
        count(*) FILTER (WHERE status = 'superseded') AS superseded,
        count(*) FILTER (WHERE status = 'unchanged') AS unchanged
    FROM refused
) AS t WHERE deposit_id = $1
"""

PROGRESS = """
SELECT deposit_id, authority, regies, status, format, received_at, is_dry_run, size_bytes,
    read_bytes, total, created, unchanged, superseded, rejected, amount_cents, publish,
    publish_on, release, mapping, problem_code, problem_pointer, problem_detail
FROM deposit WHERE deposit_id = $1
"""
LINES = """
SELECT position, regie, number, invoice_id, version, status, code, pointer, message
FROM deposit_line
WHERE deposit_id = $1 AND ($2::text IS NULL OR status = $2) AND position > $3
ORDER BY position LIMIT $4
"""
MAPPING = "SELECT mapping FROM column_mapping WHERE authority = $1 AND regie = $2"
# The last deposit that was read, or the last word of the biller, counts.
KEEP_MAPPING = """
INSERT INTO column_mapping (authority, regie, mapping, changed_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (authority, regie) DO UPDATE
SET mapping = EXCLUDED.mapping, changed_at = EXCLUDED.changed_at
"""
RELEASE = "UPDATE deposit SET release = $2 WHERE deposit_id = $1"
# Another replica releases those that are skipped.
DUE = """
SELECT deposit_id FROM deposit
WHERE release = 'held' AND publish = 'at' AND publish_on <= $1
ORDER BY publish_on LIMIT $2 FOR UPDATE SKIP LOCKED
"""

_parts_decoder = msgspec.json.Decoder(dict[str, list[Any] | dict[str, str]])
_mapping_decoder = msgspec.json.Decoder(dict[str, str])


class PostgresDeposits:
    """Deposits behind one connection; see `ports.Deposits`."""

    def __init__(self, connection: Connection) -> None:
        """Work on `connection`, within its transaction if it has one."""
        self._connection = connection

    async def keep_authority(self, configured: AuthorityConfigured) -> None:
        """Replace what is known of an authority, unless a newer revision is known."""
        row = await self._connection.fetchrow(
            KEEP_AUTHORITY, configured.authority, configured.name, configured.revision
        )
        if row is None:
            return
        await self._connection.execute(FORGET_REGIES, configured.authority)
        await self._connection.execute(
            ADD_REGIES,
            configured.authority,
            [regie.code for regie in configured.regies],
            [regie.label for regie in configured.regies],
            [regie.route for regie in configured.regies],
        )
        await self._connection.execute(FORGET_BILLERS, configured.authority)
        await self._connection.executemany(
            ADD_BILLER,
            [
                (biller.client_id, configured.authority, list(biller.regies))
                for biller in configured.billers
            ],
        )

    async def kafka_biller(self, client_id: str) -> tuple[str, tuple[str, ...]] | None:
        """Return authority and régies of a client that deposits on a topic, or None."""
        row = await self._connection.fetchrow(KAFKA_BILLER, client_id)
        return (row["authority"], tuple(row["regies"])) if row else None

    async def authority(self, authority: str) -> AuthorityRow | None:
        """Return an authority with its régies, or None while it is not configured."""
        rows = await self._connection.fetch(REGIES, authority)
        if not rows:
            return None
        regies = {
            row["code"]: RegieRow(code=row["code"], label=row["label"], route=row["route"])
            for row in rows
            if row["code"] is not None
        }
        return AuthorityRow(name=rows[0]["name"], regies=regies)

    async def earlier(
        self, authority: str, client: str, idempotency_key: str
    ) -> tuple[UUID, str] | None:
        """Return the deposit made under that key and the SHA-256 of its body."""
        row = await self._connection.fetchrow(EARLIER, authority, client, idempotency_key)
        return (row["deposit_id"], row["body_sha256"]) if row else None

    async def open(self, deposit: DepositRow, *, instance: str, until: datetime) -> bool:
        """Record a deposit, held by `instance`; False when another one has its key."""
        row = await self._connection.fetchrow(
            OPEN,
            deposit.deposit_id,
            deposit.authority,
            deposit.client,
            deposit.regies,
            deposit.idempotency_key,
            deposit.body_sha256,
            deposit.regie,
            deposit.version,
            deposit.publish.value,
            deposit.publish_on,
            deposit.is_dry_run,
            deposit.has_body,
            msgspec.json.encode(deposit.parts),
            deposit.size_bytes,
            deposit.received_at,
            instance,
            until,
        )
        return row is not None

    async def claim(
        self, *, instance: str, own: Sequence[UUID], now: datetime, lease: timedelta, limit: int
    ) -> list[DepositRow]:
        """Hold deposits that nobody reads any more; `own` are those that this process reads."""
        rows = await self._connection.fetch(CLAIM, instance, list(own), now, now + lease, limit)
        return [_deposit(dict(row)) for row in rows]

    async def hold_claims(self, deposit_ids: Sequence[UUID], until: datetime) -> None:
        """Hold deposits that are being read until then."""
        if deposit_ids:
            await self._connection.execute(HOLD_CLAIMS, list(deposit_ids), until)

    async def report(self, deposit_id: UUID, *, read_bytes: int, total: int) -> None:
        """Say how far the reading is."""
        await self._connection.execute(REPORT, deposit_id, read_bytes, total)

    async def add_lines(self, deposit_id: UUID, lines: Sequence[LineRow]) -> None:
        """Record what became of lines."""
        columns = [[getattr(line, name) for line in lines] for name in LineRow.__struct_fields__]
        await self._connection.execute(ADD_LINES, deposit_id, *columns)

    async def finish(
        self,
        deposit_id: UUID,
        *,
        instance: str,
        result: ReadingResult,
        totals: Totals,
        release: Release,
    ) -> bool:
        """Close the reading of a deposit; False when another process holds it now."""
        row = await self._connection.fetchrow(
            FINISH,
            deposit_id,
            instance,
            release.value,
            result.format,
            totals.total,
            totals.created,
            totals.unchanged,
            totals.superseded,
            totals.rejected,
            totals.amount_cents,
            msgspec.json.encode(result.mapping),
        )
        return row is not None

    async def fail(self, deposit_id: UUID, *, instance: str, form: str, why: Rejection) -> bool:
        """Close a deposit of which nothing is kept, and let its idempotency key be used again."""
        row = await self._connection.fetchrow(
            FAIL, deposit_id, instance, form, why.code, why.pointer, why.message
        )
        return row is not None

    async def refuse(self, refusals: Sequence[InvoiceRefused]) -> None:
        """Turn created lines into rejected ones, and let the same version be sent again."""
        for refusal in refusals:
            held = await self._connection.fetchrow(
                REFUSE_INVOICE, refusal.invoice_id, refusal.version, refusal.detail
            )
            await self._connection.execute(
                REFUSE_LINE,
                refusal.deposit_id,
                refusal.invoice_id,
                refusal.version,
                refusal.code,
                refusal.detail,
                held["position"] if held else None,
                held["cents"] if held else 0,
            )

    async def progress(self, deposit_id: UUID, *, lock: bool = False) -> DepositProgress | None:
        """Return how far a deposit is, locked until the transaction ends if asked, or None."""
        statement = PROGRESS + (" FOR UPDATE" if lock else "")
        row = await self._connection.fetchrow(statement, deposit_id)
        return _progress(dict(row)) if row else None

    async def lines(
        self, deposit_id: UUID, status: str | None, after: int, limit: int
    ) -> list[LineRow]:
        """Return at most `limit` lines beyond position `after`, in order."""
        rows = await self._connection.fetch(LINES, deposit_id, status, after, limit)
        return [LineRow(**dict(row)) for row in rows]

    async def mapping(self, authority: str, regie: str) -> Mapping[str, str]:
        """Return the columns remembered for the tables of a régie."""
        found = await self._connection.fetchval(MAPPING, authority, regie)
        return _mapping_decoder.decode(found) if found else {}

    async def keep_mapping(
        self, authority: str, regie: str, mapping: Mapping[str, str], now: datetime
    ) -> None:
        """Remember the columns of the tables of a régie."""
        content = msgspec.json.encode(mapping)
        await self._connection.execute(KEEP_MAPPING, authority, regie, content, now)

    async def release(self, deposit_id: UUID, release: Release) -> None:
        """Keep the new state of a held deposit."""
        await self._connection.execute(RELEASE, deposit_id, release.value)

    async def due(self, today: date, limit: int) -> list[UUID]:
        """Return held deposits whose day has come, locked; another replica has the others."""
        return [row["deposit_id"] for row in await self._connection.fetch(DUE, today, limit)]


def _deposit(row: dict[str, Any]) -> DepositRow:
    regies = row.pop("regies")
    parts = _parts_decoder.decode(row.pop("parts") or b"{}")
    return DepositRow(
        **row | {"publish": PublishMode(row["publish"])},
        regies=tuple(regies or ()),
        # A file is an array, a refusal an object: see `Document` and `Rejection`.
        parts={
            name: msgspec.convert(part, Document)
            if isinstance(part, list)
            else msgspec.convert(part, Rejection)
            for name, part in parts.items()
        },
    )


def _progress(row: Mapping[str, Any]) -> DepositProgress:
    code = row["problem_code"]
    return DepositProgress(
        deposit_id=row["deposit_id"],
        authority=row["authority"],
        regies=tuple(row["regies"] or ()),
        status=DepositStatus(row["status"]),
        format=row["format"],
        received_at=row["received_at"],
        is_dry_run=row["is_dry_run"],
        size_bytes=row["size_bytes"],
        read_bytes=row["read_bytes"],
        totals=Totals(**{name: row[name] for name in Totals.__struct_fields__}),
        publish=PublishMode(row["publish"]),
        publish_on=row["publish_on"],
        release=Release(row["release"]),
        mapping=_mapping_decoder.decode(row["mapping"] or b"{}"),
        problem=Rejection(code=code, pointer=row["problem_pointer"], message=row["problem_detail"])
        if code
        else None,
    )
