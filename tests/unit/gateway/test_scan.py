"""The scanner's page: the camera there and nowhere else, and the reader of codes as it was made."""

import re
from hashlib import sha256
from pathlib import Path

import pytest

import gateway
from tests.unit.gateway.door import TOKEN, Door, an_invoice

pytestmark = pytest.mark.enable_socket

VENDOR = Path(gateway.__file__).parent / "static" / "vendor" / "barcode-detector"


async def test_only_the_scanner_may_use_the_camera_and_compile(door: Door) -> None:
    """S6: everything else keeps the strict policy."""
    scanner = await door.get("/scanner")
    home = await door.get("/")

    assert scanner.headers["Permissions-Policy"].startswith("camera=(self),")
    assert "script-src 'self' 'wasm-unsafe-eval';" in scanner.headers["Content-Security-Policy"]
    assert home.headers["Permissions-Policy"].startswith("camera=(),")
    assert "script-src 'self';" in home.headers["Content-Security-Policy"]
    for page in (scanner, home):
        policy = page.headers["Content-Security-Policy"]
        assert "'unsafe-eval'" not in policy.replace("'wasm-unsafe-eval'", "")
        assert "'unsafe-inline'" not in policy
        assert page.headers["X-Content-Type-Options"] == "nosniff"


async def test_without_scripts_the_code_is_typed(door: Door) -> None:
    """The camera's part is hidden until a script shows it; the form is always there."""
    await door.publish(an_invoice())
    page = await door.get("/scanner")

    opened = await door.send(page, "/q", code=f"https://factures.exemple.test/q/{TOKEN}")

    assert page.element("//section[@id='scanner']").get("hidden") is not None
    assert (opened.status, opened.location) == (303, f"/q/{TOKEN}")


async def test_the_photo_is_never_sent(door: Door) -> None:
    """The file field stands in no form and has no name: there is nothing to upload."""
    page = await door.get("/scanner")

    field = page.element("//input[@type='file']")

    assert field.get("name") is None
    assert field.xpath("ancestor::form") == []


async def test_every_sentence_that_the_script_says_is_on_the_page(door: Door) -> None:
    """A name that is missing would leave somebody without a word."""
    page = await door.get("/scanner")
    script = (VENDOR.parents[1] / "scan.js").read_text()
    judge = (VENDOR.parents[1] / "code.js").read_text()
    told = {str(item.get("data-name")) for item in page.elements("//*[@id='phrases']/li")}

    said = set(re.findall(r'(?:say|warn|phrase)\("([a-z]+)"', script))
    said |= set(re.findall(r'Error: "([a-z]+)"', script))
    said |= set(re.findall(r'kind: "([a-z]+)"', judge)) - {"invoice"}

    assert said - told == set()
    assert told - said == {"reader"} - said


async def test_the_warning_about_another_site_has_a_place_for_its_host(door: Door) -> None:
    """The host is shown as text, so that people see where a false code would have led them."""
    page = await door.get("/scanner")

    warning = page.element("//li[@data-name='foreign']").text_content()

    assert "« {} »" in " ".join(str(warning).replace("\u00a0", " ").split())
    assert page.elements("//*[@id='alerte']//a") == []


async def test_the_reader_of_codes_is_served_and_only_named_by_the_scanner(door: Door) -> None:
    """More than a megabyte: other pages do not load it."""
    scanner = await door.get("/scanner")
    wasm = scanner.element("//section[@id='scanner']").get("data-wasm")
    served = await door.get(wasm)

    assert (served.status, served.headers["Content-Type"]) == (200, "application/wasm")
    assert served.content == (VENDOR / "zxing_reader.wasm").read_bytes()
    assert b"vendor" not in (await door.get("/")).content


def test_the_reader_of_codes_is_as_its_authors_made_it() -> None:
    """Each digest is as it was written down, and the wasm is the one its script was built with."""
    lines = (VENDOR / "SHA256SUMS").read_text().splitlines()
    written = {name: digest for digest, name in (line.split("  ") for line in lines)}

    found = {name: sha256((VENDOR / name).read_bytes()).hexdigest() for name in written}

    assert found == written
    assert written["zxing_reader.wasm"] in (VENDOR / "zxing-exported.js").read_text()
    files = {path.name for path in VENDOR.iterdir()}
    assert files - set(written) == {"README.md", "SHA256SUMS", "renew.sh"}
