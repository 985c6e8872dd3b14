"""From nothing to three paid invoices of two authorities."""

import re
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Browser, Page, expect

from demo.biller import Biller
from demo.town import Town
from tests.broker.observing import an_invoice, mails, until
from tests.journeys.browser.chromium import PHONE
from tests.journeys.browser.people import log_in, pay_by_card

pytestmark = [pytest.mark.journey, pytest.mark.asyncio(loop_scope="package")]

EMAIL = "lea.bernard@example.org"
PASSWORD = "girafe-soleil-tiroir-menthe"
PAYER = {"reference": "FAM-7100", "name": "Léa Bernard", "email": EMAIL}


async def _letters(town: Town, count: int) -> list[dict[str, Any]]:
    """Return the mails to our citizen, the newest first, once there are so many."""
    found: list[dict[str, Any]] = []

    async def there() -> bool:
        found[:] = [mail for mail in await mails(town) if EMAIL in mail["to"]]
        return len(found) >= count

    await until(there, f"{count} mails to {EMAIL}")
    return found


def _link(town: Town, mail: dict[str, Any], path: str) -> str:
    found = re.search(re.escape(town.url("portal") + path) + r"[^\s)>\]]+", mail["text"])
    assert found is not None, mail["text"]
    return found[0]


async def _deposit(town: Town) -> None:
    """Have both authorities send their invoices: two of the first, one of the second."""
    endpoints = town.endpoints()
    neighbour = {
        "client_id": "facturation-val-de-brume",
        "client_secret": town.secrets.neighbour_secret,
    }
    async with aiohttp.ClientSession() as session:
        first = Biller(endpoints, session)
        second = Biller(endpoints | {"biller": neighbour}, session)
        await first.log_in()
        await second.log_in()
        await first.deposit_json(
            [
                an_invoice("LEA-1", payer=PAYER, subject="Cantine de Léa, octobre"),
                an_invoice("LEA-2", payer=PAYER, subject="Cantine de Léa, novembre"),
            ]
        )
        crib = an_invoice("LEA-3", payer=PAYER, subject="Multi-accueil de Léa", regie="CRECHE")
        await second.deposit_json([crib])


async def _pay(page: Page) -> None:
    await page.get_by_role("button", name="Continuer vers le paiement").click()
    await pay_by_card(page)
    await expect(page.get_by_role("heading", name="Paiement accepté")).to_be_visible()


async def test_sign_up_alert_sign_in_and_pay_three_invoices_of_two_authorities(
    town: Town, chromium: Browser
) -> None:
    """One account for all: what each authority sends comes by itself, and is paid."""
    portal = town.url("portal")
    context = await chromium.new_context(locale="fr-FR", viewport=PHONE)
    page = await context.new_page()

    await page.goto(portal + "/compte/creer")
    await page.get_by_label("Adresse électronique").fill(EMAIL)
    await page.get_by_label("Mot de passe", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Créer le compte").click()
    await expect(page.get_by_text("Un message vient de partir à cette adresse")).to_be_visible()
    [confirmation] = await _letters(town, 1)
    await page.goto(_link(town, confirmation, "/compte/confirmer/"))
    await page.get_by_role("button", name="Confirmer cette adresse").click()
    await expect(page.get_by_role("button", name="Se déconnecter")).to_be_visible()
    await page.get_by_role("button", name="Se déconnecter").click()

    await _deposit(town)
    alerts = await _letters(town, 4)
    assert len({mail["subject"] for mail in alerts[:3]}) == 3
    assert all(portal in mail["text"] for mail in alerts[:3])

    await log_in(page, town, EMAIL, PASSWORD)
    await expect(page.get_by_text("3 factures à payer")).to_be_visible()
    await page.get_by_role("button", name="Payer la sélection").click()
    await expect(page.get_by_role("heading", name="Vérifier et payer")).to_be_visible()
    await page.get_by_role("button", name="Payer 82,00").click()
    await _pay(page)
    await page.goto(portal + "/factures")
    await page.get_by_role("link", name="Multi-accueil de Léa").click()
    await page.get_by_role("button", name="Payer 41,00").click()
    await _pay(page)

    await page.goto(portal + "/factures")
    await expect(page.get_by_text("Vous n’avez rien à payer.")).to_be_visible()
    receipts = await _letters(town, 6)
    assert len(receipts) == 6 or len(receipts) == 7
    await context.close()
