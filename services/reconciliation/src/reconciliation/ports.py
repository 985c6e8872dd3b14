"""What reconciliation needs from the outside."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date, datetime
from typing import Protocol
from uuid import UUID

import msgspec

from reconciliation.domain.ledger import AccountState, Posting
from shared.envelope import Message
from shared.events import AuthorityConfigured, Event


class NamedInvoice(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice by id, with the names under which its account is opened if it is unknown."""

    invoice_id: UUID
    authority: str
    regie: str
    number: str


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry to post; `fact` names what it is about, for ever."""

    fact: str
    kind: str
    authority: str
    regie: str
    invoice_id: UUID
    payment_id: UUID | None
    accounting_date: date
    postings: tuple[Posting, ...]


class Collection(msgspec.Struct, frozen=True, kw_only=True):
    """One item of the feed: money that came in for an invoice, or went back."""

    fact: str
    kind: str
    payment_id: UUID
    invoice_id: UUID
    authority: str
    regie: str
    number: str
    amount_cents: int
    means: str
    provider: str
    provider_reference: str
    occurred_at: datetime


class FeedItem(msgspec.Struct, frozen=True, kw_only=True):
    """An item as billers read it; `position` grows with each item of the authority."""

    position: int
    kind: str
    payment_id: UUID
    invoice_id: UUID
    regie: str
    number: str
    amount_cents: int
    means: str
    provider: str
    provider_reference: str
    occurred_at: datetime
    recorded_at: datetime
    currency: str = "EUR"


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """The sum of one ledger account of one régie, in cents, debit above zero."""

    authority: str
    regie: str
    account: str
    amount_cents: int


class DayTotal(msgspec.Struct, frozen=True, kw_only=True):
    """What the books say was collected on one civil day by one régie, in cents."""

    authority: str
    day: date
    regie: str
    amount_cents: int


class Books(Protocol):
    """The books, within one transaction."""

    async def lock(self, invoices: Sequence[NamedInvoice]) -> dict[UUID, AccountState]:
        """Return the accounts, opened if need be, locked until the transaction ends."""
        ...

    async def keep(self, states: Sequence[AccountState]) -> None:
        """Keep the accounts' new state."""
        ...

    async def posted(self, facts: Sequence[str]) -> set[str]:
        """Return those of the facts that are in the books or in the feed already."""
        ...

    async def post(self, entries: Sequence[Entry], at: datetime) -> None:
        """Write entries; the database refuses one that does not sum to zero."""
        ...

    async def feed(self, items: Sequence[Collection], at: datetime) -> None:
        """Add items to the feed, each at the next position of its authority."""
        ...

    async def keep_policies(self, configured: AuthorityConfigured) -> None:
        """Remember when each régie reminds, unless a newer revision is known."""
        ...

    async def overdue(
        self, today: date, default_days: int, limit: int
    ) -> list[tuple[AccountState, int]]:
        """Return accounts that may be reminded, with their régie's days, locked."""
        ...

    async def keep_reminder(self, invoice_id: UUID, level: int, cents: int, at: datetime) -> None:
        """Note that a reminder was decided."""
        ...

    async def items(
        self, authority: str, regies: Sequence[str], after: int, limit: int
    ) -> list[FeedItem]:
        """Return the next items of the feed beyond a position, oldest first."""
        ...

    async def account(self, invoice_id: UUID) -> AccountState | None:
        """Return one invoice's account, or None."""
        ...

    async def balances(self, authority: str) -> list[Balance]:
        """Return the balances of an authority, or of all when it is empty."""
        ...

    async def collected(self, authority: str, first: date, last: date) -> list[DayTotal]:
        """Return what the feed says was collected, by day and régie."""
        ...


class Unit(Protocol):
    """One transaction: books and outbox commit together."""

    @property
    def books(self) -> Books:
        """The books within this transaction."""
        ...

    async def publish(
        self, events: Sequence[Event], caused_by: Message[Event] | None = None
    ) -> None:
        """Add events to the outbox."""
        ...


OpenUnit = Callable[[], AbstractAsyncContextManager[Unit]]
