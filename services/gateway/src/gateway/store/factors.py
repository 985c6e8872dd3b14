"""The SQL of second factors: applications, passkeys, recovery codes, and logins half made."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from gateway.ports.factors import (
    Factor,
    NewPasskey,
    Owner,
    PasskeyFactor,
    PendingLogin,
    Sealer,
    TotpFactor,
)
from gateway.store.rows import Rows
from gateway.store.visitors import digest

# Of the two names one is NULL, which equals nothing.
_OWN = "(account_id = $1 OR login = $2)"
FACTORS = f"""
SELECT factor_id, kind, label, created_at, used_at FROM factor WHERE {_OWN}
ORDER BY created_at, factor_id
"""
# Two removals at once must not take the last factor of who needs one.
LOCK_ACCOUNT = "SELECT 1 FROM account WHERE account_id = $1 FOR UPDATE"
LOCK_AGENT = "SELECT 1 FROM agent WHERE login = $1 FOR UPDATE"
TOTP_FACTORS = f"""
SELECT factor_id, sealed_secret, last_period FROM factor WHERE {_OWN} AND kind = 'totp'
ORDER BY created_at, factor_id
"""
_PASSKEY = "factor_id, account_id, login, credential_id, public_key, sign_count"
PASSKEYS = f"""
SELECT {_PASSKEY} FROM factor WHERE {_OWN} AND kind = 'passkey' ORDER BY created_at, factor_id
"""
FIND_PASSKEY = f"SELECT {_PASSKEY} FROM factor WHERE credential_id = $1"
ADD_TOTP = """
INSERT INTO factor (factor_id, account_id, login, kind, label, sealed_secret, last_period,
    created_at)
VALUES ($3, $1, $2, 'totp', $4, $5, $6, $7)
"""
# An authenticator that is registered twice has not made a second passkey.
ADD_PASSKEY = """
INSERT INTO factor (factor_id, account_id, login, kind, label, credential_id, public_key,
    sign_count, created_at)
VALUES ($3, $1, $2, 'passkey', $4, $5, $6, $7, $8)
ON CONFLICT (credential_id) DO NOTHING
"""
# RFC 6238 5.2: a code is taken once; of two at the same time the second waits and finds it used.
USE_TOTP = """
UPDATE factor SET last_period = $2, used_at = $3 WHERE factor_id = $1 AND last_period < $2
"""
USE_PASSKEY = "UPDATE factor SET sign_count = $2, used_at = $3 WHERE factor_id = $1"
REMOVE_FACTOR = f"""
DELETE FROM factor WHERE {_OWN} AND factor_id = $3
RETURNING factor_id, kind, label, created_at, used_at
"""
# Recovery codes open nothing by themselves, and are worth nothing without a factor.
REMOVE_SINCE = "DELETE FROM factor WHERE account_id = $1 AND created_at >= $2"
FORGET_IDLE_CODES = """
DELETE FROM recovery_code WHERE account_id = $1
    AND NOT EXISTS (SELECT FROM factor WHERE factor.account_id = $1)
"""
HAS_WAY_IN = """
SELECT (email IS NOT NULL AND password_hash IS NOT NULL)
    OR EXISTS (SELECT 1 FROM identity WHERE identity.account_id = $1)
    OR EXISTS (SELECT 1 FROM factor WHERE factor.account_id = $1 AND kind = 'passkey')
