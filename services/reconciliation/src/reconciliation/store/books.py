"""The books in SQL."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec

from reconciliation.domain.facts import event_id
from reconciliation.domain.ledger import AccountState
from reconciliation.ports import (
    Balance,
    Collection,
    DayTotal,
    Entry,
    Fed,
    FeedItem,
    FeedReader,
    NamedInvoice,
)
from shared.events import AuthorityConfigured
from shared.postgres import Connection

# Opened in one order; an account that exists is the normal case of a second fact.
OPEN_ACCOUNTS = """
INSERT INTO account (invoice_id, authority, regie, number)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[])
ON CONFLICT DO NOTHING
"""
STATE_COLUMNS = """
invoice_id, authority, regie, number, version, withdrawn_version, kind, route, amount_cents,
due_on, received_cents, posted_claim_cents, posted_surplus_cents, posted_unknown_cents,
posted_product_cents, postings, reminder_level
"""
# Locked in one order everywhere, so that two batches never wait for each other in a circle.
LOCK_ACCOUNTS = f"""
SELECT {STATE_COLUMNS} FROM account WHERE invoice_id = ANY($1::uuid[])
ORDER BY invoice_id FOR UPDATE
"""
FIND_ACCOUNT = f"SELECT {STATE_COLUMNS} FROM account WHERE invoice_id = $1"
KEEP_ACCOUNTS = """
UPDATE account SET regie = t.regie, number = t.number, version = t.version,
    withdrawn_version = t.withdrawn_version, kind = t.kind, route = t.route,
    amount_cents = t.amount_cents, due_on = t.due_on, received_cents = t.received_cents,
    posted_claim_cents = t.posted_claim_cents, posted_surplus_cents = t.posted_surplus_cents,
    posted_unknown_cents = t.posted_unknown_cents,
    posted_product_cents = t.posted_product_cents, postings = t.postings,
    reminder_level = t.reminder_level
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::integer[], $5::integer[], $6::text[],
            $7::text[], $8::bigint[], $9::date[], $10::bigint[], $11::bigint[], $12::bigint[],
            $13::bigint[], $14::bigint[], $15::integer[], $16::integer[])
    AS t (invoice_id, regie, number, version, withdrawn_version, kind, route, amount_cents, due_on,
          received_cents, posted_claim_cents, posted_surplus_cents, posted_unknown_cents,
          posted_product_cents, postings, reminder_level)
WHERE account.invoice_id = t.invoice_id
"""

POSTED = """
SELECT fact FROM entry WHERE fact = ANY($1::text[])
UNION SELECT fact FROM collection WHERE fact = ANY($1::text[])
"""
ADD_ENTRIES = """
WITH added AS (
    INSERT INTO entry (fact, kind, authority, regie, invoice_id, payment_id, accounting_date,
                       posted_at)
    SELECT *, $8::timestamptz FROM unnest($1::text[], $2::text[], $3::text[], $4::text[],
                                          $5::uuid[], $6::uuid[], $7::date[])
    RETURNING entry_id, fact
)
SELECT entry_id, fact FROM added
"""
ADD_LINES = """
INSERT INTO line (entry_id, position, account, amount_cents)
SELECT * FROM unnest($1::bigint[], $2::smallint[], $3::text[], $4::bigint[])
"""

# The counter's row is the lock: until this transaction ends nobody takes a later position.
TAKE_POSITIONS = """
INSERT INTO feed_counter (authority, position) VALUES ($1, $2)
ON CONFLICT (authority) DO UPDATE SET position = feed_counter.position + EXCLUDED.position
RETURNING position
"""
ADD_ITEMS = """
INSERT INTO collection (authority, position, fact, kind, payment_id, invoice_id, regie, number,
    amount_cents, means, provider, provider_reference, occurred_at, recorded_at)
SELECT $1, *, $14::timestamptz FROM unnest($2::bigint[], $3::text[], $4::text[], $5::uuid[],
    $6::uuid[], $7::text[], $8::text[], $9::bigint[], $10::text[], $11::text[], $12::text[],
    $13::timestamptz[])
"""
ITEM_COLUMNS = """
fact, position, kind, payment_id, invoice_id, regie, number, amount_cents, means, provider,
provider_reference, occurred_at, recorded_at
"""
ITEMS = f"""
SELECT {ITEM_COLUMNS} FROM collection
WHERE authority = $1 AND regie = ANY($2::text[]) AND position > $3 ORDER BY position LIMIT $4
"""

CURSOR = "SELECT position FROM feed_cursor WHERE authority = $1 AND client = $2"
# A position that the feed has not reached gives no row. Two acknowledgements may cross: the later
# position stays, unless the client asks to go back.
ACKNOWLEDGE = """
INSERT INTO feed_cursor (authority, client, position, acknowledged_at)
SELECT $1, $2, $3::bigint, $4::timestamptz WHERE $3::bigint <= coalesce(
    (SELECT position FROM feed_counter WHERE authority = $1), 0)
