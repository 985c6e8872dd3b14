"""What people keep of a payment: the régie's quittance, or a proof of what the treasury took."""

from uuid import UUID

from aiohttp import web

from gateway.api.departure import remembered
from gateway.api.invoices import InvoicePages
from gateway.api.language import say
from gateway.api.listing import is_of_treasury
from gateway.api.reading import is_readable
from gateway.api.sending import PDF, disposition, safe_name, send_whole
from gateway.api.site import require_citizen, see_other, site_of
from gateway.api.typed import id_of
from gateway.api.web import page, render
from gateway.ports import InvoiceView, Movement, OtherServices, RefusedError
from shared.http import Operation, ProblemError


class Receipts:
    """Quittances and proofs of payment, for whoever may see the invoice."""

    def __init__(self, services: OtherServices, invoices: InvoicePages) -> None:
        """Ask reconciliation through `services`; find invoices through `invoices`."""
        self._services = services
        self._invoices = invoices

    async def get_pdf(self, request: web.Request) -> web.StreamResponse:
        """Give the quittance of a payment of an invoice of the account.

        Who sees one invoice of a basket does not see the others: it says what it says of those that
        the account sees.
        """
        citizen = require_citizen(request)
        invoice = await self._invoices.own(request, request.match_info["invoice_id"])
        payment_id = _payment_id(request)
        async with site_of(request).open_portal() as portal:
            parts = await portal.own_parts(citizen.account_id, payment_id)
        if invoice.invoice_id not in parts:
            raise _not_there(request)
        if is_of_treasury(invoice):
            return see_other(request.path.removesuffix(".pdf"))
        return await self._pdf(request, payment_id, list(parts), is_named=all(parts.values()))

    async def get_pdf_by_token(self, request: web.Request) -> web.StreamResponse:
        """Give the quittance of a payment to whoever holds the paper.

        After the 90 days the code shows no document: then only who just paid gets one, without the
        name that they may not know.
        """
        invoice = await self._by_token(request)
        payment_id = _payment_id(request)
        await self._movements(request, invoice, payment_id)
        if is_of_treasury(invoice):
            return see_other(request.path.removesuffix(".pdf"))
        return await self._pdf(
            request, payment_id, [invoice.invoice_id], is_named=is_readable(request, invoice)
        )

    async def get_proof(self, request: web.Request) -> web.Response:
        """Show what is known of a payment of an invoice of the account, without a number."""
        invoice = await self._invoices.own(request, request.match_info["invoice_id"])
        return await self._proof(request, invoice, f"/factures/{invoice.invoice_id}")

    async def get_proof_by_token(self, request: web.Request) -> web.Response:
        """Show the same to whoever holds the paper."""
        invoice = await self._by_token(request)
        return await self._proof(request, invoice, f"/q/{request.match_info['token']}")

    async def _by_token(self, request: web.Request) -> InvoiceView:
        invoice = await self._invoices.by_token(request, request.match_info["token"])
        if invoice.is_sealed:
            location = f"/q/{request.match_info['token']}/preuve"
            raise web.HTTPSeeOther(location)
        departure = remembered(request)
        has_paid = departure is not None and departure.payment_id == _payment_id(request)
        if not is_readable(request, invoice) and not has_paid:
            raise _not_there(request)
        return invoice

    async def _movements(
        self, request: web.Request, invoice: InvoiceView, payment_id: UUID
    ) -> list[Movement]:
        """Return the money of a payment for an invoice.

        Raises:
            ProblemError: 404, none is known.
        """
        async with site_of(request).open_portal() as portal:
            movements = await portal.movements(invoice.invoice_id)
        found = [one for one in movements if one.payment_id == payment_id]
        if not any(one.amount_cents > 0 for one in found):
            raise _not_there(request)
        return found

    async def _pdf(
        self,
        request: web.Request,
        payment_id: UUID,
        invoice_ids: list[UUID],
        *,
        is_named: bool,
    ) -> web.StreamResponse:
        try:
            content = await self._services.receipt(payment_id, invoice_ids, is_named=is_named)
        except RefusedError as error:
            raise _not_there(request) from error
        name = f"quittance-{safe_name(str(payment_id)[:8])}.pdf"
        return send_whole(
            request,
            content,
            content_type=PDF,
            content_disposition=disposition(name, is_attachment=False),
        )

    async def _proof(self, request: web.Request, invoice: InvoiceView, base: str) -> web.Response:
        payment_id = _payment_id(request)
        movements = await self._movements(request, invoice, payment_id)
        return render(
            request,
            "payment_proof.html",
            invoice=invoice,
            base=base,
            payment_id=payment_id,
            paid=next(one for one in movements if one.amount_cents > 0),
            returned_cents=-sum(one.amount_cents for one in movements if one.amount_cents < 0),
            is_of_treasury=is_of_treasury(invoice),
        )

    def operations(self) -> list[Operation]:
        """Return what is served."""
        pdf = {200: PDF}
        return [
            Operation(
                method="GET",
                path="/factures/{invoice_id}/recus/{payment_id}.pdf",
                handler=self.get_pdf,
                summary="The quittance of a payment.",
                responses=pdf,
                tags=("portal",),
            ),
            Operation(
                method="GET",
                path="/q/{token}/recus/{payment_id}.pdf",
                handler=self.get_pdf_by_token,
                summary="The quittance of a payment.",
                responses=pdf,
                tags=("portal",),
            ),
            page(
                "GET",
                "/factures/{invoice_id}/recus/{payment_id}",
                self.get_proof,
                "What is known of a payment.",
            ),
            page(
                "GET",
                "/q/{token}/recus/{payment_id}",
                self.get_proof_by_token,
                "What is known of a payment.",
            ),
        ]


def _payment_id(request: web.Request) -> UUID:
    return id_of(request.match_info["payment_id"])


def _not_there(request: web.Request) -> ProblemError:
    """Return the answer for a payment that is not of the invoice, or not booked yet: alike."""
    sentence = say(
        request,
        "Aucune quittance n’est encore connue pour ce paiement. Juste après un paiement, revenez"
        " dans un instant.",
    )
    return ProblemError(404, "unknown-receipt", sentence)
