"""In by FranceConnect, the identity unlinked, and out everywhere."""

import pytest
from playwright.async_api import Browser, Page, expect

from demo.town import Town
from tests.broker.observing import count
from tests.journeys.browser.chromium import DESK
from tests.journeys.browser.people import log_in

pytestmark = [pytest.mark.journey, pytest.mark.asyncio(loop_scope="package")]

IDENTITIES = "SELECT count(*) FROM identity"
PERSON = "Camille"


async def _prove(page: Page) -> None:
    """Go over to FranceConnect, be one of its test persons, and come back."""
    await page.get_by_role("button", name="S’identifier avec FranceConnect").click()
    await expect(page.get_by_role("heading", name="Qui êtes-vous ?")).to_be_visible()
    await page.get_by_role("button", name=PERSON).first.click()


async def test_france_connect_in_unlinked_and_out(town: Town, chromium: Browser) -> None:
    """C7, C8: linked, it opens the account alone; unlinked, it does not; out is out there too."""
    portal = town.url("portal")
    context = await chromium.new_context(locale="fr-FR", viewport=DESK)
    page = await context.new_page()
    await log_in(page, town)
    await page.goto(portal + "/compte/franceconnect")
    await _prove(page)
    await expect(page.get_by_text("Ce compte est lié à l’identité ci-dessous")).to_be_visible()
    assert await count(town, "gateway", IDENTITIES) == 1
    await page.get_by_role("button", name="Se déconnecter").click()

    await page.goto(portal + "/connexion")
    await _prove(page)
    await expect(page.get_by_role("heading", name="Mes factures", exact=True)).to_be_visible()

    await page.goto(portal + "/compte/franceconnect")
    await page.get_by_role("button", name="Délier FranceConnect").click()
    # The sessions that it had opened end with it, on both sides.
    await expect(page.get_by_role("heading", name="Se connecter")).to_be_visible()
    assert await count(town, "gateway", IDENTITIES) == 0
    ended = await context.request.get(town.url("france_connect") + "/")
    assert "terminée le" in await ended.text()

    await page.goto(portal + "/factures")
    await expect(page.get_by_role("heading", name="Se connecter")).to_be_visible()
    await log_in(page, town)
    await context.close()
