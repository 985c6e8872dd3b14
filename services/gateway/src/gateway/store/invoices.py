"""The SQL of what the portal shows: invoices, money, and whose they are."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from gateway.ports import HIDDEN, InvoiceView, Movement
from gateway.ports.links import payer_id_of
from gateway.ports.lookups import Paper
from gateway.ports.matching import words_of_payer
from gateway.store.rows import Rows
from gateway.store.seen import seen
from gateway.store.visitors import digest
from shared.events import InvoicePublished, InvoiceWithdrawn, ReminderDue
from shared.events.invoice_published import highest_versions

# A lower version may come after a higher one: it must not replace it.
KEEP_INVOICES = """
INSERT INTO invoice (invoice_id, authority, authority_name, regie, regie_label, number, version,
    kind, route, subject, issued_on, due_on, amount_cents, payer_name, payer_email, token_sha256,
    published_at, readable_until, payer_id, payer_reference, payer_words, fiscal_year,
    debt_reference)
SELECT t.invoice_id, t.authority, t.authority_name, t.regie, t.regie_label, t.number, t.version,
    t.kind, t.route, t.subject, t.issued_on, t.due_on, t.amount_cents, t.payer_name, t.payer_email,
    t.token_sha256, t.published_at, t.readable_until, t.payer_id, t.payer_reference,
    string_to_array(t.payer_words, ' '), t.fiscal_year, t.debt_reference
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
    $7::integer[], $8::text[], $9::text[], $10::text[], $11::date[], $12::date[], $13::bigint[],
    $14::text[], $15::text[], $16::bytea[], $17::timestamptz[], $18::date[], $19::uuid[],
    $20::text[], $21::text[], $22::integer[], $23::text[])
AS t (invoice_id, authority, authority_name, regie, regie_label, number, version, kind, route,
    subject, issued_on, due_on, amount_cents, payer_name, payer_email, token_sha256, published_at,
    readable_until, payer_id, payer_reference, payer_words, fiscal_year, debt_reference)
ON CONFLICT (invoice_id) DO UPDATE SET
    authority = EXCLUDED.authority, authority_name = EXCLUDED.authority_name,
    regie = EXCLUDED.regie, regie_label = EXCLUDED.regie_label, number = EXCLUDED.number,
    version = EXCLUDED.version, kind = EXCLUDED.kind, route = EXCLUDED.route,
    subject = EXCLUDED.subject, issued_on = EXCLUDED.issued_on, due_on = EXCLUDED.due_on,
    amount_cents = EXCLUDED.amount_cents, payer_name = EXCLUDED.payer_name,
    payer_email = EXCLUDED.payer_email, token_sha256 = EXCLUDED.token_sha256,
    published_at = EXCLUDED.published_at, readable_until = EXCLUDED.readable_until,
    payer_id = EXCLUDED.payer_id, payer_reference = EXCLUDED.payer_reference,
    payer_words = EXCLUDED.payer_words, fiscal_year = EXCLUDED.fiscal_year,
    debt_reference = EXCLUDED.debt_reference
WHERE invoice.version < EXCLUDED.version
RETURNING invoice_id, withdrawn_version < version AS is_shown
"""
# A withdrawal may come before its invoice: the row then waits under version 0.
WITHDRAW = """
INSERT INTO invoice (invoice_id, authority, regie, number, withdrawn_version)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::integer[])
ON CONFLICT (invoice_id) DO UPDATE
SET withdrawn_version = greatest(invoice.withdrawn_version, EXCLUDED.withdrawn_version)
"""
# The same fact under another message changes nothing.
KEEP_MOVEMENTS = """
INSERT INTO movement (fact, invoice_id, payment_id, amount_cents, means, occurred_at)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::bigint[], $5::text[],
                     $6::timestamptz[])
ON CONFLICT (fact) DO NOTHING
"""
# A reminder may come before its invoice too; an older one never replaces a newer one.
KEEP_REMINDERS = """
INSERT INTO invoice (invoice_id, authority, regie, number, reminded_at)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
ON CONFLICT (invoice_id) DO UPDATE
SET reminded_at = greatest(invoice.reminded_at, EXCLUDED.reminded_at)
"""
COLUMNS = """
    invoice_id, authority, authority_name, regie, regie_label, number, version,
    withdrawn_version, kind, route, subject, issued_on, due_on, amount_cents, payer_name,
    readable_until, reminded_at,
    coalesce((SELECT sum(movement.amount_cents)::bigint FROM movement
              WHERE movement.invoice_id = invoice.invoice_id), 0) AS paid_cents,
    (SELECT max(occurred_at) FROM movement WHERE movement.invoice_id = invoice.invoice_id
        AND movement.amount_cents > 0) AS last_paid_at
"""
VIEW = f"SELECT {COLUMNS} FROM invoice WHERE version > 0 "
# A subquery for what is the authority's, so that the columns are those of an invoice and no others.
PAPERS = f"""
SELECT {COLUMNS}, token_sha256 AS sought, coalesce(
    (SELECT second_proof FROM authority WHERE authority.authority = invoice.authority), false
) AS needs_proof
FROM invoice WHERE version > 0 AND token_sha256 = ANY($1)
"""
OWN = f"""
SELECT {COLUMNS}, own.is_own, own.can_read, own.can_pay
FROM ({{seen}}) AS own JOIN invoice USING (invoice_id)
WHERE version > 0
"""
OWN_INVOICE = OWN.format(seen=seen("$1", "$2")) + "AND invoice_id = $3"
OWN_INVOICES = f"""
SELECT asked.account_id AS asked_by, found.*
FROM unnest($1::uuid[]) AS asked (account_id) CROSS JOIN LATERAL (
    {OWN.format(seen=seen("asked.account_id", "$2"))}
    ORDER BY issued_on DESC, number DESC LIMIT $3
) AS found
"""
MOVEMENTS = """
SELECT fact, invoice_id, payment_id, amount_cents, means, occurred_at
FROM movement WHERE invoice_id = $1 ORDER BY occurred_at, fact
"""

INVOICES_KEPT_IN_VIEW = 1000
"""The newest invoices that an account lists: decades of a family's."""


