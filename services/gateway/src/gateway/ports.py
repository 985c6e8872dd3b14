"""What the gateway keeps and needs, and in which shapes."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Protocol
from uuid import UUID

import msgspec

from shared.events import InvoicePublished, InvoiceWithdrawn, ReminderDue


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """Money for one invoice: in above zero, back below."""

    fact: str
    invoice_id: UUID
    payment_id: UUID
    amount_cents: int
    means: str
    occurred_at: datetime


class InvoiceView(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice as the portal shows it."""

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
    payer_email: str | None
    readable_until: date
    paid_cents: int
    last_paid_at: datetime | None = None

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
    def is_payable(self) -> bool:
        """Whether the pay button is shown."""
        return self.outstanding_cents > 0 and self.route == "regie"

    def status(self, today: date) -> str:
        """Return the one word that says how it stands."""
        if self.is_withdrawn:
            return "retirée"
        if self.kind == "credit_note":
            return "avoir"
        if self.outstanding_cents == 0:
            return "payée"
        if self.paid_cents > 0:
            return "payée en partie"
        return "en retard" if self.due_on < today else "à payer"


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A citizen's account."""

    account_id: UUID
    email: str
    password_hash: str
    verified_at: datetime | None


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """An agent of an authority."""

    login: str
    password_hash: str
    authority: str
    authority_name: str


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


class ReadModel(Protocol):
    """What the handlers keep of the events, within one transaction."""

    async def keep_invoices(self, published: Sequence[InvoicePublished]) -> None:
        """Keep the highest version of each invoice."""
        ...

    async def withdraw(self, withdrawn: Sequence[InvoiceWithdrawn]) -> None:
        """Note withdrawals, also of invoices that are not known yet."""
        ...

    async def keep_movements(self, movements: Sequence[Movement]) -> None:
        """Note money in and out, once for each fact."""
        ...

    async def keep_reminders(self, reminders: Sequence[ReminderDue]) -> None:
        """Note that invoices were reminded."""
        ...
