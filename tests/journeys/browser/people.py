"""What people do in the browser, whatever they came for."""

from typing import Any

from playwright.async_api import Page, expect

from demo.town import Town


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
