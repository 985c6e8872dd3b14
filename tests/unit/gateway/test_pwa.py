"""The portal as an application: its manifest, its worker, and what a device must forget."""

import re
import struct
from pathlib import Path
from typing import Any

import msgspec
import pytest

import gateway
from gateway.api.language import catalogue
from tests.unit.gateway.door import TOKEN, Door, an_invoice

pytestmark = pytest.mark.enable_socket

STATIC = Path(gateway.__file__).parent / "static"


async def manifest_of(door: Door) -> dict[str, Any]:
    page = await door.get("/manifest.webmanifest")
    assert page.headers["Content-Type"] == "application/manifest+json; charset=utf-8"
    found: dict[str, Any] = msgspec.json.decode(page.content)
    return found


async def worker_of(door: Door) -> tuple[dict[str, Any], str]:
    """Return what the worker knows of the portal, and its text."""
    page = await door.get("/service-worker.js")
    head, _, text = page.content.decode().partition(";\n")
    known: dict[str, Any] = msgspec.json.decode(head.removeprefix("const APP = "))
    return known, text


async def test_the_manifest_lets_the_portal_be_installed(door: Door) -> None:
    """Name, icons, start and display are what browsers ask of an application."""
    manifest = await manifest_of(door)

    assert manifest["short_name"] == "Quittance"
    assert (manifest["lang"], manifest["display"], manifest["scope"]) == ("fr", "standalone", "/")
    assert manifest["start_url"] == "/factures?source=app"
    assert [shortcut["url"] for shortcut in manifest["shortcuts"]] == [
        "/scanner",
        "/factures?source=app",
    ]


async def test_the_icons_are_there_in_the_sizes_that_the_manifest_tells(door: Door) -> None:
    """A PNG tells its width and height in its first chunk."""
    icons = (await manifest_of(door))["icons"]

    assert [icon["purpose"] for icon in icons] == ["any", "any", "maskable"]
    for icon in icons:
        page = await door.get(icon["src"])
        width, height = struct.unpack(">II", page.content[16:24])
        assert (page.status, page.headers["Content-Type"]) == (200, "image/png")
        assert f"{width}x{height}" == icon["sizes"]
        assert "immutable" in page.headers["Cache-Control"]


async def test_the_colours_are_those_of_the_style_sheet(door: Door) -> None:
    """The splash screen looks like the page that follows it."""
    manifest = await manifest_of(door)
    style = (STATIC / "style.css").read_text()

    assert f"--brand: {manifest['theme_color']};" in style
    assert f"--ground: {manifest['background_color']};" in style


async def test_every_page_names_manifest_and_icon_and_script(door: Door) -> None:
    """Installing starts from any page."""
    page = await door.get("/")

    assert page.element("//link[@rel='manifest']").get("href") == "/manifest.webmanifest"
    assert "apple-touch-180.png" in page.element("//link[@rel='apple-touch-icon']").get("href")
    assert page.elements("//script[@type='module'][contains(@src, '/static/app.js')]")


async def test_the_worker_is_asked_again_each_time_and_speaks_for_the_whole_site(
    door: Door,
) -> None:
    """At the root its scope is the site; a proxy that kept it would stop updates."""
    page = await door.get("/service-worker.js")

    assert (page.status, page.headers["Content-Type"]) == (200, "text/javascript; charset=utf-8")
    assert page.headers["Cache-Control"] == "no-cache"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "connect-src 'self'" in page.headers["Content-Security-Policy"]
    assert page.cookies == {}


async def test_the_shell_is_whole_and_holds_nothing_of_a_person(door: Door) -> None:
    """One file that is missing would stop the installation; what is private is no shell."""
    await door.publish(an_invoice())
    await door.log_in()
    known, _ = await worker_of(door)

    assert known["offline"] in known["shell"]
    for path in known["shell"]:
        assert path == "/hors-connexion" or path.startswith("/static/")
        assert (await door.get(path)).status == 200
    assert any("/static/style.css" in path for path in known["shell"])
    assert not any("vendor" in path for path in known["shell"])


