"""One whole citizen journey without a person; each step is told with its time."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from io import BytesIO
from typing import Any

import aiohttp
import pikepdf
import pyotp
import pypdfium2
import zxingcpp

from demo import samples
from demo.biller import Biller
from demo.browser import Browser, Page
from demo.samples import Sample
from shared.money import format_euros

CARD = {
    "card_number": "4970100000000055",
    "expiry_month": "06",
    "expiry_year": "2035",
    "cvv": "123",
}
WAIT_SECONDS = 30.0
RENDER_SCALE = 3.0

Progress = Callable[[str], None]


class JourneyError(Exception):
    """A step did not hold."""


class Journey:
    """The steps, over the public doors of a running town only."""

    def __init__(self, endpoints: dict[str, Any], progress: Progress) -> None:
        """Travel through the town that `endpoints` describes."""
        self._endpoints = endpoints
        self._progress = progress
        self._expected_cents: dict[str, int] = {}

    async def run(self) -> None:
        """Make the whole journey.

        Raises:
            Exception: the first thing that did not hold.
        """
        async with aiohttp.ClientSession() as session:
            biller = Biller(self._endpoints, session)
            with self._step("the biller obtains a token"):
                await biller.log_in()
            await self._factur_x(biller)
            await self._citizen(biller, session)
            with self._step("the agent comes in with a password and a code"):
                await self._agent()
            with self._step("the biller sees every collection, to the cent"):
                await self._all_collected(biller)

    async def _factur_x(self, biller: Biller) -> None:
        deposited: list[tuple[Sample, str, dict[str, Any]]] = []
        with self._step("every Factur-X sample is deposited and published"):
            for sample, regie in samples.spread(samples.read_all()):
                receipt = await biller.deposit_facturx(sample.path.read_bytes(), regie)
                [line] = await biller.lines(receipt["deposit_id"])
                _check(line["status"] == "created", f"{sample.path.name}: {line}")
                state = await biller.wait_published(line["invoice_id"])
                deposited.append((sample, line["invoice_id"], state))
        with self._step("the printed paper carries a code that reads"):
            for _, invoice_id, state in deposited:
                printed = await biller.print_file(invoice_id)
                await asyncio.to_thread(_require_code, printed, state["public_url"])
        for sample, invoice_id, state in deposited:
            await self._from_paper(sample, invoice_id, state["public_url"])

    async def _from_paper(self, sample: Sample, invoice_id: str, url: str) -> None:
        with self._step(f"from paper: {sample.path.name}"):
            async with Browser() as browser:
                page = await self._open_when(browser, url, format_euros(sample.due_cents))
                status, media, content = await browser.download(f"{url}/facture.pdf")
                _check((status, media) == (200, "application/pdf"), f"PDF: {status} {media}")
                await asyncio.to_thread(_require_embedded_invoice, content)
                if sample.is_credit_note:
                    page.require("avoir")
                    _check(not _has_form(page, "/payer"), "a credit note must not be payable")
                    return
                await self._pay(browser, page)
                await self._open_when(browser, url, "payée")
                self._expected_cents[invoice_id] = sample.due_cents

    async def _citizen(self, biller: Biller, session: aiohttp.ClientSession) -> None:
        citizen = self._endpoints["citizen"]
        number = f"2026-{int(time.time())}"
        with self._step("an invoice for the citizen is deposited as data"):
            receipt = await biller.deposit_json([_invoice(number, citizen["email"])])
            [line] = await biller.lines(receipt["deposit_id"])
            _check(line["status"] == "created", str(line))
        with self._step("the e-mail arrives"):
            mail = await self._mail(session, citizen["email"], number)
            _check("/q/" in mail["text"], mail["text"])
            _check("41,00" in mail["text"], mail["text"])
        async with Browser() as browser:
            with self._step("the citizen logs in and finds the invoice"):
                await self._log_in(browser)
                page = await self._open_when(
                    browser, f"{self._endpoints['portal']}/factures", number
                )
                page = await browser.open(
                    f"{self._endpoints['portal']}/factures/{line['invoice_id']}"
                )
                page.require(number, format_euros(4100))
            with self._step("the citizen reads the PDF"):
                status, media, content = await browser.download(
                    f"{self._endpoints['portal']}/factures/{line['invoice_id']}/facture.pdf"
                )
                _check((status, media) == (200, "application/pdf"), f"PDF: {status} {media}")
                _check(content.startswith(b"%PDF-"), "not a PDF")
            with self._step("the citizen pays by card"):
                await self._pay(browser, page)
                self._expected_cents[line["invoice_id"]] = 4100
                await self._open_when(browser, page.url, "payée")
        with self._step("the receipt arrives"):
            await self._mail(session, citizen["email"], number, "paiement")

    async def _log_in(self, browser: Browser) -> None:
        citizen = self._endpoints["citizen"]
        page = await browser.open(f"{self._endpoints['portal']}/connexion")
        page = await browser.submit(
            page, "/connexion", {"email": citizen["email"], "password": citizen["password"]}
        )
        _check(page.status == 200, f"login answered {page.status}: {page.text[:300]}")

    async def _agent(self) -> None:
        agent = self._endpoints["agent"]
        named = {"login": agent["login"], "password": agent["password"]}
        async with Browser() as browser:
            page = await browser.open(f"{self._endpoints['portal']}/regie/connexion")
            page = await browser.submit(page, "/regie/connexion", named)
            code = pyotp.TOTP(agent["totp_secret"]).now()
            page = await browser.submit(page, "/connexion/verification", {"code": code})
            _check(page.url.endswith("/regie"), f"{page.url}: {page.status} {page.text[:300]}")

    async def _pay(self, browser: Browser, page: Page) -> None:
        handover = await browser.submit(page, "/payer")
        card_page = await browser.submit(handover, "/vads-payment/")
        _check(card_page.status == 200, f"{card_page.url}: {card_page.status}")
        back = await browser.submit(card_page, "/vads-payment/", CARD, ("action", "pay"))
        _check(back.status == 200, f"{back.url}: {back.status} {back.text[:300]}")

    async def _all_collected(self, biller: Biller) -> None:
        async def seen() -> dict[str, int]:
            found: dict[str, int] = {}
            after = None
            while True:
                page = await biller.collections(after)
                for item in page["items"]:
                    if item["kind"] == "payment":
                        invoice = str(item["invoice_id"])
                        found[invoice] = found.get(invoice, 0) + item["amount_cents"]
                after = page["next"]
                if not page["has_more"]:
                    return found

        async def all_there() -> bool:
            return self._expected_cents.keys() <= (await seen()).keys()

        await self._until(all_there, "collections")
        found = await seen()
        for invoice_id, cents in self._expected_cents.items():
            _check(found[invoice_id] == cents, f"{invoice_id}: {found[invoice_id]} != {cents}")

    async def _mail(
        self, session: aiohttp.ClientSession, address: str, *texts: str
    ) -> dict[str, Any]:
        found: list[dict[str, Any]] = []

        async def arrived() -> bool:
            async with session.get(f"{self._endpoints['mailbox']}/api/messages") as answer:
                messages = await answer.json()
            found[:] = [
                message
                for message in messages
                if message["to"] == address
                and all(text in message["subject"] + message["text"] for text in texts)
            ]
            return bool(found)

        await self._until(arrived, f"mail with {texts}")
        return found[0]

    async def _open_when(self, browser: Browser, url: str, text: str) -> Page:
        pages: list[Page] = []

        async def there() -> bool:
            pages[:] = [await browser.open(url)]
            return text.replace("\u202f", " ").replace("\u00a0", " ") in pages[0].text

        await self._until(there, f"« {text} » on {url}", pages)
        return pages[0]

    async def _until(
        self, holds: Callable[[], Awaitable[bool]], what: str, pages: list[Page] | None = None
    ) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not await holds():
            if time.monotonic() > deadline:
                shown = f": {pages[0].status} {pages[0].text[:600]}" if pages else ""
                message = f"waited in vain for {what}{shown}"
                raise JourneyError(message)
            await asyncio.sleep(0.05)

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self._progress(f"{name:<58} {(time.perf_counter() - started) * 1000:8.0f} ms")


def _check(holds: bool, message: str) -> None:  # noqa: FBT001 - an assertion reads this way
    if not holds:
        raise JourneyError(message)


def _has_form(page: Page, action: str) -> bool:
    return any(action in (form.action or "") for form in page.tree.forms)


def _invoice(number: str, email: str) -> dict[str, Any]:
    today = date.today()  # noqa: DTZ011 - the biller's own calendar
    return {
        "regie": "CANTINE",
        "number": number,
        "issued_on": today.isoformat(),
        "due_on": (today + timedelta(days=30)).isoformat(),
        "amount_cents": 4100,
        "currency": "EUR",
        "subject": "Restauration scolaire, octobre 2026",
        "route": "regie",
        "payer": {
            "reference": "FAM-0042",
            "name": "Camille Martin",
            "email": email,
            "address": ["12 rue du Tilleul", "35140 Saint-Aubin"],
        },
        "lines": [
            {
                "label": "Repas enfant",
                "quantity": "10",
                "unit_amount_cents": 385,
                "amount_cents": 3850,
            },
            {"label": "Goûter", "quantity": "2", "unit_amount_cents": 125, "amount_cents": 250},
        ],
    }


def _require_code(printed: bytes, url: str) -> None:
    document = pypdfium2.PdfDocument(BytesIO(printed))
    try:
        for page in document:
            image = page.render(scale=RENDER_SCALE).to_pil()
            if any(code.text == url for code in zxingcpp.read_barcodes(image)):
                return
    finally:
        document.close()
    message = f"no page shows the code of {url}"
    raise JourneyError(message)


def _require_embedded_invoice(content: bytes) -> None:
    with pikepdf.open(BytesIO(content)) as pdf:
        _check(
            any(name.lower().endswith(".xml") for name in pdf.attachments),
            "the published Factur-X lost its XML",
        )
