"""The installed portal in a real browser: without a network, after a logout, and notified."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, Worker, expect

from demo.biller import Biller
from demo.town import Town
from tests.broker.observing import an_invoice
from tests.journeys.browser.chromium import PHONE
from tests.journeys.browser.people import log_in
from tests.journeys.browser.places import addresses
from tests.journeys.browser.setting import load

pytestmark = [pytest.mark.journey, pytest.mark.asyncio(loop_scope="package")]

WAIT_SECONDS = 20.0
OTHER = {"email": "voisine@exemple.test", "password": "peuplier-sentier-horloge"}
STALE = re.compile(
    r"Vous êtes hors connexion\. Montants tels qu’ils étaient le \d{1,2} \S+ \d{4} à \d\d:\d\d"
)
KEPT = """
async () => {
  const found = [];
  for (const name of await caches.keys()) {
    if (name.startsWith('shell-')) continue;
    for (const key of await (await caches.open(name)).keys()) found.push(new URL(key.url).pathname);
  }
  return found.sort();
}
"""
READ = (
    "async path => { const answer = await fetch(path); await answer.blob(); return answer.status; }"
)
# Headless browsers have no push service: the demo's is one, and gives keys of its own.
PUSH_SERVICE = """
PushManager.prototype.getSubscription = async () => null;
PushManager.prototype.subscribe = async ({ applicationServerKey }) => {
  const letters = String.fromCharCode(...new Uint8Array(applicationServerKey));
  const key = btoa(letters).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
  const made = await window.subscribeAtTheDemo(key);
  return { toJSON: () => made };
};
"""
BADGES = """
() => {
  self.badges = [];
  self.navigator.setAppBadge = async count => { self.badges.push(count); };
  self.navigator.clearAppBadge = async () => { self.badges.push(0); };
}
"""
NOTICES = """
async () => (await self.registration.getNotifications())
  .map(({ title, body, lang, data }) => ({ title, body, lang, path: data.path }))
"""


@pytest_asyncio.fixture(loop_scope="package")
async def telephone(chromium: Browser) -> AsyncIterator[BrowserContext]:
    """Return a browser of its own, whose owner allows notifications."""
    context = await chromium.new_context(
        locale="fr-FR",
        viewport=PHONE,
        permissions=["notifications"],
    )
    yield context
    await context.close()


async def ready(page: Page) -> Worker:
    """Return the worker once it answers for the pages."""
    await page.evaluate("async () => { await navigator.serviceWorker.ready; }")
    await page.reload()
    return page.context.service_workers[0]


async def eventually(where: Page | Worker, script: str, holds: Callable[[Any], bool]) -> Any:
    """Return what a script finds once that is as it should be."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            found = await where.evaluate(script)
            if holds(found):
                return found
            await asyncio.sleep(0.1)


async def until_kept(page: Page, *paths: str) -> None:
    """Return once copies of these are on the device."""
    await eventually(page, KEPT, lambda kept: set(paths) <= set(kept))


async def test_what_was_read_can_be_read_without_a_network_and_says_of_when_it_is(
    town: Town, biller: Biller, telephone: BrowserContext
) -> None:
    """The list, an invoice and its PDF: dated, with no form and no way to pay."""
    urls = await addresses(town, biller)
    invoice = urls["invoice"].removeprefix(town.url("portal"))
    page = await telephone.new_page()
    await log_in(page, town)
    await ready(page)
    await page.goto(urls["invoice"])
    assert await page.evaluate(READ, f"{invoice}/facture.pdf") == 200
    await until_kept(page, "/factures", invoice, f"{invoice}/facture.pdf")

    await telephone.set_offline(True)
    for path in ("/factures?source=app", "/factures", invoice):
        await page.goto(town.url("portal") + path)
        await expect(page.get_by_role("status").first).to_have_text(STALE)
        assert await page.locator("form, button, a[href*='/payer']").count() == 0
    await page.goto(f"{urls['invoice']}/facture.pdf")
    await expect(page.get_by_role("status")).to_contain_text("Copie de ce document")
    copy = page.get_by_role("link", name="Ouvrir la copie")
    assert await copy.get_attribute("href") == f"{invoice}/facture.pdf?copie"

    await page.goto(town.url("portal") + "/compte")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Vous êtes hors connexion")
    kept = page.get_by_role("link", name="Mes factures")
    await expect(kept.last).to_be_visible()
    assert await page.locator("form").count() == 0


async def test_a_page_that_was_never_read_here_is_not_made_up(
    town: Town, biller: Biller, telephone: BrowserContext
) -> None:
    """A token page is kept only where somebody opened it."""
    urls = await addresses(town, biller)
    page = await telephone.new_page()
    await page.goto(town.url("portal") + "/")
    await ready(page)

    await telephone.set_offline(True)
    answer = await page.goto(urls["paper"])

    assert answer is not None
    assert answer.status == 503
    await expect(page.get_by_role("heading", level=1)).to_have_text("Vous êtes hors connexion")
    assert urls["paper"].removeprefix(town.url("portal")) not in await page.evaluate(KEPT)


async def test_a_logout_leaves_nothing_on_the_device(
    town: Town, biller: Biller, telephone: BrowserContext
) -> None:
    """Nor what was read from paper: whoever comes next finds an empty device."""
    urls = await addresses(town, biller)
    paper = urls["paper"].removeprefix(town.url("portal"))
    page = await telephone.new_page()
    await log_in(page, town)
    await ready(page)
    await page.goto(urls["paper"])
    await until_kept(page, "/factures", paper)

    await page.get_by_role("button", name="Se déconnecter").click()
    await page.wait_for_url(town.url("portal") + "/")

    await eventually(page, KEPT, lambda kept: kept == [])
    await ready(page)
    await telephone.set_offline(True)
    answer = await page.goto(urls["list"])
    assert answer is not None
    assert answer.status == 503