ON CONFLICT (authority, client) DO UPDATE SET acknowledged_at = EXCLUDED.acknowledged_at,
    position = CASE WHEN $5::boolean THEN EXCLUDED.position
                    ELSE greatest(feed_cursor.position, EXCLUDED.position) END
RETURNING position
"""

# An older revision may come late: it must not replace a newer one.
KEEP_POLICY = """
INSERT INTO reminder_policy (authority, regie, revision, after_days) VALUES ($1, $2, $3, $4)
ON CONFLICT (authority, regie) DO UPDATE
SET revision = EXCLUDED.revision, after_days = EXCLUDED.after_days
WHERE reminder_policy.revision < EXCLUDED.revision
"""
# Rows that another replica decides on, or that a payment is being booked on, wait for next time.
OVERDUE = f"""
SELECT {", ".join("account." + name.strip() for name in STATE_COLUMNS.split(","))},
       coalesce(reminder_policy.after_days, $2) AS after_days
FROM account LEFT JOIN reminder_policy USING (authority, regie)
WHERE account.route = 'regie' AND kind = 'invoice' AND reminder_level = 0
    AND version > withdrawn_version AND received_cents < amount_cents
    AND due_on + coalesce(reminder_policy.after_days, $2) <= $1
ORDER BY due_on LIMIT $3 FOR UPDATE OF account SKIP LOCKED
"""
KEEP_REMINDER = """
INSERT INTO reminder (invoice_id, level, outstanding_cents, decided_at) VALUES ($1, $2, $3, $4)
"""

BALANCES = """
SELECT authority, regie, account, sum(amount_cents)::bigint AS amount_cents
FROM line JOIN entry USING (entry_id)
WHERE $1 = '' OR authority = $1
GROUP BY authority, regie, account ORDER BY authority, regie, account
"""
COLLECTED = """
SELECT authority, (occurred_at AT TIME ZONE 'Europe/Paris')::date AS day, regie,
       sum(CASE kind WHEN 'payment' THEN amount_cents ELSE -amount_cents END)::bigint
           AS amount_cents
FROM collection
WHERE ($1 = '' OR authority = $1)
    AND (occurred_at AT TIME ZONE 'Europe/Paris')::date BETWEEN $2 AND $3
