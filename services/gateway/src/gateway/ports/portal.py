"""What the portal keeps: invoices, money, people; in which shapes, within one transaction."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Protocol
from uuid import UUID

import msgspec

from gateway.ports.accounts import Account, AccountRecords, Facts
from gateway.ports.appearance import Looks
from gateway.ports.documents import DocumentRows
from gateway.ports.factors import Factors, Sessions
from gateway.ports.identity import Identities
from gateway.ports.invitations import PayerInvitations
from gateway.ports.links import Delegations, Links, Retrieval, Viewer
from gateway.ports.months import Months
from gateway.ports.paper import Paper
from gateway.ports.preferences import PreferenceRows
from shared.errors import TransientError
from shared.events import Event, InvoicePublished, InvoiceWithdrawn, ReminderDue


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """Money for one invoice: in above zero, back below."""

    fact: str
    invoice_id: UUID
    payment_id: UUID
    amount_cents: int
    means: str
    occurred_at: datetime


HIDDEN = "•••"
"""What stands for the number of an invoice whose document one may not read."""


class InvoiceView(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice as the portal shows it.

    Whoever sees it by a delegation may have the right to read its document, to pay it, or both.
    """

    invoice_id: UUID
    authority: str
    authority_name: str
    regie: str
    regie_label: str
    number: str
    version: int
    withdrawn_version: int
    kind: str
    route: str
    subject: str
    issued_on: date
    due_on: date
    amount_cents: int
    payer_name: str
    readable_until: date
    reminded_at: datetime | None = None
    paid_cents: int
    last_paid_at: datetime | None = None
    is_own: bool = True
    can_read: bool = True
    can_pay: bool = True
    is_sealed: bool = False
    """Whether more than the paper's code must be proved before its document is shown (K9)."""

    @property
    def is_withdrawn(self) -> bool:
        """Whether the authority took it back."""
        return self.withdrawn_version >= self.version

    @property
    def outstanding_cents(self) -> int:
        """What is still to pay here, in cents."""
        if self.is_withdrawn or self.kind == "credit_note":
            return 0
        return max(0, self.amount_cents - self.paid_cents)

    @property
    def is_owed(self) -> bool:
        """Whether something is left to pay; whether online and now is payment's to say."""
        return self.outstanding_cents > 0

    def status(self, today: date) -> str:
        """Return the one word that says how it stands: the first that is true."""
        if self.is_withdrawn:
            return "withdrawn"
        if self.kind == "credit_note":
            return "credit_note"
        if self.outstanding_cents == 0:
            return "paid"
        if self.due_on < today:
            return "overdue"
        return "partly_paid" if self.paid_cents > 0 else "to_pay"


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """An agent of an authority."""

    login: str
    password_hash: str


class Biller(msgspec.Struct, frozen=True, kw_only=True):
    """A billing application and what it may do."""

    client_id: str
    secret_sha256: bytes
    authority: str
    regies: tuple[str, ...]
    scopes: tuple[str, ...]


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """Who is behind a session: a citizen or an agent."""

    account_id: UUID | None = None
    email: str = ""
    is_verified: bool = False
    login: str = ""
    authority: str = ""
    authority_name: str = ""
    proved_at: datetime | None = None
    """When they last proved who they are, at the login or since."""


class Citizen(msgspec.Struct, frozen=True, kw_only=True):
    """A citizen who is logged in."""

    account_id: UUID
    email: str
    is_verified: bool


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """What attempts are counted under: `free` of them in a quarter of an hour, then ever slower."""

    name: str
    free: int
    longest_seconds: int