async def test_the_worker_is_the_same_for_everybody(door: Door) -> None:
    """A worker that differed by visitor would be installed anew at each login."""
    before = (await door.get("/service-worker.js")).content

    await door.log_in()

    assert (await door.get("/service-worker.js")).content == before


async def test_an_offline_copy_says_so_with_its_hour_in_both_languages(door: Door) -> None:
    """The sentence has a place for the moment at which the copy was fetched."""
    known, text = await worker_of(door)

    assert known["texts"]["fr"]["stale"] == (
        "Vous êtes hors connexion. Montants tels qu’ils étaient le %(when)s\u00a0: ils ont pu"
        " changer."
    )
    assert known["texts"]["en"]["stale"].startswith("You are offline. Amounts as they were on %(")
    assert '.replace("%(when)s"' in text


async def test_notifications_name_no_amount_no_person_and_no_authority(door: Door) -> None:
    """E4: read over a shoulder, they say that something is there, and nothing more."""
    await door.add_town()
    await door.publish(an_invoice())
    await door.log_in()

    known, _ = await worker_of(door)

    assert known["texts"]["fr"]["invoice"][0] == "Nouvelle facture"
    assert known["texts"]["fr"]["reminder"][0] == "Rappel"
    assert known["texts"]["fr"]["receipt"][0] == "Paiement enregistré"
    for texts in known["texts"].values():
        for name in ("invoice", "reminder", "receipt", "test", "other"):
            said = " ".join(texts[name])
            assert not re.search(r"[0-9€%{]|Camille|Saint-Aubin", said)


async def test_logging_out_makes_the_device_forget(door: Door) -> None:
    """The browser drops what scripts kept, even where the worker does not run."""
    await door.log_in()

    page = await door.submit("/deconnexion")

    assert (page.status, page.location) == (303, "/")
    assert page.headers["Clear-Site-Data"] == '"storage"'
    assert await door.count("session") == 0


async def test_other_forms_forget_nothing(door: Door) -> None:
    """Choosing a language must not unsubscribe a telephone."""
    page = await door.submit("/langue", {"langue": "en"})

    assert "Clear-Site-Data" not in page.headers


async def test_the_mark_tells_accounts_apart_and_nothing_about_them(door: Door) -> None:
    """The worker wipes when it changes; nobody reads an account out of it."""
    nobody = await door.get("/")
    first_id = await door.log_in()
    first, again = await door.get("/factures"), await door.get("/compte")
    await door.submit("/deconnexion")
    await door.log_in(email="autre@exemple.test")
    second = await door.get("/factures")

    assert "X-Account-Mark" not in nobody.headers
    mark = first.headers["X-Account-Mark"]
    assert re.fullmatch("[0-9a-f]{16}", mark)
    assert again.headers["X-Account-Mark"] == mark
    assert second.headers["X-Account-Mark"] != mark
    assert mark not in str(first_id).replace("-", "")


async def test_pages_stay_out_of_every_http_cache(door: Door) -> None:
    """Only the worker keeps copies, under its own rules."""
    await door.publish(an_invoice())
    await door.log_in()

    for path in ("/factures", f"/q/{TOKEN}", "/hors-connexion", "/compte/alertes"):
        assert (await door.get(path)).headers["Cache-Control"] == "no-store"


async def test_the_offline_page_says_both_languages_and_has_a_place_for_copies(
    door: Door,
) -> None:
    """It is fetched without cookies at the installation: nobody's language is known then."""
    page = await door.get("/hors-connexion")

    assert page.element("//h1").text_content() == "Vous êtes hors connexion"
    assert "You are offline" in page.element("//p[@lang='en']").text_content()
    assert "<!-- copies -->" in page.content.decode()


def test_the_sentences_of_scripts_are_in_the_catalogue_only() -> None:
    """What people read stands in pages, where it has its English; scripts hold none."""
    french = {str(message.id) for message in catalogue("en") if isinstance(message.id, str)}

    for path in STATIC.glob("*.js"):
        said = set(re.findall(r'"([^"\n]{12,})"', path.read_text()))
        assert said & french == set()
        assert not [text for text in said if re.search("[éèêàçù’]", text)], path.name
