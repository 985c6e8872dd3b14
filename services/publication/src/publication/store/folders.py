"""Folders: what is to be published, what is, and what is let go of."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from publication.domain import FolderState, Standing, new_token
from publication.ports import Claim, Folder, PublishedPaper
from shared.envelope import Message
from shared.events import InvoiceGenerated, InvoicePublished
from shared.events.authority_configured import AuthorityConfigured, StampPlace
from shared.postgres import Connection

# Locked in one order everywhere, so that two batches never wait for each other.
LOCK = """
SELECT invoice_id, version, state FROM folder
WHERE invoice_id = ANY($1::uuid[]) ORDER BY invoice_id FOR UPDATE
"""

# The token of a folder never changes: the old paper's QR code leads to the new version.
KEEP_REQUESTS = """
INSERT INTO folder (invoice_id, authority, regie, version, state, request, cause, token,
                    deposit_id, original_key)
SELECT invoice_id, authority, regie, version, 'waiting', request, cause, token, deposit_id,
       original_key
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::integer[], $5::bytea[], $6::bytea[],
            $7::text[], $8::uuid[], $9::text[])
    AS t (invoice_id, authority, regie, version, request, cause, token, deposit_id, original_key)
ON CONFLICT (invoice_id) DO UPDATE SET
    version = EXCLUDED.version, state = 'waiting', request = EXCLUDED.request,
    cause = EXCLUDED.cause, deposit_id = EXCLUDED.deposit_id,
    original_key = EXCLUDED.original_key, attempts = 0, claimed_by = NULL, claimed_until = NULL,
    refusal_code = NULL, refusal_detail = NULL
"""

COUNT_ARRIVED = """
INSERT INTO deposit_part (deposit_id, authority, regie, invoices)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::integer[])
"""

# Nothing of the person stays in a folder that is closed for good.
_EMPTIED = """
    document_key = NULL, print_key = NULL, request = NULL, cause = NULL, original_key = NULL,
    needs_paper = NULL, number = NULL, subject = NULL, payer_reference = NULL, payer_name = NULL,
    payer_address = NULL, claimed_by = NULL, claimed_until = NULL
"""

# A withdrawal that comes before its invoice closes the folder in advance.
WITHDRAW = f"""
INSERT INTO folder (invoice_id, authority, regie, version, state, token)
VALUES ($1, $2, $3, $4, 'withdrawn', $5)
ON CONFLICT (invoice_id) DO UPDATE SET
    version = EXCLUDED.version, state = 'withdrawn', {_EMPTIED}
"""

# The same key may be discarded twice: by a withdrawal and by a purge.
DISCARD_FILES = """
INSERT INTO discarded_object (key)
SELECT key FROM folder, unnest(ARRAY[document_key, print_key]) AS key
WHERE invoice_id = ANY($1::uuid[]) AND key IS NOT NULL
ON CONFLICT DO NOTHING
"""

# Two lines of a deposit may name the same file: it goes with the last of them. What is wanted
# again ($2) stays.
DISCARD_ORIGINALS = """
INSERT INTO discarded_object (key)
SELECT DISTINCT original_key FROM folder
WHERE invoice_id = ANY($1::uuid[]) AND original_key IS NOT NULL
    AND original_key <> ALL($2::text[])
    AND NOT EXISTS (
        SELECT FROM folder AS other
        WHERE other.original_key = folder.original_key AND other.invoice_id <> ALL($1::uuid[])
    )
