"""The SQL of who people are for the State: identities, journeys, what logs them out."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from gateway.ports.identity import Identity, Journey, Pivot, Purpose, Told
from gateway.store.rows import Rows
from gateway.store.visitors import digest

DEPART = """
INSERT INTO france_connect_journey
    (state_sha256, browser_sha256, purpose, nonce, verifier, following, account_id, started_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
# One statement reads and spends it: of two that come at once with the same state, one is late.
ARRIVE = """
DELETE FROM france_connect_journey
WHERE state_sha256 = $1 AND browser_sha256 = $2 AND started_at > $3
RETURNING purpose, nonce, verifier, following, account_id
"""
FORGET_JOURNEYS = "DELETE FROM france_connect_journey WHERE started_at <= $1"
IDENTITY = """
SELECT issuer, subject, account_id, family_name, given_names, birthdate, gender, birthplace,
    birthcountry, suggested_email, linked_at, told_at
FROM identity
"""
# A person who comes for the first time in two tabs at once would get two accounts: the second
# waits here until the first has kept the identity. There is no row yet that could be locked.
WAIT_FOR_TURN = "SELECT pg_advisory_xact_lock(hashtextextended($1 || ' ' || $2, 0))"
FIND_IDENTITY = IDENTITY + "WHERE issuer = $1 AND subject = $2 FOR UPDATE"
IDENTITY_OF = IDENTITY + "WHERE account_id = $1"
OPEN_ACCOUNT = "INSERT INTO account (account_id, created_at) VALUES ($1, $2)"
# What is told again replaces what was told before, for the same account only; an account that has
# another identity already keeps it, which the second constraint sees.
KEEP_IDENTITY = """
INSERT INTO identity (issuer, subject, account_id, family_name, given_names, birthdate, gender,
    birthplace, birthcountry, suggested_email, linked_at, told_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)
ON CONFLICT (issuer, subject) DO UPDATE SET family_name = EXCLUDED.family_name,
    given_names = EXCLUDED.given_names, birthdate = EXCLUDED.birthdate, gender = EXCLUDED.gender,
    birthplace = EXCLUDED.birthplace, birthcountry = EXCLUDED.birthcountry,
    suggested_email = EXCLUDED.suggested_email, told_at = EXCLUDED.told_at
WHERE identity.account_id = EXCLUDED.account_id
"""
HAS_ANOTHER_IDENTITY = """
SELECT true FROM identity WHERE account_id = $1 AND (issuer, subject) <> ($2, $3)
"""
# A passkey opens an account by itself, a code of an application does not.
OTHER_WAY_IN = """
SELECT (email IS NOT NULL AND verified_at IS NOT NULL AND password_hash IS NOT NULL)
    OR EXISTS (SELECT 1 FROM factor WHERE factor.account_id = $1 AND kind = 'passkey')
FROM account WHERE account_id = $1
"""
DROP_IDENTITY_SINCE = "DELETE FROM identity WHERE account_id = $1 AND linked_at >= $2"
# So that the other way in is not taken away between the question and the deed.
LOCK_ACCOUNT = "SELECT 1 FROM account WHERE account_id = $1 FOR UPDATE"
DROP_IDENTITY = "DELETE FROM identity WHERE account_id = $1"
END_SESSIONS = "DELETE FROM session WHERE account_id = $1 AND method = $2"
# The newest token is the one to log out with.
SEAL_SESSION = """
INSERT INTO france_connect_session (session_sha256, id_token_sealed)
SELECT session_sha256, $2 FROM session WHERE session_sha256 = $1
ON CONFLICT (session_sha256) DO UPDATE SET id_token_sealed = EXCLUDED.id_token_sealed
"""
TAKE_SEALED = """
DELETE FROM france_connect_session WHERE session_sha256 = $1 RETURNING id_token_sealed
"""

JOURNEY_LASTS = timedelta(minutes=10)


class PostgresIdentities(Rows):
    """Identities and journeys within one transaction; see `ports.Identities`."""

    async def depart(self, state: str, browser: str, journey: Journey, now: datetime) -> None:
        """Remember a browser that leaves, under a secret state, for ten minutes."""
        await self._connection.execute(
            DEPART,
            digest(state),
            digest(browser),
            journey.purpose.value,
            journey.nonce,
            journey.verifier,
            journey.following,
            journey.account_id,
            now,
        )

    async def arrive(self, state: str, browser: str, now: datetime) -> Journey | None:
        """Return the journey that ends here, once; None for any other browser, state or hour."""
        row = await self._connection.fetchrow(
            ARRIVE, digest(state), digest(browser), now - JOURNEY_LASTS
        )
        if row is None:
            return None
        return Journey(**{**dict(row), "purpose": Purpose(row["purpose"])})

    async def find_identity(self, issuer: str, subject: str) -> Identity | None:
        """Return an identity, kept from being linked by anybody else until the end; or None."""
        await self._connection.execute(WAIT_FOR_TURN, issuer, subject)
        row = await self._connection.fetchrow(FIND_IDENTITY, issuer, subject)
        return _identity(row) if row else None

    async def identity_of(self, account_id: UUID) -> Identity | None:
        """Return the identity of an account, or None."""
        row = await self._connection.fetchrow(IDENTITY_OF, account_id)
        return _identity(row) if row else None

    async def open_account_of_identity(self, account_id: UUID, now: datetime) -> None:
        """Open an account that has neither an address nor a password."""
        await self._connection.execute(OPEN_ACCOUNT, account_id, now)

    async def keep_identity(self, issuer: str, told: Told, account_id: UUID, now: datetime) -> bool:
        """Keep what was told; False when the account or the identity is another's already."""
        other = await self._connection.fetchval(
            HAS_ANOTHER_IDENTITY, account_id, issuer, told.subject
        )
        if other:
            return False
        result = await self._connection.execute(
            KEEP_IDENTITY,
            issuer,
            told.subject,
            account_id,
            told.pivot.family_name,
            list(told.pivot.given_names),
            told.pivot.birthdate,
            told.pivot.gender,
            told.pivot.birthplace,
            told.pivot.birthcountry,
            told.email,
            now,
        )
        return not result.endswith(" 0")

    async def drop_identity(self, account_id: UUID) -> bool:
        """Unlink; False when the account has no other way in, and then nothing changes."""
        await self._connection.execute(LOCK_ACCOUNT, account_id)
        if not await self.has_other_way_in(account_id):
            return False
        await self._connection.execute(DROP_IDENTITY, account_id)
        return True

    async def drop_identity_since(self, account_id: UUID, since: datetime) -> None:
        """Unlink the identity that an account got from a moment on, if it did."""
        await self._connection.execute(DROP_IDENTITY_SINCE, account_id, since)

    async def has_other_way_in(self, account_id: UUID) -> bool:
        """Tell whether an account can be entered without FranceConnect."""
        return bool(await self._connection.fetchval(OTHER_WAY_IN, account_id))

    async def seal_session(self, secret: str, sealed_token: bytes) -> None:
        """Keep the sealed token of a session."""
        await self._connection.execute(SEAL_SESSION, digest(secret), sealed_token)

    async def take_sealed_token(self, secret: str) -> bytes | None:
        """Return a session's sealed token and forget it, or None: it logs out once."""
        sealed: bytes | None = await self._connection.fetchval(TAKE_SEALED, digest(secret))
        return sealed

    async def end_sessions_by(self, account_id: UUID, method: str) -> None:
        """End the sessions of an account that were opened in one way."""
        await self._connection.execute(END_SESSIONS, account_id, method)

    async def tidy_journeys(self, now: datetime) -> int:
        """Drop journeys that nobody ended in time; return how many."""
        result: str = await self._connection.execute(FORGET_JOURNEYS, now - JOURNEY_LASTS)
        return int(result.rpartition(" ")[2])


def _identity(row: Any) -> Identity:  # noqa: ANN401 - an asyncpg record
    return Identity(
        issuer=row["issuer"],
        subject=row["subject"],
        account_id=row["account_id"],
        pivot=Pivot(
            family_name=row["family_name"],
            given_names=tuple(row["given_names"]),
            birthdate=row["birthdate"],
            gender=row["gender"],
            birthplace=row["birthplace"],
            birthcountry=row["birthcountry"],
        ),
        suggested_email=row["suggested_email"],
        linked_at=row["linked_at"],
        told_at=row["told_at"],
    )
