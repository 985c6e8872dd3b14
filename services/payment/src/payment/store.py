"""All the SQL of payment."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from payment.domain import Attempt, AttemptState, Notice, NoticeOutcome, PayableInvoice
from payment.ports import Handover, PaymentForm
from shared.events import InvoicePublished, InvoiceWithdrawn
from shared.events.invoice_published import highest_versions
from shared.events.payment_captured import Allocation
from shared.postgres import Connection

# A lower version may come after a higher one: it must not replace it.
KEEP_INVOICES = """
INSERT INTO invoice (invoice_id, authority, regie, number, version, kind, route, amount_cents,
                     published_at)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::integer[], $6::text[],
                     $7::text[], $8::bigint[], $9::timestamptz[])
ON CONFLICT (invoice_id) DO UPDATE SET
    authority = EXCLUDED.authority, regie = EXCLUDED.regie, number = EXCLUDED.number,
    version = EXCLUDED.version, kind = EXCLUDED.kind, route = EXCLUDED.route,
    amount_cents = EXCLUDED.amount_cents, published_at = EXCLUDED.published_at
WHERE invoice.version < EXCLUDED.version
"""

# A withdrawal may come before its invoice: version 0 stands for one that is not known yet.
WITHDRAW = """
INSERT INTO invoice (invoice_id, authority, regie, number, version, kind, route, amount_cents,
                     withdrawn_version)
SELECT invoice_id, authority, regie, number, 0, 'invoice', 'regie', 0, version
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::integer[])
    AS t (invoice_id, authority, regie, number, version)
ON CONFLICT (invoice_id) DO UPDATE
SET withdrawn_version = greatest(invoice.withdrawn_version, EXCLUDED.withdrawn_version)
"""

# Locked in one order everywhere, so that two payers never wait for each other in a circle.
LOCK_INVOICES = """
SELECT invoice_id, authority, regie, number, version, kind, route, amount_cents, withdrawn_version,
    published_at
FROM invoice WHERE invoice_id = ANY($1::uuid[]) AND version > 0
ORDER BY invoice_id FOR UPDATE
"""
# A statement of its own, after the lock: only so does it see what was committed while it waited.
CAPTURED = """
SELECT invoice_id, sum(allocation.amount_cents)::bigint AS captured_cents
FROM allocation JOIN attempt USING (payment_id)
WHERE invoice_id = ANY($1::uuid[]) AND attempt.state = 'captured' GROUP BY invoice_id
"""

ATTEMPT_COLUMNS = """
SELECT payment_id, order_id, attempt.authority, provider, account, attempt.amount_cents, state,
       email, started_at, expires_at, captured_cents, provider_reference, form
FROM attempt
"""
OPEN_ATTEMPTS = (
    ATTEMPT_COLUMNS
    + """
WHERE payment_id IN (
    SELECT payment_id FROM allocation WHERE invoice_id = ANY($1::uuid[]) AND is_open
) AND state = 'open' ORDER BY payment_id FOR UPDATE OF attempt
"""
)
BY_KEY = ATTEMPT_COLUMNS + "WHERE idempotency_key = $1"
BY_ID = ATTEMPT_COLUMNS + "WHERE payment_id = $1"
# Invoices first, then the attempt: the order in which a payment starts, so that no two wait for
# each other, and nobody starts one while a capture of the same invoice is being kept.
LOCK_INVOICES_OF_ORDER = """
SELECT invoice_id FROM invoice WHERE invoice_id IN (
    SELECT allocation.invoice_id FROM allocation JOIN attempt USING (payment_id)
    WHERE provider = $1 AND account = $2 AND order_id = $3
) ORDER BY invoice_id FOR UPDATE
"""
BY_ORDER = (
    ATTEMPT_COLUMNS + "WHERE provider = $1 AND account = $2 AND order_id = $3 FOR UPDATE OF attempt"
)
# Another replica closes the ones that are skipped.
EXPIRED = (
    ATTEMPT_COLUMNS
    + """
WHERE state = 'open' AND expires_at < $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
"""
)
ALLOCATIONS = """
SELECT payment_id, invoice_id, invoice.authority, regie, number, allocation.amount_cents,
       published_at
