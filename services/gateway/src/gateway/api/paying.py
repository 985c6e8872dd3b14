"""Paying: over to the provider's page, and back."""

import re
from uuid import UUID

from aiohttp import web

from gateway.adapters.services import RefusedError, Services
from gateway.api.invoices import Invoices
from gateway.api.web import render, require_citizen, site_of, visitor_of
from gateway.ports import InvoiceView
from shared.http import Operation, ProblemError

STATES = {
    "captured": ("Paiement accepté", "Merci, votre paiement est enregistré."),
    "refused": ("Paiement refusé", "Votre banque a refusé ce paiement. Rien n’a été débité."),
    "abandoned": ("Paiement abandonné", "Le paiement n’a pas eu lieu. Rien n’a été débité."),
    "expired": ("Paiement interrompu", "Le temps pour payer est écoulé. Rien n’a été débité."),
    "open": ("Paiement en cours", "Nous attendons la réponse de la banque. Un instant…"),
}


BACK = re.compile(r"/(?P<kind>q|factures)/(?P<key>[A-Za-z0-9_-]{22,64})")
BACK_SECONDS = 3600


class Paying:
    """Pages of paying."""

    def __init__(self, services: Services, invoices: Invoices) -> None:
        """Ask payment through `services`; find invoices through `invoices`."""
        self._services = services
        self._invoices = invoices

    async def post_payment(self, request: web.Request) -> web.StreamResponse:
        """Open a payment and show the way to the provider's page."""
        fields = await request.post()
        token = str(fields.get("token", ""))
        invoice, back = await self._chosen(request, token, str(fields.get("invoice_id", "")))
        abandoned = str(fields.get("abandon", ""))
        if abandoned:
            await self._abandon(abandoned, invoice)
        visitor = visitor_of(request)
        email = visitor.email if visitor and visitor.is_verified else None
        site = site_of(request)
        # The address given to the provider holds no token: a cookie knows where to go on.
        return_url = f"{site.public_url}/payer/retour"
        try:
            started = await self._services.start_payment(
                [invoice.invoice_id], return_url, email or None
            )
        except RefusedError as error:
            if error.code == "payment-in-progress":
                return render(
                    request,
                    "in_progress.html",
                    status=409,
                    invoice=invoice,
                    token=token,
                    payment_id=error.payment_id,
                    back=back,
                )
            status = 404 if error.code == "unknown-invoice" else 409
            raise ProblemError(status, error.code, error.detail) from error
        page = render(
            request,
            "handover.html",
            invoice=invoice,
            form=started.form,
            amount_cents=started.amount_cents,
            back=back,
        )
        page.set_cookie(
            site.back_cookie,
            back,
            max_age=BACK_SECONDS,
            httponly=True,
            secure=site.is_secure,
            samesite="Lax",
            path="/",
        )
        return page

    async def _chosen(
        self, request: web.Request, token: str, invoice_id: str
    ) -> tuple[InvoiceView, str]:
        """Return the invoice to pay and the path of its page: by token, or in the account."""
        if token:
            return await self._invoices.by_token(request, token), f"/q/{token}"
        visitor = require_citizen(request)
        try:
            wanted = UUID(invoice_id)
        except ValueError:
            wanted = UUID(int=0)
        async with site_of(request).open_portal() as portal:
            invoice = await portal.own_invoice(visitor.account_id, wanted)  # type: ignore[arg-type]
        if invoice is None:
            raise ProblemError(404, "unknown-invoice", "Cette facture n’est pas dans votre compte.")
        return invoice, f"/factures/{wanted}"

    async def _abandon(self, payment_id: str, invoice: InvoiceView) -> None:
        """Close an open payment of this very invoice, and no other's."""
        try:
            state = await self._services.payment(UUID(payment_id))
        except (ValueError, RefusedError):
            return
        if state.state == "open" and [i.invoice_id for i in state.invoices] == [invoice.invoice_id]:
            await self._services.abandon(state.payment_id)

    async def get_return(self, request: web.Request) -> web.Response:
        """Show what became of the payment; what the browser brings back is a hint only.

        The provider's return may be a GET or a POST. It changes nothing, so it needs no form
        protection: the page looks at the invoice as the events tell it.
        """
        back = request.cookies.get(site_of(request).back_cookie, "")
        found = BACK.fullmatch(back)
        if found is None:
            return render(
                request,
                "message.html",
                title="Paiement terminé",
                sentence="Votre facture dira dans un instant si le paiement est enregistré.",
                reference="",
            )
        if found["kind"] == "q":
            invoice = await self._invoices.by_token(request, found["key"])
        else:
            invoice, _ = await self._chosen(request, "", found["key"])
        fields = await request.post() if request.method == "POST" else request.query
        hint = str(fields.get("vads_trans_status", ""))
        state = _state(invoice, hint)
        title, sentence = STATES[state]
        return render(
            request,
            "return.html",
            invoice=invoice,
            state=state,
            title=title,
            sentence=sentence,
            back=back,
        )

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [
            Operation(
                method="POST",
                path="/payer",
                handler=self.post_payment,
                summary="Open a payment and show the way to the provider.",
                tags=("portal",),
            ),
            Operation(
                method="GET",
                path="/payer/retour",
                handler=self.get_return,
                summary="Back from the provider.",
                tags=("portal",),
            ),
            Operation(
                method="POST",
                path="/payer/retour",
                handler=self.get_return,
                summary="Back from the provider.",
                tags=("portal",),
            ),
        ]


def _state(invoice: InvoiceView, hint: str) -> str:
    """Return what to show: paid when the books of the events say so, else what the hint allows."""
    if invoice.outstanding_cents == 0:
        return "captured"
    if hint == "REFUSED":
        return "refused"
    return "abandoned" if hint in ("ABANDONED", "CANCELLED") else "open"
