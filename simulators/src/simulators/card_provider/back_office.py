"""The provider's own list, for parity reports, and what a merchant does in its back office."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from aiohttp import web

from simulators.card_provider.cards import TEST_CARDS
from simulators.card_provider.ledger import Ledger, OperationError, Transaction
from simulators.card_provider.notices import NoticeTimes, Notifier
from simulators.card_provider.sites import Site
from simulators.faults import problem
from simulators.pages import page

MAX_ROWS_SHOWN = 200
NARROWING = ("site_id", "order_id", "trans_id", "status", "operation_type")

NOTIFIER = web.AppKey("notifier", Notifier)


@dataclass(frozen=True, kw_only=True)
class BackOffice:
    """The handlers, around one ledger."""

    ledger: Ledger
    sites: Mapping[str, Site]
    times: NoticeTimes

    async def list_transactions(self, request: web.Request) -> web.Response:
        """List what ended, the oldest first, narrowed by any of the fields named in the query."""
        found = [_as_json(transaction) for transaction in self.ledger.transactions()]
        for name in NARROWING:
            if name in request.query:
                found = [entry for entry in found if entry[name] == request.query[name]]
        return web.json_response(found)

    async def show_transaction(self, request: web.Request) -> web.Response:
        """Show one transaction."""
        transaction = self._find(request)
        if transaction is None:
            return _unknown()
        return web.json_response(_as_json(transaction))

    async def show_back_office(self, _: web.Request) -> web.Response:
        """Show the shops, the test cards and the latest transactions."""
        transactions = list(self.ledger.transactions())
        return page(
            "card_provider/back_office.html",
            sites=list(self.sites.values()),
            test_cards=TEST_CARDS,
            transactions=list(islice(reversed(transactions), MAX_ROWS_SHOWN)),
            count=len(transactions),
        )

    async def refund(self, request: web.Request) -> web.Response:
        """Give back `amount` cents, or all that is left; the merchant hears of a CREDIT."""
        text = await request.text()
        try:
            wanted = json.loads(text) if text else {}
        except ValueError:
            return problem(400, "not-json", "the body is not JSON")
        amount_cents = wanted.get("amount") if isinstance(wanted, dict) else False
        # A boolean is a number for Python; it is no amount.
        if isinstance(amount_cents, bool) or not isinstance(amount_cents, int | None):
            return problem(400, "invalid-amount", "amount is a whole number of cents, or absent")
        payment = self._find(request)
        if payment is None:
            return _unknown()
        try:
            refund = self.ledger.refund(payment, amount_cents, self.times.clock())
        except OperationError as error:
            return problem(409, error.slug, error.detail)
        await request.app[NOTIFIER].announce(refund, "MERCH_BO")
        return web.json_response(_as_json(refund))

    async def cancel(self, request: web.Request) -> web.Response:
        """Give up a transaction before its capture; the merchant hears that it is CANCELLED."""
        transaction = self._find(request)
        if transaction is None:
            return _unknown()
        try:
            self.ledger.cancel(transaction)
        except OperationError as error:
            return problem(409, error.slug, error.detail)
        await request.app[NOTIFIER].announce(transaction, "MERCH_BO")
        return web.json_response(_as_json(transaction))

    async def capture(self, request: web.Request) -> web.Response:
        """Run the night's batch for a transaction; the merchant hears that it is CAPTURED."""
        transaction = self._find(request)
        if transaction is None:
            return _unknown()
        try:
            self.ledger.capture(transaction)
        except OperationError as error:
            return problem(409, error.slug, error.detail)
        await request.app[NOTIFIER].announce(transaction, "BATCH")
        return web.json_response(_as_json(transaction))

    def _find(self, request: web.Request) -> Transaction | None:
        return self.ledger.find_transaction(request.match_info["trans_uuid"])


def _unknown() -> web.Response:
    return problem(404, "unknown-transaction", "no transaction has this identifier")


def _as_json(transaction: Transaction) -> dict[str, object]:
    form = transaction.form
    return {
        "trans_uuid": transaction.trans_uuid,
        "site_id": form.site.site_id,
        "order_id": form["vads_order_id"],
        "trans_id": transaction.trans_id,
        "trans_date": transaction.trans_date,
        "ctx_mode": form["vads_ctx_mode"],
        "operation_type": transaction.operation.value,
        "amount": transaction.amount_cents,
        "refunded": transaction.refunded_cents,
        "parent_trans_uuid": transaction.parent_uuid,
        "currency": "EUR",
        "status": transaction.status.value,
        "is_accepted": transaction.is_accepted,
        "auth_result": transaction.auth_result,
        "auth_number": transaction.auth_number,
        "created_at": transaction.created_at.isoformat(),
        "notices": [
            {
                "sent_at": notice.sent_at.isoformat(),
                "url": notice.url,
                "source": notice.source,
                "answer_code": notice.answer_code,
                "error": notice.error,
                "is_signature_valid": notice.is_signature_valid,
            }
            for notice in transaction.notices
        ],
        "faults": transaction.faults,
    }
