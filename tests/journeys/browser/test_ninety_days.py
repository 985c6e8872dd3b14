"""What is left of an invoice after its ninety days: the history, not the document."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from demo.biller import Biller
from demo.town import Town
from tests.broker.observing import an_invoice
from tests.journeys.browser.chromium import PHONE
from tests.journeys.browser.clock import move_clock
from tests.journeys.browser.people import log_in, pay_by_card
from tests.towns import open_town

pytestmark = [pytest.mark.journey, pytest.mark.asyncio(loop_scope="package")]

NUMBER = "DAY-91"
SENTENCE = "Les 90 jours de consultation sont passés"


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def town(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """Return a town of its own: what months leave behind must not meet the other journeys."""
    async with open_town(tmp_path_factory.mktemp("later")) as town:
        yield town


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def biller(town: Town) -> AsyncIterator[Biller]:
    """Return its billing application, logged in."""
    async with aiohttp.ClientSession() as session:
        biller = Biller(town.endpoints(), session)
        await biller.log_in()
        yield biller


async def test_on_day_91_the_document_is_gone_and_the_history_stays(
    town: Town, biller: Biller, chromium: Browser
) -> None:
    """B7: the page says why, for whom the document can be asked, and still shows what was paid."""
    citizen = town.endpoints()["citizen"]
    payer = {"reference": "FAM-0042", "name": "Camille Martin", "email": citizen["email"]}
    receipt = await biller.deposit_json([an_invoice(NUMBER, payer=payer)])
    [line] = await biller.lines(receipt["deposit_id"])
    await biller.wait_published(line["invoice_id"])
    context = await chromium.new_context(locale="fr-FR", viewport=PHONE)
    page = await context.new_page()
    await log_in(page, town)
    address = f"{town.url('portal')}/factures/{line['invoice_id']}"
    await page.goto(address)
    await page.get_by_role("button", name="Payer").click()
    await page.get_by_role("button", name="Continuer vers le paiement").click()
    await pay_by_card(page)
    await expect(page.get_by_role("heading", name="Paiement accepté")).to_be_visible()
    document = await context.request.get(f"{address}/facture.pdf")
    assert document.status == 200

    await move_clock(town, 91)
    try:
        await log_in(page, town)
        await page.goto(address)

        await expect(page.get_by_text(SENTENCE)).to_be_visible()
        await expect(page.get_by_text("Paiement par carte bancaire")).to_be_visible()
        document = await context.request.get(f"{address}/facture.pdf")
        assert document.status == 410
        assert "90 jours" in await document.text()
    finally:
        await context.close()
