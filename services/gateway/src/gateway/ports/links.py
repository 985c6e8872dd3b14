"""Whose invoices an account shows, why, and who else may see or pay them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID, uuid5

import msgspec

from shared.events import InvoiceDisappeared, InvoicePublished

Evidence = Literal[
    "paper_code", "reference_amount", "verified_email", "franceconnect", "agent", "delegation"
]
"""What proved that somebody may see a payer's invoices."""
Proven = Literal["paper_code", "reference_amount", "franceconnect", "agent"]
"""What makes a link; a proved address and a delegation hold as long as they are true."""

PAYER_NAMESPACE = UUID("6d0f3b52-9f57-4c7e-8a5e-2f7f5c0e9b11")
"""Fixed for ever: changing it would part every link from the invoices to come."""


def payer_id_of(invoice: InvoicePublished) -> UUID:
    """Return who owes: one payer for each authority and reference of its biller.

    Where the biller gave no reference of its own, the invoice stands for itself: a link to it shows
    no other.
    """
    reference = invoice.payer.own_reference
    if reference is None:
        return invoice.invoice_id
    # The separator is a control character, which no reference that ingestion accepts contains.
    return uuid5(PAYER_NAMESPACE, f"{invoice.authority}\x1f{reference}")


class Viewer(msgspec.Struct, frozen=True, kw_only=True):
    """An account that sees an invoice, for a time where somebody else's right is lent to it."""

    invoice_id: UUID
    account_id: UUID
    until: datetime | None = None

    @property
    def pair(self) -> tuple[UUID, UUID]:
        """Which invoice, in whose account."""
        return (self.invoice_id, self.account_id)


def disappearances(
    before: Sequence[Viewer], after: Sequence[Viewer], now: datetime
) -> list[InvoiceDisappeared]:
    """Return what is to be told of invoices that an account saw and sees no more in any way."""
    still = {viewer.pair for viewer in after}
    return [
        InvoiceDisappeared(
            invoice_id=viewer.invoice_id, account_id=viewer.account_id, disappeared_at=now
        )
        for viewer in before
        if viewer.pair not in still
    ]


class SeenPayer(msgspec.Struct, frozen=True, kw_only=True):
    """A payer whose invoices an account shows, and one reason for it.

    `number` is the invoice that proved it; `others` is how many other accounts see them by
    themselves.
    """

    payer_id: UUID
    authority_name: str
    regie_labels: tuple[str, ...]
    payer_name: str
    count: int
    evidence: Evidence
    number: str = ""
    score: int | None = None
    since: datetime
    others: int = 0


class OtherHolder(msgspec.Struct, frozen=True, kw_only=True):
    """The proved address of somebody who sees a payer too, and their language."""

    email: str
    language: str


class PastLink(msgspec.Struct, frozen=True, kw_only=True):
    """A link that ended: what it was, until when and why."""

    authority_name: str
    evidence: Evidence
    number: str
    since: datetime
    revoked_at: datetime
    revoked_why: str


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A payer who may be the owner of the account: nothing is told but where, and how many."""

    payer_id: UUID
    authority: str
    authority_name: str
    regie_labels: tuple[str, ...]
    count: int
    score: int


class NewLink(msgspec.Struct, frozen=True, kw_only=True):
    """A payer whom an account is to be linked to, and what proves it."""

    account_id: UUID
    evidence: Proven
    score: int | None = None


class MatchedAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account that FranceConnect's identity has linked to a payer by itself."""

    account_id: UUID
    payer_id: UUID
    authority: str
    authority_name: str
    number: str


class Delegation(msgspec.Struct, frozen=True, kw_only=True):
    """What one account lets another do, as both sides see it.

    `owner` and `delegate` are how they are shown; `evidence` tells what the owner's own right rests
    on, one word for each payer.
    """

    delegation_id: UUID
    owner_id: UUID
    owner: str
    email: str
    delegate: str
    can_read: bool
    can_pay: bool
    invited_at: datetime
    secret_expires_at: datetime
    ends_at: datetime
    accepted_at: datetime | None
    ended_at: datetime | None
    ended_by: str | None
    payer_ids: tuple[UUID, ...]
    payers: tuple[str, ...] = ()

    def state(self, now: datetime) -> str:
        """Return the one word that says how it stands: the first that is true."""
        if self.ended_at is not None:
            return "ended"
        if self.ends_at <= now:
            return "expired"
        if self.accepted_at is not None:
            return "valid"
        return "invited" if self.secret_expires_at > now else "lapsed"


