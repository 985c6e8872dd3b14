"""The State beside the portal: FranceConnect's simulator, and somebody who uses both."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request
from yarl import URL

from gateway.adapters.france_connect import FranceConnect
from gateway.adapters.france_connect_terms import Terms
from gateway.adapters.vault import Vault
from gateway.api.france_connect import LOGOUT_RETURN_PATH, PATH, RETURN_PATH
from shared.clock import FixedClock
from shared.postgres import Database
from simulators.clock import MovableClock
from simulators.france_connect.app import create_app
from simulators.france_connect.clients import Client
from simulators.france_connect.demands import Rules
from tests.unit.gateway.door import ISSUER, SEALING_KEYS, Door, Page
from tests.unit.gateway.fakes import FakePasswords, FakeServices

CLIENT_ID = "portail-de-saint-aubin"
CLIENT_SECRET = "an-example-of-256-random-bits-9876543210"
REDIRECT_URI = f"{ISSUER}{RETURN_PATH}"
LOGOUT_URI = f"{ISSUER}{LOGOUT_RETURN_PATH}"
NOT_VERIFIED = "La réponse de FranceConnect n’a pas pu être vérifiée"
DOWN = "FranceConnect ne répond pas pour le moment"


def a_client(**changes: Any) -> Client:
    described: dict[str, Any] = {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "redirect_uris": (REDIRECT_URI,),
        "logout_uris": (LOGOUT_URI,),
    }
    return Client(**(described | changes))


def some_terms(issuer: str, **changes: Any) -> Terms:
    described: dict[str, Any] = {
        "issuer": issuer,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "redirect_uri": REDIRECT_URI,
        "logout_uri": LOGOUT_URI,
    }
    return Terms(**(described | changes))


class State:
    """FranceConnect as somebody's browser and as tests see it."""

    def __init__(self, http: "TestClient[Request, Application]") -> None:
        self.http = http

    @property
    def issuer(self) -> str:
        return str(self.http.make_url("/api/v2"))

    async def set_faults(self, **switches: object) -> None:
        answer = await self.http.post("/api/faults", json=switches)
        assert answer.status == 200, await answer.text()

    async def rotate_keys(self, **wanted: object) -> dict[str, Any]:
        answer = await self.http.post("/api/keys", json=wanted)
        assert answer.status == 200
        told: dict[str, Any] = await answer.json()
        return told

    async def logins(self) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = await (await self.http.get("/api/logins")).json()
        return told

    async def open(self, address: str) -> aiohttp.ClientResponse:
        """Follow an address that the portal gave to the browser, and no further."""
        path = URL(address, encoded=True).relative()
        return await self.http.get(path, allow_redirects=False)

    async def answer(self, address: str, **posted: str) -> str:
        """Open FranceConnect's page, press a button; return where the browser is sent back."""
        opened = await self.open(address)
        assert opened.status == 303, await opened.text()
        page = await self.http.get(opened.headers["Location"])
        assert page.status == 200
        sent = await self.http.post(page.url.path, data=posted, allow_redirects=False)
        assert sent.status == 303
        return sent.headers["Location"]


class Citizen:
    """Somebody with one browser, before the portal and before FranceConnect."""

    def __init__(self, door: Door, state: State, provider: FranceConnect) -> None:
        self.door, self.state, self.provider = door, state, provider

    async def leave(self, **fields: str) -> Page:
        """Press the portal's button."""
        return await self.door.submit(PATH, fields)

    async def come_back(self, address: str) -> Page:
        """Follow an address that FranceConnect gave to the browser."""
        parts = urlsplit(address)
        return await self.door.get(f"{parts.path}?{parts.query}")

    async def sign_in(self, person: str = "camille", **fields: str) -> Page:
        """Go to FranceConnect and back as one of its persons."""
        left = await self.leave(**fields)
        assert left.status == 303, left.text
        return await self.come_back(await self.state.answer(left.location, personne=person))

    async def refuse(self) -> Page:
        """Go to FranceConnect and back, saying no."""
        left = await self.leave()
        return await self.come_back(await self.state.answer(left.location, refus="1"))


def query_of(address: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(address).query, strict_parsing=True))


@asynccontextmanager
async def a_state(
    clock: FixedClock, *, rules: Rules | None = None, **client: Any
) -> AsyncIterator[State]:
    """Run FranceConnect on the portal's clock."""
    app = create_app([a_client(**client)], clock=MovableClock(clock.now), rules=rules)
    jar = aiohttp.DummyCookieJar()
    async with TestClient(TestServer(app), cookie_jar=jar) as http:
        yield State(http)


@asynccontextmanager
async def a_citizen(
    database: Database, clock: FixedClock, state: State, **terms: Any
) -> AsyncIterator[Citizen]:
    """Run a portal that knows this FranceConnect, and put somebody before both."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        provider = FranceConnect(
            session, some_terms(state.issuer, **terms), Vault(SEALING_KEYS), clock
        )
        services, passwords = FakeServices(), FakePasswords()
        async with Door(database, clock, services, passwords, france_connect=provider) as door:
            yield Citizen(door, state, provider)


async def require_nothing_changed(citizen: Citizen) -> None:
    assert await citizen.door.count("account") == 0
    assert await citizen.door.count("identity") == 0
    assert await citizen.door.count("session") == 0
