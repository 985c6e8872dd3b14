"""Print runs: which letters a deposit has, and the merged files that were asked for."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from publication.domain import Letter
from publication.ports import (
    Manifest,
    PrintRunClaim,
    PrintRunStanding,
    PrintRunState,
    Progress,
)
from shared.postgres import Connection

PARTS = """
SELECT authority, regie, sum(invoices)::integer AS invoices FROM deposit_part
WHERE deposit_id = $1 GROUP BY authority, regie ORDER BY authority, regie
"""

# A version that waits or was refused belongs to the deposit that brought it; what is shown, to the
# deposit that it came from. What is about to be replaced is not printed any more.
_SHOWN = """
published_deposit_id = $1 AND document_key IS NOT NULL
    AND (state = 'published' OR state = 'refused') AND regie = ANY($2::text[])
"""
PROGRESS = f"""
SELECT
    (SELECT count(*) FROM folder
     WHERE deposit_id = $1 AND state = 'waiting' AND regie = ANY($2::text[])) AS waiting,
    (SELECT count(*) FROM folder WHERE {_SHOWN}) AS published,
    (SELECT count(*) FROM folder
     WHERE deposit_id = $1 AND state = 'refused' AND regie = ANY($2::text[])) AS refused
"""
LETTERS = f"""
SELECT invoice_id, published_version AS version, regie, number, subject, payer_reference,
       payer_name AS name, payer_address AS address, print_key, print_pages AS pages,
       print_size_bytes AS size_bytes
FROM folder WHERE {_SHOWN} AND needs_paper ORDER BY invoice_id
"""

FIND = "SELECT state, size_bytes, failure FROM print_run WHERE key = $1"

# Two who ask for the same file at once want it once.
ASK = """
INSERT INTO print_run (key, deposit_id, state, manifest) VALUES ($1, $2, 'wanted', $3)
ON CONFLICT (key) DO NOTHING
"""
FORGET = "DELETE FROM print_run WHERE key = $1 AND state = $2"

# SKIP LOCKED lets several replicas claim side by side without waiting or taking the same row.
CLAIM = """
UPDATE print_run SET claimed_by = $1, claimed_until = $2, attempts = attempts + 1
WHERE key IN (
    SELECT key FROM print_run
    WHERE state = 'wanted' AND (claimed_until IS NULL OR claimed_until < $3)
    ORDER BY claimed_until NULLS FIRST LIMIT $4 FOR UPDATE SKIP LOCKED
)
RETURNING key, manifest, attempts
"""
RELEASE_OWN = "UPDATE print_run SET claimed_by = NULL, claimed_until = NULL WHERE claimed_by = $1"
_HELD = "WHERE key = $1 AND claimed_by = $2 AND state = 'wanted' RETURNING key"
RENEW = f"UPDATE print_run SET claimed_until = $3 {_HELD}"
MADE = f"""
UPDATE print_run SET state = 'made', size_bytes = $3, manifest = NULL, claimed_by = NULL,
    claimed_until = NULL {_HELD}
"""
FAILED = f"""
UPDATE print_run SET state = 'failed', failure = $3, manifest = NULL, claimed_by = NULL,
    claimed_until = NULL {_HELD}
"""

_manifest_decoder = msgspec.json.Decoder(Manifest)


class PostgresPrintRuns:
    """The print runs behind one connection; see `ports.PrintRuns`."""

    def __init__(self, connection: Connection) -> None:
        """Work on `connection`, within its transaction if it has one."""
        self._connection = connection

    async def parts(self, deposit_id: UUID) -> dict[tuple[str, str], int]:
        """Return how many invoices of a deposit arrived, by authority and régie."""
        rows = await self._connection.fetch(PARTS, deposit_id)
        return {(row["authority"], row["regie"]): row["invoices"] for row in rows}

    async def progress(self, deposit_id: UUID, regies: Sequence[str]) -> Progress:
        """Return how far the publication of a deposit is, for these régies."""
        row = await self._connection.fetchrow(PROGRESS, deposit_id, list(regies))
        return Progress(**dict(row or {}))

    async def letters(self, deposit_id: UUID, regies: Sequence[str]) -> list[Letter]:
        """Return what is to be posted of a deposit, for these régies, in no useful order."""
        rows = await self._connection.fetch(LETTERS, deposit_id, list(regies))
        return [
            Letter(**{**dict(row), "address": tuple(row["address"].splitlines())}) for row in rows
        ]

    async def find(self, key: str) -> PrintRunStanding | None:
        """Return what became of a merged file, or None when nobody asked for it."""
        row = await self._connection.fetchrow(FIND, key)
        if row is None:
            return None
        return PrintRunStanding(
            state=PrintRunState(row["state"]),
            size_bytes=row["size_bytes"] or 0,
            failure=row["failure"] or "",
        )

    async def ask(self, key: str, deposit_id: UUID, manifest: Manifest) -> None:
        """Want a merged file, unless it is wanted or there already."""
        await self._connection.execute(ASK, key, deposit_id, msgspec.json.encode(manifest))

    async def forget(self, key: str, state: PrintRunState) -> None:
        """Forget a merged file that stands so: it may be asked for again."""
        await self._connection.execute(FORGET, key, state.value)

    async def claim(
        self, *, instance: str, now: datetime, lease: timedelta, limit: int
    ) -> list[PrintRunClaim]:
        """Hold at most `limit` wanted files for `instance` until the lease ends."""
        rows = await self._connection.fetch(CLAIM, instance, now + lease, now, limit)
        return [
            PrintRunClaim(
                key=row["key"],
                manifest=_manifest_decoder.decode(row["manifest"]),
                attempts=row["attempts"],
            )
            for row in rows
        ]

    async def release_own(self, instance: str) -> None:
        """Let go of what an earlier life of this replica held."""
        await self._connection.execute(RELEASE_OWN, instance)

    async def renew(self, key: str, instance: str, until: datetime) -> bool:
        """Hold a file longer; False when it is not wanted from `instance` any more."""
        return await self._connection.fetchrow(RENEW, key, instance, until) is not None

    async def made(self, key: str, instance: str, size_bytes: int) -> bool:
        """Record that a file is stored; False when it is not wanted any more."""
        return await self._connection.fetchrow(MADE, key, instance, size_bytes) is not None

    async def failed(self, key: str, instance: str, failure: str) -> None:
        """Record that a file cannot be made as it was asked for."""
        await self._connection.fetchrow(FAILED, key, instance, failure)