class Invitation(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody whom the owner of an account lets see or pay, from acceptance to an end."""

    delegation_id: UUID
    owner_id: UUID
    payer_ids: tuple[UUID, ...]
    email: str
    can_read: bool
    can_pay: bool
    ends_at: datetime


class Links(Protocol):
    """Links of accounts to payers; whose they are is part of every question."""

    async def viewers(self, invoice_ids: Sequence[UUID]) -> list[Viewer]:
        """Return who sees each of these invoices now, and until when.

        By a link, by a proved address, or by a delegation that lets them read and has not ended.
        """
        ...

    async def link(self, invoice_id: UUID, new: NewLink, now: datetime) -> bool:
        """Tie an account to the payer of an invoice; False when it was tied before.

        Whoever proves it lifts a refusal of theirs.
        """
        ...

    async def note_others(
        self, account_id: UUID, invoice_id: UUID, kind: str, now: datetime
    ) -> list[OtherHolder]:
        """Write down, for who sees an invoice's payer too, that an account now does; return them.

        Only those with a proved address, up to a limit; who it is that sees them is not written.
        """
        ...

    async def is_lent(self, account_id: UUID, invoice_id: UUID, now: datetime) -> bool:
        """Tell whether an account sees the payer of an invoice by a delegation alone."""
        ...

    async def seen_payers(self, account_id: UUID) -> list[SeenPayer]:
        """Return every payer whom an account sees by itself, with each reason for it."""
        ...

    async def past_links(self, account_id: UUID) -> list[PastLink]:
        """Return the links of an account that ended, the latest first, up to a limit."""
        ...

    async def revoke(self, account_id: UUID, payer_id: UUID, why: str, now: datetime) -> bool:
        """Show a payer's invoices no more and let nothing bring them back unasked.

        False when the account does not see them by itself.
        """
        ...

    async def match_identity(self, account_id: UUID, now: datetime) -> list[MatchedAccount]:
        """Link an account to the payers who are, beyond doubt, who FranceConnect says it is.

        Where two payers of an authority match alike, to neither. Calling it again changes nothing.
        """
        ...

    async def proposals(self, account_id: UUID) -> list[Proposal]:
        """Return the payers who may be the owner of an account, the likeliest first."""
        ...

    async def confirm(
        self, account_id: UUID, payer_id: UUID, amount_cents: int, now: datetime
    ) -> bool:
        """Link an account to a payer proposed to it; False when no invoice of theirs has that sum.

        False too for a payer who is not proposed to this account.
        """
        ...

    async def refuse(self, account_id: UUID, payer_id: UUID, now: datetime) -> bool:
        """Propose a payer no more; False for one who is not proposed to this account."""
        ...


class Retrieval(Protocol):
    """Invoices found by what is printed on them, with neither account nor code."""

    async def authorities(self) -> list[tuple[str, str]]:
        """Return every authority with its name, by name."""
        ...

    async def printed(self, authority: str, reference: str) -> list[tuple[UUID, int, int]]:
        """Return invoices of a printed number or debt reference, as (invoice, year, cents)."""
        ...

    async def locked_for(self, authority: str, reference: str, now: datetime) -> float:
        """Count an attempt before it is made; return the seconds to wait instead, 0 to go on."""
        ...

    async def unlock(self, authority: str, reference: str) -> None:
        """Forget the wrong attempts for a reference: the right one was made."""
        ...

    async def open_for_browser(
        self, secret: str, browser: str, invoice_id: UUID, until: datetime
    ) -> None:
        """Open an invoice under a secret, for one browser alone, for a while."""
        ...


class Delegations(Protocol):
    """What owners of accounts let others do; whose it is is part of every question."""

    async def invite(
        self, invitation: Invitation, secret: str, until: datetime, now: datetime
    ) -> None:
        """Keep an invitation, good once until `until`, under a secret."""
        ...

    async def invitation(self, secret: str, now: datetime) -> Delegation | None:
        """Return the invitation of a secret that can still be accepted, or None."""
        ...

    async def accept(self, secret: str, account_id: UUID, now: datetime) -> Delegation | None:
        """Give an invitation to an account and use its secret up; None when it cannot be.

        Nobody is their own delegate.
        """
        ...

    async def delegations_of(self, account_id: UUID) -> list[Delegation]:
        """Return what an account gave to others and what others gave to it, the latest first."""
        ...

    async def end_delegation(self, account_id: UUID, delegation_id: UUID, now: datetime) -> bool:
        """End a delegation that an account gave or has; False when it is none of these."""
        ...