class ReadModel(Protocol):
    """What the handlers keep of the events, within one transaction.

    Events come in any order across topics and may come twice: the same set of facts always leaves
    the same rows.
    """

    async def keep_invoices(self, published: Sequence[InvoicePublished]) -> list[InvoicePublished]:
        """Keep the highest version of each invoice; return those that can be seen only now."""
        ...

    def now(self) -> datetime:
        """Return the time, as the clock of the transaction tells it."""
        ...

    async def keep_payer_identities(
        self, published: Sequence[InvoicePublished], now: datetime
    ) -> None:
        """Keep who payers are for the State, and link the accounts of exactly those people."""
        ...

    async def viewers(self, invoice_ids: Sequence[UUID]) -> list[Viewer]:
        """Return who sees each of these invoices now, and until when."""
        ...

    async def hold_sights(self) -> None:
        """Let nobody change what accounts see until the transaction ends.

        Asked for before `viewers`, so that what is told is still true when it is committed.
        """
        ...

    async def publish(self, *events: Event) -> None:
        """Tell facts to the other services, together with what the transaction changes."""
        ...

    async def withdraw(self, withdrawn: Sequence[InvoiceWithdrawn]) -> None:
        """Note withdrawals, also of invoices that are not known yet."""
        ...

    async def keep_movements(self, movements: Sequence[Movement]) -> None:
        """Note money in and out, once for each fact."""
        ...

    async def keep_reminders(self, reminders: Sequence[ReminderDue]) -> None:
        """Note the latest reminder of invoices, also of those that are not known yet."""
        ...


class Invoices(Protocol):
    """Invoices as pages ask for them; whose they are is part of every question."""

    async def own_invoices(self, account_id: UUID) -> list[InvoiceView]:
        """Return the newest invoices of an account, newest first, up to a limit."""
        ...

    async def own_invoice(self, account_id: UUID, invoice_id: UUID) -> InvoiceView | None:
        """Return one invoice of an account, or None when it is not theirs."""
        ...

    async def opened(self, secret: str, browser: str, now: datetime) -> InvoiceView | None:
        """Return the invoice that was found by its sum and is open in this browser, or None."""
        ...

    async def movements(self, invoice_id: UUID) -> list[Movement]:
        """Return the money that came and went for an invoice, oldest first."""
        ...


class Visitors(Protocol):
    """Accounts, sessions and attempts to get in."""

    async def find_account(self, email: str) -> Account | None:
        """Return the account of an address, or None."""
        ...

    async def add_account(self, account: Account, now: datetime) -> bool:
        """Open an account; False when the address has one, which stays as it is."""
        ...

    async def find_agent(self, login: str) -> Agent | None:
        """Return an agent, or None."""
        ...

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
        ...

    async def is_alarmed(self, kind: str, now: datetime) -> bool:
        """Tell whether an alarm of that kind was raised in this quarter of an hour."""
        ...

    async def count_alarm(self, kind: str, authority: str, limit: int, now: datetime) -> bool:
        """Count something suspicious; True once in a quarter of an hour, at the limit."""
        ...

    async def end_session(self, secret: str) -> None:
        """End a session on the server."""
        ...

    async def find_biller(self, client_id: str) -> Biller | None:
        """Return a billing application, or None."""
        ...

    async def regie_labels(self, authority: str) -> dict[str, str]:
        """Return the names of an authority's régies by code."""
        ...

    async def knock(self, buckets: Sequence[Bucket], now: datetime) -> timedelta | None:
        """Count one attempt before it is made; return how long to wait instead, or None to go on.

        Attempts that come at the same time are counted one after the other, so that many at once
        get no more tries than many in a row.
        """
        ...

    async def closed_for(self, buckets: Sequence[Bucket], now: datetime) -> timedelta | None:
        """Return how long to wait before an attempt, counting none; None to go on."""
        ...

    async def forgive(self, cleared: Bucket, lessened: Sequence[Bucket] = ()) -> None:
        """After a success: forget the attempts of one bucket and take one back from others."""
        ...


class Portal(
    Invoices,
    Visitors,
    Factors,
    Sessions,
    AccountRecords,
    DocumentRows,
    Identities,
    PreferenceRows,
    Looks,
    Months,
    Links,
    Retrieval,
    Delegations,
    PayerInvitations,
    Paper,
    Protocol,
):
    """All that pages keep and ask, within one transaction."""


class BusyError(TransientError):
    """More people try to log in at once than can be served."""

    slug = "busy"


class PasswordKeeper(Protocol):
    """Makes and checks hashes of passwords; both are slow on purpose.

    Both raise:
        BusyError: too many are waiting.
    """

    async def hash(self, password: str) -> str:
        """Return the hash to keep."""
        ...

    async def matches(self, password_hash: str | None, password: str) -> bool:
        """Tell whether a password is the right one; as slow when there is no one to compare to."""
        ...
