"""The doors of documents: an invoice's PDF, opened or kept, and its pages as pictures."""

import re

from aiohttp import web

from gateway.api.invoices import InvoicePages
from gateway.api.language import say
from gateway.api.reading import WIDTHS, expired, is_readable
from gateway.api.sealed import not_proved, prove
from gateway.api.sending import PDF, disposition, safe_name, send_pieces
from gateway.api.site import see_other
from gateway.api.web import page, render
from gateway.ports import InvoiceView, OtherServices, RefusedError, ServiceUnavailableError
from shared.http import HttpHandler, Operation, ProblemError

WEBP = "image/webp"
PROOF_PATH = "/q/{token}/preuve"
NUMBER = re.compile(r"[1-9][0-9]{0,3}")
KEEP = "enregistrer"
"""In the address of a PDF: to be kept as a file and not opened."""


class Documents:
    """An invoice's document, for its account and for whoever holds its paper."""

    def __init__(self, services: OtherServices, invoices: InvoicePages) -> None:
        """Ask publication through `services`; find invoices through `invoices`."""
        self._services = services
        self._invoices = invoices

    async def get_pdf(self, request: web.Request) -> web.StreamResponse:
        """Show the PDF of an invoice of the account."""
        return await self._pdf(request, await self._own(request))

    async def get_pdf_by_token(self, request: web.Request) -> web.StreamResponse:
        """Show the PDF to whoever holds the paper."""
        invoice = await self._by_token(request)
        if invoice.is_sealed:
            return see_other(proof_path(request))
        return await self._pdf(request, invoice)

    async def get_picture(self, request: web.Request) -> web.Response:
        """Show a page of an invoice of the account."""
        return await self._picture(request, await self._own(request))

    async def get_picture_by_token(self, request: web.Request) -> web.Response:
        """Show a page to whoever holds the paper."""
        invoice = await self._by_token(request)
        if invoice.is_sealed:
            sentence = say(request, "Une vérification est demandée avant de montrer ce document.")
            raise ProblemError(403, "proof-needed", sentence)
        return await self._picture(request, invoice)

    async def get_proof(self, request: web.Request) -> web.StreamResponse:
        """Ask for what is printed beside the code, where the authority wants it (K9)."""
        invoice = await self._by_token(request)
        if not invoice.is_sealed:
            return see_other(f"/q/{request.match_info['token']}")
        return render(request, "sealed.html", invoice=invoice, action=proof_path(request))

    async def post_proof(self, request: web.Request) -> web.StreamResponse:
        """Open the document to who typed number and sum, in this browser, for half an hour."""
        address = f"/q/{request.match_info['token']}"
        shown, whole = await self._invoices.opened_by(request, request.match_info["token"])
        if not shown.is_sealed:
            return see_other(address)
        response = await prove(request, whole, address)
        if response is not None:
            return response
        return render(
            request,
            "sealed.html",
            status=422,
            invoice=shown,
            action=proof_path(request),
            error=not_proved(request),
        )

    async def _own(self, request: web.Request) -> InvoiceView:
        invoice = await self._invoices.own(request, request.match_info["invoice_id"])
        if not invoice.can_read:
            sentence = say(
                request, "Vous pouvez payer cette facture, mais pas en voir le document."
            )
            raise ProblemError(403, "may-not-read", sentence)
        return invoice

    async def _by_token(self, request: web.Request) -> InvoiceView:
        return await self._invoices.by_token(request, request.match_info["token"])

    async def _pdf(self, request: web.Request, invoice: InvoiceView) -> web.StreamResponse:
        if not is_readable(request, invoice):
            raise expired(request, invoice)
        try:
            async with self._services.document(invoice.invoice_id) as pieces:
                return await send_pieces(
                    request,
                    pieces,
                    content_type=PDF,
                    content_disposition=disposition(
                        f"facture-{safe_name(invoice.number)}.pdf",
                        is_attachment=KEEP in request.query,
                        spoken_name=spoken_name(invoice),
                    ),
                )
        except RefusedError as error:
            raise refusal_of(request, invoice, error) from error

    async def _picture(self, request: web.Request, invoice: InvoiceView) -> web.Response:
        """Return a page, or that the browser has it.

        `no-store` holds for what lies on the way; the name is for the copies that a reader wants
        to keep on their own device.
        """
        number, width = request.match_info["number"], request.query.get("width", str(WIDTHS[0]))
        if not NUMBER.fullmatch(number) or width not in {str(known) for known in WIDTHS}:
            raise _no_page(request)
        if not is_readable(request, invoice):
            raise expired(request, invoice)
        known = request.headers.get("If-None-Match", "")
        try:
            found = await self._services.picture(
                invoice.invoice_id, int(number), int(width), known if known.isascii() else ""
            )
        except RefusedError as error:
            if error.status == 410:
                raise refusal_of(request, invoice, error) from error
            raise _no_page(request) from error
        headers = {"Cache-Control": "private, no-store", "ETag": found.etag}
        if found.content is None:
            return web.Response(status=304, headers=headers)
        if not found.content.startswith(b"RIFF"):
            message = "a picture that is none"
            raise ServiceUnavailableError(message)
        return web.Response(body=found.content, content_type=WEBP, headers=headers)

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [
            page("GET", PROOF_PATH, self.get_proof, "Ask for what is printed beside the code."),
            page("POST", PROOF_PATH, self.post_proof, "Open the document for half an hour."),
            _file("/factures/{invoice_id}/facture.pdf", self.get_pdf, "Its PDF.", PDF),
            _file("/q/{token}/facture.pdf", self.get_pdf_by_token, "Its PDF.", PDF),
            _file(
                "/factures/{invoice_id}/pages/{number}.webp",
                self.get_picture,
                "One of its pages.",
                WEBP,
            ),
            _file(
                "/q/{token}/pages/{number}.webp",
                self.get_picture_by_token,
                "One of its pages.",
                WEBP,
            ),
        ]


def proof_path(request: web.Request) -> str:
    """Return where what is printed beside the code is asked for."""
    return PROOF_PATH.replace("{token}", request.match_info["token"])


def spoken_name(invoice: InvoiceView) -> str:
    """Return the name under which people find a PDF again, with the letters of their language."""
    named = " ".join(f"Facture {invoice.number} {invoice.authority_name}".split())
    return "".join("-" if c in '\\/:*?"<>|' or not c.isprintable() else c for c in named) + ".pdf"


def refusal_of(request: web.Request, invoice: InvoiceView, error: RefusedError) -> ProblemError:
    """Return what to tell when publication does not give a document."""
    if error.code == "document-expired":
        return expired(request, invoice)
    if error.status == 410:
        sentence = say(request, "Ce document a été retiré par la collectivité.")
        return ProblemError(410, "withdrawn", sentence)
    sentence = say(request, "Le document n’est pas encore disponible. Revenez dans un instant.")
    return ProblemError(404, "not-published", sentence)


def _no_page(request: web.Request) -> ProblemError:
    sentence = say(request, "Cette page du document n’existe pas ou ne peut être montrée.")
    return ProblemError(404, "unknown-page", sentence)


def _file(path: str, handler: HttpHandler, summary: str, content_type: str) -> Operation:
    return Operation(
        method="GET",
        path=path,
        handler=handler,
        summary=summary,
        responses={200: content_type},
        tags=("portal",),
    )
