"""The provider's doors: the payment form and page, the transactions, the fault switches."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from itertools import islice
from urllib.parse import urlencode, urlsplit, urlunsplit

from aiohttp import ClientSession, web
from aiohttp.typedefs import Handler, Middleware

from simulators.card_provider.cards import TEST_CARDS, read_card
from simulators.card_provider.form import FormError, PaymentForm, check_form, read_fields
from simulators.card_provider.ledger import Ledger, Session, Transaction, TransactionStatus
from simulators.card_provider.notices import NoticeTimes, Notifier
from simulators.card_provider.result_fields import return_fields
from simulators.card_provider.sites import Site, index_sites
from simulators.faults import FaultBoard, SwitchKind, fault_routes, problem
from simulators.pages import page, page_routes, utc_now

MAX_FORM_BYTES = 65_536
SESSION_LIFETIME = timedelta(minutes=15)
MAX_ROWS_SHOWN = 200

SWITCHES = {
    "lost_notice": SwitchKind.COUNT,
    "double_notice": SwitchKind.COUNT,
    "bad_signature": SwitchKind.COUNT,
    "late_success_seconds": SwitchKind.SECONDS,
    "slow_seconds": SwitchKind.SECONDS,
    "server_error": SwitchKind.COUNT,
}
# The address of the return for each end, before the one that serves all.
RETURN_FIELDS = {
    TransactionStatus.AUTHORISED: "vads_url_success",
    TransactionStatus.AUTHORISED_TO_VALIDATE: "vads_url_success",
    TransactionStatus.REFUSED: "vads_url_refused",
    TransactionStatus.ABANDONED: "vads_url_cancel",
}

LEDGER = web.AppKey("ledger", Ledger)
NOTIFIER = web.AppKey("notifier", Notifier)


def create_app(
    sites: Iterable[Site],
    *,
    times: NoticeTimes | None = None,
    session_lifetime: timedelta = SESSION_LIFETIME,
) -> web.Application:
    """Build the provider for `sites`; `times` sets the clock, the waits and the retries.

    Raises:
        SiteError: the same shop twice.
    """
    known_sites = index_sites(sites)
    chosen_times = times or NoticeTimes(clock=utc_now)
    faults = FaultBoard(SWITCHES)
    app = web.Application(
        client_max_size=MAX_FORM_BYTES,
        middlewares=[_misbehaving(faults, chosen_times.sleep)],
    )
    app[LEDGER] = Ledger(session_lifetime)
    doors = _Doors(app[LEDGER], known_sites, chosen_times)

    async def run_notifier(app: web.Application) -> AsyncIterator[None]:
        async with ClientSession() as http:
            app[NOTIFIER] = Notifier(http, faults, chosen_times)
            yield
            await app[NOTIFIER].close()

    app.cleanup_ctx.append(run_notifier)
    app.add_routes(
        [
            web.get("/", doors.show_back_office),
            web.post("/vads-payment/", doors.receive_form),
            web.post("/vads-payment", doors.receive_form),
            web.get("/vads-payment/session/{session_id}", doors.show_payment),
            web.post("/vads-payment/session/{session_id}", doors.take_payment),
            web.get("/api/transactions", doors.list_transactions),
            web.get("/api/transactions/{trans_uuid}", doors.show_transaction),
            *fault_routes(faults),
            *page_routes(),
        ]
    )
    return app


def _misbehaving(faults: FaultBoard, sleep: Callable[[float], Awaitable[object]]) -> Middleware:
    """Slow down or fail the payer's pages when a switch says so; the API stays well."""

    @web.middleware
    async def misbehave(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/vads-payment"):
            delay_seconds = faults.seconds("slow_seconds")
            if delay_seconds:
                await sleep(delay_seconds)
            if faults.take("server_error"):
                return page("card_provider/unavailable.html", status=503)
        return await handler(request)

    return misbehave


class _Doors:
    """The handlers, around one ledger."""

    def __init__(self, ledger: Ledger, sites: dict[str, Site], times: NoticeTimes) -> None:
        self._ledger = ledger
        self._sites = sites
        self._clock = times.clock

    async def receive_form(self, request: web.Request) -> web.Response:
        """Check the merchant's form; send the payer to the page, or show the error page."""
        fields: dict[str, str] = {}
        try:
            fields = read_fields(await request.read())
            form = check_form(fields, self._sites, self._clock())
            session = self._ledger.open_session(form, self._clock())
        except FormError as error:
            # In production the payer is told nothing of the cause, as Lyra does.
            is_explained = fields.get("vads_ctx_mode") != "PRODUCTION"
            return page(
                "card_provider/form_error.html",
                status=400,
                error=error,
                is_explained=is_explained,
            )
        raise web.HTTPSeeOther(location=f"/vads-payment/session/{session.session_id}")

    async def show_payment(self, request: web.Request) -> web.StreamResponse:
        """Show the card form, or the way back when the payment ended."""
        session = self._ledger.find_session(request.match_info["session_id"])
        if session is None or self._ledger.is_expired(session, self._clock()):
            return page("card_provider/expired.html", status=410)
        if session.transaction is not None:
            return _return_to_merchant(session.transaction)
        return _payment_page(session, {})

    async def take_payment(self, request: web.Request) -> web.StreamResponse:
        """Charge the card or abandon, notify the merchant, then send the browser back."""
        posted = await request.post()
        typed = {name: value for name, value in posted.items() if isinstance(value, str)}
        # From here to the end of the session nothing is awaited: two clicks cannot pay twice.
        session = self._ledger.find_session(request.match_info["session_id"])
        if session is None or self._ledger.is_expired(session, self._clock()):
            return page("card_provider/expired.html", status=410)
        if session.transaction is not None:
            return _return_to_merchant(session.transaction)
        card = None
        if typed.get("action") != "cancel":
            card, errors = read_card(typed, self._clock())
            if card is None:
                return _payment_page(session, errors)
        transaction = self._ledger.end_session(session, card, self._clock())
        await request.app[NOTIFIER].announce(transaction)
        return _return_to_merchant(transaction)

    async def list_transactions(self, request: web.Request) -> web.Response:
        """List what ended, the oldest first, narrowed by any of the fields named in the query."""
        found = [_as_json(transaction) for transaction in self._ledger.transactions()]
        for name in ("site_id", "order_id", "trans_id", "status"):
            if name in request.query:
                found = [entry for entry in found if entry[name] == request.query[name]]
        return web.json_response(found)

    async def show_transaction(self, request: web.Request) -> web.Response:
        """Show one transaction."""
        transaction = self._ledger.find_transaction(request.match_info["trans_uuid"])
        if transaction is None:
            return problem(404, "unknown-transaction", "no transaction has this identifier")
        return web.json_response(_as_json(transaction))

    async def show_back_office(self, _: web.Request) -> web.Response:
        """Show the shops, the test cards and the latest transactions."""
        transactions = list(self._ledger.transactions())
        return page(
            "card_provider/back_office.html",
            sites=list(self._sites.values()),
            test_cards=TEST_CARDS,
            transactions=list(islice(reversed(transactions), MAX_ROWS_SHOWN)),
            count=len(transactions),
        )


def _payment_page(session: Session, errors: dict[str, str]) -> web.Response:
    return page(
        "card_provider/payment.html",
        status=422 if errors else 200,
        form=session.form,
        errors=errors,
        test_cards=TEST_CARDS,
    )


def _return_to_merchant(transaction: Transaction) -> web.StreamResponse:
    form = transaction.form
    url = form[RETURN_FIELDS[transaction.status]] or form["vads_url_return"]
    mode = form["vads_return_mode"]
    if not url or mode == "POST":
        fields = return_fields(transaction) if url else {}
        return page(
            "card_provider/result.html", transaction=transaction, form=form, url=url, fields=fields
        )
    if mode == "GET":
        url = _with_query(url, return_fields(transaction))
    answer = web.Response(status=303)
    # The address goes out as the merchant wrote it; building it anew could change its escapes.
    answer.headers["Location"] = url
    return answer


def _with_query(url: str, fields: dict[str, str]) -> str:
    parts = urlsplit(url)
    query = "&".join(part for part in (parts.query, urlencode(fields)) if part)
    return urlunsplit(parts._replace(query=query))


def _as_json(transaction: Transaction) -> dict[str, object]:
    form: PaymentForm = transaction.form
    created_at: datetime = transaction.created_at
    return {
        "trans_uuid": transaction.trans_uuid,
        "site_id": form.site.site_id,
        "order_id": form["vads_order_id"],
        "trans_id": form["vads_trans_id"],
        "trans_date": form["vads_trans_date"],
        "ctx_mode": form["vads_ctx_mode"],
        "amount": form.amount_cents,
        "currency": "EUR",
        "status": transaction.status.value,
        "is_accepted": transaction.is_accepted,
        "auth_result": transaction.auth_result,
        "auth_number": transaction.auth_number,
        "created_at": created_at.isoformat(),
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
