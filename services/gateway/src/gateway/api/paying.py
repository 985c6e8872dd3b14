"""Paying: over to the provider's page, and back."""

import re
import secrets
from hashlib import sha256
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
from aiohttp import web

from gateway.api.forgery import read_form
from gateway.api.invoices import TOKEN, InvoicePages
from gateway.api.language import language_of, say
from gateway.api.site import citizen_of, require_citizen, see_other, site_of
from gateway.api.web import RETURN_PATH, page, render
from gateway.ports import (
    InvoiceView,
    OtherServices,
    PaymentDemand,
    RefusedError,
    ServiceUnavailableError,
    StartedPayment,
)
from shared.http import Operation, ProblemError

INVOICES_AT_MOST = 50
KEY = re.compile(r"[A-Za-z0-9_-]{22,64}")
DEPARTURE_SECONDS = 3600
REFRESH_SECONDS = (2, 2, 3, 5, 8, 13, 21)
"""How long a payer's page waits before it looks again; after the last one it stops."""
HINT = "vads_trans_status"
HINTS = {"REFUSED": "refused", "ABANDONED": "abandoned", "CANCELLED": "abandoned"}
"""What the provider's return may tell before its notice does (Lyra)."""


class Departure(msgspec.Struct, frozen=True, kw_only=True):
    """What the browser remembers of a payment it left for; nothing in it is believed blindly."""

    payment_id: UUID
    key: str
    token: str = ""
    invoice_ids: tuple[UUID, ...] = ()

    @property
    def back(self) -> str:
        """The page from which the payer left."""
        if self.token:
            return f"/q/{self.token}"
        return f"/factures/{self.invoice_ids[0]}" if len(self.invoice_ids) == 1 else "/factures"


class Paying:
    """Pages of paying."""

    def __init__(self, services: OtherServices, invoices: InvoicePages) -> None:
        """Ask payment through `services`; find invoices through `invoices`."""
        self._services = services
        self._invoices = invoices

    async def post_payment(self, request: web.Request) -> web.StreamResponse:
        """Open a payment and show the way to the provider's page.

        Which invoices is all that the browser says: payment computes the amount (ASVS 2.2.2).
        """
        fields = await read_form(request)
        token = fields.get("token")
        invoices = await self._chosen(request, token, fields.all("invoice_id"))
        abandoned = fields.get("abandon")
        if abandoned:
            await self._abandon(abandoned, invoices)
        typed = fields.get("key")
        key = typed if KEY.fullmatch(typed) else secrets.token_urlsafe(24)
        citizen = citizen_of(request)
        demand = PaymentDemand(
            invoice_ids=tuple(invoice.invoice_id for invoice in invoices),
            # The address given to the provider holds no token: a cookie knows where to go on.
            return_url=f"{site_of(request).public_url}{RETURN_PATH}",
            email=citizen.email if citizen and citizen.is_verified else None,
            language=language_of(request),
            idempotency_key=_bound(key, invoices),
        )
        try:
            started = await self._services.start_payment(demand)
        except RefusedError as error:
            if error.code == "payment-in-progress":
                return self._in_progress(request, invoices, token, error.payment_id)
            raise _refusal(request, error) from error
        departure = Departure(
            payment_id=started.payment_id,
            key=key,
            token=token,
            invoice_ids=() if token else demand.invoice_ids,
        )
        return _handover(request, invoices, started, departure)

    def _in_progress(
        self, request: web.Request, invoices: list[InvoiceView], token: str, payment_id: str
    ) -> web.Response:
        """Offer to go on where this browser left, and to start again."""
        departure = _departure(request)
        is_ours = departure is not None and str(departure.payment_id) == payment_id
        return render(
            request,
            "in_progress.html",
            status=409,
            invoices=invoices,
            token=token,
            payment_id=payment_id,
            key=departure.key if departure is not None and is_ours else "",
            back=f"/q/{token}" if token else "/factures",
        )

    async def _chosen(
        self, request: web.Request, token: str, invoice_ids: list[str]
    ) -> list[InvoiceView]:
        """Return the invoices to pay: by token, or in the account."""
        if token:
            return [await self._invoices.by_token(request, token)]
        require_citizen(request)
        wanted = list(dict.fromkeys(invoice_ids))
        if not 0 < len(wanted) <= INVOICES_AT_MOST:
            sentence = say(request, "Choisissez au moins une facture à payer.")
            raise ProblemError(422, "no-invoice", sentence)
        return [await self._invoices.own(request, invoice_id) for invoice_id in wanted]

    async def _abandon(self, payment_id: str, invoices: list[InvoiceView]) -> None:
        """Close an open payment of some of these very invoices, and of no other's."""
        try:
            state = await self._services.payment(UUID(payment_id))
        except (ValueError, RefusedError):
            return
        held = {invoice.invoice_id for invoice in invoices}
        if state.state == "open" and held & {part.invoice_id for part in state.invoices}:
            await self._services.abandon(state.payment_id)

    async def get_return(self, request: web.Request) -> web.StreamResponse:
        """Show what became of the payment, as payment tells it; the browser brings a hint only.

        Nothing is believed of what the provider's page sent back, so a forged return shows nothing
        that is not so and changes nothing.
        """
        if any(name.startswith("vads_") for name in request.query.keys() - {HINT}):
            # What the provider adds (card brand, masked number) stays in no history of ours.
            return _clean_return(request.query.get(HINT, ""))
        departure = _departure(request)
        if departure is None:
            return render(
                request,
                "message.html",
                title=say(request, "Retour du paiement"),
                sentence=say(
                    request, "Votre facture dira dans un instant si le paiement est enregistré."
                ),
                reference="",
            )
        invoices = await self._left_for(request, departure)
        state, amount_cents = await self._outcome(departure, invoices)
        attempt = _attempt_number(request.query.get("essai", ""))
        hint = HINTS.get(request.query.get(HINT, ""), "")
        if state == "open" and hint and attempt == 0:
            # The payer knows already; the notice will say the same, and the invoice stays payable.
            state = hint
        waits = state == "open" and attempt < len(REFRESH_SECONDS)
        return render(
            request,
            "return.html",
            state="waiting" if state == "open" and not waits else state,
            amount_cents=amount_cents,
            invoices=invoices,
            back=departure.back,
            following=f"{RETURN_PATH}?essai={attempt + 1}",
            refresh_seconds=REFRESH_SECONDS[attempt] if waits else 0,
        )

    async def _left_for(self, request: web.Request, departure: Departure) -> list[InvoiceView]:
        ids = [str(invoice_id) for invoice_id in departure.invoice_ids]
        return await self._chosen(request, departure.token, ids)

    async def _outcome(self, departure: Departure, invoices: list[InvoiceView]) -> tuple[str, int]:
        """Return how the payment stands and its amount in cents.

        A payment that is not of these invoices is treated as unknown: its number was made up. When
        payment does not answer, what the events told of the invoices is what is known.
        """
        told = "open" if any(invoice.outstanding_cents for invoice in invoices) else "captured"
        cents = sum(invoice.outstanding_cents or invoice.amount_cents for invoice in invoices)
        try:
            found = await self._services.payment(departure.payment_id)
        except (RefusedError, ServiceUnavailableError):
            return told, cents
        held = {invoice.invoice_id for invoice in invoices}
        if not {part.invoice_id for part in found.invoices} <= held:
            return told, cents
        return found.state, found.amount_cents

    async def post_return(self, request: web.Request) -> web.StreamResponse:
        """Turn a provider's POST into a page that may be loaded again.

        A form from another site comes without our cookies (SameSite); the page it leads to has
        them.
        """
        return _clean_return((await read_form(request)).get(HINT))

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [
            page("POST", "/payer", self.post_payment, "Open a payment; the way to the provider."),
            page("GET", RETURN_PATH, self.get_return, "Back from the provider."),
            page("POST", RETURN_PATH, self.post_return, "Back from the provider."),
        ]


