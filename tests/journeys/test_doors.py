"""The doors as strangers meet them: tokens, forms, guesses, other towns."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from demo.biller import Biller
from demo.browser import Browser
from demo.configuration import CITIZEN
from demo.town import Town
from tests.broker.observing import an_invoice

pytestmark = [pytest.mark.journey, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Return a client without cookies."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


def _basic(name: str, secret: str) -> dict[str, str]:
    return {"Authorization": aiohttp.encode_basic_auth(name, secret)}


async def test_a_biller_gets_a_token_of_its_own_scopes(
    town: Town, session: aiohttp.ClientSession
) -> None:
    """RFC 6749, 4.4: by header or by form, the scopes asked or all that were granted."""
    biller = town.endpoints()["biller"]
    url = town.endpoints()["token"]
    header = _basic(biller["client_id"], biller["client_secret"])
    grant = {"grant_type": "client_credentials"}
    form = grant | {"client_id": biller["client_id"], "client_secret": biller["client_secret"]}

    async with session.post(url, data=grant, headers=header) as answer:
        by_header = await answer.json()
    async with session.post(url, data=form | {"scope": "deposits:read"}) as answer:
        by_form = await answer.json()
        cache = answer.headers["Cache-Control"]

    assert by_header["token_type"] == "Bearer"
    assert by_header["scope"] == "collections:read deposits:read deposits:write webhooks:write"
    assert by_form["scope"] == "deposits:read"
    assert cache == "no-store"


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, 401, "invalid_client"),
        (
            {"grant_type": "client_credentials", "client_id": "x", "client_secret": "y"},
            401,
            "invalid_client",
        ),
    ],
)
async def test_a_bad_token_request_is_told_as_the_standard_says(
    town: Town, session: aiohttp.ClientSession, form: dict[str, str], status: int, error: str
) -> None:
    """RFC 6749, 5.2."""
    async with session.post(town.endpoints()["token"], data=form) as answer:
        assert (answer.status, (await answer.json())["error"]) == (status, error)


async def test_a_scope_that_was_not_granted_is_refused(
    town: Town, session: aiohttp.ClientSession
) -> None:
    """A biller cannot make itself a service."""
    biller = town.endpoints()["biller"]
    form = {"grant_type": "client_credentials", "scope": "payments:write"}
    header = _basic(biller["client_id"], biller["client_secret"])

    async with session.post(town.endpoints()["token"], data=form, headers=header) as answer:
        assert (answer.status, (await answer.json())["error"]) == (400, "invalid_scope")


async def test_no_door_opens_without_its_token(town: Town, session: aiohttp.ClientSession) -> None:
    """Every guarded door says 401 to a stranger, with a problem document."""
    doors = [
        ("POST", town.url("ingestion") + "/v1/deposits"),
        ("GET", town.url("ingestion") + "/v1/deposits/1"),
        ("GET", town.url("reconciliation") + "/v1/collections"),
        ("GET", town.url("reconciliation") + "/v1/ledger/balance"),
        ("POST", town.url("payment") + "/v1/payments"),
        ("GET", town.url("publication") + "/v1/invoices/1/document.pdf"),
        ("GET", town.url("figures") + "/figures/collected"),
    ]

    for method, url in doors:
        async with session.request(method, url) as answer:
            assert answer.status == 401, url
            assert (await answer.json(content_type=None))["code"] == "missing-token"


async def test_another_town_sees_nothing(town: Town, session: aiohttp.ClientSession) -> None:
    """S1: somebody else's deposit and invoice are answered as ones that do not exist."""
    own = Biller(town.endpoints(), session)
    await own.log_in()
    receipt = await own.deposit_json([an_invoice("SECRET")])
    [line] = await own.lines(receipt["deposit_id"])
    neighbour = {
        **town.endpoints(),
        "biller": {
            "client_id": "facturation-val-de-brume",
            "client_secret": town.secrets.neighbour_secret,
        },
    }
    other = Biller(neighbour, session)
    await other.log_in()
    base = town.url("ingestion") + "/v1"

    for path in (f"deposits/{receipt['deposit_id']}", f"invoices/{line['invoice_id']}"):
        async with session.get(f"{base}/{path}", headers=other.headers) as answer:
            assert answer.status == 404
    assert (await other.collections())["items"] == []


async def test_a_form_from_another_site_is_refused(
    town: Town, session: aiohttp.ClientSession
) -> None:
    """No secret, or a foreign origin: 403 and no session."""
    url = town.url("portal") + "/connexion"
    form = {"email": CITIZEN, "password": town.secrets.citizen_password}

    async with session.post(url, data=form, allow_redirects=False) as answer:
        without_secret = (answer.status, answer.cookies.get("session"))
    foreign = {"Origin": "https://evil.example"}
    async with session.post(url, data=form, headers=foreign, allow_redirects=False) as answer:
        from_elsewhere = (answer.status, answer.cookies.get("session"))

    assert without_secret == (403, None)
    assert from_elsewhere == (403, None)


async def test_pages_carry_their_guards(town: Town, session: aiohttp.ClientSession) -> None:
    """No script, no frame, no sniffing, no address told to others."""
    async with session.get(town.url("portal") + "/") as answer:
        policy = answer.headers["Content-Security-Policy"]
        headers = answer.headers

    assert "script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"


async def test_an_account_shows_its_own_invoices_and_what_was_added_from_paper(
    town: Town, session: aiohttp.ClientSession
) -> None:
    """An address that is not proved brings nothing; the paper does."""
    biller = Biller(town.endpoints(), session)
    await biller.log_in()
    address = "dominique.petit@example.org"
    payer = {"reference": "FAM-9", "name": "Dominique Petit", "email": address}
    receipt = await biller.deposit_json([an_invoice("PAPER-1", payer=payer)])
    [line] = await biller.lines(receipt["deposit_id"])
    url = (await biller.wait_published(line["invoice_id"]))["public_url"]
    portal = town.url("portal")

    async with Browser() as browser:
        page = await browser.open(portal + "/compte/creer")
        page = await browser.submit(
            page, "/compte/creer", {"email": address, "password": "quatre mots sans rapport"}
        )
        page = await browser.submit(
            page, "/connexion", {"email": address, "password": "quatre mots sans rapport"}
        )
        page.require("Aucune facture")
        stolen = await browser.open(f"{portal}/factures/{line['invoice_id']}")
        assert stolen.status == 404

        page = await browser.open(url)
        page = await browser.submit(page, "/rattacher")
        page.require("PAPER-1", "Dominique Petit")
        (await browser.open(portal + "/factures")).require("PAPER-1")


async def test_guessing_is_slowed_down(town: Town, session: aiohttp.ClientSession) -> None:
    """K1: thirty wrong codes from one place, then 429 with the time to wait."""
    statuses = []
    retry_after: str | None = None
    for number in range(32):
        token = f"{number:022d}"
        async with session.get(f"{town.url('portal')}/q/{token}") as answer:
            statuses.append(answer.status)
            retry_after = answer.headers.get("Retry-After")

    assert statuses[:5] == [404] * 5
    assert statuses[-1] == 429
    assert int(retry_after or 0) > 0
