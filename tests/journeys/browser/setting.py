"""The people of the town and what they did, so that every page of the portal can be opened."""

import asyncio
import json
import os
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyotp
from playwright.async_api import Browser, BrowserContext, Page, expect

from demo import configuration
from demo.biller import Biller
from demo.town import Town
from tests.broker.observing import an_invoice, mails, query, until
from tests.journeys.browser.chromium import DESK
from tests.journeys.browser.people import log_in, pay_by_card
from tests.journeys.browser.places import PLACES, an_invoice_to_pay

NEWCOMER = "noe.petit@example.org"
FUTURE_ADDRESS = "noe.petit@example.net"
STRANGER = "ines.roux@example.org"
PASSWORD = "girafe-soleil-tiroir-menthe"
RECRUIT = "stagiaire@saint-aubin.example"
SECONDS = 120.0
"""Far more than all of it takes: whatever hangs is told."""

Contexts = dict[str, BrowserContext]


async def secret_for(town: Town, email: str, path: str) -> str:
    """Return the secret of the newest link below `path` that was sent to an address."""
    found: list[str] = []

    async def there() -> bool:
        link = re.compile(re.escape(town.url("portal") + path) + r"([A-Za-z0-9_-]{43})")
        letters = [mail for mail in await mails(town) if email in mail["to"]]
        found[:] = [match[1] for mail in letters if (match := link.search(mail["text"]))]
        return bool(found)

    await until(there, f"a letter with {path} to {email}")
    return found[0]


