"""The SQL of invoices found by what is printed on them, and of the browsers they are open in."""

from datetime import datetime, timedelta
from uuid import UUID

from gateway.ports import InvoiceView
from gateway.store.invoices import VIEW
from gateway.store.rows import Rows
from gateway.store.visitors import digest

AUTHORITIES = "SELECT authority, name FROM authority ORDER BY name, authority"
# The expressions are those of the indexes.
PRINTED_AS = """
authority = $1 AND version > 0 AND withdrawn_version < version AND invoice_id IN (
    SELECT invoice_id FROM invoice WHERE authority = $1
        AND upper(regexp_replace(number, '[^[:alnum:]]', '', 'g')) = $2
    UNION
    SELECT invoice_id FROM invoice WHERE authority = $1 AND debt_reference IS NOT NULL
        AND upper(regexp_replace(debt_reference, '[^[:alnum:]]', '', 'g')) = $2)
"""
# The year is the one that is printed: of the budget for a titre, of issue for the rest.
PRINTED = f"""
SELECT invoice_id, coalesce(fiscal_year, extract(year FROM issued_on)::integer) AS year,
    amount_cents
FROM invoice WHERE {PRINTED_AS} ORDER BY invoice_id
"""
# The row is locked by the insert, so that guesses made at the same time queue up here. While it is
# locked nothing is counted; after a month without any, the count starts anew.
COUNT_ATTEMPT = """
INSERT INTO wrong_amount (reference_sha256, failures, last_at) VALUES ($1, 1, $2)
ON CONFLICT (reference_sha256) DO UPDATE SET
    failures = CASE WHEN wrong_amount.locked_until > $2 THEN wrong_amount.failures
                    WHEN wrong_amount.last_at < $3 THEN 1 ELSE wrong_amount.failures + 1 END,
    last_at = CASE WHEN wrong_amount.locked_until > $2 THEN wrong_amount.last_at ELSE $2 END
RETURNING failures, locked_until
"""
LOCK = "UPDATE wrong_amount SET locked_until = $2 WHERE reference_sha256 = $1"
UNLOCK = "DELETE FROM wrong_amount WHERE reference_sha256 = $1"
OPEN = """
INSERT INTO opening (secret_sha256, browser_sha256, invoice_id, expires_at) VALUES ($1, $2, $3, $4)
"""
OPENED = (
    VIEW
    + """AND invoice_id = (
    SELECT opening.invoice_id FROM opening
    WHERE secret_sha256 = $1 AND browser_sha256 = $2 AND expires_at > $3)
"""
)
FORGET_OPENINGS = "DELETE FROM opening WHERE expires_at <= $1"
FORGET_WRONG_AMOUNTS = """
DELETE FROM wrong_amount WHERE last_at < $1 AND (locked_until IS NULL OR locked_until < $2)
"""

FREE_AMOUNTS = 5
"""Sums that may be tried for one reference before it is locked."""
FIRST_LOCK = timedelta(minutes=5)
LONGEST_LOCK = timedelta(hours=24)
"""Doubled each time: after the first eight locks, one sum a day."""
AMOUNTS_KEPT_FOR = timedelta(days=30)


class PostgresRetrieval(Rows):
    """Invoices found by what is printed, within one transaction; see `ports.Retrieval`."""

    async def authorities(self) -> list[tuple[str, str]]:
        """Return every authority with its name, by name."""
        rows = await self._connection.fetch(AUTHORITIES)
        return [(row["authority"], row["name"]) for row in rows]

    async def printed(self, authority: str, reference: str) -> list[tuple[UUID, int, int]]:
        """Return invoices of a printed number or debt reference, as (invoice, year, cents)."""
        rows = await self._connection.fetch(PRINTED, authority, reference)
        return [(row["invoice_id"], row["year"], row["amount_cents"]) for row in rows]

    async def locked_for(self, authority: str, reference: str, now: datetime) -> float:
        """Count an attempt before it is made; return the seconds to wait instead, 0 to go on.

        A reference that does not exist is counted and locked like one that does.
        """
        name = _named(authority, reference)
        row = await self._connection.fetchrow(COUNT_ATTEMPT, name, now, now - AMOUNTS_KEPT_FOR)
        if row is None:
            return 0
        until: datetime | None = row["locked_until"]
        if until is not None and until > now:
            return (until - now).total_seconds()
        if row["failures"] >= FREE_AMOUNTS:
            doublings = min(row["failures"] - FREE_AMOUNTS, 10)
            lock = min(LONGEST_LOCK, FIRST_LOCK * 2**doublings)
            await self._connection.execute(LOCK, name, now + lock)
        return 0

    async def unlock(self, authority: str, reference: str) -> None:
        """Forget the wrong attempts for a reference: the right one was made."""
        await self._connection.execute(UNLOCK, _named(authority, reference))

    async def open_for_browser(
        self, secret: str, browser: str, invoice_id: UUID, until: datetime
    ) -> None:
        """Open an invoice under a secret, for one browser alone, for a while."""
        await self._connection.execute(OPEN, digest(secret), digest(browser), invoice_id, until)

    async def opened(self, secret: str, browser: str, now: datetime) -> InvoiceView | None:
        """Return the invoice that a secret opens in this browser, or None."""
        row = await self._connection.fetchrow(OPENED, digest(secret), digest(browser), now)
        return InvoiceView(**dict(row)) if row else None

    async def tidy_openings(self, now: datetime) -> int:
        """Drop what has closed and guesses nobody counts any more; return how many."""
        results = (
            await self._connection.execute(FORGET_OPENINGS, now),
            await self._connection.execute(FORGET_WRONG_AMOUNTS, now - AMOUNTS_KEPT_FOR, now),
        )
        return sum(int(result.rpartition(" ")[2]) for result in results)


def _named(authority: str, reference: str) -> bytes:
    return digest(f"{authority}\x1f{reference}")
