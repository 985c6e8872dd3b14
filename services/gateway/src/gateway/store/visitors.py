"""The SQL of who comes: accounts, sessions, billers, and how often somebody may try."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from gateway.ports import Account, Agent, Biller, Bucket, Facts, Visitor
from gateway.store.sights import OF_ADDRESSES, PostgresSights

FIND_ACCOUNT = """
SELECT account_id, email, password_hash, verified_at, display_name, language
FROM account WHERE email = $1
"""
# Two people cannot take one address; the second learns nothing of the first.
ADD_ACCOUNT = """
INSERT INTO account (account_id, email, password_hash, verified_at, created_at, language)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (email) DO NOTHING RETURNING account_id
"""
FIND_AGENT = "SELECT login, password_hash FROM agent WHERE login = $1"
ADD_SESSION = """
INSERT INTO session (session_sha256, account_id, login, created_at, seen_at, method, browser,
    subscriber, browser_id)
VALUES ($1, $2, $3, $4, $4, $5, $6, $7, $8)
"""
# Idle and absolute ends are checked here, so that no page can forget them.
FIND_SESSIONS = """
SELECT session.session_sha256, session.account_id, session.seen_at,
    coalesce(account.email, '') AS email,
    account.verified_at IS NOT NULL AS is_verified, coalesce(session.login, '') AS login,
    coalesce(agent.authority, '') AS authority, coalesce(authority.name, '') AS authority_name,
    coalesce(session.proved_at, session.created_at) AS proved_at
FROM session
LEFT JOIN account ON account.account_id = session.account_id
LEFT JOIN agent ON agent.login = session.login
LEFT JOIN authority ON authority.authority = agent.authority
WHERE session_sha256 = ANY($1) AND session.seen_at > $2
    AND session.created_at > CASE WHEN session.login IS NULL THEN $3::timestamptz ELSE $4 END
"""
# In one order, so that two who keep the same sessions awake do not wait for each other.
TOUCH_SESSIONS = """
UPDATE session SET seen_at = $2
WHERE session_sha256 IN (
    SELECT session_sha256 FROM session WHERE session_sha256 = ANY($1) AND seen_at < $2
    ORDER BY session_sha256 FOR UPDATE)
"""
END_SESSION = "DELETE FROM session WHERE session_sha256 = $1"
FIND_BILLER = """
SELECT client_id, secret_sha256, authority, regies, scopes FROM biller WHERE client_id = $1
"""
FIND_AUTHORITY = "SELECT content FROM authority WHERE authority = $1"
# The row is locked by the insert, so that attempts made at the same time queue up here. While a
# bucket is closed nothing is counted; after a quarter of an hour the count starts anew.
KNOCK = """
INSERT INTO throttle (bucket, failures, started_at) VALUES ($1, 1, $2)
ON CONFLICT (bucket) DO UPDATE SET
    failures = CASE WHEN throttle.blocked_until > $2 THEN throttle.failures
                    WHEN throttle.started_at < $3 THEN 1 ELSE throttle.failures + 1 END,
    started_at = CASE WHEN throttle.blocked_until > $2 THEN throttle.started_at
                      WHEN throttle.started_at < $3 THEN $2 ELSE throttle.started_at END
RETURNING failures, blocked_until
"""
CLOSE = "UPDATE throttle SET blocked_until = $2 WHERE bucket = $1"
CLEAR = "DELETE FROM throttle WHERE bucket = $1"
# Only a bucket that this very attempt had closed opens again.
LESSEN = """
UPDATE throttle SET failures = greatest(0, failures - 1),
    blocked_until = CASE WHEN failures > $2 THEN blocked_until END
WHERE bucket = $1
"""
CLOSED = "SELECT max(blocked_until) FROM throttle WHERE bucket = ANY($1) AND blocked_until > $2"
# Each failure counts, whoever made it; after a quarter of an hour the count starts anew.
COUNT_ALARM = """
INSERT INTO throttle (bucket, failures, started_at) VALUES ($1, 1, $2)
ON CONFLICT (bucket) DO UPDATE SET
    failures = CASE WHEN throttle.started_at < $3 THEN 1 ELSE throttle.failures + 1 END,
    started_at = CASE WHEN throttle.started_at < $3 THEN $2 ELSE throttle.started_at END
