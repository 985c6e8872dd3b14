"""Closed days and the files made from them, in SQL."""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import msgspec

from reconciliation.domain.closing import Movement, Progress, Total, bounds
from reconciliation.domain.collection_file_ports import CollectionFile, FileSetting
from reconciliation.domain.collection_files import FileState, Layout, Row
from reconciliation.domain.destinations import Destination
from reconciliation.domain.facts import event_id
from shared.postgres import Connection

AUTHORITIES_TO_CLOSE = """
SELECT authority FROM (
    SELECT authority FROM reminder_policy UNION SELECT authority FROM feed_counter
) AS known LEFT JOIN feed_counter USING (authority)
WHERE closed_through IS NULL OR closed_through < $1 ORDER BY authority
"""
# The counter's row is the lock under which positions are taken too. An authority whose feed is
# empty has none yet; one that is there is left as it is, but held.
LOCK_DAYS = """
INSERT INTO feed_counter (authority, position) VALUES ($1, 0)
ON CONFLICT (authority) DO UPDATE SET position = feed_counter.position
RETURNING closed_through
"""
CLOSED_THROUGH = "SELECT closed_through FROM feed_counter WHERE authority = $1"
FIRST_DAY = """
SELECT (min(recorded_at) AT TIME ZONE 'Europe/Paris')::date FROM collection WHERE authority = $1
"""
KNOWN_REGIES = """
SELECT regie FROM reminder_policy WHERE authority = $1
UNION SELECT regie FROM day_closing WHERE authority = $1 AND day = $2::date - 1
UNION SELECT regie FROM collection_file_setting WHERE authority = $1
"""
MOVEMENTS = """
SELECT position, fact, kind, regie, amount_cents, occurred_at, recorded_at FROM collection
WHERE authority = $1 AND ($2::text[] IS NULL OR regie = ANY($2))
    AND recorded_at >= $3 AND recorded_at < $4
ORDER BY position
"""
ADD_CLOSINGS = """
INSERT INTO day_closing (authority, day, closed_at, regie, payment_count, payment_cents,
    reversal_count, reversal_cents, first_position, last_position, occurred_from, occurred_to,
    digest)
SELECT $1, $2, $3, * FROM unnest($4::text[], $5::bigint[], $6::bigint[], $7::bigint[],
    $8::bigint[], $9::bigint[], $10::bigint[], $11::date[], $12::date[], $13::text[])
"""
CLOSE_THROUGH = "UPDATE feed_counter SET closed_through = $2 WHERE authority = $1"
CLOSED = """
SELECT day, regie, payment_count, payment_cents, reversal_count, reversal_cents,
       payment_cents - reversal_cents AS net_cents, first_position, last_position, occurred_from,
       occurred_to, digest, true AS is_closed
FROM day_closing
WHERE authority = $1 AND regie = ANY($2::text[]) AND day BETWEEN $3 AND $4 ORDER BY day, regie
"""
ROWS = """
SELECT fact, position, kind, payment_id, invoice_id, authority, regie, number, amount_cents, means,
       provider, provider_reference, occurred_at, recorded_at
FROM collection
WHERE authority = $1 AND regie = $2 AND recorded_at >= $3 AND recorded_at < $4 ORDER BY position
"""

SETTINGS = """
SELECT authority, regie, layout, destination, secrets, set_at FROM collection_file_setting
WHERE authority = $1 AND ($2::text[] IS NULL OR regie = ANY($2)) ORDER BY regie
"""
# Set again is set anew.
KEEP_SETTING = """
INSERT INTO collection_file_setting (authority, regie, layout, destination, secrets, set_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (authority, regie) DO UPDATE
SET layout = EXCLUDED.layout, destination = EXCLUDED.destination, secrets = EXCLUDED.secrets,
    set_at = EXCLUDED.set_at
"""
# Whatever the destination was, it may be another now: no file waits for the old one's ladder.
TRY_AT_ONCE = """
UPDATE collection_file SET next_at = $3
WHERE authority = $1 AND regie = $2 AND state = 'waiting' AND attempts > 0 AND next_at > $3
"""
FORGET_SETTING = """
DELETE FROM collection_file_setting WHERE authority = $1 AND regie = $2 RETURNING regie
"""
# Locked, so that two replicas that start together seal them one after the other.
ALL_SECRETS = "SELECT authority, regie, secrets FROM collection_file_setting FOR UPDATE"
SEAL_AGAIN = """
UPDATE collection_file_setting SET secrets = $3 WHERE authority = $1 AND regie = $2
"""

