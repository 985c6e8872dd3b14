"""All the SQL of the gateway."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from gateway.ports import Account, Agent, Biller, InvoiceView, Movement, Visitor
from shared.events import InvoicePublished, InvoiceWithdrawn, ReminderDue
from shared.events.invoice_published import highest_versions
from shared.postgres import Connection

# A lower version may come after a higher one: it must not replace it.
KEEP_INVOICES = """
INSERT INTO invoice (invoice_id, authority, authority_name, regie, regie_label, number, version,
    kind, route, subject, issued_on, due_on, amount_cents, payer_name, payer_email, token_sha256,
    published_at, readable_until)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
    $7::integer[], $8::text[], $9::text[], $10::text[], $11::date[], $12::date[], $13::bigint[],
    $14::text[], $15::text[], $16::bytea[], $17::timestamptz[], $18::date[])
ON CONFLICT (invoice_id) DO UPDATE SET
    authority = EXCLUDED.authority, authority_name = EXCLUDED.authority_name,
    regie = EXCLUDED.regie, regie_label = EXCLUDED.regie_label, number = EXCLUDED.number,
    version = EXCLUDED.version, kind = EXCLUDED.kind, route = EXCLUDED.route,
    subject = EXCLUDED.subject, issued_on = EXCLUDED.issued_on, due_on = EXCLUDED.due_on,
    amount_cents = EXCLUDED.amount_cents, payer_name = EXCLUDED.payer_name,
    payer_email = EXCLUDED.payer_email, token_sha256 = EXCLUDED.token_sha256,
    published_at = EXCLUDED.published_at, readable_until = EXCLUDED.readable_until
WHERE invoice.version < EXCLUDED.version
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
KEEP_REMINDERS = """
UPDATE invoice SET reminded_at = t.decided_at
FROM unnest($1::uuid[], $2::timestamptz[]) AS t (invoice_id, decided_at)
WHERE invoice.invoice_id = t.invoice_id
"""
VIEW = """
SELECT invoice_id, authority, authority_name, regie, regie_label, number, version,
    withdrawn_version, kind, route, subject, issued_on, due_on, amount_cents, payer_name,
    payer_email, readable_until,
    coalesce((SELECT sum(movement.amount_cents)::bigint FROM movement
              WHERE movement.invoice_id = invoice.invoice_id), 0) AS paid_cents,
    (SELECT max(occurred_at) FROM movement WHERE movement.invoice_id = invoice.invoice_id
        AND movement.amount_cents > 0) AS last_paid_at
FROM invoice WHERE version > 0
"""
BY_TOKEN = VIEW + "AND token_sha256 = $1"
# An account sees the invoices sent to its proved address, and those it attached from paper.
OWN = """
AND (invoice_id IN (SELECT invoice_id FROM attachment WHERE account_id = $1)
     OR payer_email = (SELECT email FROM account
                       WHERE account_id = $1 AND verified_at IS NOT NULL))
"""
OWN_INVOICES = VIEW + OWN + "ORDER BY issued_on DESC, number LIMIT 500"
OWN_INVOICE = VIEW + OWN + "AND invoice_id = $2"
# Attaching twice is the same as once.
ATTACH = """
INSERT INTO attachment (account_id, invoice_id, attached_at) VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING
"""

FIND_ACCOUNT = "SELECT account_id, email, password_hash, verified_at FROM account WHERE email = $1"
# Two people cannot take one address; the second learns nothing of the first.
ADD_ACCOUNT = """
INSERT INTO account (account_id, email, password_hash, verified_at, created_at)
VALUES ($1, $2, $3, $4, $5) ON CONFLICT (email) DO NOTHING RETURNING account_id
"""
FIND_AGENT = """
SELECT login, password_hash, authority, authority.name AS authority_name
FROM agent JOIN authority USING (authority) WHERE login = $1
"""
ADD_SESSION = """
INSERT INTO session (session_sha256, account_id, login, created_at, seen_at)
VALUES ($1, $2, $3, $4, $4)
"""
# Idle and absolute ends are checked here, so that no page can forget them.
TOUCH_SESSION = """
UPDATE session SET seen_at = $2
WHERE session_sha256 = $1 AND seen_at > $3 AND created_at > $4
RETURNING account_id, login
"""
VISITOR = """
SELECT (SELECT email FROM account WHERE account_id = $1) AS email,
    EXISTS (SELECT FROM account WHERE account_id = $1 AND verified_at IS NOT NULL) AS is_verified,
    (SELECT authority FROM agent WHERE login = $2) AS authority,
    (SELECT name FROM agent JOIN authority USING (authority) WHERE login = $2) AS authority_name
"""
END_SESSION = "DELETE FROM session WHERE session_sha256 = $1"
FIND_BILLER = """
SELECT client_id, secret_sha256, authority, regies, scopes FROM biller WHERE client_id = $1
"""
BLOCKED = "SELECT blocked_until FROM throttle WHERE bucket = $1 AND blocked_until > $2"
# After a quiet quarter of an hour the count starts anew.
FAILED = """
INSERT INTO throttle (bucket, failures, started_at) VALUES ($1, 1, $2)
ON CONFLICT (bucket) DO UPDATE SET
    failures = CASE WHEN throttle.started_at < $3 THEN 1 ELSE throttle.failures + 1 END,
    started_at = CASE WHEN throttle.started_at < $3 THEN $2 ELSE throttle.started_at END
RETURNING failures
"""
BLOCK = "UPDATE throttle SET blocked_until = $2 WHERE bucket = $1"
FORGIVE = "DELETE FROM throttle WHERE bucket = $1"