ON CONFLICT DO NOTHING
"""

# A merged file holds the pages of these invoices: it goes with the first of them.
DISCARD_PRINT_RUNS = """
WITH gone AS (
    DELETE FROM print_run WHERE deposit_id IN (
        SELECT published_deposit_id FROM folder WHERE invoice_id = ANY($1::uuid[])
    )
    RETURNING key
)
INSERT INTO discarded_object (key) SELECT key FROM gone ON CONFLICT DO NOTHING
"""
DISCARD = """
INSERT INTO discarded_object (key) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING
"""

# An older revision may come late: it must not replace a newer one.
KEEP_PLACE = """
INSERT INTO stamp_place (authority, regie, revision, place) VALUES ($1, $2, $3, $4)
ON CONFLICT (authority, regie) DO UPDATE
SET revision = EXCLUDED.revision, place = EXCLUDED.place
WHERE stamp_place.revision < EXCLUDED.revision
"""

# SKIP LOCKED lets several replicas claim side by side without waiting or taking the same row.
CLAIM = """
UPDATE folder SET claimed_by = $1, claimed_until = $2, attempts = attempts + 1
WHERE invoice_id IN (
    SELECT invoice_id FROM folder
    WHERE state = 'waiting' AND (claimed_until IS NULL OR claimed_until < $3)
    ORDER BY claimed_until NULLS FIRST LIMIT $4 FOR UPDATE SKIP LOCKED
)
RETURNING invoice_id, authority, regie, version, request, cause, token, attempts
"""

RELEASE_OWN = "UPDATE folder SET claimed_by = NULL, claimed_until = NULL WHERE claimed_by = $1"

POSTPONE = """
UPDATE folder SET claimed_until = $2 WHERE invoice_id = ANY($1::uuid[]) AND state = 'waiting'
"""

PLACES = "SELECT authority, regie, place FROM stamp_place WHERE place IS NOT NULL"

# Only the version that was claimed and is still wanted becomes public.
PUBLISH = """
UPDATE folder SET
    state = 'published', published_version = t.version, published_at = t.published_at,
    readable_until = t.readable_until, document_key = t.document_key,
    document_size_bytes = t.size_bytes, document_sha256 = t.sha256, print_key = t.print_key,
    published_deposit_id = t.deposit_id, print_pages = t.print_pages,
    print_size_bytes = t.print_size_bytes, needs_paper = t.needs_paper, number = t.number,
    subject = t.subject, payer_reference = t.payer_reference, payer_name = t.payer_name,
    payer_address = t.payer_address, claimed_by = NULL, claimed_until = NULL
FROM unnest($1::uuid[], $2::integer[], $3::timestamptz[], $4::date[], $5::text[], $6::bigint[],
            $7::text[], $8::text[], $9::uuid[], $10::integer[], $11::bigint[], $12::boolean[],
            $13::text[], $14::text[], $15::text[], $16::text[], $17::text[])
    AS t (invoice_id, version, published_at, readable_until, document_key, size_bytes, sha256,
          print_key, deposit_id, print_pages, print_size_bytes, needs_paper, number, subject,
          payer_reference, payer_name, payer_address)
WHERE folder.invoice_id = t.invoice_id AND folder.version = t.version AND folder.state = 'waiting'
RETURNING folder.invoice_id
"""

# The file of the version that is replaced goes; its paper's QR code opens the new one.
REPLACED = """
SELECT invoice_id FROM folder
WHERE invoice_id = ANY($1::uuid[]) AND document_key IS NOT NULL AND published_version < version
"""

REFUSE = """
UPDATE folder SET state = 'refused', refusal_code = $3, refusal_detail = $4, claimed_by = NULL,
    claimed_until = NULL
WHERE invoice_id = $1 AND version = $2 AND state = 'waiting'
RETURNING invoice_id
"""

FIND = """
SELECT invoice_id, authority, regie, version, state, token, refusal_code, refusal_detail,
       published_version, published_at, readable_until, document_key, document_size_bytes,
       document_sha256, print_key
