"""The agents' side: what came in, by day and régie, and how long the steps take."""

from collections.abc import Sequence
from datetime import date, timedelta

import msgspec
from aiohttp import web

from gateway.adapters.passwords import Passwords
from gateway.adapters.services import (
    Collected,
    CollectedItem,
    Delays,
    RefusedError,
    Services,
    ServiceUnavailableError,
)
from gateway.api.login import prove
from gateway.api.web import (
    log_in,
    render,
    require_agent,
    see_other,
    today,
)
from gateway.store import PostgresPortal
from shared.http import Operation

DAYS = 14
WIDTH, HEIGHT, LEFT, BOTTOM = 720, 240, 64, 28
COLOURS = ("#0b5c66", "#d98a1f", "#6a5acd", "#2e8b57", "#b0413e", "#5b7083")
STEPS = {
    "generated_to_published": "du dépôt à la publication",
    "published_to_captured": "de la publication au paiement",
}


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One rectangle of the chart, in its own units."""

    x: float
    y: float
    width: float
    height: float
    colour: str
    label: str


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """A bar chart by day, stacked by régie."""

    bars: tuple[Bar, ...]
    days: tuple[tuple[float, str], ...]
    scale: tuple[tuple[float, int], ...]
    legend: tuple[tuple[str, str], ...]


class Regie:
    """Pages of agents."""

    def __init__(self, services: Services, passwords: Passwords) -> None:
        """Read figures through `services`."""
        self._services = services
        self._passwords = passwords

    async def get_login(self, request: web.Request) -> web.Response:
        """Ask which agent is there."""
        return render(request, "regie_login.html", login="", error="")

    async def post_login(self, request: web.Request) -> web.StreamResponse:
        """Log an agent in; one answer for an unknown name and a wrong password."""
        fields = await request.post()
        login = str(fields.get("login", "")).strip()[:254]
        agent = await prove(
            request,
            self._passwords,
            "agent",
            login,
            str(fields.get("password", "")),
            PostgresPortal.find_agent,
        )
        if agent is None:
            error = "Identifiant ou mot de passe incorrect."
            return render(request, "regie_login.html", status=401, login=login, error=error)
        response = see_other("/regie")
        await log_in(request, response, login=agent.login)
        return response

    async def get_figures(self, request: web.Request) -> web.Response:
        """Show what came in."""
        agent = require_agent(request)
        last = today(request)
        first = last - timedelta(days=DAYS - 1)
        try:
            collected: Collected | None = await self._services.collected(
                agent.authority, first, last
            )
            delays: Delays | None = await self._services.delays(agent.authority)
        except (ServiceUnavailableError, RefusedError):
            # The rest of the portal does not depend on the figures.
            collected = delays = None
        items = collected.items if collected else ()
        return render(
            request,
            "regie.html",
            agent=agent,
            is_available=collected is not None,
            items=sorted(items, key=lambda item: (item.day, item.regie), reverse=True),
            chart=draw(items, first, last),
            today_cents=sum(item.amount_cents for item in items if item.day == last),
            week_cents=sum(
                item.amount_cents for item in items if item.day > last - timedelta(days=7)
            ),
            payments=sum(item.payments for item in items),
            steps=[
                (STEPS.get(step.step, step.step), step)
                for step in (delays.steps if delays else ())
                if step.count
            ],
            days=DAYS,
        )

    def operations(self) -> list[Operation]:
        """Return what is served."""

        def page(method: str, path: str, handler: object, summary: str) -> Operation:
            return Operation(
                method=method,
                path=path,
                handler=handler,  # type: ignore[arg-type]
                summary=summary,
                responses={200: "text/html"},
                tags=("agents",),
            )

        return [
            page("GET", "/regie", self.get_figures, "What came in."),
            page("GET", "/regie/connexion", self.get_login, "Log in as an agent."),
            page("POST", "/regie/connexion", self.post_login, "Log in as an agent."),
        ]


def draw(items: Sequence[CollectedItem], first: date, last: date) -> Chart:
    """Return the chart of what was collected from `first` to `last`, both included."""
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    regies = sorted({item.regie for item in items})
    colours = {regie: COLOURS[number % len(COLOURS)] for number, regie in enumerate(regies)}
    totals = {day: sum(max(0, i.amount_cents) for i in items if i.day == day) for day in days}
    top = _round_up(max(totals.values(), default=0))
    slot = (WIDTH - LEFT) / len(days)
    bars = []
    for number, day in enumerate(days):
        y = float(HEIGHT - BOTTOM)
        for item in sorted((i for i in items if i.day == day), key=lambda i: i.regie):
            height = max(0, item.amount_cents) / top * (HEIGHT - BOTTOM - 12)
            y -= height
            bars.append(
                Bar(
                    x=round(LEFT + number * slot + slot * 0.15, 1),
                    y=round(y, 1),
                    width=round(slot * 0.7, 1),
                    height=round(height, 1),
                    colour=colours[item.regie],
                    label=item.regie,
                )
            )
    return Chart(
        bars=tuple(bars),
        days=tuple(
            (round(LEFT + (number + 0.5) * slot, 1), f"{day:%d/%m}")
            for number, day in enumerate(days)
        ),
        scale=tuple(
            (round(HEIGHT - BOTTOM - part / 4 * (HEIGHT - BOTTOM - 12), 1), top * part // 4)
            for part in range(5)
        ),
        legend=tuple(colours.items()),
    )


def _round_up(cents: int) -> int:
    """Return a round number of cents above `cents`, so that the scale reads easily."""
    step = 10_000
    while step * 10 < cents:
        step *= 10
    return max(step, -(-cents // step) * step)