RETURNING failures
"""
RAISE_ALARM = "UPDATE throttle SET blocked_until = started_at + $2 WHERE bucket = $1"
IS_ALARMED = """
SELECT EXISTS (
    SELECT 1 FROM throttle WHERE bucket >= $1 AND bucket < $2 AND blocked_until > $3
)
"""
FORGET_SESSIONS = "DELETE FROM session WHERE seen_at < $1 OR created_at < $2"
FORGET_ATTEMPTS = """
DELETE FROM throttle WHERE started_at < $1 AND (blocked_until IS NULL OR blocked_until < $2)
"""

IDLE = timedelta(minutes=30)
CITIZENS_LONGEST = timedelta(hours=12)
AGENTS_LONGEST = timedelta(hours=8)
"""ASVS 7.3: an idle end, and an absolute one that is shorter for those who can do more."""
AWAKE_FOR = timedelta(minutes=1)
"""How exactly the last sign of a session is known: not every page writes."""
WINDOW = timedelta(minutes=15)
FIRST_WAIT_SECONDS = 15


class _AuthorityRegie(msgspec.Struct, frozen=True):
    code: str
    label: str


class _AuthorityContent(msgspec.Struct, frozen=True):
    regies: tuple[_AuthorityRegie, ...] = ()


def digest(secret: str) -> bytes:
    """Return what is kept of a secret of 128 random bits or more, where no salt is needed."""
    # What a browser made up may hold no text at all: it is nobody's, and breaks nothing. Many are
    # looked up at once, and one that raised would turn the others away.
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()


class PostgresVisitors(PostgresSights):
    """Accounts, sessions and attempts within one transaction; see `ports.Visitors`."""

    async def find_account(self, email: str) -> Account | None:
        """Return the account of an address, or None."""
        row = await self._connection.fetchrow(FIND_ACCOUNT, email.lower())
        return Account(**dict(row)) if row else None

    async def add_account(self, account: Account, now: datetime) -> bool:
        """Open an account; False when the address has one, which stays as it is."""
        email = account.email.lower() if account.email else None
        # Only a proved address shows anything by itself.
        proved = [email] if account.verified_at is not None else []
        async with self.changing_sights(OF_ADDRESSES, proved):
            row = await self._connection.fetchrow(
                ADD_ACCOUNT,
                account.account_id,
                email,
                account.password_hash,
                account.verified_at,
                now,
                account.language,
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
        method: str = "password",
        facts: Facts | None = None,
        browser_id: UUID | None = None,
    ) -> None:
        """Open a session, of a citizen or of an agent, under a secret that is kept as a digest.

        `method`, `facts` and `browser_id` say how and from where, for its owner to recognise.
        """
        await self._connection.execute(
            ADD_SESSION,
            digest(secret),
            account_id,
            login,
            now,
            method,
            facts.browser if facts else "",
            facts.subscriber if facts else "",
            browser_id,
        )

    async def visitors(self, secrets: Sequence[str], now: datetime) -> dict[str, Visitor]:
        """Return who is behind each session that has not ended, and keep all of them awake."""
        rows = await self._connection.fetch(
            FIND_SESSIONS,
            [digest(secret) for secret in secrets],
            now - IDLE,
            now - CITIZENS_LONGEST,
            now - AGENTS_LONGEST,
        )
        found, drowsy = {}, []
        for row in rows:
            values = dict(row)
            session = values.pop("session_sha256")
            if values.pop("seen_at") < now - AWAKE_FOR:
                drowsy.append(session)
            found[session] = Visitor(**values)
        if drowsy:
            await self._connection.execute(TOUCH_SESSIONS, drowsy, now)
        return {secret: found[digest(secret)] for secret in secrets if digest(secret) in found}

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

    async def regie_labels(self, authority: str) -> dict[str, str]:
        """Return the names of an authority's régies by code."""
        content: bytes | None = await self._connection.fetchval(FIND_AUTHORITY, authority)
        if content is None:
            return {}
        regies = msgspec.json.decode(content, type=_AuthorityContent).regies
        return {regie.code: regie.label for regie in regies}

    async def knock(self, buckets: Sequence[Bucket], now: datetime) -> timedelta | None:
        """Count one attempt before it is made; return how long to wait instead, or None to go on.

        Beyond the free attempts each one is followed by a wait twice as long as the one before.
        """
        longest: timedelta | None = None
        for bucket in sorted(buckets, key=lambda bucket: bucket.name):
            row = await self._connection.fetchrow(KNOCK, bucket.name, now, now - WINDOW)
            if row is None:
                continue
            until: datetime | None = row["blocked_until"]
            if until is not None and until > now:
                longest = max(longest or timedelta(), until - now)
            elif row["failures"] >= bucket.free:
                doublings = min(row["failures"] - bucket.free, 10)
                seconds = min(bucket.longest_seconds, FIRST_WAIT_SECONDS * 2**doublings)
                await self._connection.execute(CLOSE, bucket.name, now + timedelta(seconds=seconds))
        return longest

    async def closed_for(self, buckets: Sequence[Bucket], now: datetime) -> timedelta | None:
        """Return how long to wait before an attempt, counting none; None to go on."""
        names = [bucket.name for bucket in buckets]
        until: datetime | None = await self._connection.fetchval(CLOSED, names, now)
        return until - now if until is not None else None

    async def forgive(self, cleared: Bucket, lessened: Sequence[Bucket] = ()) -> None:
        """After a success: forget the attempts of one bucket and take one back from others."""
        await self._connection.execute(CLEAR, cleared.name)
        for bucket in sorted(lessened, key=lambda bucket: bucket.name):
            await self._connection.execute(LESSEN, bucket.name, bucket.free)

    async def is_alarmed(self, kind: str, now: datetime) -> bool:
        """Tell whether an alarm of that kind was raised in this quarter of an hour."""
        # All buckets `alarm:kind:…`: the next character after the colon is the semicolon.
        found: bool = await self._connection.fetchval(
            IS_ALARMED, f"alarm:{kind}:", f"alarm:{kind};", now
        )
        return found

    async def count_alarm(self, kind: str, authority: str, limit: int, now: datetime) -> bool:
        """Count something suspicious; True once in a quarter of an hour, at the limit."""
        bucket = f"alarm:{kind}:{authority}"
        failures: int = await self._connection.fetchval(COUNT_ALARM, bucket, now, now - WINDOW)
        if failures != limit:
            return False
        await self._connection.execute(RAISE_ALARM, bucket, WINDOW)
        return True

    async def tidy(self, now: datetime) -> int:
        """Drop sessions that have ended and attempts nobody counts any more; return how many."""
        results = (
            await self._connection.execute(FORGET_SESSIONS, now - IDLE, now - CITIZENS_LONGEST),
            await self._connection.execute(FORGET_ATTEMPTS, now - WINDOW, now),
        )
        return sum(int(result.rpartition(" ")[2]) for result in results)