LAST_SEQUENCE = """
SELECT coalesce(max(sequence), 0) FROM collection_file WHERE authority = $1 AND regie = $2
"""
FILE_COLUMNS = """
authority, regie, day, sequence, name, layout, state, storage_key, size_bytes, sha256,
control_sha256, attempts, next_at, problem_code, problem_detail, planned_at, made_at, dropped_at
"""
ADD_FILE = """
INSERT INTO collection_file (authority, regie, day, sequence, name, layout, state, storage_key,
    next_at, planned_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""
FIND_FILE = f"""
SELECT {FILE_COLUMNS} FROM collection_file WHERE authority = $1 AND regie = $2 AND day = $3
"""
FILES = f"""
SELECT {FILE_COLUMNS} FROM collection_file
WHERE authority = $1 AND regie = ANY($2::text[]) AND ($3::date IS NULL OR day = $3)
    AND ($4::date IS NULL OR day < $4)
ORDER BY day DESC, regie LIMIT $5
"""
# What another replica holds is left out, not waited for. Files that failed come after those that
# did not: a server that does not answer never stands in the way of another.
CLAIM = f"""
WITH due (its_authority, its_regie, its_day) AS MATERIALIZED (
    SELECT authority, regie, day FROM collection_file
    WHERE state IN ('planned', 'waiting') AND next_at <= $1
    ORDER BY attempts, next_at LIMIT $3 FOR UPDATE SKIP LOCKED
)
UPDATE collection_file SET next_at = $2 FROM due
WHERE authority = its_authority AND regie = its_regie AND day = its_day
RETURNING {FILE_COLUMNS}
"""
KEEP_FILE = """
UPDATE collection_file SET state = $4, size_bytes = $5, sha256 = $6, control_sha256 = $7,
    attempts = $8, next_at = $9, problem_code = $10, problem_detail = $11, made_at = $12,
    dropped_at = $13
