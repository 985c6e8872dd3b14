"""Invoices: the list and pages of an account, and the page that a paper's code opens."""

import asyncio
import re
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from gateway.api.forgery import read_form
from gateway.api.language import say
from gateway.api.listing import is_of_treasury, show_list
from gateway.api.reading import Reader, is_readable
from gateway.api.reasons import IN_PROGRESS, sentence_of, told
from gateway.api.retrieving import browser_of
from gateway.api.sealed import seal
from gateway.api.site import citizen_of, require_citizen, see_other, site_of, today
from gateway.api.throttling import FREE_CODES, alarm, by_address, knock, too_many
from gateway.api.typed import id_of
from gateway.api.web import page, render
from gateway.ports import (
    HIDDEN,
    InvoiceView,
    OtherServices,
    Payability,
    RefusedError,
    ServiceUnavailableError,
)
from shared.http import Operation, ProblemError

TOKEN = re.compile(r"[A-Za-z0-9_-]{22,64}")
PAYFIP = frozenset({"payfip", "tipi"})
"""Providers whose page is PayFiP's."""


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """How an invoice can be paid online now: the button, or the sentence that says why not."""

    is_open: bool
    sentence: str = ""
    takes_part: bool = False
    is_payfip: bool = False


class InvoicePages:
    """Pages of invoices."""

    def __init__(self, services: OtherServices) -> None:
        """Ask payment and publication through `services`."""
        self._services = services
        self._reader = Reader(services)

    async def get_list(self, request: web.Request) -> web.Response:
        """List the invoices of all authorities: overdue first, then by date."""
        return await self.list_page(request)

    async def list_page(
        self, request: web.Request, *, status: int = 200, error: str = ""
    ) -> web.Response:
        """Return the list, with what was wrong with a choice made on it."""
        return await show_list(request, status=status, error=error)

    async def get_invoice(self, request: web.Request) -> web.Response:
        """Show one invoice of the account."""
        invoice = await self.own(request, request.match_info["invoice_id"])
        base = f"/factures/{invoice.invoice_id}"
        async with site_of(request).open_portal() as portal:
            movements = await portal.movements(invoice.invoice_id)
        offer, document = await asyncio.gather(
            self._offer(request, invoice), self._reader.view(request, invoice, base)
        )
        return render(
            request,
            "invoice.html",
            invoice=invoice,
            movements=movements,
            offer=offer,
            base=base,
            document=document,
            is_readable=is_readable(request, invoice),
        )

    async def own(self, request: web.Request, invoice_id: str) -> InvoiceView:
        """Return an invoice of the account.

        Raises:
            HTTPSeeOther: nobody is logged in.
            ProblemError: 404, it is not theirs or does not exist, which is answered alike.
        """
        citizen = require_citizen(request)
        async with site_of(request).open_portal() as portal:
            invoice = await portal.own_invoice(citizen.account_id, id_of(invoice_id))
        if invoice is None:
            sentence = say(request, "Cette facture n’est pas dans votre compte.")
            raise ProblemError(404, "unknown-invoice", sentence)
        return invoice

    async def post_code(self, request: web.Request) -> web.StreamResponse:
        """Open the invoice of a code that somebody types or pastes from their paper."""
        typed = (await read_form(request)).get("code")
        token = token_of(typed)
        if token is None:
            error = say(
                request, "Ce code n’est pas complet. Recopiez l’adresse imprimée en entier."
            )
            return render(request, "home.html", status=422, code=typed[:200], error=error)
        return see_other(f"/q/{token}")

    async def get_by_token(self, request: web.Request) -> web.Response:
        """Show what the code on the paper opens, to whoever holds the paper; never a name."""
        token = request.match_info["token"]
        invoice = await self.by_token(request, token)
        offer, document = await asyncio.gather(
            self._offer(request, invoice), self._reader.view(request, invoice, f"/q/{token}")
        )
        return render(
            request,
            "paper.html",
            invoice=invoice,
            token=token,
            offer=offer,
            document=document,
            is_readable=is_readable(request, invoice),
            can_attach=citizen_of(request) is not None,
        )

    async def by_token(self, request: web.Request, token: str) -> InvoiceView:
        """Return the invoice that a token opens, as far as the token alone may show it.

        Raises:
            ProblemError: 404 unknown, 410 withdrawn, 429 too many guesses from one place.
        """
        return (await self.opened_by(request, token))[0]

    async def opened_by(self, request: web.Request, token: str) -> tuple[InvoiceView, InvoiceView]:
        """Return the invoice that a token opens, as it may be shown, and whole.

        Raises:
            ProblemError: as `by_token`.
        """
        address = by_address(request, "code", FREE_CODES)
        site = site_of(request)
        found = await site.lookups.paper(token if TOKEN.fullmatch(token) else "", address)
        if found.wait is not None:
            raise too_many(request, found.wait)
        invoice = shown = found.invoice
        if invoice is None or found.needs_proof:
            async with site.open_portal() as portal:
                if invoice is None:
                    # What was found by its sum is open under such an address, in one browser.
                    invoice = await portal.opened(token, browser_of(request), site.clock.now())
                shown = await seal(request, portal, invoice) if invoice else None
        if invoice is None or shown is None:
            await knock(request, address)
            await alarm(request, "code")
            sentence = say(
                request,
                "Ce code ne correspond à aucune facture. Vérifiez l’adresse imprimée à côté du"
                " code ; une facture toute récente peut demander quelques minutes.",
            )
            raise ProblemError(404, "unknown-code", sentence)
        if today(request) > invoice.readable_until:
            # The number is part of what opens an invoice at `/retrouver` (C3).
            shown = msgspec.structs.replace(shown, number=HIDDEN)
        if invoice.is_withdrawn:
            sentence = say(
                request,
                "La facture %(number)s a été retirée par %(authority)s : vous n’avez rien à payer.",
                number=shown.number,
                authority=shown.authority_name,
            )
            raise ProblemError(410, "withdrawn", sentence)
        return shown, invoice

    async def _offer(self, request: web.Request, invoice: InvoiceView) -> Offer:
        """Return how an invoice can be paid online, as payment tells it.

        When it does not answer, the button stays: pressing it will tell.
        """
        if not invoice.is_owed:
            return Offer(is_open=False)
        if not invoice.can_pay:
            return Offer(is_open=False, sentence=not_to_be_paid(request).detail)
        try:
            found = await self._services.payability(invoice.invoice_id)
        except RefusedError as error:
            return Offer(is_open=False, sentence=sentence_of(request, error.code, error.detail))
        except ServiceUnavailableError:
            return Offer(is_open=True, is_payfip=is_of_treasury(invoice))
        return Offer(
            # Who left for the payment page may go on from here, or start again.
            is_open=found.payable or found.reason == IN_PROGRESS,
            sentence=told(request, found),
            takes_part=found.takes_part,
            is_payfip=_is_payfip(found) or is_of_treasury(invoice),
        )

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [
            page("GET", "/factures", self.get_list, "The invoices of all authorities."),
            page("GET", "/factures/{invoice_id}", self.get_invoice, "One invoice."),
            page("POST", "/q", self.post_code, "Open the invoice of a code that was typed."),
            page("GET", "/q/{token}", self.get_by_token, "What the paper's code opens."),
        ]


def not_to_be_paid(request: web.Request) -> ProblemError:
    """Return the answer to who was given the right to read an invoice and not to pay it."""
    sentence = say(request, "La délégation reçue permet de lire cette facture, pas de la payer.")
    return ProblemError(403, "not-delegated", sentence)


def token_of(typed: str) -> str | None:
    """Return the token of a code as people give it: alone, or as an address, spaced or not."""
    text = "".join(typed.split())
    path = urlsplit(text).path if "/" in text else text
    _, found, after = path.rpartition("/q/")
    token = after.strip("/") if found else path
    return token if TOKEN.fullmatch(token) else None


def _is_payfip(found: Payability) -> bool:
    return any(account.provider in PAYFIP for account in found.accounts)
