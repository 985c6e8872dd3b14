"""Paying: over to the provider's page."""

import secrets
from collections.abc import Sequence
from hashlib import sha256
from urllib.parse import parse_qsl, urlsplit, urlunsplit
from uuid import UUID

import msgspec
from aiohttp import web

from gateway.api.choosing import Choice, Choosing, known_email
from gateway.api.departure import KEY, Departure, remember, remembered
from gateway.api.forgery import Form, read_form
from gateway.api.language import language_of, say
from gateway.api.reasons import (
    ADDRESS_CODES,
    AMOUNT_CODES,
    IN_PROGRESS,
    is_of_one_invoice,
    refusal,
)
from gateway.api.site import see_other, site_of
from gateway.api.typed import cents_of, email_of
from gateway.api.web import RETURN_PATH, page, render
from gateway.ports import (
    OtherServices,
    PaymentDemand,
    PaymentForm,
    RefusedError,
    ServiceUnavailableError,
    StartedPayment,
)
from shared.http import Operation


class Paying:
    """From a choice to the provider's page."""

    def __init__(self, services: OtherServices, choosing: Choosing) -> None:
        """Ask payment through `services`; know what was chosen through `choosing`."""
        self._services = services
        self._choosing = choosing

    async def post_payment(self, request: web.Request) -> web.StreamResponse:
        """Open a payment and show the way to the provider's page.

        Which invoices, and which part of them if not all, is what the browser says; payment
        computes the amount and decides whether a part may be paid (ASVS 2.2.2).
        """
        fields = await read_form(request)
        choice = await self._choosing.chosen(request, fields.get("token"), fields.all("invoice_id"))
        typed = fields.get("montant").strip()
        cents = cents_of(typed) if typed else None
        email, email_error = _email(request, fields)
        if (typed and not cents) or email_error:
            return await self._choosing.show(
                request,
                choice,
                refused_amount="" if cents or not typed else "unreadable",
                typed=typed,
                email=fields.get("email"),
                email_error=email_error,
            )
        choice = msgspec.structs.replace(choice, amount_cents=cents)
        await self._abandon(fields.get("abandon"), choice.invoice_ids)
        given = fields.get("key")
        key = given if KEY.fullmatch(given) else secrets.token_urlsafe(24)
        demand = PaymentDemand(
            invoice_ids=choice.invoice_ids,
            # The address given to the provider holds no token: a cookie knows where to go on.
            return_url=f"{site_of(request).public_url}{RETURN_PATH}",
            amount_cents=cents,
            email=email or None,
            language=language_of(request),
            idempotency_key=_bound(key, choice),
        )
        try:
            started = await self._services.start_payment(demand)
        except RefusedError as error:
            return await self._refused(request, choice, fields, error)
        departure = Departure(
            payment_id=started.payment_id,
            key=key,
            token=choice.token,
            invoice_ids=() if choice.token else choice.invoice_ids,
            amount_cents=cents,
            email="" if known_email(request) else email,
        )
        return _handover(request, choice, started, departure)

    async def _refused(
        self, request: web.Request, choice: Choice, fields: Form, error: RefusedError
    ) -> web.StreamResponse:
        """Show what can be done about it, where something can."""
        if error.code == IN_PROGRESS:
            return _in_progress(request, choice, error.payment_id, fields.get("email"))
        if error.code == "email-needed":
            return see_other(choice.address)
        if error.code in AMOUNT_CODES:
            return await self._choosing.show(
                request,
                choice,
                refused_amount=error.code,
                typed=fields.get("montant"),
                email=fields.get("email"),
            )
        if error.provider_code in ADDRESS_CODES and not known_email(request):
            return await self._choosing.show(
                request, choice, email=fields.get("email"), email_error=_bad_email(request)
            )
        if len(choice.invoices) > 1 and is_of_one_invoice(request, error.code):
            # The others can be paid: the page says which, and offers it.
            return await self._choosing.show(request, choice, status=409)
        raise refusal(request, error) from error

    async def _abandon(self, payment_id: str, held: Sequence[UUID]) -> None:
        """Close an open payment of some of these very invoices, and of no other's."""
        if not payment_id:
            return
        try:
            state = await self._services.payment(UUID(payment_id))
            if state.state == "open" and set(held) & {part.invoice_id for part in state.invoices}:
                await self._services.abandon(state.payment_id)
        except (ValueError, RefusedError):
            return

    async def get_payment(self, _request: web.Request) -> web.Response:
        """Lead back whoever loads the address of a form again."""
        return see_other("/factures")

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [
            page("POST", "/payer", self.post_payment, "Open a payment; the way to the provider."),
            page("GET", "/payer", self.get_payment, "Back to the list: a form's own address."),
        ]


def _email(request: web.Request, fields: Form) -> tuple[str, str]:
    """Return the payer's address for the receipt, and what is wrong with the one they typed."""
    proved = known_email(request)
    if proved or not fields.all("email"):
        return proved, ""
    email = email_of(fields.get("email"))
    return (email, "") if email else ("", _bad_email(request))


def _bad_email(request: web.Request) -> str:
    return say(
        request, "Écrivez une adresse électronique complète, par exemple camille@example.org."
    )


def _bound(key: str, choice: Choice) -> str:
    """Return a key of this choice: for other invoices or another sum it means another payment."""
    ids = sorted(str(invoice_id) for invoice_id in choice.invoice_ids)
    return sha256("\n".join([key, *ids, str(choice.amount_cents or "")]).encode()).hexdigest()


def _in_progress(request: web.Request, choice: Choice, payment_id: str, email: str) -> web.Response:
    """Offer to go on where this browser left, and to start again."""
    departure = remembered(request)
    is_ours = departure is not None and str(departure.payment_id) == payment_id
    return render(
        request,
        "in_progress.html",
        status=409,
        choice=choice,
        email=email,
        payment_id=payment_id,
        # To go on means the same demand: the key is bound to the sum as well.
        earlier=departure if is_ours else None,
    )


def _handover(
    request: web.Request, choice: Choice, started: StartedPayment, departure: Departure
) -> web.Response:
    site = site_of(request)
    target = urlsplit(started.form.url)
    if f"{target.scheme}://{target.netloc}" not in site.payment_origins:
        # The browser would refuse it too: form-action names the same origins (ASVS 3.7.2).
        message = f"{target.scheme}://{target.netloc} is not in PAYMENT_PAGE_ORIGINS"
        raise ServiceUnavailableError(message)
    response = render(
        request,
        "handover.html",
        choice=choice,
        form=sendable(started.form),
        amount_cents=started.amount_cents,
    )
    remember(request, response, departure)
    return response


def sendable(form: PaymentForm) -> PaymentForm:
    """Return a form that keeps its query: a browser replaces the one of a GET form's address."""
    if form.method.upper() != "GET":
        return form
    parts = urlsplit(form.url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    return PaymentForm(
        url=urlunsplit(parts._replace(query="", fragment="")),
        method="GET",
        fields=query | form.fields,
    )
