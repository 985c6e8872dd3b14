"""What payment remembers, within one transaction."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import msgspec

from payment.domain import (
    Attempt,
    AttemptState,
    FoundBy,
    Move,
    Notice,
    NoticeOutcome,
    PayableInvoice,
)
from payment.domain.parity import OurLine, TheirLine
from payment.ports.providers import Handover, PaymentForm, Question, RawNotice
from shared.events import Event, InvoicePublished, InvoiceWithdrawn


class Invoices(Protocol):
    """What may be paid, within one transaction."""

    async def keep(self, published: Sequence[InvoicePublished]) -> None:
        """Keep the highest version of each invoice."""
        ...

    async def withdraw(self, withdrawn: Sequence[InvoiceWithdrawn]) -> None:
        """Close invoices up to a version, also ones that are not known yet."""
        ...

    async def lock(self, invoice_ids: Sequence[UUID]) -> list[PayableInvoice]:
        """Return invoices locked until the transaction ends, in the order asked.

        What was captured for them cannot change while the lock holds.
        """
        ...

    async def read(self, invoice_ids: Sequence[UUID]) -> list[PayableInvoice]:
        """Return invoices as they are now, in the order asked; nothing is locked."""
        ...


class KeyedAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """What was started under an idempotency key; no form while the provider prepares it."""

    attempt: Attempt
    demand_sha256: bytes
    form: PaymentForm | None


class Attempts(Protocol):
    """Attempts with their history, within one transaction."""

    async def in_flight(self, invoice_ids: Sequence[UUID]) -> list[Attempt]:
        """Return the attempts that hold one of these invoices."""
        ...

    async def recent_starts(
        self, invoice_ids: Sequence[UUID], since: datetime
    ) -> dict[UUID, datetime]:
        """Return when the latest attempt of each invoice began, after `since`.

        Only attempts count that were closed without the provider's word.
        """
        ...

    async def by_key(self, idempotency_key: str) -> KeyedAttempt | None:
        """Return the attempt that was started under a key."""
        ...

    async def release_key(self, payment_id: UUID) -> None:
        """Let the key of an attempt start another one."""
        ...

    async def create(
        self, attempt: Attempt, idempotency_key: str | None, demand_sha256: bytes
    ) -> bool:
        """Keep a new attempt and its first history; False when its key was used meanwhile."""
        ...

    async def hand_over(self, payment_id: UUID, handover: Handover) -> bool:
        """Keep what the provider prepared; False when its number of the day was used before."""
        ...

    async def find(self, payment_id: UUID) -> Attempt | None:
        """Return an attempt, or None."""
        ...

    async def lock(self, payment_id: UUID) -> Attempt | None:
        """Return an attempt, or None; it and its invoices are locked."""
        ...

    async def lock_order(self, provider: str, account: str, order_id: str) -> Attempt | None:
        """Return the attempt of an order, or None; it and its invoices are locked."""
        ...

    async def by_reference(self, provider: str, account: str, reference: str) -> Attempt | None:
        """Return the attempt that the provider calls so, or None."""
        ...

    async def move(
        self, before: Attempt, after: Attempt, found_by: FoundBy, at: datetime, detail: str = ""
    ) -> None:
        """Keep an attempt as it is now, and in its history who found that, and when."""
        ...

    async def history(self, payment_id: UUID) -> list[Move]:
        """Return every move of an attempt, the first one first."""
        ...

    async def overdue(self, now: datetime, limit: int) -> list[UUID]:
        """Return attempts in flight past their time, that no poll will ask about."""
        ...

    async def listed(
        self, account: str, first: datetime, last: datetime, names: Sequence[str]
    ) -> list[OurLine]:
        """Return what an account captured in a period, and the attempts that have these names."""
        ...


class Notices(Protocol):
    """Every word of the providers, as it came, within one transaction."""

    async def keep(
        self,
        source: tuple[str, str],
        notice: Notice,
        raw: RawNotice,
        outcome: NoticeOutcome,
        at: datetime,
    ) -> bool:
        """Keep what an account (provider, name) said; False when this fact was told before.

        A fact whose order was unknown then, and is known now, counts as new.
        """
        ...

    async def keep_nudge(
        self, source: tuple[str, str], attempt: Attempt, raw: RawNotice, at: datetime
    ) -> None:
        """Keep a notice that proves nothing; the same one again is not kept again."""
        ...

    async def keep_statement(self, account: str, lines: Sequence[TheirLine]) -> None:
        """Keep a provider's list; a line that is there already is replaced."""
        ...

    async def statement(
        self, account: str, first: datetime, last: datetime, names: Sequence[str] = ()
    ) -> list[TheirLine]:
        """Return the lines of a period, and those that have one of these names."""
        ...


class Poll(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt to ask about, claimed."""

    payment_id: UUID
    provider: str
    account: str
    question: Question


class UnclearAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt that people must look at: the provider never said how it ended."""

    payment_id: UUID
    order_id: str
    authority: str
    provider: str
    account: str
    state: AttemptState
    amount_cents: int
    started_at: datetime
    asked_count: int
    last_error: str


class Polls(Protocol):
    """What is still to be asked, within one transaction."""

    async def plan(self, payment_id: UUID, at: datetime) -> None:
        """Ask about an attempt at `at`, for the first time."""
        ...

    async def hasten(self, payment_id: UUID, now: datetime) -> None:
        """Ask about an attempt as soon as may be; not one that is settled or cannot be asked."""
        ...

    async def stop(self, payment_id: UUID) -> None:
        """Ask no more: the provider has said how it ended."""
        ...

    async def claim(self, now: datetime, lease: timedelta, limit: int) -> list[Poll]:
        """Take what is due; nobody else takes it until the lease ends."""
        ...

    async def keep_answer(
        self,
        payment_id: UUID,
        *,
        asked_at: datetime,
        next_at: datetime | None,
        needs_people: bool,
        error: str = "",
        raw: bytes | None = None,
    ) -> None:
        """Keep that it was asked, when it is asked again, and whether people must look."""
        ...

    async def unclear(self, authority: str | None, limit: int) -> list[UnclearAttempt]:
        """Return the attempts that people must look at, the oldest first."""
        ...

    async def count_unclear(self) -> int:
        """Return how many attempts people must look at."""
        ...


class Unit(Protocol):
    """One transaction: invoices, attempts, notices, polls and outbox commit together."""

    @property
    def invoices(self) -> Invoices:
        """What may be paid."""
        ...

    @property
    def attempts(self) -> Attempts:
        """What was tried."""
        ...

    @property
    def notices(self) -> Notices:
        """What providers said."""
        ...

    @property
    def polls(self) -> Polls:
        """What is still to be asked."""
        ...

    async def publish(self, events: Sequence[Event]) -> None:
        """Add events to the outbox."""
        ...


OpenUnit = Callable[[], AbstractAsyncContextManager[Unit]]
