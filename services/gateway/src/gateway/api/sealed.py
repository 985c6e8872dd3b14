"""A second proof before the document: what is printed on the paper, beside its code (K9).

Off unless the authority asks for it. With it on, a code shows status, sum and date, and takes
payment; name, number and document wait until somebody has typed the invoice's number and its exact
sum. That opens them for half an hour, in that browser alone.
"""

import hmac
import math
import secrets
from datetime import timedelta

import msgspec
from aiohttp import web

from gateway.api.forgery import read_form
from gateway.api.language import say
from gateway.api.retrieving import OPEN_FOR, browser_of, folded
from gateway.api.site import see_other, site_of
from gateway.api.throttling import alarm, by_address, knock, too_many
from gateway.api.typed import cents_of
from gateway.ports import HIDDEN, InvoiceView, Portal

LONGEST_TYPED = 100


async def seal(request: web.Request, portal: Portal, invoice: InvoiceView) -> InvoiceView:
    """Return an invoice as its code alone may show it, which is all of it unless it is sealed."""
    is_sealed = await portal.is_sealed(
        invoice.authority, invoice.invoice_id, browser_of(request), site_of(request).clock.now()
    )
    if not is_sealed:
        return invoice
    # Billers write whose meals or lessons they are into the subject.
    subject = say(request, "Avoir") if invoice.kind == "credit_note" else say(request, "Facture")
    return msgspec.structs.replace(
        invoice, is_sealed=True, number=HIDDEN, payer_name="", subject=subject
    )


async def prove(
    request: web.Request, invoice: InvoiceView, address: str
) -> web.StreamResponse | None:
    """Open a sealed invoice to who typed its number and sum; None when they are not right.

    `invoice` is the whole one. Number and sum are compared in one go, in constant time: nobody
    learns which of the two was wrong.

    Raises:
        ProblemError: 429, too many attempts from here or for this invoice.
    """
    fields = await read_form(request)
    number = fields.get("numero")[:LONGEST_TYPED]
    cents = cents_of(fields.get("montant")[:LONGEST_TYPED])
    site = site_of(request)
    now = site.clock.now()
    await knock(request, by_address(request, "reference"))
    name = f"code {invoice.invoice_id}"
    async with site.open_portal() as portal:
        wait = await portal.locked_for(invoice.authority, name, now)
    if wait:
        raise too_many(request, timedelta(seconds=math.ceil(wait)))
    expected = _printed(invoice.number, invoice.amount_cents)
    if not hmac.compare_digest(_printed(number, -1 if cents is None else cents), expected):
        await alarm(request, "reference", invoice.authority)
        return None
    browser = browser_of(request) or secrets.token_urlsafe(32)
    async with site.open_portal() as portal:
        await portal.unlock(invoice.authority, name)
        # The address stays the code's own: the secret of this opening is told to nobody.
        await portal.open_for_browser(
            secrets.token_urlsafe(32), browser, invoice.invoice_id, now + OPEN_FOR
        )
    response = see_other(address)
    site.keep(response, site.opening_cookie, browser, int(OPEN_FOR.total_seconds()))
    return response


def not_proved(request: web.Request) -> str:
    """Return the sentence for a number or a sum that is not the paper's."""
    return say(
        request,
        "Ce numéro et ce montant ne sont pas ceux de cette facture. Recopiez-les tels qu’ils sont"
        " imprimés, par exemple 41,50.",
    )


def _printed(number: str, cents: int) -> bytes:
    return f"{folded(number)} {cents}".encode()