FROM allocation JOIN invoice USING (invoice_id)
WHERE payment_id = ANY($1::uuid[]) ORDER BY payment_id, invoice_id
"""

# The number was drawn at random, and the key may have been used a moment ago: either makes the
# caller look and draw again.
START = """
INSERT INTO attempt (payment_id, order_id, idempotency_key, authority, provider, account,
    provider_day, provider_number, amount_cents, state, email, form, started_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'open', $10, $11, $12, $13)
ON CONFLICT DO NOTHING
RETURNING payment_id
"""
ADD_ALLOCATIONS = """
INSERT INTO allocation (payment_id, invoice_id, amount_cents)
SELECT $1, * FROM unnest($2::uuid[], $3::bigint[])
"""
MOVE = """
UPDATE attempt SET state = $2, captured_cents = $3, provider_reference = $4, ended_at = $5
WHERE payment_id = $1
"""
CLOSE_ALLOCATIONS = "UPDATE allocation SET is_open = false WHERE payment_id = $1 AND is_open"
RELEASE_KEY = "UPDATE attempt SET idempotency_key = NULL WHERE payment_id = $1"

# Providers repeat themselves: the same fact is stored, and acted on, once. Only one whose order was
# not known when it first came, as after a restore from a backup, counts as new when it is.
KEEP_NOTICE = """
INSERT INTO notice (provider, account, fact, order_id, body, outcome, received_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (provider, account, fact) DO UPDATE SET outcome = EXCLUDED.outcome
WHERE notice.outcome = 'unknown-order' AND EXCLUDED.outcome <> 'unknown-order'
RETURNING notice_id
"""


class PostgresPayments:
    """Payments behind one connection; see `ports.Payments`."""

    def __init__(self, connection: Connection) -> None:
        """Work on `connection`, within its transaction."""
        self._connection = connection

    async def keep_invoices(self, published: Sequence[InvoicePublished]) -> None:
        """Keep the highest version of each invoice."""
        rows = highest_versions(published)
        await self._connection.execute(
            KEEP_INVOICES,
            [row.invoice_id for row in rows],
            [row.authority for row in rows],
            [row.regie for row in rows],
            [row.number for row in rows],
            [row.version for row in rows],
            [row.kind for row in rows],
            [row.route for row in rows],
            [row.amount_cents for row in rows],
            [row.published_at for row in rows],
        )

    async def withdraw(self, withdrawn: Sequence[InvoiceWithdrawn]) -> None:
        """Close invoices up to a version, also ones that are not known yet."""
        latest: dict[UUID, InvoiceWithdrawn] = {}
        for event in withdrawn:
            known = latest.get(event.invoice_id)
            if known is None or known.version < event.version:
                latest[event.invoice_id] = event
        rows = sorted(latest.values(), key=lambda event: event.invoice_id)
        await self._connection.execute(
            WITHDRAW,
            [row.invoice_id for row in rows],
            [row.authority for row in rows],
            [row.regie for row in rows],
            [row.number for row in rows],
            [row.version for row in rows],
        )

    async def lock_invoices(self, invoice_ids: Sequence[UUID]) -> list[PayableInvoice]:
        """Return invoices locked until the transaction ends, with what was captured for them."""
        rows = await self._connection.fetch(LOCK_INVOICES, list(invoice_ids))
        sums = await self._connection.fetch(CAPTURED, list(invoice_ids))
        captured = {row["invoice_id"]: row["captured_cents"] for row in sums}
        found = {
            row["invoice_id"]: PayableInvoice(
                **dict(row), captured_cents=captured.get(row["invoice_id"], 0)
            )
            for row in rows
        }
        return [found[invoice_id] for invoice_id in invoice_ids if invoice_id in found]

    async def open_attempts(self, invoice_ids: Sequence[UUID]) -> list[Attempt]:
        """Return the open attempts of these invoices."""
        rows = await self._connection.fetch(OPEN_ATTEMPTS, list(invoice_ids))
        return await self._attempts(rows)

    async def by_key(self, idempotency_key: str) -> tuple[Attempt, PaymentForm] | None:
        """Return the attempt that was started under a key, with its form."""
        row = await self._connection.fetchrow(BY_KEY, idempotency_key)
        if row is None:
            return None
        [attempt] = await self._attempts([row])
        return attempt, msgspec.json.decode(row["form"], type=PaymentForm)

    async def release_key(self, payment_id: UUID) -> None:
        """Let the key of an attempt that came to nothing start another one."""
        await self._connection.execute(RELEASE_KEY, payment_id)

    async def start(
        self, attempt: Attempt, handover: Handover, idempotency_key: str | None
    ) -> bool:
        """Keep a new attempt; False when its key, or the provider's number of the day, was used."""
        row = await self._connection.fetchrow(
            START,
            attempt.payment_id,
            attempt.order_id,
            idempotency_key,
            attempt.authority,
            attempt.provider,
            attempt.account,
            handover.provider_day,
            handover.provider_number,
            attempt.amount_cents,
            attempt.email,
            msgspec.json.encode(handover.form),
            attempt.started_at,
            attempt.expires_at,
        )
        if row is None:
            return False
        await self._connection.execute(
            ADD_ALLOCATIONS,
            attempt.payment_id,
            [allocation.invoice_id for allocation in attempt.allocations],
            [allocation.amount_cents for allocation in attempt.allocations],
        )
        return True

    async def find(self, payment_id: UUID, *, lock: bool = False) -> Attempt | None:
        """Return an attempt, or None."""
        statement = BY_ID + (" FOR UPDATE OF attempt" if lock else "")
        row = await self._connection.fetchrow(statement, payment_id)
        return (await self._attempts([row]))[0] if row else None

    async def lock_order(self, provider: str, account: str, order_id: str) -> Attempt | None:
        """Return the attempt of an order, or None; it and its invoices are locked."""
        await self._connection.execute(LOCK_INVOICES_OF_ORDER, provider, account, order_id)
        row = await self._connection.fetchrow(BY_ORDER, provider, account, order_id)
        return (await self._attempts([row]))[0] if row else None

    async def move(self, attempt: Attempt, at: datetime) -> None:
        """Keep an attempt's new state, which is not open any more."""
        await self._connection.execute(
            MOVE,
            attempt.payment_id,
            attempt.state.value,
            attempt.captured_cents,
            attempt.provider_reference,
            at,
        )
        await self._connection.execute(CLOSE_ALLOCATIONS, attempt.payment_id)

    async def keep_notice(
        self,
        provider: str,
        account: str,
        notice: Notice,
        body: bytes,
        outcome: NoticeOutcome,
        at: datetime,
    ) -> bool:
        """Keep a notice as it came; False when this fact was told before."""
        row = await self._connection.fetchrow(
            KEEP_NOTICE, provider, account, notice.fact, notice.order_id, body, outcome.value, at
        )
        return row is not None

    async def expired(self, now: datetime, limit: int) -> list[Attempt]:
        """Return open attempts past their time, locked until the transaction ends."""
        return await self._attempts(await self._connection.fetch(EXPIRED, now, limit))

    async def _attempts(self, rows: Sequence[Any]) -> list[Attempt]:
        ids = [row["payment_id"] for row in rows]
        allocations: dict[UUID, list[Allocation]] = {payment_id: [] for payment_id in ids}
        for row in await self._connection.fetch(ALLOCATIONS, ids):
            allocations[row["payment_id"]].append(
                Allocation(
                    invoice_id=row["invoice_id"],
                    authority=row["authority"],
                    regie=row["regie"],
                    number=row["number"],
                    amount_cents=row["amount_cents"],
                    published_at=row["published_at"],
                )
            )
        return [
            Attempt(
                payment_id=row["payment_id"],
                order_id=row["order_id"],
                authority=row["authority"],
                provider=row["provider"],
                account=row["account"],
                amount_cents=row["amount_cents"],
                state=AttemptState(row["state"]),
                email=row["email"],
                started_at=row["started_at"],
                expires_at=row["expires_at"],
                captured_cents=row["captured_cents"],
                provider_reference=row["provider_reference"],
                allocations=tuple(allocations[row["payment_id"]]),
            )
            for row in rows
        ]