FROM folder WHERE invoice_id = $1
"""

# Invoices past their last readable day; the folder stays as the trace that they existed.
DUE = """
SELECT invoice_id FROM folder
WHERE readable_until < $1 AND document_key IS NOT NULL AND state <> 'waiting'
ORDER BY readable_until LIMIT $2 FOR UPDATE SKIP LOCKED
"""
CLOSE = f"UPDATE folder SET state = 'purged', {_EMPTIED} WHERE invoice_id = ANY($1::uuid[])"
FORGET_PARTS = "DELETE FROM deposit_part WHERE arrived_on < $1"

DISCARDED = "SELECT key FROM discarded_object ORDER BY discarded_at LIMIT $1"
FORGET_DISCARDED = "DELETE FROM discarded_object WHERE key = ANY($1::text[])"

_request_decoder = msgspec.json.Decoder(InvoiceGenerated)
_cause_decoder = msgspec.json.Decoder(dict[str, str])


class PostgresFolders:
    """The folders behind one connection; see `ports.Folders`."""

    def __init__(self, connection: Connection) -> None:
        """Work on `connection`, within its transaction if it has one."""
        self._connection = connection

    async def lock(self, invoice_ids: Sequence[UUID]) -> dict[UUID, Standing]:
        """Return the standing of those that exist, locked until the transaction ends."""
        rows = await self._connection.fetch(LOCK, list(invoice_ids))
        return {
            row["invoice_id"]: Standing(version=row["version"], state=FolderState(row["state"]))
            for row in rows
        }

    async def keep_requests(self, requests: Sequence[Message[InvoiceGenerated]]) -> None:
        """Put each request in its folder, waiting for a worker; an older one is replaced."""
        if not requests:
            return
        ordered = sorted(requests, key=lambda message: message.data.invoice_id)
        originals = [_original_key(message.data) for message in ordered]
        await self._connection.execute(
            DISCARD_ORIGINALS,
            [message.data.invoice_id for message in ordered],
            [key for key in originals if key is not None],
        )
        await self._connection.execute(
            KEEP_REQUESTS,
            [message.data.invoice_id for message in ordered],
            [message.data.authority for message in ordered],
            [message.data.regie for message in ordered],
            [message.data.version for message in ordered],
            [msgspec.json.encode(message.data) for message in ordered],
            [_encode_cause(message) for message in ordered],
            [new_token() for _ in ordered],
            [message.data.deposit_id for message in ordered],
            originals,
        )

    async def count_arrived(self, invoices: Sequence[InvoiceGenerated]) -> None:
        """Remember of which deposit and régie these are, whatever becomes of each."""
        parts = Counter((i.deposit_id, i.authority, i.regie) for i in invoices)
        await self._connection.execute(
            COUNT_ARRIVED,
            [deposit_id for deposit_id, _, _ in parts],
            [authority for _, authority, _ in parts],
            [regie for _, _, regie in parts],
            list(parts.values()),
        )

    async def withdraw(self, withdrawals: Sequence[tuple[UUID, str, str, int]]) -> None:
        """Close folders (invoice, authority, régie, version) and let go of their files."""
        await self._let_go([invoice_id for invoice_id, _, _, _ in withdrawals])
        for invoice_id, authority, regie, version in sorted(withdrawals):
            await self._connection.execute(
                WITHDRAW, invoice_id, authority, regie, version, new_token()
            )

    async def keep_places(self, configured: AuthorityConfigured) -> None:
        """Remember where each régie wants its stamp, unless a newer revision is known."""
        for regie in configured.regies:
            place = msgspec.json.encode(regie.stamp_place) if regie.stamp_place else None
            await self._connection.execute(
                KEEP_PLACE, configured.authority, regie.code, configured.revision, place
            )

    async def claim(
        self, *, instance: str, now: datetime, lease: timedelta, limit: int
    ) -> list[Claim]:
        """Hold at most `limit` waiting invoices for `instance` until the lease ends."""
        rows = await self._connection.fetch(CLAIM, instance, now + lease, now, limit)
        return [_claim(row) for row in rows]

    async def release_own(self, instance: str) -> None:
        """Let go of what an earlier life of this replica held."""
        await self._connection.execute(RELEASE_OWN, instance)

    async def postpone(self, invoice_ids: Sequence[UUID], until: datetime) -> None:
        """Leave invoices alone until then: what they need is not there now."""
        await self._connection.execute(POSTPONE, list(invoice_ids), until)

    async def places(self) -> dict[tuple[str, str], StampPlace]:
        """Return the stamp places that were set, by authority and régie."""
        rows = await self._connection.fetch(PLACES)
        return {
            (row["authority"], row["regie"]): msgspec.json.decode(row["place"], type=StampPlace)
            for row in rows
        }

    async def publish(self, published: Sequence[PublishedPaper]) -> set[UUID]:
        """Make documents public; return those still wanted."""
        events = [paper.event for paper in published]
        rows = await self._connection.fetch(REPLACED, [event.invoice_id for event in events])
        replaced = [row["invoice_id"] for row in rows]
        await self._connection.execute(DISCARD_FILES, replaced)
        await self._connection.execute(DISCARD_PRINT_RUNS, replaced)
        letters = [_Addressee.of(event) for event in events]
        rows = await self._connection.fetch(
            PUBLISH,
            [event.invoice_id for event in events],
            [event.version for event in events],
            [event.published_at for event in events],
            [event.readable_until for event in events],
            [event.document.key for event in events],
            [event.document.size_bytes for event in events],
            [event.document.sha256 for event in events],
            [paper.printed.key for paper in published],
            [paper.deposit_id for paper in published],
            [paper.pages for paper in published],
            [paper.printed.size_bytes for paper in published],
            [letter is not None for letter in letters],
            [letter.number if letter else None for letter in letters],
            [letter.subject if letter else None for letter in letters],
            [letter.reference if letter else None for letter in letters],
            [letter.name if letter else None for letter in letters],
            [letter.address if letter else None for letter in letters],
        )
        return {row["invoice_id"] for row in rows}

    async def refuse(self, invoice_id: UUID, version: int, code: str, detail: str) -> bool:
        """Close the folder with a reason; False when it was not waited for any more."""
        row = await self._connection.fetchrow(REFUSE, invoice_id, version, code, detail)
        return row is not None

    async def find(self, invoice_id: UUID) -> Folder | None:
        """Return a folder, or None."""
        row = await self._connection.fetchrow(FIND, invoice_id)
        if row is None:
            return None
        return Folder(**{**dict(row), "state": FolderState(row["state"])})

    async def purge(self, today: date, limit: int) -> int:
        """Close at most `limit` folders past their last readable day and let go of their files."""
        rows = await self._connection.fetch(DUE, today, limit)
        due = [row["invoice_id"] for row in rows]
        await self._let_go(due)
        await self._connection.execute(CLOSE, due)
        return len(due)

    async def forget_parts(self, before: date) -> None:
        """Forget the deposits that came before that day: their documents are gone."""
        await self._connection.execute(FORGET_PARTS, before)

    async def _let_go(self, invoice_ids: Sequence[UUID]) -> None:
        """Discard all files of these folders: published, printed, merged, and the biller's own."""
        await self._connection.execute(DISCARD_FILES, list(invoice_ids))
        await self._connection.execute(DISCARD_ORIGINALS, list(invoice_ids), [])
        await self._connection.execute(DISCARD_PRINT_RUNS, list(invoice_ids))

    async def discard(self, keys: Sequence[str]) -> None:
        """Let go of objects: a worker removes them from the store."""
        if keys:
            await self._connection.execute(DISCARD, sorted(set(keys)))

    async def discarded(self, limit: int) -> list[str]:
        """Return objects to remove from the store."""
        return [row["key"] for row in await self._connection.fetch(DISCARDED, limit)]

    async def forget_discarded(self, keys: Sequence[str]) -> None:
        """Note that these objects are gone."""
        await self._connection.execute(FORGET_DISCARDED, list(keys))


