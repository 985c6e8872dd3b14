"""What somebody lives through who comes by FranceConnect, over the doors of a running town."""

import aiohttp
import pytest

from demo.biller import Biller
from demo.browser import Browser, Page
from demo.town import Town
from tests.broker.observing import an_invoice, until

pytestmark = [pytest.mark.journey, pytest.mark.asyncio(loop_scope="module")]

PIVOT = {
    "family_name": "Dupont",
    "given_names": ["Anaïs"],
    "birthdate": "1999-12-31",
    "gender": "female",
    "birthplace": "2A004",
    "birthcountry": "99100",
}


async def _sign_in(browser: Browser, town: Town, person: str) -> Page:
    login = await browser.open(f"{town.url('portal')}/connexion?suite=/factures")
    persons = await browser.submit(login, "/connexion/franceconnect")
    return await browser.submit(persons, "/interaction/", button=("personne", person))


async def test_who_comes_by_franceconnect_finds_their_invoices_and_leaves_both(
    town: Town,
) -> None:
    """No account, no password, no paper: the invoice of exactly that person is there."""
    async with aiohttp.ClientSession() as session:
        biller = Biller(town.endpoints(), session)
        await biller.log_in()
        payer = {"reference": "FAM-ANAIS", "name": "Anaïs Dupont", "identity": PIVOT}
        invoice = an_invoice("FC-1", subject="Stage de voile", payer=payer)
        receipt = await biller.deposit_json([invoice])
        [line] = await biller.lines(receipt["deposit_id"])
        await biller.wait_published(line["invoice_id"], 1)
        async with Browser() as browser, Browser() as neighbour:
            first = await _sign_in(browser, town, "anais")

            async def is_there() -> bool:
                return (
                    "Stage de voile" in (await browser.open(f"{town.url('portal')}/factures")).text
                )

            await until(is_there, "the invoice in the account")
            others = await _sign_in(neighbour, town, "yann")
            left = await browser.submit(first, "/deconnexion")
            after = await browser.open(f"{town.url('portal')}/factures")
        async with session.get(f"{town.endpoints()['franceconnect']}/api/logins") as answer:
            logins = {login["person"]: login["is_open"] for login in await answer.json()}

    assert first.url == f"{town.url('portal')}/factures"
    assert "Stage de voile" not in others.text
    assert left.url == f"{town.url('portal')}/"
    assert "/connexion" in after.url
    assert logins == {"anais": False, "yann": True}
