"""The agents' side: what came in, by day and régie, and how long the steps take."""

from datetime import timedelta

from aiohttp import web

from gateway.api.chart import draw
from gateway.api.forgery import read_form
from gateway.api.language import say
from gateway.api.login import LONGEST_NAME, prove
from gateway.api.site import require_agent, see_other, site_of, today, visitor_of
from gateway.api.web import log_in, page, render
from gateway.ports import (
    Collected,
    Delays,
    OtherServices,
    PasswordKeeper,
    RefusedError,
    ServiceUnavailableError,
)
from shared.http import Operation

DAYS = 14
WEEK = timedelta(days=7)


class Regie:
    """Pages of agents."""

    def __init__(self, services: OtherServices, passwords: PasswordKeeper) -> None:
        """Read figures through `services`; check passwords with `passwords`."""
        self._services = services
        self._passwords = passwords

    async def get_login(self, request: web.Request) -> web.StreamResponse:
        """Ask which agent is there."""
        visitor = visitor_of(request)
        if visitor is not None and visitor.login:
            return see_other("/regie")
        return render(request, "regie_login.html", login="", error="")

    async def post_login(self, request: web.Request) -> web.StreamResponse:
        """Log an agent in; one answer for an unknown name and a wrong password."""
        fields = await read_form(request)
        login = fields.get("login").strip()[:LONGEST_NAME]
        agent = await prove(
            request,
            self._passwords,
            "agent",
            login,
            fields.get("password"),
            lambda portal, name: portal.find_agent(name),
        )
        if agent is None:
            error = say(request, "Identifiant ou mot de passe incorrect.")
            return render(request, "regie_login.html", status=401, login=login, error=error)
        response = see_other("/regie")
        await log_in(request, response, login=agent.login)
        return response

    async def get_figures(self, request: web.Request) -> web.Response:
        """Show what came in; without the figures the page says so and stands."""
        agent = require_agent(request)
        last = today(request)
        first = last - timedelta(days=DAYS - 1)
        async with site_of(request).open_portal() as portal:
            labels = await portal.regie_labels(agent.authority)
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
            items=sorted(items, key=lambda item: (-item.day.toordinal(), item.regie)),
            labels=labels,
            chart=draw(items, labels, first, last),
            today_cents=sum(item.amount_cents for item in items if item.day == last),
            week_cents=sum(item.amount_cents for item in items if item.day > last - WEEK),
            payments=sum(item.payments for item in items),
            steps=[step for step in (delays.steps if delays else ()) if step.count],
            days=DAYS,
        )

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [
            page("GET", "/regie", self.get_figures, "What came in.", "agents"),
            page("GET", "/regie/connexion", self.get_login, "Log in as an agent.", "agents"),
            page("POST", "/regie/connexion", self.post_login, "Log in as an agent.", "agents"),
        ]
