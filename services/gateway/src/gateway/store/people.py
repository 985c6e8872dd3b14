"""The SQL of the loader: authorities, billers, agents, citizens."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid4

import msgspec

from shared.postgres import Connection

FIND_AUTHORITY = "SELECT revision, content FROM authority WHERE authority = $1 FOR UPDATE"
# Loading a file again replaces what an earlier one set, here and below.
KEEP_AUTHORITY = """
INSERT INTO authority (authority, name, revision, content, second_proof)
VALUES ($1, $2, $3, $4,
    coalesce((convert_from($4, 'UTF8')::jsonb ->> 'second_proof')::boolean, false))
ON CONFLICT (authority) DO UPDATE
SET name = EXCLUDED.name, revision = EXCLUDED.revision, content = EXCLUDED.content,
    second_proof = EXCLUDED.second_proof
"""
# Here and below: a row that stays as it is is not written, so that the caller knows.
KEEP_BILLER = """
INSERT INTO biller (client_id, secret_sha256, authority, regies, scopes) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (client_id) DO UPDATE SET secret_sha256 = EXCLUDED.secret_sha256,
    authority = EXCLUDED.authority, regies = EXCLUDED.regies, scopes = EXCLUDED.scopes
WHERE (biller.secret_sha256, biller.authority, biller.regies, biller.scopes)
    IS DISTINCT FROM
    (EXCLUDED.secret_sha256, EXCLUDED.authority, EXCLUDED.regies, EXCLUDED.scopes)
"""
AGENTS = "SELECT login AS name, password_hash FROM agent WHERE login = ANY($1)"
KEEP_AGENT = """
INSERT INTO agent (login, password_hash, authority) VALUES ($1, $2, $3)
ON CONFLICT (login) DO UPDATE
SET password_hash = EXCLUDED.password_hash, authority = EXCLUDED.authority
WHERE (agent.password_hash, agent.authority)
    IS DISTINCT FROM (EXCLUDED.password_hash, EXCLUDED.authority)
"""
TOTP_SECRETS = """
SELECT sealed_secret FROM factor WHERE login = $1 AND kind = 'totp' ORDER BY created_at
"""
ADD_TOTP = """
INSERT INTO factor (factor_id, login, kind, label, sealed_secret, created_at)
VALUES ($1, $2, 'totp', $3, $4, $5)
"""
FORGET_TOTP = "DELETE FROM factor WHERE login = $1 AND kind = 'totp'"
FORGET_CODES = "DELETE FROM recovery_code WHERE login = $1"
ACCOUNTS = "SELECT email AS name, password_hash FROM account WHERE email = ANY($1)"
FIND_ACCOUNT = """
SELECT account_id, password_hash, verified_at FROM account WHERE email = $1 FOR UPDATE
"""
# An address that was proved stays so, whatever a file says later.
KEEP_ACCOUNT = """
INSERT INTO account (account_id, email, password_hash, verified_at, created_at)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (email) DO UPDATE SET password_hash = EXCLUDED.password_hash,
    verified_at = coalesce(account.verified_at, EXCLUDED.verified_at)
RETURNING account_id
"""
# Whoever opened an account for an address that they never proved may be a stranger: nothing of what
# they set up there, no second factor, no link, stays for its owner.
DROP_CLAIM = "DELETE FROM account WHERE email = $1 AND verified_at IS NULL"
END_SESSIONS_OF_AGENT = "DELETE FROM session WHERE login = $1"
END_PENDING_OF_AGENT = "DELETE FROM pending_login WHERE login = $1"
END_SESSIONS_OF_ACCOUNT = "DELETE FROM session WHERE account_id = $1"
END_PENDING_OF_ACCOUNT = "DELETE FROM pending_login WHERE account_id = $1"


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Who is known already, by login or address."""

    name: str
    password_hash: str | None


class KeptAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account that a load opened or changed."""

    account_id: UUID
    is_newly_verified: bool


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
    ) -> bool:
        """Keep a billing application's credentials and rights; return whether they changed."""
        result = await self._connection.execute(
            KEEP_BILLER, client_id, secret_sha256, authority, list(regies), list(scopes)
        )
        return not result.endswith(" 0")

    async def agents(self, logins: Sequence[str]) -> dict[str, Person]:
        """Return those of these agents who are known."""
        rows = await self._connection.fetch(AGENTS, list(logins))
        return {row["name"]: Person(**dict(row)) for row in rows}

    async def keep_agent(self, login: str, password_hash: str, authority: str) -> bool:
        """Keep an agent; return whether anything changed, which ends their sessions."""
        result = await self._connection.execute(KEEP_AGENT, login, password_hash, authority)
        has_changed = not result.endswith(" 0")
        if has_changed:
            await self._end_sessions_of_agent(login)
        return has_changed

    async def totp_secrets(self, login: str) -> list[bytes]:
        """Return the sealed secrets of an agent's applications."""
        rows = await self._connection.fetch(TOTP_SECRETS, login)
        return [row["sealed_secret"] for row in rows]

    async def set_totp(self, login: str, label: str, sealed_secret: bytes, now: datetime) -> None:
        """Give an agent another application, in place of those they had and of their codes.

        That is how an agent who lost everything gets in again; whoever is logged in is not.
        """
        await self._connection.execute(FORGET_TOTP, login)
        await self._connection.execute(FORGET_CODES, login)
        await self._connection.execute(ADD_TOTP, uuid4(), login, label, sealed_secret, now)
        await self._end_sessions_of_agent(login)

    async def _end_sessions_of_agent(self, login: str) -> None:
        await self._connection.execute(END_SESSIONS_OF_AGENT, login)
        await self._connection.execute(END_PENDING_OF_AGENT, login)

    async def accounts(self, emails: Sequence[str]) -> dict[str, Person]:
        """Return those of these citizens who have an account."""
        rows = await self._connection.fetch(ACCOUNTS, list(emails))
        return {row["name"]: Person(**dict(row)) for row in rows}

    async def keep_account(
        self,
        account_id: UUID,
        email: str,
        password_hash: str,
        verified_at: datetime | None,
        now: datetime,
    ) -> KeptAccount | None:
        """Keep a citizen's account; None when nothing changed. Another password ends sessions."""
        known = await self._connection.fetchrow(FIND_ACCOUNT, email)
        is_newly_verified = verified_at is not None and (
            known is None or known["verified_at"] is None
        )
        is_same = known is not None and known["password_hash"] == password_hash
        if is_same and not is_newly_verified:
            return None
        if is_newly_verified and not is_same:
            await self._connection.execute(DROP_CLAIM, email)
        kept: UUID = await self._connection.fetchval(
            KEEP_ACCOUNT, account_id, email, password_hash, verified_at, now
        )
        if not is_same:
            await self._connection.execute(END_SESSIONS_OF_ACCOUNT, kept)
            await self._connection.execute(END_PENDING_OF_ACCOUNT, kept)
        return KeptAccount(account_id=kept, is_newly_verified=is_newly_verified)
