"""The provider's own list, for parity reports, and what tests do in a payer's place."""

import json
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from aiohttp import web

from simulators.faults import problem
from simulators.pages import page
from simulators.payfip.clients import Client
from simulators.payfip.counter import Counter
from simulators.payfip.ledger import HeldError, Payment, ResultCode
from simulators.payfip.payer_pages import is_offered
from simulators.payfip.refusals import RefusalError

MAX_ROWS_SHOWN = 200
MEANS = ("card", "debit")
ACTIONS = {
    ("pay", "card"): ResultCode.CARD_PAID,
    ("pay", "debit"): ResultCode.DEBIT_PAID,
    ("refuse", "card"): ResultCode.CARD_REFUSED,
    ("refuse", "debit"): ResultCode.DEBIT_REFUSED,
    ("abandon", "card"): ResultCode.ABANDONED,
    ("abandon", "debit"): ResultCode.ABANDONED,
}
NARROWING = ("numcli", "refdet", "resultrans", "state", "door")


@dataclass(frozen=True, kw_only=True)
class BackOffice:
    """The handlers, around one counter."""

    counter: Counter
    clients: tuple[Client, ...]

    async def list_payments(self, request: web.Request) -> web.Response:
        """List every idOp, the oldest first, narrowed by any of the fields named in the query."""
        now = self.counter.clock.now()
        found = [as_json(payment, now) for payment in self.counter.ledger.payments()]
        for name in NARROWING:
            if name in request.query:
                found = [entry for entry in found if entry[name] == request.query[name]]
        return web.json_response(found)

    async def show_payment(self, request: web.Request) -> web.Response:
        """Show one idOp, forgotten or not."""
        payment = self.counter.ledger.find(request.match_info["idop"])
        if payment is None:
            return problem(404, "unknown-payment", "no operation has this idOp")
        return web.json_response(as_json(payment, self.counter.clock.now()))

    async def act(self, request: web.Request) -> web.Response:
        """Do what a payer would do at the page: pay, be refused, or abandon."""
        text = await request.text()
        try:
            wanted = json.loads(text) if text else {}
        except ValueError:
            return problem(400, "not-json", "the body is not JSON")
        means = wanted.get("means", MEANS[0]) if isinstance(wanted, dict) else None
        if means not in MEANS:
            return problem(400, "invalid-means", "means is card or debit")
        idop = request.match_info["idop"]
        code = ACTIONS[request.match_info["action"], means]
        payment = self.counter.ledger.find(idop)
        if payment is None:
            return problem(404, "unknown-payment", "no operation has this idOp")
        if not is_offered(payment, code):
            return problem(409, "not-offered", "the form mode takes no direct debit")
        try:
            await self.counter.end(idop, code)
        except RefusalError as error:
            return problem(409, "not-payable", error.label, code=error.code)
        except HeldError as error:
            return problem(409, "held", str(error))
        return web.json_response(as_json(payment, self.counter.clock.now()))

    async def show_overview(self, _: web.Request) -> web.Response:
        """Show the clients and the latest operations."""
        now = self.counter.clock.now()
        payments = list(self.counter.ledger.payments())
        shown = islice(reversed(payments), MAX_ROWS_SHOWN)
        return page(
            "payfip/back_office.html",
            clients=self.clients,
            rows=[(payment, payment.result(now)) for payment in shown],
            count=len(payments),
            now=now,
        )


def as_json(payment: Payment, now: datetime) -> dict[str, object]:
    """Return the whole truth of an operation, also what the web service does not tell yet."""
    asked, result = payment.request, payment.result(now)
    return {
        "idop": payment.idop,
        "door": asked.door.value,
        "numcli": asked.client.numcli,
        "exer": asked.exer,
        "refdet": asked.refdet,
        "objet": asked.objet,
        "mel": asked.mel,
        "saisie": asked.saisie,
        "amount": asked.amount_cents,
        "currency": "EUR",
        "state": _state(payment, now),
        "is_paid": payment.is_paid(now),
        "is_forgotten": payment.is_forgotten(now),
        "resultrans": result.code.value if result else None,
        "numauto": result.numauto if result else "",
        "created_at": payment.created_at.isoformat(),
        "opened_at": payment.opened_at.isoformat() if payment.opened_at else None,
        "ended_at": result.at.isoformat() if result else None,
        "results": [
            {"resultrans": one.code.value, "at": one.at.isoformat()}
            for one in payment.results
            if one.at <= now
        ],
        "notices": [
            {
                "sent_at": notice.sent_at.isoformat(),
                "url": notice.url,
                "answer_code": notice.answer_code,
                "error": notice.error,
            }
            for notice in payment.notices
        ],
        "faults": payment.faults,
    }


def _state(payment: Payment, now: datetime) -> str:
    if payment.result(now) is not None:
        return "ended"
    return "created" if payment.opened_at is None else "opened"
