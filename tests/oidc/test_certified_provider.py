"""The portal's own code against a certified OpenID provider with FranceConnect's limits.

The simulator is ours, and so are its misunderstandings; this provider is not.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from gateway.adapters.france_connect import FranceConnect
from gateway.adapters.vault import Vault
from gateway.api.france_connect import OWN_PATH, PATH
from shared.clock import FixedClock
from shared.postgres import Database
from tests.oidc.provider import SANDBOX_ID, Provider
from tests.unit.gateway.door import SEALING_KEYS, Door, Page
from tests.unit.gateway.fakes import FakePasswords, FakeServices
from tests.unit.gateway.state import query_of, some_terms


class Traveller:
    """Somebody with one browser, before the portal and before the provider."""

    def __init__(self, door: Door, provider: Provider) -> None:
        self.door, self.provider = door, provider

    async def leave(self, **fields: str) -> str:
        page = await self.door.submit(PATH, fields)
        assert page.status == 303, page.text
        return page.location

    async def come_back(self, address: str) -> Page:
        path = address.removeprefix("https://factures.exemple.test")
        assert path != address
        return await self.door.get(path)

    async def sign_in(self, person: str = "camille", **fields: str) -> Page:
        return await self.come_back(await self.provider.answer(await self.leave(**fields), person))


@asynccontextmanager
async def a_traveller(
    database: Database, clock: FixedClock, provider: Provider, **terms: Any
) -> AsyncIterator[Traveller]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        adapter = FranceConnect(
            session, some_terms(provider.issuer, **terms), Vault(SEALING_KEYS), clock
        )
        fakes = FakeServices(), FakePasswords()
        async with Door(database, clock, *fakes, france_connect=adapter) as door:
            yield Traveller(door, provider)


@pytest_asyncio.fixture
async def traveller(
    database: Database, clock: FixedClock, provider: Provider
) -> AsyncIterator[Traveller]:
    async with a_traveller(database, clock, provider) as somebody:
        yield somebody


async def test_logs_in_shows_the_identity_and_logs_out(traveller: Traveller) -> None:
    """The whole way: signed userinfo, pairwise subject, `session/end` and back."""
    page = await traveller.sign_in("aminata", suite="/compte")
    own = await traveller.door.get(OWN_PATH)
    leaving = await traveller.door.submit("/deconnexion")
    back = await traveller.come_back(await traveller.provider.log_out(leaving.location))

    assert (page.status, page.location) == (303, "/compte")
    assert "Nom de naissance DIALLO Prénoms Aminata Date de naissance 1962" in own.text
    assert (back.status, back.location) == (303, "/")
    assert await traveller.door.count("session") == 0


async def test_the_same_person_has_the_same_account(traveller: Traveller) -> None:
    """The subject does not change from one login to the next."""
    for _ in range(2):
        assert (await traveller.sign_in()).status == 303
        leaving = await traveller.door.submit("/deconnexion")
        await traveller.come_back(await traveller.provider.log_out(leaving.location))

    assert await traveller.door.count("account") == 1


async def test_links_and_unlinks(traveller: Traveller) -> None:
    """And leaves the provider at the end."""
    await traveller.door.log_in()

    linked = await traveller.sign_in(motif="lier")
    count = await traveller.door.count("identity")
    unlinking = await traveller.door.submit(f"{OWN_PATH}/delier")
    back = await traveller.come_back(await traveller.provider.log_out(unlinking.location))

    assert (linked.location, count) == (OWN_PATH, 1)
    assert (back.location, await traveller.door.count("identity")) == (OWN_PATH, 0)


async def test_who_says_no_is_told_so(traveller: Traveller) -> None:
    """`access_denied`, with the state and the issuer beside it."""
    page = await traveller.sign_in("nobody")

    assert page.status == 403
    assert await traveller.door.count("account") == 0


async def test_a_key_that_replaces_the_one_before_is_read(
    traveller: Traveller, clock: FixedClock
) -> None:
    """F33: within the minute it is not, then it is; who was refused starts again."""
    await traveller.sign_in()
    traveller.door.forget_cookies()
    await traveller.provider.rotate_keys()
    too_soon = await traveller.sign_in()

    async with a_traveller(traveller.door.database, clock, traveller.provider) as later:
        read = await later.sign_in()

    assert (too_soon.status, read.status) == (502, 303)


async def test_an_unsigned_userinfo_is_taken_only_where_the_setting_says_so(
    database: Database, clock: FixedClock, provider: Provider
) -> None:
    """The sandbox answers in JSON."""
    terms: dict[str, Any] = {"client_id": SANDBOX_ID}
    async with a_traveller(database, clock, provider, **terms) as strict:
        refused = await strict.sign_in()
        assert await strict.door.count("account") == 0
    async with a_traveller(database, clock, provider, **terms, is_userinfo_signed=False) as lenient:
        taken = await lenient.sign_in()

    assert (refused.status, taken.status) == (502, 303)


async def test_the_code_challenge_is_understood(
    database: Database, clock: FixedClock, provider: Provider
) -> None:
    """S256, where it is sent."""
    async with a_traveller(database, clock, provider, has_pkce=True) as traveller:
        address = await traveller.leave()
        back = await provider.answer(address, "camille")
        page = await traveller.come_back(back)

    assert "code_challenge" in query_of(address)
    assert page.status == 303


async def test_a_code_and_a_state_serve_once(traveller: Traveller, provider: Provider) -> None:
    """The answer again; then its code under a state of one's own."""
    address = await provider.answer(await traveller.leave(), "camille")
    await traveller.come_back(address)
    again = await traveller.come_back(address)
    traveller.door.forget_cookies()
    own = query_of(await traveller.leave())

    stolen = await traveller.come_back(address.replace(query_of(address)["state"], own["state"]))

    assert (again.status, stolen.status) == (400, 400)
    assert await traveller.door.count("session") == 1


async def test_the_state_of_another_browser_opens_nothing(
    traveller: Traveller, provider: Provider
) -> None:
    """Login CSRF."""
    address = await provider.answer(await traveller.leave(), "camille")
    traveller.door.forget_cookies()
    await traveller.door.get("/connexion")

    page = await traveller.come_back(address)

    assert page.status == 400
    assert await traveller.door.count("account") == 0


async def test_a_nonce_that_was_tampered_with_opens_nothing(
    traveller: Traveller, provider: Provider
) -> None:
    """Somebody changed it on the way there: the id token has another."""
    address = await traveller.leave()
    nonce = query_of(address)["nonce"]

    page = await traveller.come_back(
        await provider.answer(address.replace(nonce, nonce[::-1]), "camille")
    )

    assert page.status == 502
    assert await traveller.door.count("account") == 0


@pytest.mark.parametrize("seconds", [-90, 90])
async def test_a_clock_that_is_ninety_seconds_off_shuts_the_door(
    traveller: Traveller, clock: FixedClock, seconds: int
) -> None:
    """F32: the id token lives 60 seconds."""
    clock.advance(timedelta(seconds=seconds))

    page = await traveller.sign_in()

    assert page.status == 502
    assert await traveller.door.count("account") == 0
