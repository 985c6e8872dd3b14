"""What payment needs from the outside."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date, datetime
from typing import Protocol
from uuid import UUID

import msgspec

from payment.domain import Attempt, Notice, NoticeOutcome, PayableInvoice
from shared.errors import PermanentError
from shared.events import Event, InvoicePublished, InvoiceWithdrawn


class MalformedNoticeError(PermanentError):
    """The bytes are no notice of this provider: a field is missing, comes twice or has no sense."""

    slug = "malformed-notice"


class NoticeRefusedError(PermanentError):
    """The notice does not prove that it comes from the provider."""

    slug = "notice-refused"


class PaymentForm(msgspec.Struct, frozen=True, kw_only=True):
    """What the payer's browser posts to the provider."""

    url: str
    method: str
    fields: dict[str, str]


class Handover(msgspec.Struct, frozen=True, kw_only=True):
    """A form, and the number and day under which the provider files it."""

    form: PaymentForm
    provider_day: date
    provider_number: str


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a provider."""

    order_id: str
    amount_cents: int
    email: str | None
    return_url: str
    language: str


class Provider(Protocol):
    """A provider of online payment, for one account of an authority."""

    @property
    def name(self) -> str:
        """Name of the provider, as events carry it."""
        ...

    @property
    def account(self) -> str:
        """Name of the account."""
        ...

    async def prepare(self, order: Order) -> Handover:
        """Return the form that leads the payer to the provider; calls nobody."""
        ...

    def read_notice(self, body: bytes) -> Notice:
        """Return what a notice says, its signature checked on the raw values.

        Raises:
            MalformedNoticeError: it is not a notice of this provider.
            NoticeRefusedError: its signature is wrong.
        """
        ...


class Providers(Protocol):
    """The accounts that are configured."""

    def for_regies(self, authority: str, regies: set[str]) -> Provider | None:
        """Return the account that takes the money of all these régies, or None."""
        ...

    def by_account(self, provider: str, account: str) -> Provider | None:
        """Return an account by name, or None."""
        ...


class Payments(Protocol):
    """Invoices, attempts and notices, within one transaction."""

    async def keep_invoices(self, published: Sequence[InvoicePublished]) -> None:
        """Keep the highest version of each invoice."""
        ...

    async def withdraw(self, withdrawn: Sequence[InvoiceWithdrawn]) -> None:
        """Close invoices up to a version, also ones that are not known yet."""
        ...

    async def lock_invoices(self, invoice_ids: Sequence[UUID]) -> list[PayableInvoice]:
        """Return invoices locked until the transaction ends, in the order asked.

        What was captured for them cannot change while the lock holds.
        """
        ...

    async def open_attempts(self, invoice_ids: Sequence[UUID]) -> list[Attempt]:
        """Return the open attempts of these invoices."""
        ...

    async def by_key(self, idempotency_key: str) -> tuple[Attempt, PaymentForm] | None:
        """Return the attempt that was started under a key, with its form."""
        ...

    async def release_key(self, payment_id: UUID) -> None:
        """Let the key of an attempt that came to nothing start another one."""
        ...

    async def start(
        self, attempt: Attempt, handover: Handover, idempotency_key: str | None
    ) -> bool:
        """Keep a new attempt; False when its key, or the provider's number of the day, was used."""
        ...

    async def find(self, payment_id: UUID, *, lock: bool = False) -> Attempt | None:
        """Return an attempt, or None."""
        ...

    async def lock_order(self, provider: str, account: str, order_id: str) -> Attempt | None:
        """Return the attempt of an order, or None; it and its invoices are locked."""
        ...

    async def move(self, attempt: Attempt, at: datetime) -> None:
        """Keep an attempt's new state, which is not open any more."""
        ...

    async def keep_notice(
        self,
        provider: str,
        account: str,
        notice: Notice,
        body: bytes,
        outcome: NoticeOutcome,
        at: datetime,
    ) -> bool:
        """Keep a notice as it came; False when this fact was told before.

        A fact whose order was unknown then, and is known now, counts as new.
        """
        ...

    async def expired(self, now: datetime, limit: int) -> list[Attempt]:
        """Return open attempts past their time, locked until the transaction ends."""
        ...


class Unit(Protocol):
    """One transaction: payments and outbox commit together."""

    @property
    def payments(self) -> Payments:
        """Payments within this transaction."""
        ...

    async def publish(self, events: Sequence[Event]) -> None:
        """Add events to the outbox."""
        ...


OpenUnit = Callable[[], AbstractAsyncContextManager[Unit]]