GROUP BY authority, day, regie ORDER BY authority, day, regie
"""

_ITEM_FIELDS = tuple(name.strip() for name in ITEM_COLUMNS.split(",") if name.strip() != "fact")


class PostgresBooks:
    """The books behind one connection; see `ports.Books`."""

    def __init__(self, connection: Connection) -> None:
        """Work on `connection`, within its transaction if it has one."""
        self._connection = connection

    async def lock(self, invoices: Sequence[NamedInvoice]) -> dict[UUID, AccountState]:
        """Return the accounts, opened if need be, locked until the transaction ends."""
        named = {invoice.invoice_id: invoice for invoice in invoices}
        ordered = sorted(named.values(), key=lambda invoice: invoice.invoice_id)
        await self._connection.execute(
            OPEN_ACCOUNTS,
            [invoice.invoice_id for invoice in ordered],
            [invoice.authority for invoice in ordered],
            [invoice.regie for invoice in ordered],
            [invoice.number for invoice in ordered],
        )
        rows = await self._connection.fetch(LOCK_ACCOUNTS, list(named))
        return {row["invoice_id"]: AccountState(**dict(row)) for row in rows}

    async def keep(self, states: Sequence[AccountState]) -> None:
        """Keep the accounts' new state."""
        if not states:
            return
        await self._connection.execute(
            KEEP_ACCOUNTS,
            [state.invoice_id for state in states],
            [state.regie for state in states],
            [state.number for state in states],
            [state.version for state in states],
            [state.withdrawn_version for state in states],
            [state.kind for state in states],
            [state.route for state in states],
            [state.amount_cents for state in states],
            [state.due_on for state in states],
            [state.received_cents for state in states],
            [state.posted_claim_cents for state in states],
            [state.posted_surplus_cents for state in states],
            [state.posted_unknown_cents for state in states],
            [state.posted_product_cents for state in states],
            [state.postings for state in states],
            [state.reminder_level for state in states],
        )

    async def posted(self, facts: Sequence[str]) -> set[str]:
        """Return those of the facts that are in the books or in the feed already."""
        return {row["fact"] for row in await self._connection.fetch(POSTED, list(facts))}

    async def post(self, entries: Sequence[Entry], at: datetime) -> None:
        """Write entries; the database refuses one that does not sum to zero."""
        if not entries:
            return
        rows = await self._connection.fetch(
            ADD_ENTRIES,
            [entry.fact for entry in entries],
            [entry.kind for entry in entries],
            [entry.authority for entry in entries],
            [entry.regie for entry in entries],
            [entry.invoice_id for entry in entries],
            [entry.payment_id for entry in entries],
            [entry.accounting_date for entry in entries],
            at,
        )
        ids = {row["fact"]: row["entry_id"] for row in rows}
        lines = [
            (ids[entry.fact], position, posting.account.value, posting.amount_cents)
            for entry in entries
            for position, posting in enumerate(entry.postings, start=1)
        ]
        await self._connection.execute(
            ADD_LINES,
            [line[0] for line in lines],
            [line[1] for line in lines],
            [line[2] for line in lines],
            [line[3] for line in lines],
        )

    async def feed(self, items: Sequence[Collection], at: datetime) -> list[Fed]:
        """Add items to the feed, each at the next position of its authority."""
        # Counters are locked in one order, so that two batches never wait in a circle.
        return [
            await self._feed(authority, [i for i in items if i.authority == authority], at)
            for authority in sorted({item.authority for item in items})
        ]

    async def _feed(self, authority: str, own: Sequence[Collection], at: datetime) -> Fed:
        last = await self._connection.fetchval(TAKE_POSITIONS, authority, len(own))
        await self._connection.execute(
            ADD_ITEMS,
            authority,
            list(range(last - len(own) + 1, last + 1)),
            [item.fact for item in own],
            [item.kind for item in own],
            [item.payment_id for item in own],
            [item.invoice_id for item in own],
            [item.regie for item in own],
            [item.number for item in own],
            [item.amount_cents for item in own],
            [item.means for item in own],
            [item.provider for item in own],
            [item.provider_reference for item in own],
            [item.occurred_at for item in own],
            at,
        )
        return Fed(authority=authority, first=last - len(own) + 1, last=last)

    async def keep_policies(self, configured: AuthorityConfigured) -> None:
        """Remember when each régie reminds, unless a newer revision is known."""
        await self._connection.executemany(
            KEEP_POLICY,
            [
                (configured.authority, regie.code, configured.revision, regie.reminder_after_days)
                for regie in sorted(configured.regies, key=lambda regie: regie.code)
            ],
        )

    async def overdue(
        self, today: date, default_days: int, limit: int
    ) -> list[tuple[AccountState, int]]:
        """Return accounts that may be reminded, with their régie's days, locked."""
        rows = await self._connection.fetch(OVERDUE, today, default_days, limit)
        return [(_state(row), row["after_days"]) for row in rows]

    async def keep_reminder(self, invoice_id: UUID, level: int, cents: int, at: datetime) -> None:
        """Note that a reminder was decided."""
        await self._connection.execute(KEEP_REMINDER, invoice_id, level, cents, at)

    async def items(
        self, authority: str, regies: Sequence[str], after: int, limit: int
    ) -> list[FeedItem]:
        """Return the next items of the feed beyond a position, oldest first."""
        rows = await self._connection.fetch(ITEMS, authority, list(regies), after, limit)
        return [feed_item(row) for row in rows]

    async def cursor(self, reader: FeedReader) -> int:
        """Return how far a client says that it has read the feed."""
        position: int | None = await self._connection.fetchval(
            CURSOR, reader.authority, reader.client
        )
        return position or 0

    async def acknowledge(
        self, reader: FeedReader, position: int, at: datetime, *, may_rewind: bool
    ) -> int | None:
        """Keep how far a client has read and return it; None for a position not reached yet."""
        kept: int | None = await self._connection.fetchval(
            ACKNOWLEDGE, reader.authority, reader.client, position, at, may_rewind
        )
        return kept

    async def account(self, invoice_id: UUID) -> AccountState | None:
        """Return one invoice's account, or None."""
        row = await self._connection.fetchrow(FIND_ACCOUNT, invoice_id)
        return _state(row) if row else None

    async def balances(self, authority: str) -> list[Balance]:
        """Return the balances of an authority, or of all when it is empty."""
        return [Balance(**dict(row)) for row in await self._connection.fetch(BALANCES, authority)]

    async def collected(self, authority: str, first: date, last: date) -> list[DayTotal]:
        """Return what the feed says was collected, by day and régie."""
        rows = await self._connection.fetch(COLLECTED, authority, first, last)
        return [DayTotal(**dict(row)) for row in rows]


def feed_item(row: Any) -> FeedItem:  # noqa: ANN401 - an asyncpg record
    """Return an item from a row of `ITEM_COLUMNS`."""
    columns = {name: row[name] for name in _ITEM_FIELDS}
    return FeedItem(event_id=event_id(row["fact"]), **columns)


def _state(row: Any) -> AccountState:  # noqa: ANN401 - an asyncpg record
    names = {field.name for field in msgspec.structs.fields(AccountState)}
    return AccountState(**{name: value for name, value in row.items() if name in names})