IDLE = timedelta(minutes=30)
ABSOLUTE = timedelta(hours=12)
FAILURES = 5
WINDOW = timedelta(minutes=15)
LONGEST_BLOCK_SECONDS = 900


def digest(secret: str) -> bytes:
    """Return what is kept of a secret of 128 random bits or more, where no salt is needed."""
    return hashlib.sha256(secret.encode()).digest()


class PostgresPortal:
    """The portal's data behind one connection."""

    def __init__(self, connection: Connection) -> None:
        """Work on `connection`, within its transaction if it has one."""
        self._connection = connection

    async def keep_invoices(self, published: Sequence[InvoicePublished]) -> None:
        """Keep the highest version of each invoice."""
        rows = highest_versions(published)
        await self._connection.execute(
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
            [row.payer.email.lower() if row.payer.email else None for row in rows],
            [digest(row.token) for row in rows],
            [row.published_at for row in rows],
            [row.readable_until for row in rows],
        )

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
        """Note that invoices were reminded."""
        latest = {reminder.invoice_id: reminder for reminder in reminders}
        await self._connection.execute(
            KEEP_REMINDERS,
            list(latest),
            [reminder.decided_at for reminder in latest.values()],
        )

    async def by_token(self, token: str) -> InvoiceView | None:
        """Return the invoice that a public token opens, or None."""
        row = await self._connection.fetchrow(BY_TOKEN, digest(token))
        return InvoiceView(**dict(row)) if row else None

    async def own_invoices(self, account_id: UUID) -> list[InvoiceView]:
        """Return the invoices of an account, newest first."""
        rows = await self._connection.fetch(OWN_INVOICES, account_id)
        return [InvoiceView(**dict(row)) for row in rows]

    async def own_invoice(self, account_id: UUID, invoice_id: UUID) -> InvoiceView | None:
        """Return one invoice of an account, or None when it is not theirs."""
        row = await self._connection.fetchrow(OWN_INVOICE, account_id, invoice_id)
        return InvoiceView(**dict(row)) if row else None

    async def attach(self, account_id: UUID, invoice_id: UUID, now: datetime) -> None:
        """Show an invoice in an account from now on."""
        await self._connection.execute(ATTACH, account_id, invoice_id, now)

    async def find_account(self, email: str) -> Account | None:
        """Return the account of an address, or None."""
        row = await self._connection.fetchrow(FIND_ACCOUNT, email.lower())
        return Account(**dict(row)) if row else None

    async def add_account(self, account: Account, now: datetime) -> bool:
        """Open an account; False when the address has one."""
        row = await self._connection.fetchrow(
            ADD_ACCOUNT,
            account.account_id,
            account.email.lower(),
            account.password_hash,
            account.verified_at,
            now,
        )
        return row is not None

    async def find_agent(self, login: str) -> Agent | None:
        """Return an agent, or None."""
        row = await self._connection.fetchrow(FIND_AGENT, login.lower())
        return Agent(**dict(row)) if row else None

    async def open_session(
        self,
        secret: str,
        now: datetime,
        *,
        account_id: UUID | None = None,
        login: str | None = None,
    ) -> None:
        """Open a session under a secret of which only a digest is kept."""
        await self._connection.execute(ADD_SESSION, digest(secret), account_id, login, now)

    async def visitor(self, secret: str, now: datetime) -> Visitor | None:
        """Return who is behind a session that has not ended, and keep it awake."""
        row = await self._connection.fetchrow(
            TOUCH_SESSION, digest(secret), now, now - IDLE, now - ABSOLUTE
        )
        if row is None:
            return None
        details: Any = await self._connection.fetchrow(VISITOR, row["account_id"], row["login"])
        return Visitor(
            account_id=row["account_id"],
            email=details["email"] or "",
            is_verified=details["is_verified"],
            login=row["login"] or "",
            authority=details["authority"] or "",
            authority_name=details["authority_name"] or "",
        )

    async def end_session(self, secret: str) -> None:
        """End a session on the server."""
        await self._connection.execute(END_SESSION, digest(secret))

    async def find_biller(self, client_id: str) -> Biller | None:
        """Return a billing application, or None."""
        row = await self._connection.fetchrow(FIND_BILLER, client_id)
        if row is None:
            return None
        return Biller(
            client_id=row["client_id"],
            secret_sha256=row["secret_sha256"],
            authority=row["authority"],
            regies=tuple(row["regies"]),
            scopes=tuple(row["scopes"]),
        )

    async def blocked_until(self, buckets: Sequence[str], now: datetime) -> datetime | None:
        """Return until when one of the buckets is closed, or None."""
        for bucket in buckets:
            until: datetime | None = await self._connection.fetchval(BLOCKED, bucket, now)
            if until is not None:
                return until
        return None

    async def fail(self, buckets: Sequence[str], now: datetime) -> None:
        """Count a failure; beyond five in a quarter of an hour each one doubles the wait."""
        for bucket in sorted(buckets):
            failures = await self._connection.fetchval(FAILED, bucket, now, now - WINDOW)
            if failures >= FAILURES:
                seconds = min(LONGEST_BLOCK_SECONDS, 15 * 2 ** min(failures - FAILURES, 10))
                await self._connection.execute(BLOCK, bucket, now + timedelta(seconds=seconds))

    async def forgive(self, bucket: str) -> None:
        """Forget the failures of a bucket, after a success."""
        await self._connection.execute(FORGIVE, bucket)
