"""What reconciliation needs from the outside."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date, datetime, timedelta
from typing import Protocol
from uuid import UUID

import msgspec

from reconciliation.domain.ledger import AccountState, Posting
from reconciliation.domain.webhooks import TEST, TYPES, DeliveryState, EventType, Outcome, Verdict
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


class Fed(msgspec.Struct, frozen=True, kw_only=True):
    """Positions of an authority's feed that one batch took, the first and the last included."""

    authority: str
    first: int
    last: int


class FeedItem(msgspec.Struct, frozen=True, kw_only=True):
    """An item as billers read it; `position` grows with each item of the authority."""

    event_id: UUID
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


class FeedReader(msgspec.Struct, frozen=True, kw_only=True):
    """A client of an authority: the name that tokens give it."""

    authority: str
    client: str


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

    async def feed(self, items: Sequence[Collection], at: datetime) -> list[Fed]:
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

    async def cursor(self, reader: FeedReader) -> int:
        """Return how far a client says that it has read the feed."""
        ...

    async def acknowledge(
        self, reader: FeedReader, position: int, at: datetime, *, may_rewind: bool
    ) -> int | None:
        """Keep how far a client has read and return it: it goes back only if it may.

        Returns None for a position that the feed has not reached: what comes would be skipped.
        """
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


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where a client wants to be told, and how that goes."""

    endpoint_id: UUID
    authority: str
    client: str
    url: str
    description: str
    regies: tuple[str, ...] | None
    granted: tuple[str, ...]
    state: str
    created_at: datetime
    failures: int = 0
    failing_since: datetime | None = None
    succeeded_at: datetime | None = None
    failed_at: datetime | None = None


class Backlog(msgspec.Struct, frozen=True, kw_only=True):
    """What an endpoint has not got."""

    waiting: int
    parked: int
    oldest_waiting_at: datetime | None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event for one endpoint; `event` is None for a test, whose event id is its own."""

    delivery_id: UUID
    sequence: int
    state: DeliveryState
    tries: int
    created_at: datetime
    due_at: datetime
    ended_at: datetime | None
    event: FeedItem | None

    @property
    def event_id(self) -> UUID:
        """The id that every try of it carries."""
        return self.event.event_id if self.event else self.delivery_id

    @property
    def type(self) -> EventType:
        """What it is called on the wire."""
        return TYPES[self.event.kind] if self.event else TEST


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """How one call ended: the status, if one came, and the beginning of what was answered."""

    outcome: Outcome
    status: int | None = None
    detail: str = ""
    answer: bytes = b""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """A call that was made, and how long it took."""

    at: datetime
    call: Call
    took: timedelta


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that this worker alone may make until its lease ends."""

    claim_id: UUID
    claimed_until: datetime
    endpoint_id: UUID
    url: str
    secrets: tuple[bytes, ...]
    delivery: Delivery


class Webhooks(Protocol):
    """Endpoints and their deliveries, within one transaction."""

    async def hold(self, authority: str) -> None:
        """Let nothing be booked for the authority until the transaction ends.

        Whoever decides which events an endpoint gets sees all that are booked, and those booked
        later see what was decided.
        """
        ...

    async def endpoint(self, reader: FeedReader, granted: Sequence[str]) -> Endpoint | None:
        """Return a client's endpoint, or None; notes the régies that its token covers now."""
        ...

    async def keep_endpoint(self, endpoint: Endpoint) -> None:
        """Keep an endpoint that is new or was changed; it starts in good health."""
        ...

    async def delete_endpoint(self, endpoint_id: UUID) -> None:
        """Forget an endpoint and its secrets now; what was sent to it goes little by little."""
        ...

    async def backlog(self, endpoint_id: UUID) -> Backlog:
        """Return what an endpoint has not got."""
        ...

    async def add_secret(
        self, endpoint_id: UUID, sealed: bytes, at: datetime, retires_at: datetime
    ) -> bool:
        """Add a secret; those before it retire then. False if too many live already."""
        ...

    async def announce(self, fed: Sequence[Fed], at: datetime) -> None:
        """Add a delivery of what was booked for each endpoint that wants it."""
        ...

    async def send_since(
        self, endpoint: Endpoint, after: int, at: datetime, limit: int
    ) -> int | None:
        """Send what stands in the feed beyond a position; None, and nothing, beyond `limit`."""
        ...

    async def send_again(
        self, endpoint: Endpoint, span: tuple[datetime, datetime], at: datetime, limit: int
    ) -> int | None:
        """Send what was booked in a span of time; None, and nothing, if it is beyond `limit`."""
        ...

    async def send_waiting(self, endpoint_id: UUID, at: datetime) -> None:
        """Try what waits now, from the bottom of the ladder."""
        ...

    async def add_test(self, endpoint_id: UUID, at: datetime) -> UUID | None:
        """Add a delivery of nothing but itself; None if too many wait already."""
        ...

    async def replay(self, endpoint_id: UUID, delivery_id: UUID, at: datetime) -> bool:
        """Send one delivery again; False if the endpoint has none of that id."""
        ...

    async def deliveries(
        self, endpoint_id: UUID, state: DeliveryState | None, before: int, limit: int
    ) -> list[Delivery]:
        """Return deliveries, the newest first, from before a sequence number on."""
        ...

    async def delivery(self, endpoint_id: UUID, delivery_id: UUID) -> Delivery | None:
        """Return one delivery of an endpoint, or None."""
        ...

    async def attempts(self, delivery_id: UUID) -> list[Attempt]:
        """Return every call of a delivery, oldest first."""
        ...


class Deliveries(Protocol):
    """The queue of deliveries; each call is a transaction of its own."""

    async def claim(self) -> Claim | None:
        """Hold the next delivery, of the endpoint that was served longest ago.

        No endpoint has more calls under way than it may, and of an invoice only the oldest event
        that waits is given.
        """
        ...

    async def record(self, claim: Claim, attempt: Attempt, verdict: Verdict) -> None:
        """Note a call, the endpoint's health, and the verdict if the claim still stands."""
        ...


class Sender(Protocol):
    """The way out to other people's servers."""

    async def check(self, url: str) -> None:
        """Return if the address may be called.

        Raises:
            ForbiddenUrlError: it may not, or its name leads nowhere.
        """
        ...

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Call:
        """Post once and return how it ended, within seconds; never follows a redirect."""
        ...


class Sealer(Protocol):
    """Keeps secrets so that the database alone does not give them away."""

    def seal(self, secret: bytes) -> bytes:
        """Return what may be stored."""
        ...

    def open(self, sealed: bytes) -> bytes:
        """Return the secret.

        Raises:
            SealError: it was sealed under a key that is not here.
        """
        ...


class Unit(Protocol):
    """One transaction: books, deliveries and outbox commit together."""

    @property
    def books(self) -> Books:
        """The books within this transaction."""
        ...

    @property
    def webhooks(self) -> Webhooks:
        """The endpoints and their deliveries within this transaction."""
        ...

    async def publish(
        self, events: Sequence[Event], caused_by: Message[Event] | None = None
    ) -> None:
        """Add events to the outbox."""
        ...


OpenUnit = Callable[[], AbstractAsyncContextManager[Unit]]