class _Addressee(msgspec.Struct, frozen=True):
    """What is kept of a payer who is written to by post."""

    number: str
    subject: str
    reference: str
    name: str
    address: str

    @classmethod
    def of(cls, event: InvoicePublished) -> "_Addressee | None":
        """Return what a letter needs, or None for a payer who has an e-mail address."""
        payer = event.payer
        if payer.email:
            return None
        address = "\n".join(payer.address)
        return cls(event.number, event.subject, payer.reference, payer.name, address)


def _original_key(request: InvoiceGenerated) -> str | None:
    return request.document.key if request.document else None


def _encode_cause(message: Message[InvoiceGenerated]) -> bytes:
    return msgspec.json.encode(
        {
            "id": message.id,
            "source": message.source,
            "time": message.time.isoformat(),
            "traceparent": message.traceparent,
        }
    )


def _claim(row: Any) -> Claim:  # noqa: ANN401 - an asyncpg record
    request = _request_decoder.decode(row["request"])
    cause = _cause_decoder.decode(row["cause"])
    message = Message(
        id=cause["id"],
        source=cause["source"],
        type=request.TYPE,
        subject=request.key,
        time=datetime.fromisoformat(cause["time"]),
        traceparent=cause["traceparent"],
        causation_id=None,
        data=request,
    )
    return Claim(request=request, cause=message, token=row["token"], attempts=row["attempts"])
