"""What a payment would be, told before anything is started."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from payment.domain import (
    SENTENCES,
    Hold,
    Offer,
    PayableInvoice,
    Quote,
    Reason,
    least_cents,
    quote,
    reason_against,
    reason_of_sum,
)
from payment.domain.payability import Payability
from payment.ports import OpenUnit, Providers, Unit
from shared.clock import Clock
from shared.errors import DomainError

RECENT = timedelta(hours=1)
"""Longer than any provider's pause between two attempts."""


class UnknownInvoiceError(DomainError):
    """No such invoice is published here, or not yet."""

    slug = "unknown-invoice"

    def __init__(self) -> None:
        """Say so to the payer."""
        super().__init__("Cette facture n’est pas connue.")


def offers_of(invoices: Sequence[PayableInvoice], providers: Providers) -> dict[UUID, Offer | None]:
    """Return the account that takes each invoice's money: its route and régie decide."""
    return {invoice.invoice_id: _offer(invoice, providers) for invoice in invoices}


def _offer(invoice: PayableInvoice, providers: Providers) -> Offer | None:
    provider = providers.for_regies(invoice.authority, {invoice.regie}, invoice.route)
    if provider is None:
        return None
    return Offer(
        provider=provider.name,
        account=provider.account,
        rules=provider.rules,
        terms=providers.terms(provider.name, provider.account),
    )


async def holds_on(unit: Unit, invoice_ids: Sequence[UUID], now: datetime) -> dict[UUID, Hold]:
    """Return what other attempts say against starting one."""
    recent = await unit.attempts.recent_starts(invoice_ids, now - RECENT)
    busy = {
        part.invoice_id
        for attempt in await unit.attempts.in_flight(invoice_ids)
        for part in attempt.allocations
    }
    return {
        invoice_id: Hold(is_in_flight=invoice_id in busy, recent_start=recent.get(invoice_id))
        for invoice_id in invoice_ids
    }


async def quote_payment(
    invoice_ids: Sequence[UUID],
    amount_cents: int | None,
    open_unit: OpenUnit,
    providers: Providers,
    clock: Clock,
) -> Quote:
    """Return what paying these invoices would be; starts and locks nothing.

    Raises:
        UnknownInvoiceError: one is not published here.
        AmountRefusedError: the payer's own sum cannot be paid.
    """
    now = clock.now()
    async with open_unit() as unit:
        invoices = await unit.invoices.read(invoice_ids)
        if len(invoices) != len(invoice_ids):
            raise UnknownInvoiceError
        holds = await holds_on(unit, invoice_ids, now)
    return quote(invoices, offers_of(invoices, providers), holds, now, amount_cents)


async def payabilities(
    invoice_ids: Sequence[UUID], open_unit: OpenUnit, providers: Providers, clock: Clock
) -> dict[UUID, Payability]:
    """Return whether invoices can be paid online now; those not published here are left out."""
    now = clock.now()
    async with open_unit() as unit:
        invoices = await unit.invoices.read(invoice_ids)
        recent = await unit.attempts.recent_starts(invoice_ids, now - RECENT)
        running: dict[UUID, datetime] = {}
        for attempt in await unit.attempts.in_flight(invoice_ids):
            for part in attempt.allocations:
                known = running.get(part.invoice_id, attempt.expires_at)
                running[part.invoice_id] = max(known, attempt.expires_at)
    found: dict[UUID, Payability] = {}
    for invoice in invoices:
        name = invoice.invoice_id
        hold = Hold(is_in_flight=name in running, recent_start=recent.get(name))
        found[name] = _payability(invoice, _offer(invoice, providers), hold, running.get(name), now)
    return found


def _payability(
    invoice: PayableInvoice,
    offer: Offer | None,
    hold: Hold,
    in_flight_until: datetime | None,
    now: datetime,
) -> Payability:
    reason = reason_against(invoice, offer, hold, now)
    if reason is None and offer is not None:
        reason = reason_of_sum(invoice.outstanding_cents, offer)
        if reason is Reason.ABOVE_MAXIMUM and least_cents(invoice, offer) <= (
            offer.rules.maximum_cents
        ):
            # A part of it can be paid.
            reason = None
    return Payability(
        payable=reason is None,
        reason=reason,
        sentence=SENTENCES[reason] if reason else "",
        outstanding_cents=invoice.outstanding_cents,
        minimum_cents=least_cents(invoice, offer) if offer else invoice.outstanding_cents,
        accounts=(offer.name,) if offer else (),
        in_flight_until=in_flight_until,
    )
