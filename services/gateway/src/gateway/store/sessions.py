"""The SQL of sessions as their owner sees them, and of the browsers that they signed in from."""

from datetime import datetime, timedelta
from uuid import UUID, uuid4

from gateway.ports.factors import KnownBrowser, Owner, SessionView
from gateway.store.rows import Rows
from gateway.store.visitors import AGENTS_LONGEST, CITIZENS_LONGEST, IDLE, digest

# Of the two names one is NULL, which equals nothing.
_OWN = "(account_id = $1 OR login = $2)"
SESSIONS = f"""
SELECT session_id, method, browser, subscriber, created_at, seen_at,
    session_sha256 = $3 AS is_this
FROM session WHERE {_OWN} AND seen_at > $4 AND created_at > $5
ORDER BY is_this DESC, seen_at DESC, session_id
"""
END_SESSION_OF = f"DELETE FROM session WHERE {_OWN} AND session_id = $3"
END_OTHERS = f"DELETE FROM session WHERE {_OWN} AND session_sha256 <> $3"
# Who gave the password elsewhere and owes the second factor would have one a moment later.
END_PENDING_LOGINS = f"DELETE FROM pending_login WHERE {_OWN}"
RENEW_PROOF = """
UPDATE session SET session_sha256 = $2, proved_at = $3, seen_at = $3 WHERE session_sha256 = $1
"""
# A browser that signs in again is the same browser; two sign-ins at once make one row, and `xmax`
# tells which of them made it.
_RECOGNISE = """
INSERT INTO known_browser (browser_id, account_id, login, secret_sha256, browser,
    first_seen_at, seen_at)
VALUES ($3, $1, $2, $4, $5, $6, $6)
ON CONFLICT ({owner}, secret_sha256) DO UPDATE
SET browser = EXCLUDED.browser, seen_at = EXCLUDED.seen_at
RETURNING browser_id, xmax = 0 AS is_new
"""
RECOGNISE_CITIZENS = _RECOGNISE.format(owner="account_id")
RECOGNISE_AGENTS = _RECOGNISE.format(owner="login")
KNOWS_BROWSER = f"""
SELECT EXISTS (SELECT FROM known_browser WHERE {_OWN} AND secret_sha256 = $3 AND seen_at > $4)
"""
BROWSERS = f"""
SELECT browser_id, browser, first_seen_at, seen_at, secret_sha256 = $3 AS is_this
FROM known_browser WHERE {_OWN} AND seen_at > $4 ORDER BY seen_at DESC, browser_id
"""
FORGET_BROWSER = f"DELETE FROM known_browser WHERE {_OWN} AND browser_id = $3"
FORGET_BROWSERS = "DELETE FROM known_browser WHERE seen_at < $1"
IS_YOUNG = "SELECT EXISTS (SELECT 1 FROM account WHERE account_id = $1 AND created_at > $2)"

REMEMBERED_FOR = timedelta(days=365)
"""How long a browser is known that does not come back."""


class PostgresSessions(Rows):
    """Sessions and browsers within one transaction; see `ports.Sessions`."""

    async def sessions(self, owner: Owner, secret: str, now: datetime) -> list[SessionView]:
        """Return somebody's sessions that have not ended, this one (of `secret`) first."""
        longest = AGENTS_LONGEST if owner.is_agent else CITIZENS_LONGEST
        rows = await self._connection.fetch(
            SESSIONS, owner.account_id, owner.login, digest(secret), now - IDLE, now - longest
        )
        return [SessionView(**dict(row)) for row in rows]

    async def end_session_of(self, owner: Owner, session_id: UUID) -> bool:
        """End a session of somebody's; False when they have no such one."""
        result = await self._connection.execute(
            END_SESSION_OF, owner.account_id, owner.login, session_id
        )
        return not result.endswith(" 0")

    async def end_other_sessions(self, owner: Owner, secret: str) -> int:
        """End all of somebody's sessions but the one of `secret`, and logins half made.

        Return how many sessions.
        """
        await self._connection.execute(END_PENDING_LOGINS, owner.account_id, owner.login)
        result = await self._connection.execute(
            END_OTHERS, owner.account_id, owner.login, digest(secret)
        )
        return int(result.rpartition(" ")[2])

    async def renew_proof(self, secret: str, new_secret: str, now: datetime) -> bool:
        """Note that its owner proved again who they are, and give the session a new secret."""
        result = await self._connection.execute(
            RENEW_PROOF, digest(secret), digest(new_secret), now
        )
        return not result.endswith(" 0")

    async def recognise_browser(
        self, owner: Owner, held: str, browser: str, now: datetime
    ) -> tuple[UUID, bool]:
        """Note from which browser somebody signs in; return it, and whether it is new to them."""
        [row] = await self._connection.fetch(
            RECOGNISE_AGENTS if owner.is_agent else RECOGNISE_CITIZENS,
            owner.account_id,
            owner.login,
            uuid4(),
            digest(held),
            browser,
            now,
        )
        return row["browser_id"], row["is_new"]

    async def knows_browser(self, owner: Owner, held: str, now: datetime) -> bool:
        """Tell whether somebody signed in from the browser that holds this, within a year."""
        found: bool = await self._connection.fetchval(
            KNOWS_BROWSER, owner.account_id, owner.login, digest(held), now - REMEMBERED_FOR
        )
        return found

    async def browsers(self, owner: Owner, held: str, now: datetime) -> list[KnownBrowser]:
        """Return the browsers that somebody signed in from, the latest first."""
        rows = await self._connection.fetch(
            BROWSERS, owner.account_id, owner.login, digest(held), now - REMEMBERED_FOR
        )
        return [KnownBrowser(**dict(row)) for row in rows]

    async def forget_browser(self, owner: Owner, browser_id: UUID) -> bool:
        """Forget a browser and end its sessions; False when they have no such one."""
        result = await self._connection.execute(
            FORGET_BROWSER, owner.account_id, owner.login, browser_id
        )
        return not result.endswith(" 0")

    async def is_young(self, owner: Owner, since: datetime) -> bool:
        """Tell whether an account was opened after `since`."""
        found: bool = await self._connection.fetchval(IS_YOUNG, owner.account_id, since)
        return found

    async def tidy_browsers(self, now: datetime) -> int:
        """Drop browsers that have not come back; return how many."""
        result = await self._connection.execute(FORGET_BROWSERS, now - REMEMBERED_FOR)
        return int(result.rpartition(" ")[2])
