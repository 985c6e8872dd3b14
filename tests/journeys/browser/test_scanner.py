"""The scanner in a real browser: a printed invoice before the camera, and codes that are traps."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from demo.biller import Biller
from demo.town import Town
from tests.journeys.browser.camera import as_png, code_of, code_on_paper, filming
from tests.journeys.browser.chromium import PHONE
from tests.journeys.browser.places import addresses

pytestmark = [pytest.mark.journey, pytest.mark.asyncio(loop_scope="package")]

# The reader of a browser that has its own, played: it says what it was told to.
NATIVE_READER = """
text => {
  window.BarcodeDetector = class {
    static async getSupportedFormats() { return ['qr_code', 'code_128']; }
    constructor({ formats }) { this.formats = formats; }
    async detect() { return [{ rawValue: text, format: this.formats[0] }]; }
  };
}
"""


async def open_scanner(
    browser: Browser, town: Town, asked: list[tuple[str, str]] | None = None
) -> Page:
    """Open the scanner; what it asks for from then on is noted in `asked`."""
    noted = asked if asked is not None else []
    context = await browser.new_context(locale="fr-FR", viewport=PHONE)
    page = await context.new_page()
    page.on("request", lambda request: noted.append((request.method, request.url)))
    await page.goto(town.url("portal") + "/scanner")
    return page


async def choose_photo(page: Page, content: bytes) -> None:
    photo = {"name": "photo.png", "mimeType": "image/png", "buffer": content}
    await page.locator("#photo").set_input_files(photo)  # type: ignore[arg-type]


async def paper_of(town: Town, biller: Biller) -> tuple[str, bytes]:
    """Return the address that a paper's code opens, and the paper."""
    urls = await addresses(town, biller)
    return urls["paper"], await biller.print_file(urls["invoice"].rpartition("/")[2])


async def test_the_camera_reads_a_printed_invoice_and_opens_it(
    town: Town, biller: Biller, tmp_path: Path
) -> None:
    """From the paper to the invoice with no touch, once pages may film; no picture is sent."""
    address, pdf = await paper_of(town, biller)

    asked: list[tuple[str, str]] = []
    async with filming(code_on_paper(pdf), tmp_path) as browser:
        page = await open_scanner(browser, town, asked)
        await page.wait_for_url(address)

    assert {method for method, _ in asked} == {"GET"}
    assert any(url.partition("?")[0].endswith(".wasm") for _, url in asked)


async def test_a_photo_is_read_in_the_page(town: Town, biller: Biller, chromium: Browser) -> None:
    """Where the camera is refused or absent, a picture does."""
    address, pdf = await paper_of(town, biller)
    page = await open_scanner(chromium, town)

    await choose_photo(page, as_png(code_on_paper(pdf)))

    await page.wait_for_url(address)
    await page.context.close()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("https://factures.exemple.test/q/abcdefghijklmnopqrstuv", "« factures.exemple.test »"),
        ("{portal}@piege.exemple.test/q/abcdefghijklmnopqrstuv", "« piege.exemple.test »"),
        ("https://quittancé.exemple.test/", "« xn--quittanc-i1a.exemple.test »"),
        ("piege.exemple.test/facture", "« piege.exemple.test »"),
        ("{portal}/regie", "il n’ouvre pas une facture"),
        ("{portal}/q/abcdefghijklmnopqrstuv/../../connexion", "il n’ouvre pas une facture"),
        ("BCD\n002\n1\nSCT\n\nVille\nFR7630001007941234567890185\nEUR41.50", "un virement"),
        ("javascript:alert(document.cookie)", "ne contient pas l’adresse d’une facture"),
        ("WIFI:S:Mairie;T:WPA;P:secret;;", "ne contient pas l’adresse d’une facture"),
    ],
)
async def test_any_other_code_is_refused_in_words_and_never_opened(
    town: Town, chromium: Browser, code: str, words: str
) -> None:
    """QR phishing: the host is shown as plain text, nothing is asked of it, nothing is a link."""
    page = await open_scanner(chromium, town)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    await choose_photo(page, as_png(code_of(code.format(portal=town.url("portal")))))

    warning = page.get_by_role("alert")
    await expect(warning).to_contain_text(words)
    await expect(warning).to_be_focused()
    assert await warning.locator("a").count() == 0
    assert page.url == town.url("portal") + "/scanner"
    assert all(url.startswith(town.url("portal") + "/static/") for url in asked)
    await page.context.close()


async def test_a_picture_without_a_code_and_one_that_is_none_are_told_apart(
    town: Town, chromium: Browser
) -> None:
    """Each says what to do next."""
    page = await open_scanner(chromium, town)

    await choose_photo(page, as_png(code_of("x").resize((8, 8))))
    await expect(page.get_by_role("alert")).to_contain_text("Aucun code n’a été trouvé")
    await choose_photo(page, b"no picture at all")
    await expect(page.get_by_role("alert")).to_contain_text("Cette image ne peut pas être lue")

    await page.context.close()


async def test_the_browsers_own_reader_is_used_where_there_is_one(
    town: Town, biller: Biller, chromium: Browser
) -> None:
    """Then nothing more is loaded."""
    address, _ = await paper_of(town, biller)
    page = await open_scanner(chromium, town)
    await page.evaluate(NATIVE_READER, address)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    await choose_photo(page, as_png(code_of("whatever")))
    await page.wait_for_url(address)

    assert not [url for url in asked if "/vendor/" in url]
    await page.context.close()


async def test_the_little_square_for_the_tobacconist_is_explained(
    town: Town, chromium: Browser
) -> None:
    """A Datamatrix stands on many invoices, and opens nothing here."""
    page = await open_scanner(chromium, town)
    await page.evaluate(NATIVE_READER.replace("this.formats[0]", "'data_matrix'"), "0" * 130)

    await choose_photo(page, as_png(code_of("whatever")))

    await expect(page.get_by_role("alert")).to_contain_text("chez un buraliste")
    await page.context.close()


async def test_a_camera_that_is_refused_or_absent_is_said(town: Town, chromium: Browser) -> None:
    """And the two other ways stay: a photo, the typed address."""
    page = await open_scanner(chromium, town)

    await page.get_by_role("button", name="Ouvrir l’appareil photo").click()

    warning = page.get_by_role("alert")
    await expect(warning).to_contain_text("recopiez l’adresse ci-dessous")
    await expect(page.get_by_role("button", name="Choisir une photo")).to_be_visible()
    await expect(page.get_by_label("Adresse ou code imprimé")).to_be_visible()
    await page.context.close()


async def test_without_scripts_the_address_is_typed(
    town: Town, biller: Biller, chromium: Browser
) -> None:
    """Nothing is shown that could not work."""
    address, _ = await paper_of(town, biller)
    context = await chromium.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(town.url("portal") + "/scanner")
    await expect(page.get_by_role("button", name="Ouvrir l’appareil photo")).to_be_hidden()

    await page.get_by_label("Adresse ou code imprimé").fill(address)
    await page.get_by_role("button", name="Ouvrir la facture").click()

    assert page.url == address
    await context.close()
