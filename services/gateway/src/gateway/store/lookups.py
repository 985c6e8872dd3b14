"""The SQL of what almost every page asks first, for many pages at once."""

from collections.abc import Mapping, Sequence

from gateway.gathering import Gathering
from gateway.ports import Bucket, InvoiceView, Visitor
from gateway.ports.lookups import Paper
from gateway.store.invoices import COLUMNS
from gateway.store.visitors import PostgresVisitors, digest
from shared.postgres import Database

# A subquery, so that the columns are those of an invoice and no others.
PAPERS = f"""
SELECT {COLUMNS}, token_sha256 AS sought, coalesce(
    (SELECT second_proof FROM authority WHERE authority.authority = invoice.authority), false
) AS needs_proof
FROM invoice WHERE version > 0 AND token_sha256 = ANY($1)
"""
CLOSED_BUCKETS = """
SELECT bucket, blocked_until FROM throttle WHERE bucket = ANY($1) AND blocked_until > $2
"""
AT_ONCE = 100

Asked = tuple[str, str]


class PostgresLookups:
    """Reads on connections of their own, with no transaction around; see `ports.Lookups`."""

    def __init__(self, database: Database) -> None:
        """Read from `database`."""
        self._database = database
        self._papers = Gathering(self._find_papers, at_most=AT_ONCE)
        self._visitors = Gathering(self._find_visitors, at_most=AT_ONCE)

    async def paper(self, token: str, bucket: Bucket) -> Paper:
        """Return what a public token opens, for who is counted under `bucket`."""
        return await self._papers.get((token, bucket.name)) or Paper()

    async def visitor(self, secret: str) -> Visitor | None:
        """Return who is behind a session that has not ended, and keep it awake."""
        return await self._visitors.get(secret)

    async def _find_papers(self, asked: Sequence[Asked]) -> Mapping[Asked, Paper]:
        now = self._database.clock.now()
        async with self._database.reading() as connection:
            closed = await connection.fetch(CLOSED_BUCKETS, [name for _, name in asked], now)
            rows = await connection.fetch(PAPERS, [digest(token) for token, _ in asked])
        waits = {row["bucket"]: row["blocked_until"] - now for row in closed}
        papers = {}
        for row in rows:
            values = dict(row)
            sought, needs_proof = values.pop("sought"), values.pop("needs_proof")
            papers[sought] = Paper(invoice=InvoiceView(**values), needs_proof=needs_proof)
        return {
            (token, name): Paper(wait=waits[name])
            if name in waits
            else papers.get(digest(token), Paper())
            for token, name in asked
        }

    async def _find_visitors(self, secrets: Sequence[str]) -> Mapping[str, Visitor]:
        async with self._database.transaction() as transaction:
            return await PostgresVisitors(transaction).visitors(secrets, transaction.clock.now())
