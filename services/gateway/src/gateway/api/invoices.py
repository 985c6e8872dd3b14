"""Invoices: the list and pages of an account, and the page that a paper's code opens."""

import re
from collections.abc import AsyncIterator, Sequence
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
import structlog
from aiohttp import ClientError, web

from gateway.api.forgery import read_form
from gateway.api.language import say
from gateway.api.reasons import IN_PROGRESS, sentence_of, told
from gateway.api.site import citizen_of, require_citizen, see_other, site_of, today
from gateway.api.throttling import FREE_CODES, by_address, knock, too_many
from gateway.api.web import page, protective_headers, render
from gateway.ports import (
    InvoiceView,
    OtherServices,
    Payability,
    RefusedError,
    ServiceUnavailableError,
)
from shared.http import Operation, ProblemError

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

TOKEN = re.compile(r"[A-Za-z0-9_-]{22,64}")
FILTERS: dict[str, frozenset[str]] = {
    "a-payer": frozenset({"to_pay", "partly_paid", "overdue"}),
    "en-retard": frozenset({"overdue"}),
    "payees": frozenset({"paid"}),
    "autres": frozenset({"withdrawn", "credit_note"}),
}
"""What each filter of the list shows, by status."""
SHOWN_AT_ONCE = 50
PAID_AT_ONCE = 50
"""What payment takes in one go."""
PAYFIP = frozenset({"payfip", "tipi"})
"""Providers whose page is PayFiP's."""
STREAM_ERRORS = (ClientError, TimeoutError, ConnectionError)
PDF_HEADERS = {
    "Cache-Control": "private, no-store",
    # A browser's own reader needs styles and objects; nothing else may run beside the document.
    "Content-Security-Policy": "default-src 'none'; object-src 'self'; style-src 'unsafe-inline';"
    " img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
}


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Invoices of one régie that can be paid together, oldest debt first."""

    authority: str
    authority_name: str
    regie: str
    regie_label: str
    invoices: tuple[InvoiceView, ...]


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """How an invoice can be paid online now: the button, or the sentence that says why not."""

    is_open: bool
    sentence: str = ""
    takes_part: bool = False
    is_payfip: bool = False


class InvoicePages:
    """Pages of invoices."""

    def __init__(self, services: OtherServices) -> None:
        """Fetch documents through `services`."""
        self._services = services

    async def get_list(self, request: web.Request) -> web.Response:
        """List the invoices of all authorities: overdue first, then by date."""
        return await self.list_page(request)

    async def list_page(
        self, request: web.Request, *, status: int = 200, error: str = ""
    ) -> web.Response:
        """Return the list, with what was wrong with a choice made on it."""
        citizen = require_citizen(request)
        async with site_of(request).open_portal() as portal:
            invoices = await portal.own_invoices(citizen.account_id)
        day = today(request)
        chosen = request.query.get("etat", "")
        wanted = FILTERS.get(chosen)
        shown = [i for i in invoices if wanted is None or i.status(day) in wanted]
        shown.sort(key=lambda invoice: _rank(invoice.status(day)))
        number = _page_number(request.query.get("page", ""), len(shown))
        owed = [invoice for invoice in invoices if invoice.is_owed]
        return render(
            request,
            "invoices.html",
            status=status,
            error=error,
            invoices=shown[(number - 1) * SHOWN_AT_ONCE : number * SHOWN_AT_ONCE],
            groups=together(owed) if number == 1 else [],
            owed_cents=sum(invoice.outstanding_cents for invoice in owed),
            owed_count=len(owed),
            late_count=sum(invoice.status(day) == "overdue" for invoice in invoices),
            chosen=chosen if wanted is not None else "",
            total=len(invoices),
            page_number=number,
            page_count=-(-len(shown) // SHOWN_AT_ONCE) or 1,
        )

    async def get_invoice(self, request: web.Request) -> web.Response:
        """Show one invoice of the account."""
        invoice = await self.own(request, request.match_info["invoice_id"])
        async with site_of(request).open_portal() as portal:
            movements = await portal.movements(invoice.invoice_id)
        return render(
            request,
            "invoice.html",
            invoice=invoice,
            movements=movements,
            offer=await self._offer(request, invoice),
            base=f"/factures/{invoice.invoice_id}",
            is_readable=_is_readable(request, invoice),
        )

    async def get_document(self, request: web.Request) -> web.StreamResponse:
        """Show the PDF of an invoice of the account."""
        return await self._document(
            request, await self.own(request, request.match_info["invoice_id"])
        )

    async def own(self, request: web.Request, invoice_id: str) -> InvoiceView:
        """Return an invoice of the account.

        Raises:
            HTTPSeeOther: nobody is logged in.
            ProblemError: 404, it is not theirs or does not exist, which is answered alike.
        """
        citizen = require_citizen(request)
        try:
            wanted = UUID(invoice_id)
        except ValueError:
            wanted = UUID(int=0)
        async with site_of(request).open_portal() as portal:
            invoice = await portal.own_invoice(citizen.account_id, wanted)
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
        return render(
            request,
            "paper.html",
            invoice=invoice,
            token=token,
            offer=await self._offer(request, invoice),
            is_readable=_is_readable(request, invoice),
            can_attach=citizen_of(request) is not None,
        )

    async def get_document_by_token(self, request: web.Request) -> web.StreamResponse:
        """Show the PDF to whoever holds the paper."""
        return await self._document(
            request, await self.by_token(request, request.match_info["token"])
        )

    async def by_token(self, request: web.Request, token: str) -> InvoiceView:
        """Return the invoice that a token opens.

        Raises:
            ProblemError: 404 unknown, 410 withdrawn, 429 too many guesses from one place.
        """
        address = by_address(request, "code", FREE_CODES)
        site = site_of(request)
        async with site.open_portal() as portal:
            wait = await portal.closed_for([address], site.clock.now())
            is_possible = wait is None and TOKEN.fullmatch(token)
            invoice = await portal.by_token(token) if is_possible else None
        if wait is not None:
            raise too_many(request, wait)
        if invoice is None:
            await knock(request, address)
            sentence = say(
                request,
                "Ce code ne correspond à aucune facture. Vérifiez l’adresse imprimée à côté du"
                " code ; une facture toute récente peut demander quelques minutes.",
            )
            raise ProblemError(404, "unknown-code", sentence)
        if invoice.is_withdrawn:
            sentence = say(
                request,
                "La facture %(number)s a été retirée par %(authority)s : vous n’avez rien à payer.",
                number=invoice.number,
                authority=invoice.authority_name,
            )
            raise ProblemError(410, "withdrawn", sentence)
        return invoice

    async def post_attachment(self, request: web.Request) -> web.StreamResponse:
        """Keep the invoice of a paper in the account: who holds the code may."""
        citizen = require_citizen(request)
        invoice = await self.by_token(request, request.match_info["token"])
        site = site_of(request)
        async with site.open_portal() as portal:
            await portal.attach(citizen.account_id, invoice.invoice_id, site.clock.now())
        return see_other(f"/factures/{invoice.invoice_id}")

    async def _offer(self, request: web.Request, invoice: InvoiceView) -> Offer:
        """Return how an invoice can be paid online, as payment tells it.

        When it does not answer, the button stays: pressing it will tell.
        """
        if not invoice.is_owed:
            return Offer(is_open=False)
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

    async def _document(self, request: web.Request, invoice: InvoiceView) -> web.StreamResponse:
        if not _is_readable(request, invoice):
            raise _expired(request, invoice)
        try:
            async with self._services.document(invoice.invoice_id) as pieces:
                return await _stream(request, invoice, pieces)
        except RefusedError as error:
            if error.code == "document-expired":
                raise _expired(request, invoice) from error
            if error.status == 410:
                sentence = say(request, "Ce document a été retiré par la collectivité.")
                raise ProblemError(410, "withdrawn", sentence) from error
            sentence = say(
                request, "Le document n’est pas encore disponible. Revenez dans un instant."
            )
            raise ProblemError(404, "not-published", sentence) from error

    def operations(self) -> list[Operation]:
        """Return what is served."""
        pdf = {200: "application/pdf"}
        return [
            page("GET", "/factures", self.get_list, "The invoices of all authorities."),
            page("GET", "/factures/{invoice_id}", self.get_invoice, "One invoice."),
            Operation(
                method="GET",
                path="/factures/{invoice_id}/facture.pdf",
                handler=self.get_document,
                summary="Its PDF.",
                responses=pdf,
                tags=("portal",),
            ),
            page("POST", "/q", self.post_code, "Open the invoice of a code that was typed."),
            page("GET", "/q/{token}", self.get_by_token, "What the paper's code opens."),
            Operation(
                method="GET",
                path="/q/{token}/facture.pdf",
                handler=self.get_document_by_token,
                summary="Its PDF.",
                responses=pdf,
                tags=("portal",),
            ),
            page("POST", "/q/{token}/rattacher", self.post_attachment, "Keep it in the account."),
        ]


async def _stream(
    request: web.Request, invoice: InvoiceView, pieces: AsyncIterator[bytes]
) -> web.StreamResponse:
    # The first piece comes before our own answer: until then a failure is still told by a page.
    first = await anext(pieces, b"")
    response = web.StreamResponse(headers=PDF_HEADERS | protective_headers(site_of(request)))
    response.content_type = "application/pdf"
    response.headers["Content-Disposition"] = _disposition(invoice)
    await response.prepare(request)
    try:
        await response.write(first)
        async for piece in pieces:
            await response.write(piece)
    except (ServiceUnavailableError, *STREAM_ERRORS):
        # Cut the connection, so that nobody takes half a document for a whole one.
        logger.warning("document cut short", invoice_id=str(invoice.invoice_id))
        if request.transport is not None:
            request.transport.abort()
        return response
    await response.write_eof()
    return response


def token_of(typed: str) -> str | None:
    """Return the token of a code as people give it: alone, or as an address, spaced or not."""
    text = "".join(typed.split())
    path = urlsplit(text).path if "/" in text else text
    _, found, after = path.rpartition("/q/")
    token = after.strip("/") if found else path
    return token if TOKEN.fullmatch(token) else None


def together(owed: Sequence[InvoiceView]) -> list[Group]:
    """Return the invoices that can be paid in one go, where a régie has several.

    A titre is paid alone: PayFiP takes one reference at a time.
    """
    groups: dict[tuple[str, str], list[InvoiceView]] = {}
    for invoice in sorted(owed, key=lambda one: (one.due_on, one.issued_on, one.number)):
        if not is_of_treasury(invoice):
            groups.setdefault((invoice.authority, invoice.regie), []).append(invoice)
    return [
        Group(
            authority=authority,
            authority_name=members[0].authority_name,
            regie=regie,
            regie_label=members[0].regie_label,
            invoices=tuple(members[:PAID_AT_ONCE]),
        )
        for (authority, regie), members in groups.items()
        if len(members) > 1
    ]


def is_of_treasury(invoice: InvoiceView) -> bool:
    """Tell whether the public accountant is paid, through PayFiP."""
    return invoice.route == "treasury"


def _is_payfip(found: Payability) -> bool:
    return any(account.provider in PAYFIP for account in found.accounts)


def _is_readable(request: web.Request, invoice: InvoiceView) -> bool:
    return not invoice.is_withdrawn and today(request) <= invoice.readable_until


def _expired(request: web.Request, invoice: InvoiceView) -> ProblemError:
    sentence = say(
        request,
        "Le document n’est plus consultable en ligne : les 90 jours sont passés. Vous pouvez le"
        " demander à %(authority)s. L’historique de vos factures et de vos paiements, lui, reste.",
        authority=invoice.authority_name,
    )
    return ProblemError(410, "document-expired", sentence)


def _disposition(invoice: InvoiceView) -> str:
    name = "".join(c if c.isascii() and c.isalnum() else "-" for c in invoice.number)
    return f'inline; filename="facture-{name}.pdf"'


def _rank(status: str) -> int:
    """Return where a status stands in the list; equal ones keep their order, newest first."""
    return {"overdue": 0, "to_pay": 1, "partly_paid": 1}.get(status, 2)


def _page_number(text: str, count: int) -> int:
    last = max(1, -(-count // SHOWN_AT_ONCE))
    return min(last, max(1, int(text))) if text.isdecimal() and len(text) < 6 else 1
