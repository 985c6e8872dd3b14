"""Back from the provider's page: what became of the payment."""

from collections.abc import Sequence

import msgspec
from aiohttp import web

from gateway.api.choosing import Choice, Choosing
from gateway.api.departure import Departure, remembered
from gateway.api.forgery import read_form
from gateway.api.language import say
from gateway.api.site import see_other
from gateway.api.web import RETURN_PATH, page, render
from gateway.ports import (
    InvoiceView,
    OtherServices,
    PaymentState,
    RefusedError,
    ServiceUnavailableError,
)
from shared.http import Operation

REFRESH_SECONDS = (2, 2, 3, 5, 8, 13, 21)
"""How long a payer's page waits before it looks again; after the last one it stops."""
ATTEMPT = "essai"
HINT = "vads_trans_status"
HINTS = {"REFUSED": "refused", "ABANDONED": "abandoned", "CANCELLED": "abandoned"}
"""What the provider's return may tell before its notice does (Lyra)."""
MAY_BE_TRIED_AGAIN = frozenset({"refused", "abandoned", "expired"})


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a payment stands, as far as it is known."""

    state: str
    amount_cents: int
    shares: tuple[tuple[InvoiceView, int], ...]
    returned_cents: int = 0


class Returning:
    """Pages of the outcome."""

    def __init__(self, services: OtherServices, choosing: Choosing) -> None:
        """Ask payment through `services`; find what was chosen through `choosing`."""
        self._services = services
        self._choosing = choosing

    async def get_return(self, request: web.Request) -> web.StreamResponse:
        """Show what became of the payment, as payment tells it; the browser brings a hint only.

        Nothing is believed of what the provider's page sent back, so a forged return shows nothing
        that is not so and changes nothing.
        """
        if request.query.keys() - {HINT, ATTEMPT}:
            # What the provider adds (operation, masked number) stays in no history of ours.
            return _clean_return(request.query.get(HINT, ""))
        departure = remembered(request)
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
        ids = [str(invoice_id) for invoice_id in departure.invoice_ids]
        choice = await self._choosing.chosen(request, departure.token, ids)
        attempt = _attempt_number(request.query.get(ATTEMPT, ""))
        outcome = await self._outcome(departure, choice, is_first=attempt == 0)
        state = outcome.state
        hint = HINTS.get(request.query.get(HINT, ""), "")
        if state == "open" and hint and attempt == 0:
            # The payer knows already; the notice will say the same, and the invoice stays payable.
            state = hint
        waits = state == "open" and attempt < len(REFRESH_SECONDS)
        return render(
            request,
            "return.html",
            state="waiting" if state == "open" and not waits else state,
            outcome=outcome,
            choice=msgspec.structs.replace(choice, amount_cents=departure.amount_cents),
            departure=departure,
            may_try_again=state in MAY_BE_TRIED_AGAIN
            and any(invoice.is_owed for invoice in choice.invoices),
            following=f"{RETURN_PATH}?{ATTEMPT}={attempt + 1}",
            refresh_seconds=REFRESH_SECONDS[attempt] if waits else 0,
        )

    async def _outcome(self, departure: Departure, choice: Choice, *, is_first: bool) -> Outcome:
        """Return how the payment stands.

        A payment that is not of these invoices is treated as unknown: its number was made up. When
        payment does not answer, what the events told of the invoices is what is known.
        """
        try:
            found = await self._services.payment(departure.payment_id)
            if not _is_of(found, choice.invoices):
                return _as_told(choice.invoices)
            if is_first and found.state == "open":
                # So that the provider is asked at once, where it can be.
                found = await self._services.come_back(departure.payment_id)
        except (RefusedError, ServiceUnavailableError):
            return _as_told(choice.invoices)
        known = {invoice.invoice_id: invoice for invoice in choice.invoices}
        return Outcome(
            state=found.state,
            amount_cents=found.amount_cents,
            shares=tuple((known[part.invoice_id], part.amount_cents) for part in found.invoices),
            returned_cents=found.returned_cents,
        )

    async def post_return(self, request: web.Request) -> web.StreamResponse:
        """Turn a provider's POST into a page that may be loaded again.

        A form from another site comes without our cookies (SameSite); the page it leads to has
        them.
        """
        return _clean_return((await read_form(request)).get(HINT))

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [
            page("GET", RETURN_PATH, self.get_return, "Back from the provider."),
            page("POST", RETURN_PATH, self.post_return, "Back from the provider."),
        ]


def _is_of(found: PaymentState, invoices: Sequence[InvoiceView]) -> bool:
    held = {invoice.invoice_id for invoice in invoices}
    return {part.invoice_id for part in found.invoices} <= held


def _as_told(invoices: Sequence[InvoiceView]) -> Outcome:
    """Return what the events tell: paid once nothing is owed any more."""
    is_open = any(invoice.is_owed for invoice in invoices)
    shares = tuple(
        (invoice, invoice.outstanding_cents if is_open else invoice.amount_cents)
        for invoice in invoices
        if invoice.is_owed or not is_open
    )
    return Outcome(
        state="open" if is_open else "captured",
        amount_cents=sum(cents for _, cents in shares),
        shares=shares,
    )


def _clean_return(status: str) -> web.Response:
    """Send the browser to the page of the outcome, with the hint and nothing else."""
    return see_other(f"{RETURN_PATH}?{HINT}={status}" if status in HINTS else RETURN_PATH)


def _attempt_number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 4 else 0
