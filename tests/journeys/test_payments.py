"""What payers live through: several invoices, parts, PayFiP, refusals, second tries."""

from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from demo.biller import Biller
from demo.browser import Browser, Page
from demo.journey import CARD
from demo.town import Town
from tests.broker.observing import an_invoice, count, mails, query, until

pytestmark = [pytest.mark.journey, pytest.mark.asyncio(loop_scope="module")]

REFUSED = CARD | {"card_number": "4970100000000014"}
PAY, CANCEL = ("action", "pay"), ("action", "cancel")
CARD_PAGE, PAYFIP_PAGE = "/vads-payment/", "/tpa/paiementws.web"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def biller(town: Town) -> AsyncIterator[Biller]:
    """Return the town's billing application, logged in."""
    async with aiohttp.ClientSession() as session:
        biller = Biller(town.endpoints(), session)
        await biller.log_in()
        yield biller


async def _publish(biller: Biller, *invoices: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Deposit invoices; return their ids and public addresses once they are there."""
    receipt = await biller.deposit_json(list(invoices))
    ids = [str(line["invoice_id"]) for line in await biller.lines(receipt["deposit_id"])]
    states = [await biller.wait_published(invoice_id) for invoice_id in ids]
    return ids, [str(state["public_url"]) for state in states]


async def _open_until(browser: Browser, url: str, *texts: str) -> Page:
    pages: list[Page] = []

    async def there() -> bool:
        pages[:] = [await browser.open(url)]
        return all(text in pages[0].text for text in texts)

    await until(there, f"{texts} on {url}")
    return pages[0]


async def _outcome(browser: Browser, page: Page, text: str) -> Page:
    """Return the page of the outcome once it says `text`, as a browser that refreshes it."""
    if text in page.text:
        return page
    return await _open_until(browser, page.url, text)


async def _log_in(town: Town, browser: Browser) -> None:
    endpoints = town.endpoints()
    page = await browser.open(f"{endpoints['portal']}/connexion")
    citizen = endpoints["citizen"]
    page = await browser.submit(
        page, "/connexion", {"email": citizen["email"], "password": citizen["password"]}
    )
    assert page.status == 200, page.text


async def _attempts(town: Town, invoice_id: str) -> list[tuple[str, int]]:
    """Return the state and the sum of each attempt of an invoice, oldest first."""
    statement = """
        SELECT state, amount_cents FROM attempt JOIN allocation USING (payment_id)
        WHERE invoice_id = $1 ORDER BY started_at
    """
    columns = statement.replace("amount_cents", "allocation.amount_cents")
    return [(row[0], row[1]) for row in await query(town, "payment", columns, invoice_id)]


async def _collected(town: Town, invoice_id: str) -> int:
    """Return what the books say was paid of an invoice, in cents."""
    statement = """
        SELECT coalesce(-sum(amount_cents), 0) FROM line JOIN entry USING (entry_id)
        WHERE account = 'CREANCE' AND invoice_id = $1 AND amount_cents < 0
    """
    return await count(town, "reconciliation", statement, invoice_id)


async def test_three_invoices_of_one_regie_are_paid_by_card_in_one_payment(
    town: Town, biller: Biller
) -> None:
    """D8: chosen on the list, split oldest first, paid at once, each settled and receipted."""
    today = date.today()  # noqa: DTZ011 - the biller's own calendar
    email = town.endpoints()["citizen"]["email"]
    numbers = ("TROIS-1", "TROIS-2", "TROIS-3")
    payer = {"reference": "FAM-0042", "name": "Camille Martin", "email": email}
    ids, _ = await _publish(
        biller,
        *(
            an_invoice(
                number,
                regie="MUSIQUE",
                amount_cents=1000 * position,
                due_on=(today + timedelta(days=40 - position)).isoformat(),
                payer=payer,
            )
            for position, number in enumerate(numbers, start=1)
        ),
    )

    async with Browser() as browser:
        await _log_in(town, browser)
        portal = town.endpoints()["portal"]
        listed = await _open_until(browser, f"{portal}/factures", *numbers)
        selection = await browser.submit(listed, "/payer/selection")
        selection.require("Vérifier et payer", "Total 60,00 €")
        order = [selection.text.index(number) for number in reversed(numbers)]
        assert order == sorted(order)
        handover = await browser.submit(selection, "/payer")
        card_page = await browser.submit(handover, CARD_PAGE)
        back = await browser.submit(card_page, CARD_PAGE, CARD, PAY)
        receipt = await _outcome(browser, back, "Paiement accepté")
        receipt.require("Factures réglées par ce paiement", *numbers, "60,00 €")
        for invoice_id in ids:
            await _open_until(browser, f"{portal}/factures/{invoice_id}", "Cette facture est payée")

    statement = "SELECT count(*) FROM attempt WHERE amount_cents = 6000 AND state = 'captured'"
    assert await count(town, "payment", statement) == 1
    for position, invoice_id in enumerate(ids, start=1):
        assert await _attempts(town, invoice_id) == [("captured", 1000 * position)]

    async def is_booked() -> bool:
        return [await _collected(town, invoice_id) for invoice_id in ids] == [1000, 2000, 3000]

    await until(is_booked, "three invoices settled in the books")

    async def is_receipted() -> bool:
        return any(
            mail["to"] == email and all(number in mail["text"] for number in numbers)
            for mail in await mails(town)
        )

    await until(is_receipted, "one receipt that names the three")


async def test_a_titre_is_paid_whole_with_payfip(town: Town, biller: Biller) -> None:
    """D3: an address is asked for, then PayFiP's page, and what PayFiP says when it is asked."""
    [invoice_id], [url] = await _publish(
        biller,
        an_invoice(
            "TITRE-1",
            regie="EAU",
            route="treasury",
            amount_cents=8765,
            fiscal_year=2026,
            debt_reference="2026EAU0004711",
        ),
    )
    async with Browser() as browser:
        page = await _open_until(browser, url, "Payer 87,65 € avec PayFiP")
        assert "Payer une partie" not in page.text
        asked = await browser.submit(page, "/payer")
        asked.require("Adresse électronique")
        handover = await browser.submit(asked, "/payer", {"email": "payeur@example.org"})
        handover.require("PayFiP", "87,65 €")
        payfip = await browser.submit(handover, PAYFIP_PAGE)
        payfip.require("Régler votre facture", "2026EAU0004711", "payeur@example.org")
        back = await browser.submit(payfip, PAYFIP_PAGE, button=("choix", "carte"))
        await _outcome(browser, back, "Paiement accepté")
        assert "idop" not in back.url
        await _open_until(browser, url, "Cette facture est payée")

    assert await _attempts(town, invoice_id) == [("captured", 8765)]


async def test_a_refused_card_is_tried_again_in_one_click(town: Town, biller: Biller) -> None:
    """Nothing is debited; the page of the refusal leads straight to the payment page again."""
    [invoice_id], [url] = await _publish(biller, an_invoice("REFUS-1"))

    async with Browser() as browser:
        page = await _open_until(browser, url, "Payer 41,00 € par carte")
        card_page = await browser.submit(await browser.submit(page, "/payer"), CARD_PAGE)
        refused = await browser.submit(card_page, CARD_PAGE, REFUSED, PAY)
        refused.require("Paiement refusé", "rien n’a été débité", "Réessayer le paiement")

        card_page = await browser.submit(await browser.submit(refused, "/payer"), CARD_PAGE)
        back = await browser.submit(card_page, CARD_PAGE, CARD, PAY)
        await _outcome(browser, back, "Paiement accepté")
        await _open_until(browser, url, "Cette facture est payée")

    states = await _attempts(town, invoice_id)
    assert states == [("refused", 4100), ("captured", 4100)]


async def test_who_gives_up_on_the_payment_page_may_pay_later(town: Town, biller: Biller) -> None:
    """Nothing is debited, the invoice stays to pay, and is paid from its page as before."""
    [invoice_id], [url] = await _publish(biller, an_invoice("ABANDON-1"))

    async with Browser() as browser:
        page = await _open_until(browser, url, "Payer 41,00 € par carte")
        card_page = await browser.submit(await browser.submit(page, "/payer"), CARD_PAGE)
        given_up = await browser.submit(card_page, CARD_PAGE, button=CANCEL)
        given_up.require("Paiement abandonné", "rien n’a été débité")

        async def is_closed() -> bool:
            return await _attempts(town, invoice_id) == [("abandoned", 4100)]

        await until(is_closed, "the attempt to be abandoned")
        page = await _open_until(browser, url, "Payer 41,00 € par carte")
        card_page = await browser.submit(await browser.submit(page, "/payer"), CARD_PAGE)
        await browser.submit(card_page, CARD_PAGE, CARD, PAY)
        await _open_until(browser, url, "Cette facture est payée")

    assert await _attempts(town, invoice_id) == [("abandoned", 4100), ("captured", 4100)]


async def test_a_part_is_paid_and_then_the_rest(town: Town, biller: Biller) -> None:
    """D7: from the floor on; what is left is asked for afterwards, to the cent."""
    [invoice_id], [url] = await _publish(biller, an_invoice("PARTIE-1"))

    async with Browser() as browser:
        await _open_until(browser, url, "Payer une partie")
        choice = await browser.open(f"{url}/payer")
        choice.require("De 5,00 € à 41,00 €")
        too_little = await browser.open(f"{url}/payer?montant=4,99")
        assert too_little.status == 422
        too_little.require("à partir de 5,00 €")
        split = await browser.open(f"{url}/payer?montant=12,50")
        split.require("12,50 € sur 41,00 €", "Il restera 28,50 € à payer plus tard.")
        card_page = await browser.submit(await browser.submit(split, "/payer"), CARD_PAGE)
        back = await browser.submit(card_page, CARD_PAGE, CARD, PAY)
        await _outcome(browser, back, "Paiement accepté")

        page = await _open_until(
            browser, url, "payée en partie", "Déjà payé : 12,50 € sur 41,00 €", "Payer 28,50 €"
        )
        card_page = await browser.submit(await browser.submit(page, "/payer"), CARD_PAGE)
        await browser.submit(card_page, CARD_PAGE, CARD, PAY)
        await _open_until(browser, url, "Cette facture est payée")

    assert await _attempts(town, invoice_id) == [("captured", 1250), ("captured", 2850)]
