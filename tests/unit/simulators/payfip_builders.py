"""Builders for PayFiP's tests: the site on loopback, a merchant, and eopayment as its client."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import eopayment
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from simulators.clock import MovableClock
from simulators.payfip.app import NOTIFIER, Terms, create_app
from simulators.payfip.clients import Client
from simulators.payfip.payer_pages import PAGE_PATH
from simulators.payfip.service import SERVICE_PATH

NUMCLI = "090909"
# 23:30 in Paris, half an hour before the night's cleaning. Long past for eopayment, which measures
# the age of a result with the machine's clock.
NOW = datetime(2025, 7, 14, 21, 30, 0, tzinfo=UTC)
EMAIL = "lea@example.org"
RETURN_URL = "https://portail.example/retour?facture=17#bas"
CLIENTS = (
    Client(numcli=NUMCLI, labels=("Régie des eaux", "Ville de Saint-Aubin")),
    Client(numcli="010101", labels=("Cantine du Val",), is_live=False),
)


@dataclass
class Merchant:
    """A merchant's server: keeps the notices it gets, and may ask back before it answers."""

    notices: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    on_notice: Callable[[dict[str, str]], Any] | None = None

    async def take_notice(self, request: web.Request) -> web.Response:
        """Keep one notice."""
        assert request.content_type == "application/x-www-form-urlencoded"
        self.notices.append(dict(parse_qsl(await request.text(), keep_blank_values=True)))
        if self.on_notice is not None:
            await self.on_notice(self.notices[-1])
        return web.Response()


@dataclass
class Site:
    """PayFiP under test, its clock, and the merchant's library in front of it."""

    http: "TestClient[web.Request, web.Application]"
    merchant: Merchant
    clock: MovableClock

    @property
    def service_url(self) -> str:
        """Return the address of the web service."""
        return str(self.http.make_url(SERVICE_PATH))

    def backend(self, **options: str) -> Any:
        """Return eopayment's backend of the web service, led here."""
        described = {
            "numcli": NUMCLI,
            "saisie": "W",
            "normal_return_url": RETURN_URL,
            "automatic_return_url": self.merchant.url,
        }
        backend = eopayment.Payment("payfip_ws", described | options).backend
        # No option sets the address: eopayment keeps `service_url` and never reads it.
        backend.payfip.client.service._binding_options["address"] = self.service_url
        return backend

    async def create(self, refdet: str = "CANTINE2026", **changes: Any) -> str:
        """Ask for an idOp as a merchant does, and return it."""
        asked = {"amount": Decimal("12.34"), "email": EMAIL, "exer": "2026"} | changes
        backend = self.backend()
        idop, kind, url = await asyncio.to_thread(backend.request, refdet=refdet, **asked)
        assert kind == eopayment.URL
        assert url.endswith(f"{PAGE_PATH}?idop={idop}")
        return str(idop)

    async def ask(self, idop: str) -> Any:
        """Return what the web service tells of an idOp.

        Raises:
            PayFiPError: a fault; its code is in `code`.
        """
        return await asyncio.to_thread(self.backend().payfip.get_info_paiement, idop)

    async def status(self, idop: str) -> Any:
        """Return eopayment's reading of what the web service tells."""
        return await asyncio.to_thread(self.backend().payment_status, idop)

    async def call(self, body: str, content_type: str = "text/xml") -> ClientResponse:
        """Post bytes of one's own to the web service."""
        headers = {"Content-Type": content_type}
        return await self.http.post(SERVICE_PATH, data=body.encode(), headers=headers)

    async def open_page(self, idop: str) -> ClientResponse:
        """Open the payer's page."""
        return await self.http.get(PAGE_PATH, params={"idop": idop}, allow_redirects=False)

    async def choose(self, idop: str, choice: str) -> ClientResponse:
        """Press a button of the payer's page."""
        posted = {"idop": idop, "choix": choice}
        return await self.http.post(PAGE_PATH, data=posted, allow_redirects=False)

    async def set_faults(self, **switches: object) -> None:
        """Set fault switches through the API."""
        answer = await self.http.post("/api/faults", json=switches)
        assert answer.status == 200

    async def advance(self, **times: int) -> None:
        """Move the clock forward through the API."""
        seconds = (
            times.get("days", 0) * 86_400 + times.get("minutes", 0) * 60 + times.get("seconds", 0)
        )
        answer = await self.http.post("/api/clock", json={"advance_seconds": seconds})
        assert answer.status == 200

    async def quiet(self) -> None:
        """Wait for the notices that are under way or planned."""
        await self.http.app[NOTIFIER].wait_until_quiet()

    async def payment(self, idop: str) -> dict[str, Any]:
        """Return the provider's own truth of an operation."""
        answer = await self.http.get(f"/api/payments/{idop}")
        assert answer.status == 200
        found: dict[str, Any] = await answer.json()
        return found


@asynccontextmanager
async def running_site(terms: Terms | None = None) -> AsyncIterator[Site]:
    """Run PayFiP and a merchant on loopback; the clock stands at NOW until it is moved."""
    merchant = Merchant()
    merchant_app = web.Application()
    merchant_app.router.add_post("/notify", merchant.take_notice)
    clock = MovableClock(lambda: NOW)
    app = create_app(CLIENTS, clock=clock, terms=terms)
    async with TestServer(merchant_app) as server, TestClient(TestServer(app)) as http:
        merchant.url = str(server.make_url("/notify"))
        yield Site(http=http, merchant=merchant, clock=clock)
