"""A payer wants to pay."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID, uuid4

import msgspec

from payment.domain import (
    Attempt,
    AttemptState,
    FoundBy,
    Offer,
    PayableInvoice,
    Quote,
    new_order_id,
    quote,
    require_whole,
)
from payment.domain.ladder import LADDER
from payment.handlers.quote_payment import UnknownInvoiceError, holds_on, offers_of
from payment.handlers.record import record
from payment.ports import (
    Handover,
    OpenUnit,
    Order,
    PaymentForm,
    Provider,
    ProviderRefusedError,
    Providers,
    ProviderUnavailableError,
    Unit,
)
from shared.clock import Clock
from shared.errors import DomainError, TransientError

DRAWS = 5
KEY_KEPT_FOR = timedelta(hours=24)
PREPARING_AT_MOST = timedelta(seconds=60)
"""An attempt that is still being prepared after this was left by a process that died."""
PREPARE_LIMIT_SECONDS = 45.0
SESSION_MARGIN = timedelta(minutes=5)
TWIN_WAITS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Who clicks twice gets the form of the first click: the second waits a moment for it."""


class KeyReusedError(DomainError):
    """The idempotency key belongs to another demand."""

    slug = "idempotency-key-reused"


class TwinRunningError(DomainError):
    """The same demand under the same key is being worked on."""

    slug = "request-in-progress"


class EmailNeededError(DomainError):
    """The provider wants the payer's address."""

    slug = "email-needed"


class GivenUpError(DomainError):
    """The payer gave the attempt up while the provider prepared it."""

    slug = "payment-given-up"


class InProgressError(DomainError):
    """Another attempt for one of the invoices is in flight."""

    slug = "payment-in-progress"

    def __init__(self, attempt: Attempt) -> None:
        """Name the attempt that holds the invoice."""
        super().__init__("Un paiement de cette facture est déjà en cours.")
        self.attempt = attempt


class NumberTakenError(TransientError):
    """Every number drawn for the provider was used today, or the key was used all the time."""

    slug = "provider-number-taken"


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """Who wants to pay what, and where to come back to; `amount_cents` is the payer's own sum.

    `is_replay_exact`: the same key always gives the first result (`Idempotency-Key`). Without it
    the key of an attempt that came to nothing opens another.
    """

    invoice_ids: tuple[UUID, ...]
    return_url: str
    email: str | None = None
    language: str = "fr"
    amount_cents: int | None = None
    idempotency_key: str | None = None
    is_replay_exact: bool = False

    @property
    def sha256(self) -> bytes:
        """Fingerprint of what is asked; of the invoices and the sum where that is enough."""
        named = (sorted(str(invoice_id) for invoice_id in self.invoice_ids), self.amount_cents)
        rest = (self.return_url, self.email, self.language) if self.is_replay_exact else ()
        return sha256(msgspec.json.encode((named, rest))).digest()


Started = tuple[Attempt, PaymentForm]


async def start_payment(
    demand: Demand,
    open_unit: OpenUnit,
    providers: Providers,
    clock: Clock,
    lifetime: timedelta,
    *,
    twin_waits: Sequence[float] = TWIN_WAITS,
) -> Started:
    """Open an attempt on the invoices, oldest debt first, and return the provider's form.

    The attempt is kept, and holds its invoices, before the provider is called: a process that dies
    in between leaves a trace. The same idempotency key gives the same attempt and form.

    Raises:
        UnknownInvoiceError, NotPayableError, AmountRefusedError, EmailNeededError: it cannot be.
        KeyReusedError: the key was used for another demand.
        TwinRunningError: the same demand is being worked on.
        InProgressError: one attempt at a time for each invoice.
        GivenUpError: the payer gave it up meanwhile.
        ProviderRefusedError: the provider does not want this order; the invoices are free again.
        ProviderUnavailableError, NumberTakenError: try again in a moment.
    """
    for wait in (*twin_waits, None):
        try:
            opened = await _opened(demand, open_unit, providers, clock, lifetime)
        except TwinRunningError:
            if wait is None:
                raise
            await asyncio.sleep(wait)
            continue
        if isinstance(opened, tuple):
            return opened
        return await _hand_over(opened, open_unit, clock)
    raise TwinRunningError


