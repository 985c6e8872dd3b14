"""A payer wants to pay."""

from datetime import datetime, timedelta
from uuid import UUID, uuid4

import msgspec

from payment.domain import (
    Attempt,
    AttemptState,
    DifferentAccountsError,
    NotPayableError,
    PayableInvoice,
    allocate,
    moved,
    new_order_id,
)
from payment.ports import OpenUnit, Order, PaymentForm, Payments, Provider, Providers
from shared.clock import Clock
from shared.errors import DomainError, TransientError

NUMBER_DRAWS = 5


class UnknownInvoiceError(DomainError):
    """No such invoice is published here, or not yet."""

    slug = "unknown-invoice"


class KeyReusedError(DomainError):
    """The idempotency key belongs to a payment of other invoices."""

    slug = "idempotency-key-reused"


class InProgressError(DomainError):
    """Another attempt for one of the invoices is open."""

    slug = "payment-in-progress"

    def __init__(self, attempt: Attempt) -> None:
        """Name the attempt that is open."""
        super().__init__("Un paiement de cette facture est déjà en cours.")
        self.attempt = attempt


class NumberTakenError(TransientError):
    """Every number drawn for the provider was used today."""

    slug = "provider-number-taken"


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """Who wants to pay what, and where to come back to."""

    invoice_ids: tuple[UUID, ...]
    return_url: str
    email: str | None = None
    language: str = "fr"
    idempotency_key: str | None = None


async def start_payment(
    demand: Demand, open_unit: OpenUnit, providers: Providers, clock: Clock, lifetime: timedelta
) -> tuple[Attempt, PaymentForm]:
    """Open an attempt for all that is owed on the invoices and return the provider's form.

    The same idempotency key gives the same attempt and form while it is open, and a new attempt
    once it came to nothing: a provider takes no form twice. One past its time is closed first.

    Raises:
        UnknownInvoiceError, NotPayableError: they cannot be paid.
        KeyReusedError: the key was used for other invoices.
        InProgressError: one attempt at a time for each invoice.
        NumberTakenError: try again in a moment.
    """
    for _ in range(NUMBER_DRAWS):
        # Read first: which account takes the money decides how the form is made.
        async with open_unit() as unit:
            invoices = await _invoices(unit.payments, demand)
        provider = _provider(invoices, providers)
        order_id = new_order_id()
        amount_cents = sum(allocation.amount_cents for allocation in allocate(invoices))
        handover = await provider.prepare(
            Order(
                order_id=order_id,
                amount_cents=amount_cents,
                email=demand.email,
                return_url=demand.return_url,
                language=demand.language,
            )
        )
        async with open_unit() as unit:
            payments = unit.payments
            invoices = await _invoices(payments, demand)
            now = clock.now()
            earlier = await _earlier(payments, demand, now)
            if earlier is not None:
                return earlier
            await _close_expired(payments, demand, now)
            allocations = allocate(invoices)
            if sum(allocation.amount_cents for allocation in allocations) != amount_cents:
                # A payment or a new version came in between: what is owed has changed.
                continue
            attempt = Attempt(
                payment_id=uuid4(),
                order_id=order_id,
                authority=invoices[0].authority,
                provider=provider.name,
                account=provider.account,
                amount_cents=amount_cents,
                state=AttemptState.OPEN,
                email=demand.email,
                started_at=now,
                expires_at=now + lifetime,
                allocations=allocations,
            )
            if await payments.start(attempt, handover, demand.idempotency_key):
                return attempt, handover.form
    raise NumberTakenError


async def _invoices(payments: Payments, demand: Demand) -> list[PayableInvoice]:
    invoices = await payments.lock_invoices(demand.invoice_ids)
    if len(invoices) != len(demand.invoice_ids):
        message = "Cette facture n’est pas connue."
        raise UnknownInvoiceError(message)
    return invoices


def _provider(invoices: list[PayableInvoice], providers: Providers) -> Provider:
    allocate(invoices)
    authority = invoices[0].authority
    provider = providers.for_regies(authority, {invoice.regie for invoice in invoices})
    if provider is None and len(invoices) > 1:
        message = "Ces factures ne peuvent être payées ensemble."
        raise DifferentAccountsError(message)
    if provider is None:
        message = "Cette régie n’accepte pas encore le paiement en ligne."
        raise NotPayableError(message)
    return provider


async def _earlier(
    payments: Payments, demand: Demand, now: datetime
) -> tuple[Attempt, PaymentForm] | None:
    if demand.idempotency_key is None:
        return None
    earlier = await payments.by_key(demand.idempotency_key)
    if earlier is None:
        return None
    attempt, _ = earlier
    if {part.invoice_id for part in attempt.allocations} != set(demand.invoice_ids):
        message = "Cette clé d’idempotence est celle du paiement d’autres factures."
        raise KeyReusedError(message)
    if attempt.state is AttemptState.OPEN and attempt.expires_at > now:
        return earlier
    await payments.release_key(attempt.payment_id)
    return None


async def _close_expired(payments: Payments, demand: Demand, now: datetime) -> None:
    for attempt in await payments.open_attempts(demand.invoice_ids):
        if attempt.expires_at > now:
            raise InProgressError(attempt)
        await payments.move(moved(attempt, AttemptState.EXPIRED), now)
