"""Who sees which invoices, and the telling of every change of it to notification."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

from gateway.ports.links import Viewer, disappearances
from gateway.store.paper import end_unseen
from gateway.store.rows import Rows
from gateway.store.seen import VIEWERS, direct
from shared.events import InvoiceAppeared

# Who changes what accounts see goes alone, and who shows invoices waits for them: of a link that is
# revoked and an invoice that comes at the same moment, whoever commits second knows of the first.
# Taken late by those who show, and held for milliseconds by those who change.
CHANGE_ALONE = "SELECT pg_advisory_xact_lock(hashtextextended('sights', 0))"
SHOW_TOGETHER = "SELECT pg_advisory_xact_lock_shared(hashtextextended('sights', 0))"

OF_PAYER = "SELECT invoice_id FROM invoice WHERE payer_id = $1"
OF_SAME_PAYER = """
SELECT other.invoice_id FROM invoice JOIN invoice AS other ON other.payer_id = invoice.payer_id
WHERE invoice.invoice_id = $1
"""
OF_DELEGATION = """
SELECT invoice.invoice_id FROM delegation JOIN invoice ON invoice.payer_id = ANY(payer_ids)
WHERE delegation_id = $1
"""
_LENT = f"""
SELECT lent.invoice_id FROM delegation CROSS JOIN LATERAL ({direct("delegation.owner_id")}) AS lent
WHERE delegation.owner_id = {{owner}} AND delegate_id IS NOT NULL AND ended_at IS NULL
    AND lent.payer_id = ANY(payer_ids)
"""
LENT_BY = _LENT.format(owner="$1")
# With what an account that only claimed one of these addresses lent: it may have to go.
OF_ADDRESSES = f"""
SELECT invoice_id FROM invoice WHERE payer_email = ANY($1)
UNION
SELECT lent.invoice_id FROM account
CROSS JOIN LATERAL ({_LENT.format(owner="account.account_id")}) AS lent
WHERE account.email = ANY($1) AND account.verified_at IS NULL
"""
PAYERS_OF = "SELECT DISTINCT payer_id FROM invoice WHERE invoice_id = ANY($1)"
SHOWN = """
SELECT invoice_id, version, authority, regie, kind, withdrawn_version < version AS is_shown
FROM invoice WHERE invoice_id = ANY($1) AND version > 0
ORDER BY issued_on DESC, number DESC
"""

OLD_INVOICES_TOLD = 1000
"""The newest of a new link's: those that an account lists. Older ones are hardly paid any more."""


class PostgresSights(Rows):
    """Who sees what within one transaction; see `ports.ReadModel`."""

    async def viewers(self, invoice_ids: Sequence[UUID]) -> list[Viewer]:
        """Return who sees each of these invoices now, and until when."""
        rows = await self._connection.fetch(VIEWERS, list(invoice_ids), self.now())
        return [Viewer(**dict(row)) for row in rows]

    async def hold_sights(self) -> None:
        """Let nobody change what accounts see until the transaction ends."""
        await self._connection.execute(SHOW_TOGETHER)

    @asynccontextmanager
    async def changing_sights(self, which: str, *values: object) -> AsyncIterator[None]:
        """Tell who sees an invoice after what is done within, and who does no more.

        `which` is the query, with its values, of the invoices that may change: read once, before.
        """
        await self._connection.execute(CHANGE_ALONE)
        rows = await self._connection.fetch(which, *values)
        touched = [row["invoice_id"] for row in rows]
        before = await self.viewers(touched) if touched else []
        yield
        if not touched:
            return
        after = await self.viewers(touched)
        gone = {viewer.invoice_id for viewer in before} - {viewer.invoice_id for viewer in after}
        if gone:
            rows = await self._connection.fetch(PAYERS_OF, list(gone))
            await end_unseen(self._connection, [row["payer_id"] for row in rows])
        # Only now: moments are in the order in which changes are made.
        now = self.now()
        await self.publish(
            *await self._appearances(before, after, now), *disappearances(before, after, now)
        )

    async def _appearances(
        self, before: Sequence[Viewer], after: Sequence[Viewer], now: datetime
    ) -> list[InvoiceAppeared]:
        known = set(before)
        changed = [viewer for viewer in after if viewer not in known]
        if not changed:
            return []
        seen_before = {viewer.pair for viewer in before}
        rows = await self._connection.fetch(SHOWN, [viewer.invoice_id for viewer in changed])
        newest = [row["invoice_id"] for row in rows if row["is_shown"]][:OLD_INVOICES_TOLD]
        shown = {row["invoice_id"]: row for row in rows}
        told = set(newest)
        return [
            InvoiceAppeared(
                invoice_id=viewer.invoice_id,
                version=shown[viewer.invoice_id]["version"],
                account_id=viewer.account_id,
                authority=shown[viewer.invoice_id]["authority"],
                regie=shown[viewer.invoice_id]["regie"],
                kind=shown[viewer.invoice_id]["kind"],
                appeared_at=now,
                until=viewer.until,
                is_new=False,
            )
            for viewer in changed
            # An end that comes nearer is told of every invoice, however old.
            if viewer.invoice_id in told or viewer.pair in seen_before
        ]