WHERE authority = $1 AND regie = $2 AND day = $3
"""


class PostgresFiles:
    """Closed days and files behind one connection; see `CollectionFiles`."""

    def __init__(self, connection: Connection) -> None:
        """Work on `connection`, within its transaction."""
        self._connection = connection

    async def authorities_to_close(self, last: date) -> list[str]:
        """Return the authorities that have a day up to `last` to close."""
        rows = await self._connection.fetch(AUTHORITIES_TO_CLOSE, last)
        return [row["authority"] for row in rows]

    async def lock_days(self, authority: str) -> Progress:
        """Return how far an authority's days are closed; nothing enters its feed until the end."""
        return await self._progress(authority, LOCK_DAYS)

    async def progress(self, authority: str) -> Progress:
        """Return the same without a lock."""
        return await self._progress(authority, CLOSED_THROUGH)

    async def _progress(self, authority: str, statement: str) -> Progress:
        closed_through = await self._connection.fetchval(statement, authority)
        first_day = await self._connection.fetchval(FIRST_DAY, authority)
        return Progress(closed_through=closed_through, first_day=first_day)

    async def known_regies(self, authority: str, day: date) -> set[str]:
        """Return the régies that a day of the authority is closed for, moved or not."""
        rows = await self._connection.fetch(KNOWN_REGIES, authority, day)
        return {row["regie"] for row in rows}

    async def movements(
        self, authority: str, regies: Sequence[str] | None, first: date, last: date
    ) -> list[Movement]:
        """Return what these régies, or all, recorded between two days, in feed order."""
        begins, ends = bounds(first, last)
        wanted = None if regies is None else list(regies)
        rows = await self._connection.fetch(MOVEMENTS, authority, wanted, begins, ends)
        return [Movement(**dict(row)) for row in rows]

    async def close(self, authority: str, day: date, totals: Sequence[Total], at: datetime) -> None:
        """Write a day's totals, for ever, and let nothing be recorded on it any more."""
        await self._connection.execute(
            ADD_CLOSINGS,
            authority,
            day,
            at,
            [total.regie for total in totals],
            [total.payment_count for total in totals],
            [total.payment_cents for total in totals],
            [total.reversal_count for total in totals],
            [total.reversal_cents for total in totals],
            [total.first_position for total in totals],
            [total.last_position for total in totals],
            [total.occurred_from for total in totals],
            [total.occurred_to for total in totals],
            [total.digest for total in totals],
        )
        await self._connection.execute(CLOSE_THROUGH, authority, day)

    async def closed(
        self, authority: str, regies: Sequence[str], first: date, last: date
    ) -> list[Total]:
        """Return the totals of closed days, as they were written."""
        rows = await self._connection.fetch(CLOSED, authority, list(regies), first, last)
        return [Total(**dict(row)) for row in rows]

    async def rows(self, authority: str, regie: str, day: date) -> list[Row]:
        """Return what one régie recorded on a day, in feed order."""
        rows = await self._connection.fetch(ROWS, authority, regie, *bounds(day, day))
        return [
            Row(event_id=event_id(row["fact"]), **{k: v for k, v in row.items() if k != "fact"})
            for row in rows
        ]

    async def settings(self, authority: str, regies: Sequence[str] | None) -> list[FileSetting]:
        """Return what is set for these régies, or for all of the authority."""
        wanted = None if regies is None else list(regies)
        rows = await self._connection.fetch(SETTINGS, authority, wanted)
        return [
            FileSetting(
                authority=row["authority"],
                regie=row["regie"],
                layout=msgspec.json.decode(row["layout"], type=Layout),
                destination=msgspec.json.decode(row["destination"], type=Destination),
                secrets=row["secrets"],
                set_at=row["set_at"],
            )
            for row in rows
        ]

    async def keep_setting(self, setting: FileSetting) -> None:
        """Set what a régie's files look like from the next on, and try those that wait at once."""
        await self._connection.execute(
            KEEP_SETTING,
            setting.authority,
            setting.regie,
            msgspec.json.encode(setting.layout),
            msgspec.json.encode(setting.destination),
            setting.secrets,
            setting.set_at,
        )
        await self._connection.execute(
            TRY_AT_ONCE, setting.authority, setting.regie, setting.set_at
        )

    async def forget_setting(self, authority: str, regie: str) -> bool:
        """Make no file for a régie any more; tell whether any was made."""
        return await self._connection.fetchval(FORGET_SETTING, authority, regie) is not None

    async def seal_again(self, again: Callable[[bytes], bytes]) -> None:
        """Replace every sealed secret by what `again` makes of it."""
        for row in await self._connection.fetch(ALL_SECRETS):
            await self._connection.execute(
                SEAL_AGAIN, row["authority"], row["regie"], again(row["secrets"])
            )

    async def last_sequence(self, authority: str, regie: str) -> int:
        """Return the number of a régie's last file, or 0."""
        return int(await self._connection.fetchval(LAST_SEQUENCE, authority, regie))

    async def add(self, file: CollectionFile) -> None:
        """Plan a file; one for each régie and day."""
        await self._connection.execute(
            ADD_FILE,
            file.authority,
            file.regie,
            file.day,
            file.sequence,
            file.name,
            msgspec.json.encode(file.layout),
            file.state.value,
            file.storage_key,
            file.next_at,
            file.planned_at,
        )

    async def find(self, authority: str, regie: str, day: date) -> CollectionFile | None:
        """Return a day's file, or None."""
        row = await self._connection.fetchrow(FIND_FILE, authority, regie, day)
        return _file(row) if row else None

    async def files(
        self,
        authority: str,
        regies: Sequence[str],
        *,
        day: date | None = None,
        before: date | None = None,
        limit: int,
    ) -> list[CollectionFile]:
        """Return files of a day, or of all those before one, the last days first."""
        rows = await self._connection.fetch(FILES, authority, list(regies), day, before, limit)
        return [_file(row) for row in rows]

    async def claim(self, now: datetime, lease: timedelta, limit: int) -> list[CollectionFile]:
        """Hold files that are due until their lease ends; those that others hold are left out."""
        rows = await self._connection.fetch(CLAIM, now, now + lease, limit)
        return [_file(row) for row in rows]

    async def keep(self, file: CollectionFile) -> None:
        """Keep what became of a file."""
        await self._connection.execute(
            KEEP_FILE,
            file.authority,
            file.regie,
            file.day,
            file.state.value,
            file.size_bytes,
            file.sha256,
            file.control_sha256,
            file.attempts,
            file.next_at,
            file.problem_code,
            file.problem_detail,
            file.made_at,
            file.dropped_at,
        )


def _file(row: Any) -> CollectionFile:  # noqa: ANN401 - an asyncpg record
    fields = dict(row) | {
        "layout": msgspec.json.decode(row["layout"], type=Layout),
        "state": FileState(row["state"]),
    }
    return CollectionFile(**fields)
