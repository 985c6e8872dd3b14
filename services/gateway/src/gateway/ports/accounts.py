"""What the portal keeps of accounts: proofs of addresses, what happened, all that is theirs."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, Protocol
from uuid import UUID

import msgspec

from shared.events import Event

ProofPurpose = Literal["open", "reset", "change", "undo"]
"""What a proof is good for: to confirm the address of an account that was opened, to set a
forgotten password, to confirm another address, to take that change back."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A citizen's account; who came through FranceConnect may have no address, nor password."""

    account_id: UUID
    email: str | None
    password_hash: str | None
    verified_at: datetime | None
    display_name: str = ""
    language: str = "fr"


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What a letter's secret proves: that whoever holds it reads the mail of `email`.

    `password_hash` and `browser_sha256` say who asked: the password that was chosen then, the
    digest of what that browser holds. Reading a mailbox does not make one the person who typed
    its address. Without `account_id` it is of the address alone, whoever claims that meanwhile.
    """

    purpose: ProofPurpose
    account_id: UUID | None
    email: str
    password_hash: str | None = None
    browser_sha256: bytes | None = None
    expires_at: datetime


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """From where something was done: a subscriber of the network, and a browser in words."""

    subscriber: str
    browser: str


class AccountEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to an account (ASVS 16.3)."""

    kind: str
    occurred_at: datetime
    subscriber: str
    browser: str


class PersonalTable(msgspec.Struct, frozen=True, kw_only=True):
    """What one table keeps of an account: its rows as JSON, without digests, hashes and keys."""

    name: str
    rows: list[dict[str, object]]


class AccountRecords(Protocol):
    """Accounts, and what proves that they are somebody's."""

    async def publish(self, *events: Event) -> None:
        """Tell facts to the other services, together with what the transaction changes."""
        ...

    async def account(self, account_id: UUID) -> Account | None:
        """Return an account, or None."""
        ...

    async def hold_address(self, email: str) -> None:
        """Let nobody else give or take that address until the transaction ends."""
        ...

    async def give_address(self, account_id: UUID, email: str, now: datetime) -> bool:
        """Make a proved address the account's; False when another account has proved it before.

        An account that only claimed the address is deleted: its owner never read its mail.
        """
        ...

    async def set_password(self, account_id: UUID, password_hash: str) -> None:
        """Keep another password."""
        ...

    async def set_profile(self, account_id: UUID, display_name: str, language: str) -> None:
        """Keep the name to be greeted by, and the language to be written to in."""
        ...

    async def end_sessions(self, account_id: UUID) -> None:
        """End every session of an account, and every login that waits for its second factor."""
        ...

    async def add_proof(self, secret: str, proof: Proof, now: datetime) -> None:
        """Keep the digest of a secret that a letter brings."""
        ...

    async def find_proof(
        self, secret: str, purposes: Sequence[ProofPurpose], now: datetime
    ) -> Proof | None:
        """Return what a secret proves, or None when it was used, is too old or for another end."""
        ...

    async def take_proof(
        self, secret: str, purposes: Sequence[ProofPurpose], now: datetime
    ) -> Proof | None:
        """Return what a secret proves and use it up: of two who come at once, one gets None."""
        ...

    async def drop_proofs(self, account_id: UUID, purposes: Sequence[ProofPurpose]) -> None:
        """Make an account's pending secrets of these purposes worthless."""
        ...

    async def drop_later_undos(self, used: Proof) -> None:
        """Make worthless what would take back changes of address that were made after this one.

        Their letters went to addresses that its owner did not choose.
        """
        ...

    async def pending_address(self, account_id: UUID, now: datetime) -> str | None:
        """Return the address that the account asked for and has not confirmed yet, or None."""
        ...

    async def is_first_within(self, name: str, span: timedelta, now: datetime) -> bool:
        """Tell whether this was not asked under that name for so long, and remember the asking."""
        ...

    async def note(self, account_id: UUID, kind: str, facts: Facts, now: datetime) -> None:
        """Write down what happened to an account, for its owner to read; never a secret."""
        ...

    async def account_events(self, account_id: UUID) -> list[AccountEvent]:
        """Return what happened to an account, newest first, up to a limit."""
        ...

    async def personal_data(self, account_id: UUID, invoice_ids: list[UUID]) -> list[PersonalTable]:
        """Return all that is kept of an account and of its invoices (RGPD, articles 15 and 20)."""
        ...

    async def close_account(self, account_id: UUID, now: datetime) -> None:
        """Delete an account with all that is its own, and tell it (RGPD, article 17).

        What happened stays for its time, without name, place or browser.
        """
        ...