async def test_another_account_finds_nothing_of_the_one_before(
    town: Town, biller: Biller, telephone: BrowserContext, tmp_path: Path
) -> None:
    """Also when the first one's session merely ended."""
    await load(town, file_of_another_citizen(tmp_path))
    urls = await addresses(town, biller)
    invoice = urls["invoice"].removeprefix(town.url("portal"))
    page = await telephone.new_page()
    await log_in(page, town)
    await ready(page)
    await page.goto(urls["invoice"])
    await until_kept(page, invoice)
    await telephone.clear_cookies()

    await log_in(page, town, OTHER["email"], OTHER["password"])

    await eventually(page, KEPT, lambda kept: invoice not in kept)


async def test_a_new_invoice_rings_on_the_telephone_and_opens(
    town: Town, biller: Biller, telephone: BrowserContext
) -> None:
    """E4: from the deposit to the screen, encrypted on its way; no amount, no name."""
    page = await telephone.new_page()
    await page.add_init_script(PUSH_SERVICE)
    names: list[str] = []
    async with aiohttp.ClientSession(town.url("push")) as push:

        async def subscribe(key: str) -> dict[str, Any]:
            demand = {"applicationServerKey": key}
            async with push.post("/api/subscriptions", json=demand) as answer:
                made: dict[str, Any] = await answer.json()
            names.append(made["name"])
            return {"endpoint": made["endpoint"], "keys": made["keys"]}

        await page.expose_function("subscribeAtTheDemo", subscribe)
        await log_in(page, town)
        worker = await ready(page)
        await worker.evaluate(BADGES)
        await page.goto(town.url("portal") + "/compte/alertes")
        await page.get_by_role("button", name="Recevoir les notifications").click()
        await expect(page.get_by_text("reçoit désormais vos notifications")).to_be_visible()
        await expect(page.get_by_text("cet appareil", exact=True)).to_be_visible()

        await page.get_by_role("button", name="Essayer").click()
        await expect(page.get_by_text("La notification d’essai est partie")).to_be_visible()
        trial = await heard(push, names[-1])
        payer = {"reference": "FAM-0042", "name": "Camille Martin"}
        payer["email"] = town.endpoints()["citizen"]["email"]
        receipt = await biller.deposit_json([an_invoice("RINGS-1", payer=payer)])
        [line] = await biller.lines(receipt["deposit_id"])
        notice = await heard(push, names[-1])

    assert trial["kind"] == "test"
    assert notice["kind"] == "invoice"
    assert notice["url"] == f"/factures/{line['invoice_id']}"
    assert set(notice) == {"kind", "url", "tag", "language"}
    await deliver(page, town, notice)
    shown = await eventually(worker, NOTICES, bool)
    assert shown == [
        {
            "title": "Nouvelle facture",
            "body": "Une facture vient d’arriver dans votre compte.",
            "lang": "fr",
            "path": notice["url"],
        }
    ]
    assert (await worker.evaluate("() => self.badges"))[-1] == 1
    await page.goto(town.url("portal") + "/factures")
    await eventually(worker, "() => self.badges", lambda badges: badges[-1] == 0)


@pytest.mark.parametrize(
    "url",
    [
        "https://piege.exemple.test/",
        "//piege.exemple.test/",
        "/\\piege.exemple.test/",
        "javascript:alert(1)",
        None,
    ],
)
async def test_a_notification_opens_nothing_but_this_site(
    town: Town, telephone: BrowserContext, url: str | None
) -> None:
    """Whatever a message says: a path of ours, or the list."""
    page = await telephone.new_page()
    await page.goto(town.url("portal") + "/")
    worker = await ready(page)

    await deliver(page, town, {"kind": "invoice", "url": url, "tag": "a", "language": "fr"})

    shown = await eventually(worker, NOTICES, bool)
    assert [notice["path"] for notice in shown] == ["/factures"]


def file_of_another_citizen(folder: Path) -> Path:
    path = folder / "other.json"
    path.write_text(json.dumps({"authorities": [], "citizens": [OTHER | {"verified": True}]}))
    return path


async def heard(push: aiohttp.ClientSession, name: str) -> dict[str, Any]:
    """Return what the push service hands over next, opened with the browser's keys."""
    async with push.get(f"/api/subscriptions/{name}/messages?wait=20") as answer:
        [message] = await answer.json()
    content: dict[str, Any] = message["content"]
    return content


async def deliver(page: Page, town: Town, notice: dict[str, Any]) -> None:
    """Hand a message to the worker, as the browser does once it has opened it."""
    session = await page.context.new_cdp_session(page)
    found: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def note(event: dict[str, Any]) -> None:
        for registration in event["registrations"]:
            is_ours = registration["scopeURL"] == town.url("portal") + "/"
            if is_ours and not registration["isDeleted"] and not found.done():
                found.set_result(registration["registrationId"])

    session.on("ServiceWorker.workerRegistrationUpdated", note)
    await session.send("ServiceWorker.enable")
    await session.send(
        "ServiceWorker.deliverPushMessage",
        {
            "origin": town.url("portal"),
            "registrationId": await asyncio.wait_for(found, WAIT_SECONDS),
            "data": json.dumps(notice),
        },
    )
