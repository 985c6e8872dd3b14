"""Invoices: the list and pages of an account, and the page that a paper's code opens."""

import re
from uuid import UUID

from aiohttp import web

from gateway.adapters.services import RefusedError, Services
from gateway.api.web import (
    buckets,
    pdf_response,
    render,
    require_citizen,
    require_open,
    see_other,
    site_of,
    today,
    visitor_of,
)
from gateway.ports import InvoiceView
from shared.http import Operation, ProblemError

TOKEN = re.compile(r"[A-Za-z0-9_-]{22,64}")
FILTERS = {"a-payer": "à payer", "payees": "payées"}


class Invoices:
    """Pages of invoices."""

    def __init__(self, services: Services) -> None:
        """Fetch documents through `services`."""
        self._services = services

    async def get_list(self, request: web.Request) -> web.Response:
        """List the invoices of all authorities."""
        visitor = require_citizen(request)
        async with site_of(request).open_portal() as portal:
            invoices = await portal.own_invoices(visitor.account_id)  # type: ignore[arg-type]
        chosen = request.query.get("etat", "")
        owed = [invoice for invoice in invoices if invoice.is_payable]
        shown = {"a-payer": owed, "payees": [i for i in invoices if _is_paid(i)]}
        return render(
            request,
            "invoices.html",
            invoices=shown.get(chosen, invoices),
            owed_cents=sum(invoice.outstanding_cents for invoice in owed),
            owed_count=len(owed),
            chosen=chosen if chosen in FILTERS else "",
            total=len(invoices),
        )

    async def get_invoice(self, request: web.Request) -> web.Response:
        """Show one invoice of the account."""
        invoice = await self._own(request)
        return render(
            request,
            "invoice.html",
            invoice=invoice,
            base=f"/factures/{invoice.invoice_id}",
            token="",
            is_readable=today(request) <= invoice.readable_until,
            can_attach=False,
        )

    async def get_document(self, request: web.Request) -> web.Response:
        """Show the PDF of an invoice of the account."""
        return await self._document(await self._own(request))

    async def _own(self, request: web.Request) -> InvoiceView:
        visitor = require_citizen(request)
        try:
            invoice_id = UUID(request.match_info["invoice_id"])
        except ValueError:
            invoice_id = UUID(int=0)
        async with site_of(request).open_portal() as portal:
            invoice = await portal.own_invoice(visitor.account_id, invoice_id)  # type: ignore[arg-type]
        # Somebody else's invoice is answered as one that does not exist.
        if invoice is None:
            raise ProblemError(404, "unknown-invoice", "Cette facture n’est pas dans votre compte.")
        return invoice

    async def get_by_token(self, request: web.Request) -> web.Response:
        """Show what the code on the paper opens, to whoever holds the paper."""
        token = request.match_info["token"]
        invoice = await self.by_token(request, token)
        visitor = visitor_of(request)
        return render(
            request,
            "invoice.html",
            invoice=invoice,
            base=f"/q/{token}",
            token=token,
            is_readable=today(request) <= invoice.readable_until,
            can_attach=visitor is not None and visitor.account_id is not None,
        )

    async def get_document_by_token(self, request: web.Request) -> web.Response:
        """Show the PDF to whoever holds the paper."""
        return await self._document(await self.by_token(request, request.match_info["token"]))

    async def by_token(self, request: web.Request, token: str) -> InvoiceView:
        """Return the invoice that a token opens.

        Raises:
            ProblemError: 404 unknown, 410 withdrawn, 429 too many guesses from one place.
        """
        names = buckets(request, "token-page")
        await require_open(request, names)
        site = site_of(request)
        async with site.open_portal() as portal:
            invoice = await portal.by_token(token) if TOKEN.fullmatch(token) else None
            if invoice is None:
                await portal.fail(names, site.clock.now())
        if invoice is None:
            raise ProblemError(
                404,
                "unknown-code",
                "Ce code ne correspond à aucune facture. Vérifiez l’adresse imprimée sous le code ;"
                " une facture toute récente peut demander quelques minutes.",
            )
        if invoice.is_withdrawn:
            raise ProblemError(
                410,
                "withdrawn",
                f"La facture {invoice.number} a été retirée par {invoice.authority_name} :"
                " vous n’avez rien à payer.",
            )
        return invoice

    async def post_attachment(self, request: web.Request) -> web.StreamResponse:
        """Keep the invoice of a paper in the account."""
        visitor = require_citizen(request)
        invoice = await self.by_token(request, request.match_info["token"])
        site = site_of(request)
        async with site.open_portal() as portal:
            await portal.attach(visitor.account_id, invoice.invoice_id, site.clock.now())  # type: ignore[arg-type]
        return see_other(f"/factures/{invoice.invoice_id}")

    async def _document(self, invoice: InvoiceView) -> web.Response:
        try:
            content = await self._services.document(invoice.invoice_id)
        except RefusedError as error:
            status = error.status if error.status in (404, 410) else 503
            raise ProblemError(status, error.code, error.detail) from error
        return pdf_response(content, invoice)

    def operations(self) -> list[Operation]:
        """Return what is served."""

        def get(path: str, handler: object, summary: str, media: str = "text/html") -> Operation:
            return Operation(
                method="GET",
                path=path,
                handler=handler,  # type: ignore[arg-type]
                summary=summary,
                responses={200: media},
                tags=("portal",),
            )

        pdf = "application/pdf"
        return [
            get("/factures", self.get_list, "The invoices of all authorities."),
            get("/factures/{invoice_id}", self.get_invoice, "One invoice."),
            get("/factures/{invoice_id}/facture.pdf", self.get_document, "Its PDF.", pdf),
            get("/q/{token}", self.get_by_token, "What the paper's code opens."),
            get("/q/{token}/facture.pdf", self.get_document_by_token, "Its PDF.", pdf),
            Operation(
                method="POST",
                path="/q/{token}/rattacher",
                handler=self.post_attachment,
                summary="Keep the invoice in the account.",
                tags=("portal",),
            ),
        ]


def _is_paid(invoice: InvoiceView) -> bool:
    return invoice.kind == "invoice" and not invoice.is_withdrawn and not invoice.outstanding_cents