class PostgresInvoices(Rows):
    """Invoices within one transaction; see `ports.Invoices` and `ports.ReadModel`."""

    async def keep_invoices(self, published: Sequence[InvoicePublished]) -> list[InvoicePublished]:
        """Keep the highest version of each invoice; return those that can be seen only now."""
        rows = highest_versions(published)
        kept = await self._connection.fetch(
            KEEP_INVOICES,
            [row.invoice_id for row in rows],
            [row.authority for row in rows],
            [row.authority_name for row in rows],
            [row.regie for row in rows],
            [row.regie_label for row in rows],
            [row.number for row in rows],
            [row.version for row in rows],
            [row.kind for row in rows],
            [row.route for row in rows],
            [row.subject for row in rows],
            [row.issued_on for row in rows],
            [row.due_on for row in rows],
            [row.amount_cents for row in rows],
            [row.payer.name for row in rows],
            [row.payer.email.strip().lower() if row.payer.email else None for row in rows],
            [digest(row.token) for row in rows],
            [row.published_at for row in rows],
            [row.readable_until for row in rows],
            [payer_id_of(row) for row in rows],
            [row.payer.own_reference for row in rows],
            [" ".join(words_of_payer(row.payer.name)) for row in rows],
            [row.fiscal_year for row in rows],
            [row.debt_reference for row in rows],
        )
        appeared = {row["invoice_id"] for row in kept if row["is_shown"]}
        return [row for row in rows if row.invoice_id in appeared]

    async def withdraw(self, withdrawn: Sequence[InvoiceWithdrawn]) -> None:
        """Note withdrawals, also of invoices that are not known yet."""
        latest = {event.invoice_id: event for event in sorted(withdrawn, key=lambda e: e.version)}
        rows = sorted(latest.values(), key=lambda event: event.invoice_id)
        await self._connection.execute(
            WITHDRAW,
            [row.invoice_id for row in rows],
            [row.authority for row in rows],
            [row.regie for row in rows],
            [row.number for row in rows],
            [row.version for row in rows],
        )

    async def keep_movements(self, movements: Sequence[Movement]) -> None:
        """Note money in and out, once for each fact."""
        await self._connection.execute(
            KEEP_MOVEMENTS,
            [movement.fact for movement in movements],
            [movement.invoice_id for movement in movements],
            [movement.payment_id for movement in movements],
            [movement.amount_cents for movement in movements],
            [movement.means for movement in movements],
            [movement.occurred_at for movement in movements],
        )

    async def keep_reminders(self, reminders: Sequence[ReminderDue]) -> None:
        """Note the latest reminder of invoices, also of those that are not known yet."""
        by_moment = sorted(reminders, key=lambda reminder: reminder.decided_at)
        latest = {reminder.invoice_id: reminder for reminder in by_moment}
        rows = sorted(latest.values(), key=lambda reminder: reminder.invoice_id)
        await self._connection.execute(
            KEEP_REMINDERS,
            [row.invoice_id for row in rows],
            [row.authority for row in rows],
            [row.regie for row in rows],
            [row.number for row in rows],
            [row.decided_at for row in rows],
        )

    async def papers(self, tokens: Sequence[str]) -> dict[str, Paper]:
        """Return what each public token opens; one that opens nothing is left out."""
        rows = await self._connection.fetch(PAPERS, [digest(token) for token in tokens])
        found = {}
        for row in rows:
            values = dict(row)
            sought, needs_proof = values.pop("sought"), values.pop("needs_proof")
            found[sought] = Paper(invoice=InvoiceView(**values), needs_proof=needs_proof)
        return {token: found[digest(token)] for token in tokens if digest(token) in found}

    async def own_invoices(self, account_id: UUID) -> list[InvoiceView]:
        """Return the newest invoices of an account, newest first, up to a limit."""
        return (await self.invoices_of([account_id]))[account_id]

    async def invoices_of(self, account_ids: Sequence[UUID]) -> dict[UUID, list[InvoiceView]]:
        """Return the newest invoices of each account, newest first, up to a limit for each."""
        rows = await self._connection.fetch(
            OWN_INVOICES, account_ids, self.now(), INVOICES_KEPT_IN_VIEW
        )
        found: dict[UUID, list[InvoiceView]] = {account_id: [] for account_id in account_ids}
        for row in rows:
            values = dict(row)
            found[values.pop("asked_by")].append(_own(values))
        return found

    async def own_invoice(self, account_id: UUID, invoice_id: UUID) -> InvoiceView | None:
        """Return one invoice of an account, or None when it is not theirs."""
        row = await self._connection.fetchrow(OWN_INVOICE, account_id, self.now(), invoice_id)
        return _own(dict(row)) if row else None

    async def movements(self, invoice_id: UUID) -> list[Movement]:
        """Return the money that came and went for an invoice, oldest first."""
        rows = await self._connection.fetch(MOVEMENTS, invoice_id)
        return [Movement(**dict(row)) for row in rows]


def _own(values: dict[str, Any]) -> InvoiceView:
    """Return an invoice of an account; who may not read it may not know what opens it (C3)."""
    found = InvoiceView(**values)
    return found if found.can_read else msgspec.structs.replace(found, number=HIDDEN)