class _Opened(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt that is kept, and what to ask of whom."""

    attempt: Attempt
    order: Order
    provider: Provider


async def _opened(
    demand: Demand, open_unit: OpenUnit, providers: Providers, clock: Clock, lifetime: timedelta
) -> _Opened | Started:
    for _ in range(DRAWS):
        async with open_unit() as unit:
            now = clock.now()
            invoices = await unit.invoices.lock(demand.invoice_ids)
            if len(invoices) != len(demand.invoice_ids):
                raise UnknownInvoiceError
            earlier = await _earlier(unit, demand, now)
            if earlier is not None:
                return earlier
            holder = await _holder(unit, demand, providers, now)
            opened = None
            if holder is None:
                found = await _quote(unit, demand, invoices, providers, now)
                opened = _draft(demand, invoices, found, providers, now, lifetime)
                if await unit.attempts.create(
                    opened.attempt, demand.idempotency_key, demand.sha256
                ):
                    if opened.provider.rules.can_be_asked:
                        await unit.polls.plan(opened.attempt.payment_id, now + LADDER[0])
                    return opened
        # Out of the transaction, so that what it wrote is kept.
        if holder is not None:
            raise InProgressError(holder)
    raise NumberTakenError


async def _earlier(unit: Unit, demand: Demand, now: datetime) -> Started | None:
    if demand.idempotency_key is None:
        return None
    keyed = await unit.attempts.by_key(demand.idempotency_key)
    if keyed is None:
        return None
    attempt = keyed.attempt
    is_kept = attempt.started_at + KEY_KEPT_FOR > now
    if is_kept and keyed.demand_sha256 not in {b"", demand.sha256}:
        message = "Cette clé d’idempotence est celle d’une autre demande."
        raise KeyReusedError(message)
    is_preparing = attempt.state is AttemptState.CREATED
    if is_preparing and attempt.started_at + PREPARING_AT_MOST > now:
        message = "La même demande est en cours de traitement."
        raise TwinRunningError(message)
    is_usable = attempt.is_in_flight and attempt.expires_at > now
    if is_kept and keyed.form is not None and (demand.is_replay_exact or is_usable):
        return attempt, keyed.form
    await unit.attempts.release_key(attempt.payment_id)
    return None


async def _holder(
    unit: Unit, demand: Demand, providers: Providers, now: datetime
) -> Attempt | None:
    """Return the attempt that holds one of the invoices, once those that are over are closed.

    One whose provider can be asked is asked first (P12), by the poll, at once.
    """
    for attempt in await unit.attempts.in_flight(demand.invoice_ids):
        was_left = (
            attempt.state is AttemptState.CREATED and attempt.started_at + PREPARING_AT_MOST <= now
        )
        provider = providers.by_account(attempt.provider, attempt.account)
        if was_left:
            # Nobody was given its form: nobody can pay it.
            await record(
                unit, attempt, AttemptState.ABANDONED, FoundBy.START, now, detail="left unprepared"
            )
        elif attempt.expires_at > now:
            return attempt
        elif provider is not None and provider.rules.can_be_asked:
            await unit.polls.hasten(attempt.payment_id, now)
            return attempt
        else:
            await record(unit, attempt, AttemptState.EXPIRED, FoundBy.CLOCK, now)
    return None


async def _quote(
    unit: Unit,
    demand: Demand,
    invoices: list[PayableInvoice],
    providers: Providers,
    now: datetime,
) -> Quote:
    holds = await holds_on(unit, demand.invoice_ids, now)
    return quote(invoices, offers_of(invoices, providers), holds, now, demand.amount_cents)


def _draft(
    demand: Demand,
    invoices: list[PayableInvoice],
    found: Quote,
    providers: Providers,
    now: datetime,
    lifetime: timedelta,
) -> _Opened:
    offer = require_whole(found)
    provider = providers.by_account(*offer.name)
    if provider is None:
        message = "an account that is offered is not configured"
        raise LookupError(message)
    if offer.rules.needs_email and demand.email is None:
        message = "Une adresse électronique est nécessaire pour payer cette facture en ligne."
        raise EmailNeededError(message)
    attempt = Attempt(
        payment_id=uuid4(),
        order_id=new_order_id(),
        authority=invoices[0].authority,
        provider=provider.name,
        account=provider.account,
        amount_cents=found.total_cents,
        state=AttemptState.CREATED,
        email=demand.email,
        started_at=now,
        expires_at=now + _lifetime(offer, lifetime),
        allocations=found.allocations,
    )
    one = invoices[0] if len(invoices) == 1 else None
    order = Order(
        order_id=attempt.order_id,
        amount_cents=attempt.amount_cents,
        email=demand.email,
        return_url=demand.return_url,
        language=demand.language,
        subject=(one.subject or one.number) if one else f"{len(found.allocations)} factures",
        fiscal_year=one.fiscal_year if one else None,
        debt_reference=one.debt_reference if one else None,
    )
    return _Opened(attempt=attempt, order=order, provider=provider)


def _lifetime(offer: Offer, lifetime: timedelta) -> timedelta:
    """Return how long an attempt holds its invoices: longer than the provider's own page lives."""
    return max(lifetime, offer.rules.session + SESSION_MARGIN)


async def _hand_over(opened: _Opened, open_unit: OpenUnit, clock: Clock) -> Started:
    for _ in range(DRAWS):
        try:
            async with asyncio.timeout(PREPARE_LIMIT_SECONDS):
                handover = await opened.provider.prepare(opened.order)
        except ProviderRefusedError as error:
            await _undo(opened, AttemptState.REFUSED, error.code, open_unit, clock)
            raise
        except (ProviderUnavailableError, TimeoutError) as error:
            # It may exist over there, but nobody was given the way to it; it is asked about too.
            await _undo(opened, AttemptState.ABANDONED, str(error), open_unit, clock)
            raise ProviderUnavailableError(str(error)) from error
        started = await _keep(opened, handover, open_unit, clock)
        if started is not None:
            return started
    await _undo(opened, AttemptState.ABANDONED, "no number was free", open_unit, clock)
    raise NumberTakenError


async def _keep(
    opened: _Opened, handover: Handover, open_unit: OpenUnit, clock: Clock
) -> Started | None:
    """Keep what the provider prepared; None when its number was used before."""
    async with open_unit() as unit:
        attempt = await unit.attempts.lock(opened.attempt.payment_id)
        if attempt is None or attempt.state is not AttemptState.CREATED:
            message = "Ce paiement a été abandonné."
            raise GivenUpError(message)
        if not await unit.attempts.hand_over(attempt.payment_id, handover):
            return None
        recorded = await record(unit, attempt, AttemptState.REDIRECTED, FoundBy.START, clock.now())
    after = recorded.verdict.attempt or attempt
    return msgspec.structs.replace(after, reference=handover.reference), handover.form


async def _undo(
    opened: _Opened, target: AttemptState, detail: str, open_unit: OpenUnit, clock: Clock
) -> None:
    """Free the invoices and the key of an attempt that could not be handed over."""
    async with open_unit() as unit:
        attempt = await unit.attempts.lock(opened.attempt.payment_id)
        await record(unit, attempt, target, FoundBy.START, clock.now(), detail=detail)
        await unit.attempts.release_key(opened.attempt.payment_id)
        if target is AttemptState.REFUSED:
            await unit.polls.stop(opened.attempt.payment_id)
