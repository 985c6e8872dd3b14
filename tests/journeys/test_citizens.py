"""What citizens and billers live through, over the public doors of a running town."""

from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import aiohttp
import pikepdf
import pytest
import pytest_asyncio

from demo.biller import Biller
from demo.browser import Browser, Page
from demo.journey import CARD, Journey
from demo.town import Town
from tests.broker.observing import an_invoice, count, mails, query, until

pytestmark = [pytest.mark.journey, pytest.mark.asyncio(loop_scope="module")]

REFUSED = CARD | {"card_number": "4970100000000014"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def biller(town: Town) -> AsyncIterator[Biller]:
    """Return the town's billing application, logged in."""
    async with aiohttp.ClientSession() as session:
        biller = Biller(town.endpoints(), session)
        await biller.log_in()
        yield biller


async def _published(biller: Biller, number: str, **changes: object) -> tuple[str, str]:
    """Deposit an invoice; return its id and its public address once it is there."""
    receipt = await biller.deposit_json([an_invoice(number, **changes)])
    [line] = await biller.lines(receipt["deposit_id"])
    state = await biller.wait_published(line["invoice_id"], int(changes.get("version", 1)))  # type: ignore[call-overload]
    return line["invoice_id"], state["public_url"]


async def _open_until(browser: Browser, url: str, text: str) -> Page:
    pages: list[Page] = []

    async def there() -> bool:
        pages[:] = [await browser.open(url)]
        return text in pages[0].text

    await until(there, f"« {text} » on {url}")
    return pages[0]


async def _to_the_card_page(browser: Browser, url: str) -> Page:
    page = await _open_until(browser, url, "Payer")
    handover = await browser.submit(page, "/payer")
    return await browser.submit(handover, "/vads-payment/")


async def _captures(town: Town, invoice_id: str) -> int:
    statement = """
        SELECT count(*) FROM attempt JOIN allocation USING (payment_id)
        WHERE invoice_id = $1 AND state = 'captured'
    """
    return await count(town, "payment", statement, invoice_id)


async def test_a_whole_journey_from_the_deposit_to_the_collection(town: Town) -> None:
    """Every sample: the amounts shown, paid and fed back equal those of its XML."""
    steps: list[str] = []

    await Journey(town.endpoints(), steps.append).run()

    assert len(steps) == 19


async def test_a_refused_card_leaves_the_invoice_to_pay_and_a_second_try_pays_it(
    town: Town, biller: Biller
) -> None:
    """Nothing is debited, nothing is booked; the payer starts again at once."""
    invoice_id, url = await _published(biller, "REFUSED-CARD")

    async with Browser() as browser:
        card_page = await _to_the_card_page(browser, url)
        refused = await browser.submit(card_page, "/vads-payment/", REFUSED, ("action", "pay"))
        refused.require("refusé")
        assert await _captures(town, invoice_id) == 0

        card_page = await _to_the_card_page(browser, url)
        await browser.submit(card_page, "/vads-payment/", CARD, ("action", "pay"))
        await _open_until(browser, url, "payée")

    assert await _captures(town, invoice_id) == 1


async def test_one_attempt_at_a_time_and_the_payer_may_start_again(
    town: Town, biller: Biller
) -> None:
    """A second click meets the open attempt; giving it up opens another one."""
    invoice_id, url = await _published(biller, "TWO-CLICKS")

    async with Browser() as first, Browser() as second:
        await _to_the_card_page(first, url)
        page = await _open_until(second, url, "Payer")
        busy = await second.submit(page, "/payer")
        assert busy.status == 409
        busy.require("Un paiement est déjà en cours")

        handover = await second.submit(busy, "/payer")
        card_page = await second.submit(handover, "/vads-payment/")
        await second.submit(card_page, "/vads-payment/", CARD, ("action", "pay"))
        await _open_until(second, url, "payée")

    assert await _captures(town, invoice_id) == 1


async def test_a_payment_made_in_an_abandoned_window_is_booked_all_the_same(
    town: Town, biller: Biller
) -> None:
    """Paid twice by two windows: both are booked, the surplus is to be given back."""
    invoice_id, url = await _published(biller, "TWICE-PAID")

    async with Browser() as first, Browser() as second:
        old_page = await _to_the_card_page(first, url)
        page = await _open_until(second, url, "Payer")
        busy = await second.submit(page, "/payer")
        handover = await second.submit(busy, "/payer")
        new_page = await second.submit(handover, "/vads-payment/")
        await second.submit(new_page, "/vads-payment/", CARD, ("action", "pay"))
        await first.submit(old_page, "/vads-payment/", CARD, ("action", "pay"))

    surplus = """
        SELECT coalesce(sum(amount_cents), 0) FROM line JOIN entry USING (entry_id)
        WHERE account = 'TROP_PERCU' AND invoice_id = $1
    """

    async def is_booked() -> bool:
        return await count(town, "reconciliation", surplus, invoice_id) == -4100

    await until(is_booked, "the surplus in the books")
    assert await _captures(town, invoice_id) == 2


async def test_a_forged_notice_is_refused_and_changes_nothing(town: Town, biller: Biller) -> None:
    """403, no row, no state."""
    invoice_id, _ = await _published(biller, "FORGED")
    before = await count(town, "payment", "SELECT count(*) FROM notice")

    async with (
        aiohttp.ClientSession() as session,
        session.post(
            town.url("payment") + "/payments/notify/lyra/saint-aubin-carte",
            data={"vads_order_id": "X", "vads_amount": "1", "signature": "no"},
        ) as answer,
    ):
        assert answer.status == 403
        problem = await answer.json(content_type=None)

    assert problem["code"] == "notice-refused"
    assert before == await count(town, "payment", "SELECT count(*) FROM notice")
    assert await _captures(town, invoice_id) == 0


async def test_a_higher_version_replaces_what_the_old_paper_opens(
    town: Town, biller: Biller
) -> None:
    """The QR code of the first paper leads to the new amount."""
    invoice_id, url = await _published(biller, "CORRECTED")

    _, same_url = await _published(biller, "CORRECTED", version=2, amount_cents=3000)

    assert url == same_url
    async with Browser() as browser:
        page = await _open_until(browser, url, "30,00")
        page.require("Payer")
    receipt = await biller.deposit_json([an_invoice("CORRECTED", amount_cents=1)])
    [line] = await biller.lines(receipt["deposit_id"])
    assert (line["status"], line["code"]) == ("rejected", "conflict")
    assert (await biller.invoice(invoice_id))["version"] == 2


async def test_a_withdrawn_invoice_is_gone_and_owed_no_more(town: Town, biller: Biller) -> None:
    """410 on the paper's address, nothing to pay, the claim taken back."""
    invoice_id, url = await _published(biller, "WITHDRAWN")
    endpoints = town.endpoints()

    async with (
        aiohttp.ClientSession(headers=biller.headers) as session,
        session.post(
            f"{endpoints['deposits']}/v1/invoices/{invoice_id}/withdraw",
            json={"reason": "Erreur de facturation"},
        ) as answer,
    ):
        assert answer.status == 200

    async with Browser() as browser:
        page = await _open_until(browser, url, "a été retirée par")
        assert page.status == 410
    claim = """
        SELECT coalesce(sum(amount_cents), 0) FROM line JOIN entry USING (entry_id)
        WHERE account = 'CREANCE' AND invoice_id = $1
    """
    assert await count(town, "reconciliation", claim, invoice_id) == 0


async def test_an_overdue_invoice_is_reminded_once_and_a_paid_one_never(
    town: Town, biller: Biller
) -> None:
    """Due date plus the régie's days: one mail, with the link."""
    overdue = {"issued_on": "2026-09-01", "due_on": "2026-10-01"}
    invoice_id, _ = await _published(biller, "LATE", **overdue)

    async def reminders() -> list[dict[str, Any]]:
        own = [mail for mail in await mails(town) if mail["to"] == "famille-late@example.org"]
        return [mail for mail in own if "appel" in mail["subject"]]

    async def reminded() -> bool:
        return bool(await reminders())

    await until(reminded, "the reminder")
    decided = await query(
        town, "reconciliation", "SELECT level FROM reminder WHERE invoice_id = $1", invoice_id
    )
    assert [row["level"] for row in decided] == [1]
    assert len(await reminders()) == 1


BAD_INVOICES = [
    ({"amount_cents": -5}, "amount_not_positive", "/invoices/0/amount_cents"),
    ({"amount_cents": 10**12}, "amount_too_large", "/invoices/0/amount_cents"),
    ({"amount_cents": 1.5}, "wrong_type", "/invoices/0/amount_cents"),
    ({"regie": "NULLE-PART"}, "unknown_regie", "/invoices/0/regie"),
    ({"currency": "USD"}, "currency", "/invoices/0/currency"),
    ({"surprise": 1}, "unknown_field", "/invoices/0/surprise"),
]


@pytest.mark.parametrize(("changes", "code", "pointer"), BAD_INVOICES)
async def test_a_bad_line_is_rejected_alone(
    town: Town, biller: Biller, changes: dict[str, object], code: str, pointer: str
) -> None:
    """Code and pointer for the bad one; its neighbour goes on."""
    number = f"GOOD-{code}-{len(str(changes))}"

    receipt = await biller.deposit_json([an_invoice("BAD", **changes), an_invoice(number)])
    bad, good = await biller.lines(receipt["deposit_id"])

    assert (bad["status"], bad["code"], bad["pointer"]) == ("rejected", code, pointer)
    assert good["status"] == "created"


async def test_bad_documents_are_rejected_and_their_neighbours_published(
    town: Town, biller: Biller
) -> None:
    """Not a PDF: told at the door. Active content: told by publication, on the same line."""
    document = pikepdf.new()
    document.add_blank_page()
    document.Root.OpenAction = pikepdf.Dictionary(
        S=pikepdf.Name.JavaScript, JS=pikepdf.String("app.alert(1)")
    )
    active, clean, locked = BytesIO(), BytesIO(), BytesIO()
    document.save(active)
    del document.Root.OpenAction
    document.save(clean)
    document.save(locked, encryption=pikepdf.Encryption(owner="o", user="", R=6))

    receipt = await biller.deposit_with_files(
        [an_invoice(f"DOC-{name}", pdf=name) for name in ("text", "locked", "active", "clean")],
        {
            "text": b"hello",
            "locked": locked.getvalue(),
            "active": active.getvalue(),
            "clean": clean.getvalue(),
        },
    )

    async def told() -> bool:
        return [line.get("code") for line in await biller.lines(receipt["deposit_id"])] == [
            "not_a_pdf",
            "encrypted",
            "active_content",
            None,
        ]

    await until(told, "the outcome of every line")
    lines = await biller.lines(receipt["deposit_id"])
    assert [line.get("pointer") for line in lines[:3]] == [
        "/invoices/0/pdf",
        "/invoices/1/pdf",
        "/invoices/2/pdf",
    ]
    await biller.wait_published(lines[3]["invoice_id"])


async def test_a_deposit_that_is_not_json_stores_nothing(town: Town, biller: Biller) -> None:
    """A problem document, and nothing but the failure can be looked up."""
    kept = """
        SELECT (SELECT count(*) FROM deposit WHERE status <> 'failed')
            + (SELECT count(*) FROM deposit_line) + (SELECT count(*) FROM invoice)
    """
    before = await count(town, "ingestion", kept)
    url = town.url("ingestion") + "/v1/deposits"
    headers = biller.headers | {"Content-Type": "application/json"}

    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(url, data=b"{nope") as answer,
    ):
        assert answer.status == 400
        assert answer.content_type == "application/problem+json"

    assert before == await count(town, "ingestion", kept)


async def test_after_ninety_days_the_document_is_gone_and_its_state_stays(
    town: Town, biller: Biller
) -> None:
    """P20: past its last readable day no door serves the file, and the store holds it no more."""
    invoice_id, url = await _published(biller, "OLD")
    [row] = await query(
        town, "publication", "SELECT document_key FROM folder WHERE invoice_id = $1", invoice_id
    )
    stored = town.folder / "storage" / row["document_key"]
    assert stored.exists()
    await query(
        town,
        "publication",
        "UPDATE folder SET readable_until = current_date - 2 WHERE invoice_id = $1",
        invoice_id,
    )

    # The purge runs at every start and then by the clock.
    await town.processes["publication"].stop()
    await town.processes["publication"].start()

    async def is_gone() -> bool:
        return not stored.exists()

    await until(is_gone, "the file to go")
    async with Browser() as browser:

        async def is_refused() -> bool:
            return (await browser.download(f"{url}/facture.pdf"))[0] == 410

        await until(is_refused, "410 for the document")
        (await browser.open(url)).require("OLD")
