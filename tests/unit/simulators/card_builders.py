"""Builders for the card provider's tests: the provider on loopback, with a merchant to notify."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from simulators.card_provider.app import create_app
from simulators.card_provider.back_office import NOTIFIER
from simulators.card_provider.notices import NoticeTimes, RetryRule
from simulators.card_provider.sites import Site

KEY = "1122334455667788"
ACCEPTED_CARD = "4970100000000055"
REFUSED_CARD = "4970100000000014"
RETURN_URL = "https://portail.example/retour?facture=17#bas"


@dataclass
class Merchant:
    """A merchant's server: keeps the notices it gets, answers what the test wants."""

    answers: list[int] = field(default_factory=list)
    notices: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    async def take_notice(self, request: web.Request) -> web.Response:
        """Keep one notice."""
        assert request.content_type == "application/x-www-form-urlencoded"
        self.notices.append(dict(parse_qsl(await request.text(), keep_blank_values=True)))
        return web.Response(status=self.answers.pop(0) if self.answers else 200)


@dataclass
class Provider:
    """The provider under test, with its clock and the waits it asked for."""

    client: "TestClient[web.Request, web.Application]"
    merchant: Merchant
    form: Callable[..., dict[str, str]]
    instant: list[datetime]
    waits: list[float]
    gate: asyncio.Event

    def hold_waits(self) -> None:
        """Let whatever waits wait until told."""
        self.gate.clear()

    def release_waits(self) -> None:
        """Let it go on."""
        self.gate.set()

    async def send_form(self, **changes: str | None) -> ClientResponse:
        """Post a form as the payer's browser does, and stop at the first answer."""
        fields = self.form(**changes)
        return await self.client.post("/vads-payment/", data=fields, allow_redirects=False)

    async def open_page(self, **changes: str | None) -> str:
        """Send a form and return the path of the payment page."""
        wanted: dict[str, str | None] = {
            "vads_url_check": self.merchant.url,
            "vads_url_return": RETURN_URL,
            "vads_return_mode": "GET",
        }
        answer = await self.send_form(**(wanted | changes))
        assert answer.status == 303
        return answer.headers["Location"]

    async def pay(self, path: str, number: str = ACCEPTED_CARD) -> ClientResponse:
        """Type a card and press the first button."""
        typed = {
            "card_number": number,
            "expiry_month": "06",
            "expiry_year": "2030",
            "cvv": "123",
            "action": "pay",
        }
        return await self.client.post(path, data=typed, allow_redirects=False)

    async def cancel(self, path: str) -> ClientResponse:
        """Press the cancel button."""
        return await self.client.post(path, data={"action": "cancel"}, allow_redirects=False)

    async def set_faults(self, **switches: object) -> None:
        """Set fault switches through the API."""
        answer = await self.client.post("/api/faults", json=switches)
        assert answer.status == 200

    async def wait_for_notices(self) -> None:
        """Wait for what goes on after the return."""
        await self.client.app[NOTIFIER].wait_until_quiet()

    async def transactions(self, query: str = "") -> list[dict[str, Any]]:
        """Return what the provider says was paid."""
        answer = await self.client.get(f"/api/transactions{query}")
        listed: list[dict[str, Any]] = await answer.json()
        return listed


@asynccontextmanager
async def running_provider(
    sites: Iterable[Site],
    form: Callable[..., dict[str, str]],
    now: datetime,
    rule: RetryRule = RetryRule.DELAYS,
) -> AsyncIterator[Provider]:
    """Run a provider and a merchant; waits return at once, are written down and move the clock."""
    merchant = Merchant()
    merchant_app = web.Application()
    merchant_app.router.add_post("/notify", merchant.take_notice)
    instant, waits, gate = [now], [], asyncio.Event()
    gate.set()

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if rule is not RetryRule.DELAYS:
            instant[0] += timedelta(seconds=seconds)
        await gate.wait()

    times = NoticeTimes(
        clock=lambda: instant[0],
        sleep=sleep,
        retry_delays_seconds=(1, 5, 30),
        retry_rule=rule,
    )
    app = create_app(sites, times=times)
    async with TestServer(merchant_app) as merchant_server, TestClient(TestServer(app)) as client:
        merchant.url = str(merchant_server.make_url("/notify"))
        yield Provider(client, merchant, form, instant, waits, gate)


def returned_fields(answer: ClientResponse) -> dict[str, str]:
    """Read the fields that the browser carries back."""
    query = urlsplit(answer.headers["Location"]).query
    return dict(parse_qsl(query, keep_blank_values=True))