def _clean_return(status: str) -> web.Response:
    """Send the browser to the page of the outcome, with the hint and nothing else."""
    return see_other(f"{RETURN_PATH}?{HINT}={status}" if status in HINTS else RETURN_PATH)


def _bound(key: str, invoices: list[InvoiceView]) -> str:
    """Return a key of this choice of invoices: with other invoices it means another payment."""
    named = "\n".join([key, *sorted(str(invoice.invoice_id) for invoice in invoices)])
    return sha256(named.encode()).hexdigest()


def _handover(
    request: web.Request,
    invoices: list[InvoiceView],
    started: StartedPayment,
    departure: Departure,
) -> web.Response:
    site = site_of(request)
    target = urlsplit(started.form.url)
    if f"{target.scheme}://{target.netloc}" not in site.card_origins:
        # The browser would refuse it too: form-action names the same origins (ASVS 3.7.2).
        message = f"{target.scheme}://{target.netloc} is not in CARD_PROVIDER_ORIGINS"
        raise ServiceUnavailableError(message)
    response = render(
        request,
        "handover.html",
        invoices=invoices,
        form=started.form,
        amount_cents=started.amount_cents,
        back=departure.back,
    )
    value = msgspec.json.encode(departure).hex()
    site.keep(response, site.payment_cookie, value, DEPARTURE_SECONDS)
    return response


def _departure(request: web.Request) -> Departure | None:
    held = request.cookies.get(site_of(request).payment_cookie, "")
    try:
        departure = msgspec.json.decode(bytes.fromhex(held), type=Departure)
    except (ValueError, msgspec.DecodeError):
        return None
    is_ours = KEY.fullmatch(departure.key) and (
        TOKEN.fullmatch(departure.token) if departure.token else departure.invoice_ids
    )
    return departure if is_ours else None


def _attempt_number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 4 else 0


def _refusal(request: web.Request, error: RefusedError) -> ProblemError:
    """Return payment's refusal in the payer's language; an unknown one in its own words."""
    sentences = {
        "unknown-invoice": say(
            request, "Cette facture n’est pas encore prête à être payée. Revenez dans un instant."
        ),
        "already-paid": say(request, "Cette facture est déjà payée : vous n’avez rien à faire."),
        "withdrawn": say(request, "Cette facture a été retirée : vous n’avez rien à payer."),
        "different-accounts": say(request, "Ces factures ne peuvent être payées ensemble."),
    }
    status = 404 if error.code == "unknown-invoice" else 409
    return ProblemError(status, error.code, sentences.get(error.code, error.detail))
