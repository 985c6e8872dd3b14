"""The SQL of what almost every page asks first, for many pages at once."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from gateway.gathering import Gathering
from gateway.ports import Bucket, InvoiceView, Visitor
from gateway.ports.lookups import Paper
from gateway.store.invoices import PostgresInvoices
from gateway.store.visitors import PostgresVisitors
from shared.postgres import Database, Transaction

CLOSED_BUCKETS = """
SELECT bucket, blocked_until FROM throttle WHERE bucket = ANY($1) AND blocked_until > $2
"""
AT_ONCE = 100
LISTS_AT_ONCE = 10
"""Fewer: an account may have hundreds of invoices."""

Asked = tuple[str, str]


class PostgresLookups:
    """Reads on connections of their own, with no transaction around; see `ports.Lookups`."""

    def __init__(self, database: Database) -> None:
        """Read from `database`."""
        self._database = database
        self._papers = Gathering(self._find_papers, at_most=AT_ONCE)
        self._visitors = Gathering(self._find_visitors, at_most=AT_ONCE)
        self._lists = Gathering(self._find_lists, at_most=LISTS_AT_ONCE)

    async def paper(self, token: str, bucket: Bucket) -> Paper:
        """Return what a public token opens, for who is counted under `bucket`."""
        return await self._papers.get((token, bucket.name)) or Paper()

    async def visitor(self, secret: str) -> Visitor | None:
        """Return who is behind a session that has not ended, and keep it awake."""
        return await self._visitors.get(secret)

    async def own_invoices(self, account_id: UUID) -> list[InvoiceView]:
        """Return the newest invoices of an account, newest first, up to a limit."""
        return await self._lists.get(account_id) or []

    async def _find_papers(self, asked: Sequence[Asked]) -> Mapping[Asked, Paper]:
        now = self._database.clock.now()
        async with self._database.reading() as connection:
            closed = await connection.fetch(CLOSED_BUCKETS, [name for _, name in asked], now)
            reader = PostgresInvoices(Transaction(connection, self._database.clock))
            papers = await reader.papers([token for token, _ in asked])
        waits = {row["bucket"]: row["blocked_until"] - now for row in closed}
        return {
            (token, name): Paper(wait=waits[name]) if name in waits else papers.get(token, Paper())
            for token, name in asked
        }

    async def _find_visitors(self, secrets: Sequence[str]) -> Mapping[str, Visitor]:
        async with self._database.transaction() as transaction:
            return await PostgresVisitors(transaction).visitors(secrets, transaction.clock.now())

    async def _find_lists(self, account_ids: Sequence[UUID]) -> Mapping[UUID, list[InvoiceView]]:
        async with self._database.reading() as connection:
            reader = PostgresInvoices(Transaction(connection, self._database.clock))
            return await reader.invoices_of(account_ids)
