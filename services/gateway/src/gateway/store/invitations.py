"""The SQL of agents' invitations: whom an authority ties to a payer, and who vouched for it."""

from datetime import datetime, timedelta
from uuid import UUID

from gateway.ports.invitations import (
    InvitedPayer,
    NewPayerInvitation,
    NumberedInvoice,
    PayerInvitation,
)
from gateway.store.retrieval import PRINTED_AS
from gateway.store.rows import Rows
from gateway.store.sights import CHANGE_ALONE
from gateway.store.visitors import digest

NUMBERED = f"""
SELECT invoice_id, payer_id, payer_name, regie_label, issued_on, amount_cents
FROM invoice WHERE {PRINTED_AS}
ORDER BY issued_on DESC, published_at DESC, invoice_id LIMIT $3
"""
END_EARLIER = """
UPDATE payer_invitation SET ended_at = $3, secret_sha256 = NULL
WHERE invoice_id = $1 AND email = $2 AND accepted_at IS NULL AND ended_at IS NULL
"""
# The authority and the payer are read from the invoice here: no caller can invite to another one.
# Of two agents who send the same at once, the second replaces the first.
INVITE = """
INSERT INTO payer_invitation (invitation_id, authority, invoice_id, payer_id, payer_words, number,
    email, agent_login, invited_at, secret_sha256, expires_at)
SELECT $1, authority, invoice_id, payer_id, payer_words, number, $4, $5, $6, $7, $8
FROM invoice
WHERE invoice_id = $3 AND authority = $2 AND version > 0 AND withdrawn_version < version
ON CONFLICT (invoice_id, email) WHERE accepted_at IS NULL AND ended_at IS NULL DO UPDATE
SET payer_id = EXCLUDED.payer_id, payer_words = EXCLUDED.payer_words,
    agent_login = EXCLUDED.agent_login, invited_at = EXCLUDED.invited_at,
    secret_sha256 = EXCLUDED.secret_sha256, expires_at = EXCLUDED.expires_at
RETURNING invitation_id
"""
INVITATIONS = """
SELECT invitation_id, number, email, agent_login, invited_at, expires_at, accepted_at, ended_at
FROM payer_invitation WHERE authority = $1 ORDER BY invited_at DESC, invitation_id LIMIT $2
"""
CANCEL = """
UPDATE payer_invitation SET ended_at = $3, secret_sha256 = NULL
WHERE invitation_id = $2 AND authority = $1
    AND accepted_at IS NULL AND ended_at IS NULL AND expires_at > $3
"""
# What the agent vouched for is still true: the invoice stands, and is the same person's.
_IS_GOOD = """
invitation.secret_sha256 = $1 AND invitation.accepted_at IS NULL AND invitation.ended_at IS NULL
    AND invitation.expires_at > {now} AND invoice.invoice_id = invitation.invoice_id
    AND invoice.withdrawn_version < invoice.version AND invoice.payer_id = invitation.payer_id
    AND (invoice.payer_words && invitation.payer_words
        OR invoice.payer_words = invitation.payer_words)
"""
INVITED = f"""
SELECT invoice.invoice_id, invoice.authority_name
FROM payer_invitation AS invitation, invoice WHERE {_IS_GOOD.format(now="$2")}
"""
# One statement reads and spends the secret: of two who bring it at once, one gets nothing.
ACCEPT = f"""
UPDATE payer_invitation AS invitation
SET account_id = $2, accepted_at = $3, secret_sha256 = NULL
FROM invoice WHERE {_IS_GOOD.format(now="$3")}
RETURNING invoice.invoice_id, invoice.authority_name
"""
# Who vouched for a link is known as long as the link shows anything.
FORGET = """
DELETE FROM payer_invitation
WHERE coalesce(accepted_at, least(ended_at, expires_at)) < $1
    AND NOT EXISTS (
        SELECT FROM link WHERE link.account_id = payer_invitation.account_id
            AND link.payer_id = payer_invitation.payer_id
            AND link.evidence = 'agent' AND link.revoked_at IS NULL)
"""

INVITATIONS_SHOWN = 100
CHOICES_SHOWN = 20
"""Invoices of one number: one for each régie and year."""
KEPT_FOR = timedelta(days=365)


class PostgresInvitations(Rows):
    """Invitations by agents within one transaction; see `ports.PayerInvitations`."""

    async def numbered(self, authority: str, reference: str) -> list[NumberedInvoice]:
        """Return the invoices of a printed number or debt reference, the newest first."""
        rows = await self._connection.fetch(NUMBERED, authority, reference, CHOICES_SHOWN)
        return [NumberedInvoice(**dict(row)) for row in rows]

    async def invite_payer(self, new: NewPayerInvitation, secret: str, now: datetime) -> bool:
        """Keep an invitation, good once, under a secret; an earlier one of both is good no more.

        False when the authority has no such invoice any more: nothing is kept then.
        """
        await self._connection.execute(END_EARLIER, new.invoice_id, new.email, now)
        kept = await self._connection.fetchval(
            INVITE,
            new.invitation_id,
            new.authority,
            new.invoice_id,
            new.email,
            new.agent_login,
            now,
            digest(secret),
            new.expires_at,
        )
        return kept is not None

    async def payer_invitations(self, authority: str) -> list[PayerInvitation]:
        """Return the invitations of an authority's agents, the latest first, up to a limit."""
        rows = await self._connection.fetch(INVITATIONS, authority, INVITATIONS_SHOWN)
        return [PayerInvitation(**dict(row)) for row in rows]

    async def cancel_payer_invitation(
        self, authority: str, invitation_id: UUID, now: datetime
    ) -> bool:
        """Make an invitation worthless; False when the authority has no such one pending."""
        result = await self._connection.execute(CANCEL, authority, invitation_id, now)
        return not result.endswith(" 0")

    async def payer_invitation(self, secret: str, now: datetime) -> InvitedPayer | None:
        """Return what a secret invites to, or None when it cannot be accepted any more."""
        row = await self._connection.fetchrow(INVITED, digest(secret), now)
        return InvitedPayer(**dict(row)) if row else None

    async def accept_payer_invitation(
        self, secret: str, account_id: UUID, now: datetime
    ) -> InvitedPayer | None:
        """Give an invitation to an account and use its secret up; None when it cannot be."""
        # Before any row is held: who closes the account at this moment would wait for us, and we,
        # who are about to link, for them. Nor can the invoice change its payer until we have.
        await self._connection.execute(CHANGE_ALONE)
        row = await self._connection.fetchrow(ACCEPT, digest(secret), account_id, now)
        return InvitedPayer(**dict(row)) if row else None

    async def tidy_invitations(self, now: datetime) -> int:
        """Drop invitations that ended a year ago and vouch for nothing; return how many."""
        result = await self._connection.execute(FORGET, now - KEPT_FOR)
        return int(result.rpartition(" ")[2])
