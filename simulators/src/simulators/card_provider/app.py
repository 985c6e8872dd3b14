"""The provider's doors: the payment form and page, the transactions, the fault switches."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import timedelta
from urllib.parse import urlencode, urlsplit, urlunsplit

from aiohttp import ClientSession, web
from aiohttp.typedefs import Handler, Middleware

from simulators.card_provider.back_office import NOTIFIER, BackOffice
from simulators.card_provider.cards import TEST_CARDS, Card, read_card
from simulators.card_provider.form import FormError, PaymentForm, check_form, read_fields
from simulators.card_provider.ledger import Ledger, Session, Transaction, TransactionStatus
from simulators.card_provider.notices import NoticeTimes, Notifier
from simulators.card_provider.result_fields import return_fields
from simulators.card_provider.sites import Site, index_sites
from simulators.faults import FaultBoard, SwitchKind, fault_routes
from simulators.pages import page, page_routes, utc_now

MAX_FORM_BYTES = 65_536
SESSION_LIFETIME = timedelta(minutes=15)

SWITCHES = {
    "lost_notice": SwitchKind.COUNT,
    "double_notice": SwitchKind.COUNT,
    "bad_signature": SwitchKind.COUNT,
    "early_notice": SwitchKind.COUNT,
    "late_success": SwitchKind.COUNT,
    "late_success_seconds": SwitchKind.SECONDS,
    "slow_seconds": SwitchKind.SECONDS,
    "server_error": SwitchKind.COUNT,
    "timeout_after_charge": SwitchKind.COUNT,
}
# The address of the return for each end, before the one that serves all.
RETURN_FIELDS = {
    TransactionStatus.AUTHORISED: "vads_url_success",
    TransactionStatus.AUTHORISED_TO_VALIDATE: "vads_url_success",
    TransactionStatus.CAPTURED: "vads_url_success",
    TransactionStatus.REFUSED: "vads_url_refused",
    TransactionStatus.ABANDONED: "vads_url_cancel",
    TransactionStatus.CANCELLED: "vads_url_cancel",
}

LEDGER = web.AppKey("ledger", Ledger)


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
    doors = _Doors(app[LEDGER], known_sites, chosen_times, faults)
    back_office = BackOffice(ledger=app[LEDGER], sites=known_sites, times=chosen_times)

    async def run_notifier(app: web.Application) -> AsyncIterator[None]:
        async with ClientSession() as http:
            app[NOTIFIER] = Notifier(http, faults, chosen_times)
            yield
            await app[NOTIFIER].close()

    app.cleanup_ctx.append(run_notifier)
    app.add_routes(
        [
            web.post("/vads-payment/", doors.receive_form),
            web.post("/vads-payment", doors.receive_form),
            web.get("/vads-payment/session/{session_id}", doors.show_payment),
            web.post("/vads-payment/session/{session_id}", doors.take_payment),
            *_back_office_routes(back_office),
            *fault_routes(faults),
            *page_routes(),
        ]
    )
    return app


def _back_office_routes(back_office: BackOffice) -> list[web.RouteDef]:
    one = "/api/transactions/{trans_uuid}"
    return [
        web.get("/", back_office.show_back_office),
        web.get("/api/transactions", back_office.list_transactions),
        web.get(one, back_office.show_transaction),
        web.post(f"{one}/refund", back_office.refund),
        web.post(f"{one}/cancel", back_office.cancel),
        web.post(f"{one}/capture", back_office.capture),
    ]


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

    def __init__(
        self, ledger: Ledger, sites: dict[str, Site], times: NoticeTimes, faults: FaultBoard
    ) -> None:
        self._ledger = ledger
        self._sites = sites
        self._times = times
        self._clock = times.clock
        self._faults = faults

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
        if session is None:
            return page("card_provider/expired.html", status=410)
        if session.transaction is not None:
            return _return_to_merchant(session.transaction)
        is_expired = self._ledger.is_expired(session, self._clock())
        card = None
        if typed.get("action") != "cancel":
            card, errors = read_card(typed, self._clock())
            if card is None and not is_expired:
                return _payment_page(session, errors)
        notifier = request.app[NOTIFIER]
        if is_expired:
            if card is not None and self._faults.take("late_success"):
                notifier.start(self._charge_late(notifier, session.form, card))
            return page("card_provider/expired.html", status=410)
        transaction = self._ledger.end_session(session, card, self._clock())
        if card is None and self._faults.take("late_success"):
            transaction.faults.append("late_success")
            late_card = _card_of_second_thoughts(self._clock().year)
            notifier.start(
                self._charge_late(
                    notifier, session.form, late_card, self._times.settle_after_seconds
                )
            )
        await notifier.announce(transaction)
        return self._answer_payer(request, transaction)

    def _answer_payer(self, request: web.Request, transaction: Transaction) -> web.StreamResponse:
        """Send the browser back, or let a switch decide otherwise."""
        if transaction.is_accepted and self._faults.take("timeout_after_charge"):
            transaction.faults.append("timeout_after_charge")
            # The money is taken; the connection dies before the payer sees anything.
            if request.transport is not None:
                request.transport.abort()
        if self._faults.take("early_notice"):
            transaction.faults.append("early_notice")
            # The merchant knows, and the payer stays at the provider until pressing the link.
            return _ticket(transaction)
        return _return_to_merchant(transaction)

    async def _charge_late(
        self, notifier: Notifier, form: PaymentForm, card: Card, after_seconds: float = 0.0
    ) -> None:
        """Take the money of a payer whose session is over, and tell the merchant."""
        if after_seconds:
            await self._times.sleep(after_seconds)
        transaction = self._ledger.charge_late(form, card, self._clock())
        transaction.faults.append("late_success")
        await notifier.announce(transaction)


def _card_of_second_thoughts(year: int) -> Card:
    return Card(number=TEST_CARDS[0].number, expiry_month=12, expiry_year=year + 1)


def _payment_page(session: Session, errors: dict[str, str]) -> web.Response:
    return page(
        "card_provider/payment.html",
        status=422 if errors else 200,
        form=session.form,
        errors=errors,
        test_cards=TEST_CARDS,
    )


def _return_to_merchant(transaction: Transaction) -> web.StreamResponse:
    url = _return_address(transaction)
    if not url or transaction.form["vads_return_mode"] == "POST":
        return _ticket(transaction)
    answer = web.Response(status=303)
    # The address goes out as the merchant wrote it; building it anew could change its escapes.
    answer.headers["Location"] = url
    return answer


def _ticket(transaction: Transaction) -> web.Response:
    """Show how it ended on the provider's own page, with the way back to the merchant if any."""
    url = _return_address(transaction)
    is_form = bool(url) and transaction.form["vads_return_mode"] == "POST"
    return page(
        "card_provider/result.html",
        transaction=transaction,
        form=transaction.form,
        url=url,
        is_form=is_form,
        fields=return_fields(transaction) if is_form else {},
    )


def _return_address(transaction: Transaction) -> str:
    form = transaction.form
    url = form[RETURN_FIELDS[transaction.status]] or form["vads_url_return"]
    if url and form["vads_return_mode"] == "GET":
        return _with_query(url, return_fields(transaction))
    return url


def _with_query(url: str, fields: dict[str, str]) -> str:
    parts = urlsplit(url)
    query = "&".join(part for part in (parts.query, urlencode(fields)) if part)
    return urlunsplit(parts._replace(query=query))