FROM account WHERE account_id = $1
"""
FORGET_CODES = f"DELETE FROM recovery_code WHERE {_OWN}"
ADD_CODES = """
INSERT INTO recovery_code (account_id, login, code_sha256) SELECT $1, $2, unnest($3::bytea [])
"""
USE_CODE = f"""
UPDATE recovery_code SET used_at = $4
WHERE {_OWN} AND code_sha256 = $3 AND used_at IS NULL
"""
CODES_LEFT = f"SELECT count(*) FROM recovery_code WHERE {_OWN} AND used_at IS NULL"
OPEN_PENDING = """
INSERT INTO pending_login (pending_sha256, account_id, login, method, following, created_at)
VALUES ($3, $1, $2, $4, $5, $6)
"""
FIND_PENDING = """
SELECT account_id, login, method, following FROM pending_login
WHERE pending_sha256 = $1 AND created_at > $2
"""
END_PENDING = "DELETE FROM pending_login WHERE pending_sha256 = $1"
# Who begins anew is shown a new secret.
START_TOTP = """
INSERT INTO totp_start (holder_sha256, sealed_secret, started_at) VALUES ($1, $2, $3)
ON CONFLICT (holder_sha256) DO UPDATE
SET sealed_secret = EXCLUDED.sealed_secret, started_at = EXCLUDED.started_at
"""
STARTED_TOTP = """
SELECT sealed_secret FROM totp_start WHERE holder_sha256 = $1 AND started_at > $2
"""
END_TOTP_START = "DELETE FROM totp_start WHERE holder_sha256 = $1"
# The first answer counts; one that was overheard comes second.
SPEND_CHALLENGE = """
INSERT INTO spent_challenge (challenge_sha256, spent_at) VALUES ($1, $2)
ON CONFLICT (challenge_sha256) DO NOTHING
"""
FORGET_PENDING = "DELETE FROM pending_login WHERE created_at < $1"
FORGET_TOTP_STARTS = "DELETE FROM totp_start WHERE started_at < $1"
FORGET_CHALLENGES = "DELETE FROM spent_challenge WHERE spent_at < $1"
# Whoever is signing in just now is waited for, and so is another replica that does the same.
SEALED = """
SELECT factor_id, sealed_secret FROM factor WHERE kind = 'totp' AND factor_id > $1
ORDER BY factor_id LIMIT 500 FOR UPDATE
"""
RESEAL = "UPDATE factor SET sealed_secret = $2 WHERE factor_id = $1"

PENDING_FOR = timedelta(minutes=10)
"""How long the second step of a login, and each step of an enrolment, may take."""


def _changed(result: str) -> bool:
    return not result.endswith(" 0")


class PostgresFactors(Rows):
    """Second factors within one transaction; see `ports.Factors`."""

    async def factors(self, owner: Owner) -> list[Factor]:
        """Return somebody's second factors, oldest first."""
        rows = await self._connection.fetch(FACTORS, owner.account_id, owner.login)
        return [Factor(**dict(row)) for row in rows]

    async def lock_owner(self, owner: Owner) -> None:
        """Let changes of one person's factors queue up behind each other."""
        if owner.is_agent:
            await self._connection.execute(LOCK_AGENT, owner.login)
        else:
            await self._connection.execute(LOCK_ACCOUNT, owner.account_id)

    async def totp_factors(self, owner: Owner) -> list[TotpFactor]:
        """Return somebody's applications that make codes."""
        rows = await self._connection.fetch(TOTP_FACTORS, owner.account_id, owner.login)
        return [TotpFactor(**dict(row)) for row in rows]

    async def passkeys(self, owner: Owner) -> list[PasskeyFactor]:
        """Return somebody's passkeys."""
        rows = await self._connection.fetch(PASSKEYS, owner.account_id, owner.login)
        return [_passkey(dict(row)) for row in rows]

    async def find_passkey(self, credential_id: bytes) -> PasskeyFactor | None:
        """Return the passkey of that id, whoever owns it, or None."""
        row = await self._connection.fetchrow(FIND_PASSKEY, credential_id)
        return _passkey(dict(row)) if row else None

    async def add_totp(
        self, owner: Owner, label: str, sealed_secret: bytes, period: int, now: datetime
    ) -> None:
        """Keep an application, whose code of `period` has just been used."""
        await self._connection.execute(
            ADD_TOTP, owner.account_id, owner.login, uuid4(), label, sealed_secret, period, now
        )

    async def add_passkey(
        self, owner: Owner, label: str, passkey: NewPasskey, now: datetime
    ) -> bool:
        """Keep a passkey; False when somebody has it already."""
        return _changed(
            await self._connection.execute(
                ADD_PASSKEY,
                owner.account_id,
                owner.login,
                uuid4(),
                label,
                passkey.credential_id,
                passkey.public_key,
                passkey.sign_count,
                now,
            )
        )

    async def use_totp(self, factor_id: UUID, period: int, now: datetime) -> bool:
        """Use the code of a period up; False when it, or a later one, was used before."""
        return _changed(await self._connection.execute(USE_TOTP, factor_id, period, now))

    async def use_passkey(self, factor_id: UUID, sign_count: int, now: datetime) -> None:
        """Note that a passkey signed, and how often it says that it did."""
        await self._connection.execute(USE_PASSKEY, factor_id, sign_count, now)

    async def remove_factor(self, owner: Owner, factor_id: UUID) -> Factor | None:
        """Forget a factor of somebody's; None when they have no such one."""
        row = await self._connection.fetchrow(
            REMOVE_FACTOR, owner.account_id, owner.login, factor_id
        )
        return Factor(**dict(row)) if row else None

    async def remove_factors_since(self, account_id: UUID, since: datetime) -> None:
        """Forget the factors that an account got from a moment on."""
        await self._connection.execute(REMOVE_SINCE, account_id, since)
        await self._connection.execute(FORGET_IDLE_CODES, account_id)

    async def has_way_in(self, owner: Owner) -> bool:
        """Tell whether something still lets somebody in: a password, FranceConnect, a passkey."""
        if owner.is_agent:
            return True
        found: bool = await self._connection.fetchval(HAS_WAY_IN, owner.account_id)
        return found

    async def set_recovery_codes(self, owner: Owner, codes: Sequence[str]) -> None:
        """Keep new recovery codes, as digests; the earlier ones open nothing any more."""
        await self._connection.execute(FORGET_CODES, owner.account_id, owner.login)
        digests = [digest(code) for code in codes]
        await self._connection.execute(ADD_CODES, owner.account_id, owner.login, digests)

    async def use_recovery_code(self, owner: Owner, code: str, now: datetime) -> bool:
        """Use a recovery code up; False when it is not one, or was used before."""
        return _changed(
            await self._connection.execute(
                USE_CODE, owner.account_id, owner.login, digest(code), now
            )
        )

    async def recovery_codes_left(self, owner: Owner) -> int:
        """Return how many recovery codes still open."""
        left: int = await self._connection.fetchval(CODES_LEFT, owner.account_id, owner.login)
        return left

    async def open_pending(self, secret: str, pending: PendingLogin, now: datetime) -> None:
        """Note who owes a second factor, under a secret that is kept as a digest."""
        await self._connection.execute(
            OPEN_PENDING,
            pending.owner.account_id,
            pending.owner.login,
            digest(secret),
            pending.method,
            pending.following,
            now,
        )

    async def pending(self, secret: str, now: datetime) -> PendingLogin | None:
        """Return who owes a second factor, unless it is too long ago."""
        row = await self._connection.fetchrow(FIND_PENDING, digest(secret), now - PENDING_FOR)
        if row is None:
            return None
        return PendingLogin(
            owner=Owner(account_id=row["account_id"], login=row["login"]),
            method=row["method"],
            following=row["following"],
        )

    async def end_pending(self, secret: str) -> bool:
        """Forget that somebody owes a second factor; False when it was forgotten before."""
        return _changed(await self._connection.execute(END_PENDING, digest(secret)))

    async def start_totp(self, holder: str, sealed_secret: bytes, now: datetime) -> None:
        """Keep what an application is shown, for the session of secret `holder` alone."""
        await self._connection.execute(START_TOTP, digest(holder), sealed_secret, now)

    async def started_totp(self, holder: str, now: datetime) -> bytes | None:
        """Return the sealed secret that was shown under this session, or None."""
        sealed: bytes | None = await self._connection.fetchval(
            STARTED_TOTP, digest(holder), now - PENDING_FOR
        )
        return sealed

    async def end_totp_start(self, holder: str) -> bool:
        """Forget what was shown, since it is confirmed; False when it was forgotten before."""
        return _changed(await self._connection.execute(END_TOTP_START, digest(holder)))

    async def spend_challenge(self, challenge: bytes, now: datetime) -> bool:
        """Note that a challenge was answered; False when it was before."""
        return _changed(
            await self._connection.execute(SPEND_CHALLENGE, digest(challenge.hex()), now)
        )

    async def seal_anew(self, after: UUID, keeper: Sealer) -> UUID | None:
        """Seal some hundred secrets with the newest key; return the last one's id, None at the end.

        What no key opens is left alone: its owner comes in by a recovery code.
        """
        rows = await self._connection.fetch(SEALED, after)
        for row in rows:
            sealed: bytes = row["sealed_secret"]
            secret = None if keeper.is_newest(sealed) else keeper.open(sealed)
            if secret is not None:
                await self._connection.execute(RESEAL, row["factor_id"], keeper.seal(secret))
        return rows[-1]["factor_id"] if rows else None

    async def tidy_factors(self, now: datetime) -> int:
        """Drop logins and enrolments that nobody finished; return how many rows."""
        before = now - PENDING_FOR
        results = [
            await self._connection.execute(statement, before)
            for statement in (FORGET_PENDING, FORGET_TOTP_STARTS, FORGET_CHALLENGES)
        ]
        return sum(int(result.rpartition(" ")[2]) for result in results)


def _passkey(row: dict[str, object]) -> PasskeyFactor:
    owner = Owner(account_id=row.pop("account_id"), login=row.pop("login"))  # type: ignore[arg-type]
    return PasskeyFactor(owner=owner, **row)  # type: ignore[arg-type]
