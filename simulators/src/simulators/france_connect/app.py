"""FranceConnect's doors together, with the clock and the fault switches."""

from collections.abc import Iterable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from simulators.clock import MovableClock, clock_routes
from simulators.faults import FaultBoard, SwitchKind, fault_routes
from simulators.france_connect.back_office import BackOffice
from simulators.france_connect.clients import Client, index_clients
from simulators.france_connect.demands import Rules
from simulators.france_connect.doors import ROOT, Doors
from simulators.france_connect.keys import KeyRing
from simulators.france_connect.register import Register
from simulators.france_connect.tokens import SPOILED_CLAIMS, Mint
from simulators.pages import page, page_routes

MAX_BODY_BYTES = 65_536
BROWSER_DOORS = (f"{ROOT}/authorize", f"{ROOT}/interaction/")

SWITCHES = {
    **dict.fromkeys(SPOILED_CLAIMS, SwitchKind.COUNT),
    "wrong_signature": SwitchKind.COUNT,
    "unknown_kid": SwitchKind.COUNT,
    "alg_none": SwitchKind.COUNT,
    "alg_hs256": SwitchKind.COUNT,
    "expired_token": SwitchKind.COUNT,
    "early_token": SwitchKind.COUNT,
    "json_userinfo": SwitchKind.COUNT,
    "wrong_subject": SwitchKind.COUNT,
    "wrong_userinfo_signature": SwitchKind.COUNT,
    "wrong_userinfo_audience": SwitchKind.COUNT,
    "wrong_discovery": SwitchKind.COUNT,
    "jwks_error": SwitchKind.COUNT,
    "huge_answer": SwitchKind.COUNT,
    "server_error": SwitchKind.COUNT,
    "server_error_returned": SwitchKind.COUNT,
    "temporarily_unavailable": SwitchKind.COUNT,
    "invalid_request": SwitchKind.COUNT,
    "slow_seconds": SwitchKind.SECONDS,
}


def create_app(
    clients: Iterable[Client], *, clock: MovableClock | None = None, rules: Rules | None = None
) -> web.Application:
    """Build FranceConnect for `clients`.

    Raises:
        ClientError: the same client twice.
    """
    known, faults, keys = index_clients(clients), FaultBoard(SWITCHES), KeyRing()
    register, clock = Register(), clock or MovableClock()
    doors = Doors(
        register=register,
        clients=known,
        keys=keys,
        mint=Mint(keys, faults),
        faults=faults,
        clock=clock,
        rules=rules or Rules(),
    )
    back_office = BackOffice(
        register=register, clients=tuple(known.values()), keys=keys, clock=clock
    )
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_misbehaving(faults, clock)])
    app.add_routes(
        [
            web.get(f"{ROOT}/.well-known/openid-configuration", doors.discover),
            web.get(f"{ROOT}/jwks", doors.show_keys),
            web.get(f"{ROOT}/authorize", doors.authorize),
            web.post(f"{ROOT}/authorize", doors.authorize),
            web.get(f"{ROOT}/interaction/{{interaction}}", doors.show_persons),
            web.post(f"{ROOT}/interaction/{{interaction}}", doors.choose),
            web.post(f"{ROOT}/token", doors.redeem),
            web.get(f"{ROOT}/userinfo", doors.tell),
            web.get(f"{ROOT}/session/end", doors.end_session),
            web.get("/", back_office.show_overview),
            web.get("/api/logins", back_office.list_logins),
            web.post("/api/keys", back_office.rotate_keys),
            *clock_routes(clock),
            *fault_routes(faults),
            *page_routes(),
        ]
    )
    return app


def _misbehaving(faults: FaultBoard, clock: MovableClock) -> Middleware:
    """Slow down or fail every door of the protocol when a switch says so."""

    @web.middleware
    async def misbehave(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(f"{ROOT}/"):
            delay_seconds = faults.seconds("slow_seconds")
            if delay_seconds:
                await clock.sleep(delay_seconds)
            if faults.take("server_error"):
                if request.path.startswith(BROWSER_DOORS):
                    sentence = "service momentanément indisponible"
                    return page("france_connect/error.html", status=503, sentence=sentence)
                return web.Response(status=503)
        return await handler(request)

    return misbehave
