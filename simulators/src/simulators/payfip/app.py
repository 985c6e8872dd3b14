"""PayFiP's doors: web service, payer's pages, the provider's list, clock and fault switches."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import timedelta

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from simulators.clock import MovableClock, clock_routes
from simulators.faults import FaultBoard, SwitchKind, fault_routes
from simulators.pages import page, page_routes
from simulators.payfip.back_office import BackOffice
from simulators.payfip.clients import Client, index_clients
from simulators.payfip.counter import SETTLE_AFTER, Counter
from simulators.payfip.ledger import Ledger
from simulators.payfip.notices import NOTICE_TIMEOUT_SECONDS, Notifier
from simulators.payfip.payer_pages import FORM_PATH, PAGE_PATH, PayerPages
from simulators.payfip.requests import FORM_MAXIMUM_CENTS, WEB_SERVICE_MAXIMUM_CENTS, DoorRules
from simulators.payfip.service import SERVICE_PATH, Service

MAX_BODY_BYTES = 65_536

SWITCHES = {
    "lost_notice": SwitchKind.COUNT,
    "double_notice": SwitchKind.COUNT,
    "early_notice": SwitchKind.COUNT,
    "notice_delay_seconds": SwitchKind.SECONDS,
    "late_success": SwitchKind.COUNT,
    "v_then_z": SwitchKind.COUNT,
    "p5_for_ever": SwitchKind.COUNT,
    "p1_after_midnight": SwitchKind.COUNT,
    "slow_seconds": SwitchKind.SECONDS,
    "server_error": SwitchKind.COUNT,
    "soap_fault_999": SwitchKind.COUNT,
    "soap_unavailable": SwitchKind.COUNT,
    "timeout_after_create": SwitchKind.COUNT,
}

NOTIFIER = web.AppKey("notifier", Notifier)
CLOCK = web.AppKey("clock", MovableClock)


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What an operator may set."""

    web_service_maximum_cents: int = WEB_SERVICE_MAXIMUM_CENTS
    form_maximum_cents: int = FORM_MAXIMUM_CENTS
    settle_after: timedelta = SETTLE_AFTER
    notice_timeout_seconds: float = NOTICE_TIMEOUT_SECONDS


def create_app(
    clients: Iterable[Client], *, clock: MovableClock | None = None, terms: Terms | None = None
) -> web.Application:
    """Build the payment site for `clients`.

    Raises:
        ClientError: the same client twice.
    """
    known, terms = index_clients(clients), terms or Terms()
    faults, ledger = FaultBoard(SWITCHES), Ledger()
    clock = clock or MovableClock()
    notifier = Notifier(faults, clock, terms.notice_timeout_seconds)
    counter = Counter(
        ledger=ledger,
        notifier=notifier,
        faults=faults,
        clock=clock,
        settle_after=terms.settle_after,
    )
    soap_door = Service(
        ledger=ledger,
        clients=known,
        faults=faults,
        clock=clock,
        rules=DoorRules(entries="TXW", maximum_cents=terms.web_service_maximum_cents),
    )
    pages = PayerPages(
        counter=counter,
        clients=known,
        # eopayment's form backend sends M as well as A for production.
        form_rules=DoorRules(entries="TXAM", maximum_cents=terms.form_maximum_cents),
    )

    async def run_notifier(_: web.Application) -> AsyncIterator[None]:
        async with notifier.running():
            yield

    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_misbehaving(faults, clock)])
    app[CLOCK], app[NOTIFIER] = clock, notifier
    app.cleanup_ctx.append(run_notifier)
    app.add_routes(
        [
            *_routes(soap_door, pages, BackOffice(counter=counter, clients=tuple(known.values()))),
            *clock_routes(clock),
            *fault_routes(faults),
            *page_routes(),
        ]
    )
    return app


def _routes(soap_door: Service, pages: PayerPages, back_office: BackOffice) -> list[web.RouteDef]:
    return [
        web.get(SERVICE_PATH, soap_door.describe),
        web.post(SERVICE_PATH, soap_door.answer),
        web.get(PAGE_PATH, pages.show),
        web.post(PAGE_PATH, pages.choose),
        web.get(FORM_PATH, pages.receive_form),
        web.get("/", back_office.show_overview),
        web.get("/api/payments", back_office.list_payments),
        web.get("/api/payments/{idop}", back_office.show_payment),
        web.post("/api/payments/{idop}/{action:pay|refuse|abandon}", back_office.act),
    ]


def _misbehaving(faults: FaultBoard, clock: MovableClock) -> Middleware:
    """Slow down or fail service and pages when a switch says so; the API stays well."""

    @web.middleware
    async def misbehave(request: web.Request, handler: Handler) -> web.StreamResponse:
        # A description that cannot be had is no fault of a payment: merchants keep a copy.
        is_description = request.path == SERVICE_PATH and request.method == "GET"
        if request.path.startswith("/tpa/") and not is_description:
            delay_seconds = faults.seconds("slow_seconds")
            if delay_seconds:
                await clock.sleep(delay_seconds)
            if faults.take("server_error"):
                # What stands before the service answers in its place.
                status = 502 if request.path == SERVICE_PATH else 503
                return page("payfip/unavailable.html", status=status)
        return await handler(request)

    return misbehave
