"""What the gateway asks of the other services, and in which shapes they answer."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import date
from typing import Any, Protocol
from uuid import UUID

import msgspec

from gateway.ports.documents import DocumentServices
from shared.errors import PermanentError, TransientError


class RefusedError(PermanentError):
    """Another service refused, with its own code and French sentence."""

    slug = "refused"

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        """Keep what the problem document says."""
        super().__init__(f"{status} {problem.get('code')}")
        self.status = status
        self.code = str(problem.get("code", ""))
        self.detail = str(problem.get("detail", ""))
        self.payment_id = str(problem.get("payment_id", ""))
        self.provider_code = str(problem.get("provider_code", ""))


class ServiceUnavailableError(TransientError):
    """Another service did not answer, or not in a way that can be understood."""

    slug = "service-unavailable"


class PaymentForm(msgspec.Struct, frozen=True, kw_only=True):
    """What the payer's browser sends to the provider."""

    url: str
    method: str
    fields: dict[str, str]


class StartedPayment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment that was opened."""

    payment_id: UUID
    amount_cents: int
    form: PaymentForm


class PaidInvoice(msgspec.Struct, frozen=True, kw_only=True):
    """One invoice of a payment."""

    invoice_id: UUID
    number: str
    amount_cents: int


class PaymentState(msgspec.Struct, frozen=True, kw_only=True):
    """Where a payment stands.

    `open` on its way; `captured`, `refused`, `abandoned`, `expired` or `reversed` at its end.
    """

    payment_id: UUID
    state: str
    amount_cents: int
    invoices: tuple[PaidInvoice, ...] = ()
    returned_cents: int = 0


class PaymentDemand(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which invoices are to be paid, and where the payer comes back to.

    `amount_cents` is a part that the payer chose; without it, all that is owed is paid.
    """

    invoice_ids: tuple[UUID, ...]
    return_url: str
    amount_cents: int | None = None
    email: str | None = None
    language: str = "fr"
    idempotency_key: str | None = None


class QuoteDemand(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which invoices somebody thinks of paying, and which sum of theirs."""

    invoice_ids: tuple[UUID, ...]
    amount_cents: int | None = None


class AccountName(msgspec.Struct, frozen=True, kw_only=True):
    """An account at a provider."""

    provider: str
    account: str


class RefusedInvoice(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice that cannot be paid now: the reason as a code, and in payment's own French."""

    invoice_id: UUID
    reason: str
    sentence: str = ""


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """What a payment would be: its parts, oldest debt first, and what cannot be in it."""

    allocations: tuple[PaidInvoice, ...]
    total_cents: int
    outstanding_cents: int
    refused: tuple[RefusedInvoice, ...] = ()
    account: AccountName | None = None
    needs_email: bool = False


class Payability(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an invoice can be paid online now; if not, the reason as a code and in French.

    `minimum_cents` is the least that can be paid of it: all of it where no part can be.
    """

    payable: bool
    outstanding_cents: int
    minimum_cents: int
    reason: str | None = None
    sentence: str = ""
    accounts: tuple[AccountName, ...] = ()

    @property
    def takes_part(self) -> bool:
        """Whether the payer may pay a part."""
        return self.payable and self.minimum_cents < self.outstanding_cents


class CollectedItem(msgspec.Struct, frozen=True, kw_only=True):
    """What one régie collected on one day, in cents."""

    day: date
    regie: str
    amount_cents: int
    payments: int = 0


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """What an authority collected, by day and régie."""

    items: tuple[CollectedItem, ...] = ()


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """How long one step of the flow takes, in seconds."""

    step: str
    count: int
    mean_seconds: float
    p50_seconds: float
    p95_seconds: float


class Delays(msgspec.Struct, frozen=True, kw_only=True):
    """How long the steps take."""

    steps: tuple[Step, ...] = ()


class OtherServices(DocumentServices, Protocol):
    """Calls to the other services, by which the gateway asks for what needs an answer.

    All of them raise:
        RefusedError: the service refused, and says why.
        ServiceUnavailableError: it did not answer.
    """

    async def start_payment(self, demand: PaymentDemand) -> StartedPayment:
        """Open a payment; the same key again gives the same payment."""
        ...

    async def quote(self, demand: QuoteDemand) -> Quote:
        """Return what a payment would be, and start nothing."""
        ...

    async def payability(self, invoice_id: UUID) -> Payability:
        """Return whether an invoice can be paid online now."""
        ...

    async def payment(self, payment_id: UUID) -> PaymentState:
        """Return where a payment stands."""
        ...

    async def abandon(self, payment_id: UUID) -> PaymentState:
        """Close an open payment: the payer starts again."""
        ...

    async def come_back(self, payment_id: UUID) -> PaymentState:
        """Note that the payer is back, so that the provider is asked at once."""
        ...

    def document(self, invoice_id: UUID) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open the published PDF, to be read in pieces."""
        ...

    async def collected(self, authority: str, first: date, last: date) -> Collected:
        """Return what was collected, by day and régie."""
        ...

    async def delays(self, authority: str) -> Delays:
        """Return how long the steps take."""
        ...
