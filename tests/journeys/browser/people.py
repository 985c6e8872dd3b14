"""What people do in the browser, whatever they came for."""

import time
from pathlib import Path
from typing import Any

from playwright.async_api import Page, expect

from demo.town import Town
from tests.journeys.browser.camera import code_on_paper, filming
from tests.journeys.browser.chromium import PHONE


async def log_in(page: Page, town: Town, email: str = "", password: str = "") -> None:
    """Log in as the demo's citizen, or as somebody else."""
    citizen: dict[str, Any] = town.endpoints()["citizen"]
    await page.goto(town.url("portal") + "/connexion")
    await page.get_by_label("Adresse électronique").fill(email or citizen["email"])
    await page.get_by_label("Mot de passe", exact=True).fill(password or citizen["password"])
    await page.get_by_role("button", name="Se connecter", exact=True).click()
    await expect(page.get_by_role("heading", name="Mes factures", exact=True)).to_be_visible()


async def pay_by_card(page: Page) -> None:
    """Pay on the card provider's page, from the page that hands over to it."""
    await page.get_by_label("Numéro de carte").fill("4970100000000055")
    await page.get_by_label("Mois").fill("12")
    await page.get_by_label("Année").fill("2030")
    await page.get_by_label("Code de sécurité").fill("123")
    await page.get_by_role("button", name="Payer").click()


async def pay_from_paper(town: Town, paper: bytes, address: str, folder: Path) -> float:
    """Hold a printed invoice before a telephone and pay what its code opens.

    Returns the seconds from the open scanner to the page that says that the invoice is paid.
    """
    async with filming(code_on_paper(paper), folder) as browser:
        context = await browser.new_context(locale="fr-FR", viewport=PHONE)
        page = await context.new_page()
        started = time.perf_counter()
        await page.goto(town.url("portal") + "/scanner")
        await page.wait_for_url(address)
        await page.get_by_role("button", name="Payer").click()
        await page.get_by_role("button", name="Continuer vers le paiement").click()
        await pay_by_card(page)
        await expect(page.get_by_role("heading", name="Paiement accepté")).to_be_visible()
        await page.goto(address)
        await expect(page.get_by_text("payée").first).to_be_visible()
        return time.perf_counter() - started
