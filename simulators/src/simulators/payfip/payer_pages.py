"""What the payer's browser sees: the page of an idOp, the form mode's way in, the errors."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit, urlunsplit

from aiohttp import web

from simulators.pages import page
from simulators.payfip.clients import Client
from simulators.payfip.counter import CHOICES, Counter
from simulators.payfip.ledger import HeldError, Payment, ResultCode
from simulators.payfip.refusals import RefusalError
from simulators.payfip.requests import Door, DoorRules, check_request

PAGE_PATH = "/tpa/paiementws.web"
FORM_PATH = "/tpa/paiement.web"

# The form's return knows P, R and A only: direct debit came with the web service.
FORM_CHOICES = frozenset({ResultCode.CARD_PAID, ResultCode.CARD_REFUSED, ResultCode.ABANDONED})
STATUSES = {"P1": 404, "P3": 410, "P4": 410}


def is_offered(payment: Payment, code: ResultCode) -> bool:
    """Say whether the payer of this operation has that choice."""
    return payment.request.door is Door.WEB_SERVICE or code in FORM_CHOICES


@dataclass(frozen=True, kw_only=True)
class PayerPages:
    """The handlers, around one counter."""

    counter: Counter
    clients: Mapping[str, Client]
    form_rules: DoorRules

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Show the page of an idOp; from now on it is no longer cleaned at night."""
        try:
            payment = self.counter.ledger.open_page(
                request.query.get("idop", ""), self.counter.clock.now()
            )
        except (RefusalError, HeldError) as error:
            return _error_page(error)
        return _payment_page(payment)

    async def choose(self, request: web.Request) -> web.StreamResponse:
        """Take the payer's choice, then send the browser back."""
        posted = await request.post()
        idop, choice = str(posted.get("idop", "")), CHOICES.get(str(posted.get("choix", "")))
        try:
            payment = self.counter.ledger.open_page(idop, self.counter.clock.now())
            if choice is None or not is_offered(payment, choice):
                return _payment_page(payment, status=422)
            payment = await self.counter.end(idop, choice)
        except (RefusalError, HeldError) as error:
            return _error_page(error)
        if payment.request.door is Door.FORM:
            # The form mode has told the merchant's server; the browser has nowhere to go back to.
            result = payment.result(self.counter.clock.now())
            return page("payfip/result.html", payment=payment, result=result)
        answer = web.Response(status=303)
        answer.headers["Location"] = _with_idop(payment.request.return_url, payment.idop)
        return answer

    async def receive_form(self, request: web.Request) -> web.StreamResponse:
        """Check what the payer's browser brings, and lead it to a page of its own."""
        fields = dict(request.query.items())
        try:
            asked = check_request(fields, self.clients, Door.FORM, self.form_rules)
        except RefusalError as error:
            return page("payfip/error.html", status=400, error=error)
        payment = self.counter.ledger.create(asked, self.counter.clock.now())
        raise web.HTTPSeeOther(location=f"{PAGE_PATH}?idop={payment.idop}")


def _payment_page(payment: Payment, status: int = 200) -> web.Response:
    return page(
        "payfip/payment.html",
        status=status,
        payment=payment,
        has_debit=is_offered(payment, ResultCode.DEBIT_PAID),
        is_wrong=status != 200,
    )


def _error_page(error: RefusalError | HeldError) -> web.Response:
    if isinstance(error, HeldError):
        return page("payfip/held.html", status=409, until=error.until)
    return page("payfip/error.html", status=STATUSES[error.code], error=error)


def _with_idop(url: str, idop: str) -> str:
    parts = urlsplit(url)
    query = "&".join(part for part in (parts.query, urlencode({"idop": idop})) if part)
    return urlunsplit(parts._replace(query=query))
