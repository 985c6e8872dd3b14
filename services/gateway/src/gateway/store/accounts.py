"""The SQL of accounts: proofs of addresses, what happened, and their end."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from gateway.ports import Account, AccountEvent, Facts, Proof, ProofPurpose
from gateway.store.paper import CHOSEN_OR_SEEN, end_unseen
from gateway.store.sights import LENT_BY, OF_ADDRESSES, PostgresSights
from gateway.store.visitors import digest
from shared.events import ContactUpdated

ACCOUNT = """
SELECT account_id, email, password_hash, verified_at, display_name, language
FROM account WHERE account_id = $1
"""
# Who gives the same address to two accounts at once waits here: the second finds it given.
HOLD_ADDRESS = "SELECT pg_advisory_xact_lock(hashtextextended('address ' || $1, 0))"
CLAIMANTS = """
SELECT account_id FROM account WHERE email = $1 AND verified_at IS NULL AND account_id <> $2
"""
GIVE_ADDRESS = """
UPDATE account SET email = $2, verified_at = $3
WHERE account_id = $1
    AND NOT EXISTS (SELECT FROM account AS other WHERE other.email = $2 AND other.account_id <> $1)
"""
ADDRESS = "SELECT email FROM account WHERE account_id = $1"
SET_HASH = "UPDATE account SET password_hash = $2 WHERE account_id = $1"
SET_PROFILE = "UPDATE account SET display_name = $2, language = $3 WHERE account_id = $1"
END_SESSIONS = "DELETE FROM session WHERE account_id = $1"
# Who knew the old password has not logged in with it.
END_PENDING_LOGINS = "DELETE FROM pending_login WHERE account_id = $1"
ADD_PROOF = """
INSERT INTO proof (secret_sha256, purpose, account_id, email, password_hash, browser_sha256,
    created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
FIND_PROOF = """
SELECT purpose, account_id, email, password_hash, browser_sha256, expires_at
FROM proof WHERE secret_sha256 = $1 AND purpose = ANY($2) AND expires_at > $3
"""
# Of two who bring the same secret at once, the one that deletes its row has it.
TAKE_PROOF = """
DELETE FROM proof WHERE secret_sha256 = $1 AND purpose = ANY($2) AND expires_at > $3
RETURNING purpose, account_id, email, password_hash, browser_sha256, expires_at
"""
DROP_PROOFS = "DELETE FROM proof WHERE account_id = $1 AND purpose = ANY($2)"
DROP_LATER_UNDOS = """
DELETE FROM proof WHERE account_id = $1 AND purpose = 'undo' AND expires_at >= $2
"""
PENDING_ADDRESS = """
SELECT email FROM proof WHERE account_id = $1 AND purpose = 'change' AND expires_at > $2
ORDER BY created_at DESC LIMIT 1
"""
# The row lives until its span is over, as a closed bucket does; one that is over starts anew.
IS_FIRST = """
INSERT INTO throttle (bucket, failures, started_at, blocked_until) VALUES ($1, 1, $2, $3)
ON CONFLICT (bucket) DO UPDATE
SET started_at = EXCLUDED.started_at, blocked_until = EXCLUDED.blocked_until
WHERE throttle.blocked_until <= $2
RETURNING bucket
"""
NOTE = """
INSERT INTO account_event (account_id, kind, occurred_at, subscriber, browser)
VALUES ($1, $2, $3, $4, $5)
"""
ACCOUNT_EVENTS = """
SELECT kind, occurred_at, subscriber, browser FROM account_event
WHERE account_id = $1 ORDER BY occurred_at DESC, event_id DESC LIMIT $2
"""
# What says who and where goes; that something happened stays, for its time.
FORGET_PLACES = "UPDATE account_event SET subscriber = '', browser = '' WHERE account_id = $1"
# Every table that holds something of an account follows it (ON DELETE CASCADE).
CLOSE_ACCOUNT = "DELETE FROM account WHERE account_id = $1"
# Somebody typed an address, and nobody proved it for a month; what was added from paper is used,
# and who was sent a letter since may open its link.
UNUSED_CLAIMS = """
SELECT account_id FROM account
WHERE email IS NOT NULL AND verified_at IS NULL AND created_at < $1
    AND NOT EXISTS (SELECT FROM link WHERE link.account_id = account.account_id)
    AND NOT EXISTS (SELECT FROM identity WHERE identity.account_id = account.account_id)
    AND NOT EXISTS (SELECT FROM session WHERE session.account_id = account.account_id)
    AND NOT EXISTS (
        SELECT FROM proof WHERE proof.account_id = account.account_id AND expires_at > $3)
ORDER BY created_at LIMIT $2
"""
FORGET_PROOFS = "DELETE FROM proof WHERE expires_at <= $1"
FORGET_EVENTS = "DELETE FROM account_event WHERE occurred_at < $1"

EVENTS_SHOWN = 200
CLAIMS_KEPT_FOR = timedelta(days=30)
CLAIMS_AT_ONCE = 200
"""The rest goes at the next clean-up."""
EVENTS_KEPT_FOR = timedelta(days=365)
"""CNIL, 2021-122: six months to a year for what is logged for security."""


class PostgresAccounts(PostgresSights):
    """Accounts within one transaction; see `ports.AccountRecords`."""

    async def account(self, account_id: UUID) -> Account | None:
        """Return an account, or None."""
        row = await self._connection.fetchrow(ACCOUNT, account_id)
        return Account(**dict(row)) if row else None

    async def hold_address(self, email: str) -> None:
        """Let nobody else give or take that address until the transaction ends."""
        await self._connection.execute(HOLD_ADDRESS, email.lower())

    async def give_address(self, account_id: UUID, email: str, now: datetime) -> bool:
        """Make a proved address the account's; False when another account has proved it before.

        An account that only claimed the address is deleted: its owner never read its mail.
        """
        await self.hold_address(email)
        for row in await self._connection.fetch(CLAIMANTS, email.lower(), account_id):
            await self.close_account(row["account_id"], now)
        earlier: str | None = await self._connection.fetchval(ADDRESS, account_id)
        addresses = [email.lower(), *([earlier] if earlier else [])]
        # Invoices for the address that is given up are seen no more, those for the new one are.
        async with self.changing_sights(OF_ADDRESSES, addresses):
            result = await self._connection.execute(GIVE_ADDRESS, account_id, email.lower(), now)
        return not result.endswith(" 0")

    async def set_password(self, account_id: UUID, password_hash: str) -> None:
        """Keep another password."""
        await self._connection.execute(SET_HASH, account_id, password_hash)

    async def set_profile(self, account_id: UUID, display_name: str, language: str) -> None:
        """Keep the name to be greeted by, and the language to be written to in."""
        await self._connection.execute(SET_PROFILE, account_id, display_name, language)

    async def end_sessions(self, account_id: UUID) -> None:
        """End every session of an account, and every login that waits for its second factor."""
        await self._connection.execute(END_SESSIONS, account_id)
        await self._connection.execute(END_PENDING_LOGINS, account_id)

    async def add_proof(self, secret: str, proof: Proof, now: datetime) -> None:
        """Keep the digest of a secret that a letter brings."""
        await self._connection.execute(
            ADD_PROOF,
            digest(secret),
            proof.purpose,
            proof.account_id,
            proof.email.lower(),
            proof.password_hash,
            proof.browser_sha256,
            now,
            proof.expires_at,
        )

    async def find_proof(
        self, secret: str, purposes: Sequence[ProofPurpose], now: datetime
    ) -> Proof | None:
        """Return what a secret proves, or None when it was used, is too old or for another end."""
        row = await self._connection.fetchrow(FIND_PROOF, digest(secret), list(purposes), now)
        return Proof(**dict(row)) if row else None

    async def take_proof(
        self, secret: str, purposes: Sequence[ProofPurpose], now: datetime
    ) -> Proof | None:
        """Return what a secret proves and use it up: of two who come at once, one gets None."""
        row = await self._connection.fetchrow(TAKE_PROOF, digest(secret), list(purposes), now)
        return Proof(**dict(row)) if row else None

    async def drop_proofs(self, account_id: UUID, purposes: Sequence[ProofPurpose]) -> None:
        """Make an account's pending secrets of these purposes worthless."""
        await self._connection.execute(DROP_PROOFS, account_id, list(purposes))

    async def drop_later_undos(self, used: Proof) -> None:
        """Make worthless what would take back changes of address that were made after this one.

        Their letters went to addresses that its owner did not choose.
        """
        await self._connection.execute(DROP_LATER_UNDOS, used.account_id, used.expires_at)

    async def pending_address(self, account_id: UUID, now: datetime) -> str | None:
        """Return the address that the account asked for and has not confirmed yet, or None."""
        found: str | None = await self._connection.fetchval(PENDING_ADDRESS, account_id, now)
        return found

    async def is_first_within(self, name: str, span: timedelta, now: datetime) -> bool:
        """Tell whether this was not asked under that name for so long, and remember the asking."""
        # A digest: addresses of people who have no account here are not kept as they are.
        bucket = f"once:{digest(name).hex()}"
        return await self._connection.fetchval(IS_FIRST, bucket, now, now + span) is not None

    async def note(self, account_id: UUID, kind: str, facts: Facts, now: datetime) -> None:
        """Write down what happened to an account, for its owner to read; never a secret."""
        await self._connection.execute(NOTE, account_id, kind, now, facts.subscriber, facts.browser)

    async def account_events(self, account_id: UUID) -> list[AccountEvent]:
        """Return what happened to an account, newest first, up to a limit."""
        rows = await self._connection.fetch(ACCOUNT_EVENTS, account_id, EVENTS_SHOWN)
        return [AccountEvent(**dict(row)) for row in rows]

    async def close_account(self, account_id: UUID, now: datetime) -> None:
        """Delete an account with all that is its own, and tell it (RGPD, article 17).

        What happened stays for its time, without name, place or browser.
        """
        await self._connection.execute(FORGET_PLACES, account_id)
        chosen = await self._connection.fetch(CHOSEN_OR_SEEN, account_id)
        # What its holder had lent is seen no more by those whom it was lent to.
        async with self.changing_sights(LENT_BY, account_id):
            await self._connection.execute(CLOSE_ACCOUNT, account_id)
        await end_unseen(self._connection, [row["payer_id"] for row in chosen])
        await self.publish(ContactUpdated(account_id=account_id, email=None, updated_at=now))

    async def tidy_accounts(self, now: datetime) -> int:
        """Drop secrets that ended, what happened long ago, addresses never proved; say how many."""
        before = now - CLAIMS_KEPT_FOR
        claims = await self._connection.fetch(UNUSED_CLAIMS, before, CLAIMS_AT_ONCE, now)
        for claim in claims:
            await self.close_account(claim["account_id"], now)
        results = (
            await self._connection.execute(FORGET_PROOFS, now),
            await self._connection.execute(FORGET_EVENTS, now - EVENTS_KEPT_FOR),
        )
        return len(claims) + sum(int(result.rpartition(" ")[2]) for result in results)