async def open_account(page: Page, town: Town, email: str) -> None:
    """Ask for an account; the letter that confirms the address is on its way then."""
    await page.goto(town.url("portal") + "/compte/creer")
    await page.get_by_label("Adresse électronique").fill(email)
    await page.get_by_label("Mot de passe", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Créer le compte").click()
    await expect(page.get_by_text("Un message vient de partir à cette adresse")).to_be_visible()


async def confirm(page: Page, town: Town, email: str) -> None:
    """Open the letter and confirm the address, which logs in."""
    secret = await secret_for(town, email, "/compte/confirmer/")
    await page.goto(f"{town.url('portal')}/compte/confirmer/{secret}")
    await page.get_by_role("button", name="Confirmer cette adresse").click()
    await expect(page.get_by_role("button", name="Se déconnecter")).to_be_visible()


class Setting:
    """Browsers of everybody who opens a page, and the addresses of the pages."""

    def __init__(self, town: Town, biller: Biller, contexts: Contexts) -> None:
        """Set the scene in `town`."""
        self.contexts = contexts
        self.urls: dict[str, str] = {}
        self._town, self._biller = town, biller
        self._portal = town.url("portal")

    async def prepare(self, folder: Path) -> None:
        """Have everybody do what their pages show."""
        known = await an_invoice_to_pay(self._town, self._biller)
        known |= await self._citizen()
        known |= await self._newcomer()
        known |= await self._stranger()
        known |= await self._agents(folder)
        self.urls = {place.name: self._portal + place.path.format(**known) for place in PLACES}

    async def _citizen(self) -> dict[str, str]:
        """Log in, pay an invoice, and invite somebody."""
        town, page = self._town, await self.contexts["citizen"].new_page()
        payer = {
            "reference": "FAM-0042",
            "name": "Camille Martin",
            "email": configuration.CITIZEN,
        }
        receipt = await self._biller.deposit_json([an_invoice("PAGES-1", payer=payer)])
        [line] = await self._biller.lines(receipt["deposit_id"])
        state = await self._biller.wait_published(line["invoice_id"])
        await log_in(page, town)
        await page.goto(f"{self._portal}/factures/{line['invoice_id']}")
        await page.get_by_role("button", name="Payer").click()
        await page.get_by_role("button", name="Continuer vers le paiement").click()
        await pay_by_card(page)
        await expect(page.get_by_role("heading", name="Paiement accepté")).to_be_visible()
        await page.goto(self._portal + "/compte/payeurs")
        revocation = page.locator("a[href*='/retirer'], form[action*='/retirer']").first
        address = await revocation.evaluate("e => e.getAttribute('href') ?? e.action")
        await page.close()
        [payment] = await query(
            town,
            "gateway",
            "SELECT payment_id::text AS id FROM movement WHERE invoice_id = $1::text::uuid",
            line["invoice_id"],
        )
        return {
            "paid": line["invoice_id"],
            "paid_token": state["public_url"].rpartition("/")[2],
            "payment": payment["id"],
            "payer": address.rpartition("/retirer")[0].rpartition("/")[2],
        }

    async def _newcomer(self) -> dict[str, str]:
        """Open an account, change its address, and be invited."""
        town, page = self._town, await self.contexts["newcomer"].new_page()
        await open_account(page, town, NEWCOMER)
        await confirm(page, town, NEWCOMER)
        await page.goto(self._portal + "/compte/adresse")
        await page.get_by_label("Nouvelle adresse électronique").fill(FUTURE_ADDRESS)
        await page.get_by_label("Mot de passe").fill(PASSWORD)
        await page.get_by_role("button", name="Envoyer le message").click()
        await confirm(page, town, FUTURE_ADDRESS)
        undo = await secret_for(town, NEWCOMER, "/compte/adresse/retablir/")
        await page.close()
        await self._invite()
        invitation = await secret_for(town, FUTURE_ADDRESS, "/compte/delegations/invitation/")
        return {"undo": undo, "invitation": invitation}

    async def _invite(self) -> None:
        page = await self.contexts["citizen"].new_page()
        await page.goto(self._portal + "/compte/delegations")
        await page.get_by_label("Adresse électronique de la personne").fill(FUTURE_ADDRESS)
        for box in await page.get_by_role("checkbox").all():
            await box.check()
        end = (datetime.now(UTC) + timedelta(days=90)).date().isoformat()
        await page.get_by_label("Jusqu’à la fin du").fill(end)
        await page.get_by_role("button", name="Envoyer l’invitation").click()
        # A page that is closed while it opens another one may never close.
        await expect(page.get_by_text("L’invitation est partie")).to_be_visible()
        await page.close()

    async def _stranger(self) -> dict[str, str]:
        """Ask for an account and for a new password, and open neither letter."""
        town, page = self._town, await self.contexts["nobody"].new_page()
        await open_account(page, town, STRANGER)
        confirmation = await secret_for(town, STRANGER, "/compte/confirmer/")
        await page.goto(self._portal + "/connexion/oubli")
        await page.get_by_label("Adresse électronique").fill(FUTURE_ADDRESS)
        await page.get_by_role("button", name="Recevoir un lien").click()
        await expect(page).to_have_url(self._portal + "/connexion/oubli/envoye")
        reset = await secret_for(town, FUTURE_ADDRESS, "/connexion/oubli/")
        await page.close()
        return {"confirmation": confirmation, "reset": reset}

    async def _agents(self, folder: Path) -> dict[str, str]:
        """One with a second factor invites a payer, one stops half-way, one has none yet."""
        file = configuration.town(self._town.secrets)
        recruit = {"login": RECRUIT, "password": PASSWORD, "authority": configuration.AUTHORITY}
        path = folder / "recruit.json"
        path.write_text(json.dumps(file | {"agents": [*file["agents"], recruit]}), "utf-8")
        await load(self._town, path)
        agent: dict[str, Any] = self._town.endpoints()["agent"]
        await self._give_password("halfway", agent["login"], agent["password"])
        await self._give_password("recruit", RECRUIT, PASSWORD)
        page = await self._give_password("agent", agent["login"], agent["password"])
        code = pyotp.TOTP(agent["totp_secret"]).now()
        await page.locator("form[action='/connexion/verification'] input[name=code]").fill(code)
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(self._portal + "/regie")
        await page.get_by_role("link", name="Invitations").click()
        await page.get_by_label("Numéro d’une de ses factures").fill("PAGES-1")
        await page.get_by_label("Montant total de cette facture").fill("41,00")
        await page.get_by_label("Adresse électronique du redevable").fill(FUTURE_ADDRESS)
        await page.get_by_label("J’ai vérifié que cette adresse est celle du redevable").check()
        await page.get_by_role("button", name="Envoyer l’invitation").click()
        await expect(page.get_by_text("L’invitation est partie")).to_be_visible()
        secret = await secret_for(self._town, FUTURE_ADDRESS, "/compte/invitation-redevable/")
        return {"payer_invitation": secret}

    async def _give_password(self, who: str, login: str, password: str) -> Page:
        page = await self.contexts[who].new_page()
        await page.goto(self._portal + "/regie/connexion")
        await page.get_by_label("Identifiant").fill(login)
        await page.get_by_label("Mot de passe").fill(password)
        await page.get_by_role("button", name="Se connecter", exact=True).click()
        await expect(page).not_to_have_url(self._portal + "/regie/connexion")
        return page


async def load(town: Town, path: Path) -> None:
    """Let the operator load a file, as the town loaded its own."""
    loader = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gateway.load",
        str(path),
        env={**os.environ, **town._environment_of("gateway")},
    )
    assert await loader.wait() == 0


async def open_setting(town: Town, biller: Biller, chromium: Browser, folder: Path) -> Setting:
    """Return the scene with a browser for each of those who open a page."""
    contexts: Contexts = {}
    for who in sorted({place.who for place in PLACES}):
        contexts[who] = await chromium.new_context(
            locale="fr-FR",
            viewport=DESK,
            # What glides is measured half-way else.
            reduced_motion="reduce",
        )
    setting = Setting(town, biller, contexts)
    async with asyncio.timeout(SECONDS):
        await setting.prepare(folder)
    return setting
