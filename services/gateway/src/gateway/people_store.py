"""The SQL of the loader: authorities, billers, agents, citizens."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from shared.postgres import Connection

FIND_AUTHORITY = "SELECT revision, content FROM authority WHERE authority = $1 FOR UPDATE"
# Loading a file again replaces what an earlier one set, here and below.
KEEP_AUTHORITY = """
INSERT INTO authority (authority, name, revision, content) VALUES ($1, $2, $3, $4)
ON CONFLICT (authority) DO UPDATE
SET name = EXCLUDED.name, revision = EXCLUDED.revision, content = EXCLUDED.content
"""
KEEP_BILLER = """
INSERT INTO biller (client_id, secret_sha256, authority, regies, scopes) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (client_id) DO UPDATE SET secret_sha256 = EXCLUDED.secret_sha256,
    authority = EXCLUDED.authority, regies = EXCLUDED.regies, scopes = EXCLUDED.scopes
"""
KEEP_AGENT = """
INSERT INTO agent (login, password_hash, authority) VALUES ($1, $2, $3)
ON CONFLICT (login) DO UPDATE
SET password_hash = EXCLUDED.password_hash, authority = EXCLUDED.authority
"""
KEEP_ACCOUNT = """
INSERT INTO account (account_id, email, password_hash, verified_at, created_at)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (email) DO UPDATE SET password_hash = EXCLUDED.password_hash,
    verified_at = coalesce(account.verified_at, EXCLUDED.verified_at)
RETURNING account_id
"""


class PostgresPeople:
    """Authorities and people behind one connection, within its transaction."""

    def __init__(self, connection: Connection) -> None:
        """Work on `connection`."""
        self._connection = connection

    async def find_authority(self, authority: str) -> tuple[int, bytes] | None:
        """Return an authority's revision and content, locked, or None."""
        row = await self._connection.fetchrow(FIND_AUTHORITY, authority)
        return (row["revision"], row["content"]) if row else None

    async def keep_authority(
        self, authority: str, name: str, revision: int, content: bytes
    ) -> None:
        """Keep an authority's new revision."""
        await self._connection.execute(KEEP_AUTHORITY, authority, name, revision, content)

    async def keep_biller(
        self,
        client_id: str,
        secret_sha256: bytes,
        authority: str,
        regies: Sequence[str],
        scopes: Sequence[str],
    ) -> None:
        """Keep a billing application's credentials and rights."""
        await self._connection.execute(
            KEEP_BILLER, client_id, secret_sha256, authority, list(regies), list(scopes)
        )

    async def keep_agent(self, login: str, password_hash: str, authority: str) -> None:
        """Keep an agent."""
        await self._connection.execute(KEEP_AGENT, login, password_hash, authority)

    async def keep_account(
        self,
        account_id: UUID,
        email: str,
        password_hash: str,
        verified_at: datetime | None,
        now: datetime,
    ) -> UUID:
        """Keep a citizen's account and return its id: the one it had, if it existed."""
        kept: UUID = await self._connection.fetchval(
            KEEP_ACCOUNT, account_id, email, password_hash, verified_at, now
        )
        return kept
