"""Invitations by agents: an authority ties a payer to who reads an address that it knows (C5)."""

from datetime import date, datetime
from typing import Protocol
from uuid import UUID

import msgspec


class NumberedInvoice(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice that bears a number, and whose it is: several may bear the same."""

    invoice_id: UUID
    payer_id: UUID
    payer_name: str
    regie_label: str
    issued_on: date
    amount_cents: int


class NewPayerInvitation(msgspec.Struct, frozen=True, kw_only=True):
    """Whom an agent invites, before which invoice of their authority."""

    invitation_id: UUID
    authority: str
    invoice_id: UUID
    email: str
    agent_login: str
    expires_at: datetime


class PayerInvitation(msgspec.Struct, frozen=True, kw_only=True):
    """An invitation as the agents of its authority see it."""

    invitation_id: UUID
    number: str
    email: str
    agent_login: str
    invited_at: datetime
    expires_at: datetime
    accepted_at: datetime | None
    ended_at: datetime | None

    def state(self, now: datetime) -> str:
        """Return the one word that says how it stands: the first that is true."""
        if self.accepted_at is not None:
            return "accepted"
        # What had expired before it was replaced was not taken back from anybody.
        if self.ended_at is not None and self.ended_at < self.expires_at:
            return "cancelled"
        return "pending" if self.expires_at > now else "expired"


class InvitedPayer(msgspec.Struct, frozen=True, kw_only=True):
    """What a secret invites to: the payer of an invoice, of an authority."""

    invoice_id: UUID
    authority_name: str


class PayerInvitations(Protocol):
    """Invitations by agents; whose authority it is is part of every question of theirs."""

    async def numbered(self, authority: str, reference: str) -> list[NumberedInvoice]:
        """Return the invoices of a printed number or debt reference, the newest first.

        Up to a limit; neither those that were withdrawn nor those of another authority.
        """
        ...

    async def invite_payer(self, new: NewPayerInvitation, secret: str, now: datetime) -> bool:
        """Keep an invitation, good once, under a secret; an earlier one of both is good no more.

        False when the authority has no such invoice any more: nothing is kept then.
        """
        ...

    async def payer_invitations(self, authority: str) -> list[PayerInvitation]:
        """Return the invitations of an authority's agents, the latest first, up to a limit."""
        ...

    async def cancel_payer_invitation(
        self, authority: str, invitation_id: UUID, now: datetime
    ) -> bool:
        """Make an invitation worthless; False when the authority has no such one pending."""
        ...

    async def payer_invitation(self, secret: str, now: datetime) -> InvitedPayer | None:
        """Return what a secret invites to, or None when it cannot be accepted any more."""
        ...

    async def accept_payer_invitation(
        self, secret: str, account_id: UUID, now: datetime
    ) -> InvitedPayer | None:
        """Give an invitation to an account and use its secret up; None when it cannot be.

        Of two who bring it at once, one gets None.
        """
        ...
