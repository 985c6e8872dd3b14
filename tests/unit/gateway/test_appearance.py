"""What an authority looks like, from its file to the page; and the colours of who reads."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from gateway.adapters.passwords import Passwords
from gateway.adapters.vault import Vault
from gateway.load import Loaded, load
from gateway.store import PostgresPortal
from gateway.town_file import read
from shared.errors import SettingsError
from shared.postgres import Database
from tests.unit.gateway.door import (
    INVOICE_ID,
    SEALING_KEYS,
    TOKEN,
    Door,
    an_invoice,
    three,
)

LOGO = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><path d="M1 1h6v6z"/></svg>'
IBAN = "FR14 2004 1010 0505 0001 3M02 606"


def an_appearance(**changes: object) -> dict[str, object]:
    return {
        "accent": "#24488f",
        "logo": LOGO,
        "contact": {"phone": "02 61 91 00 00", "hours": "Le matin\nL’après-midi"},
        **changes,
    }


def a_town(appearance: dict[str, object] | None, **regie: object) -> dict[str, Any]:
    authority: dict[str, object] = {
        "authority": "saint-aubin",
        "name": "Ville de Saint-Aubin",
        "regies": [
            {"code": "CANTINE", "label": "Restauration scolaire", "route": "regie", **regie}
        ],
    }
    return {"authorities": [authority | ({"appearance": appearance} if appearance else {})]}


async def load_town(database: Database, town: dict[str, Any]) -> Loaded:
    passwords = Passwords()
    try:
        content = msgspec.json.encode(town)
        return await load(read(content), database, passwords, Vault(SEALING_KEYS))
    finally:
        passwords.close()


def problems_of(town: dict[str, Any]) -> str:
    with pytest.raises(SettingsError) as refused:
        read(msgspec.json.encode(town))
    return str(refused.value)


@pytest.mark.parametrize(
    ("appearance", "problem"),
    [
        (
            {"accent": "#ff8800"},
            "/accent: #ff8800 has a contrast of 2.19:1 in the light theme, where 4.5:1 is needed;",
        ),
        (
            {"accent": "#24488f", "accent_dark": "#24488f"},
            "/accent_dark: #24488f has a contrast of 1.80:1 in the dark theme, where 4.5:1 is",
        ),
        ({"accent": "#ff8800"}, "; the nearest that has is #ab5b00"),
        ({"accent": "#24488f", "accent_dark": "#24488f"}, "; the nearest that has is #6088d7"),
        ({"accent_dark": "#9fc0ff"}, "/accent_dark: comes without accent"),
        ({"accent": "red"}, "/accent: "),
        ({"logo": "<svg/>"}, "/logo: does not start with <svg"),
        ({"contact": {"phone": "call me"}}, "/contact/phone: "),
        ({"contact": {"email": "a@b.fr?bcc=c@d.fr"}}, "/contact/email: "),
        ({"contact": {"url": "javascript:alert(1)"}}, "/contact/url: "),
        ({"contact": {"fax": "1"}}, "/contact/fax: is unknown"),
        ({"legal": {"host": ""}}, "/legal/host: "),
    ],
)
def test_what_cannot_be_shown_is_told_with_its_place(
    appearance: dict[str, object], problem: str
) -> None:
    """B10: a colour that nobody could read is refused with its ratio, and with one that could."""
    found = problems_of(a_town(appearance))

    assert found.startswith("/authorities/0/appearance/")
    assert problem in found


@pytest.mark.parametrize(
    ("means", "problem"),
    [
        ({"iban": IBAN.replace("606", "607")}, "iban: its check digits do not fit"),
        ({"iban": "FR14"}, "iban: "),
        ({"iban": IBAN.replace("606", "607") + "\n"}, "iban: its check digits do not fit"),
        ({"bic": "PSSTFRPPXXX"}, "bic: comes without iban"),
    ],
)
def test_money_is_never_sent_to_a_mistyped_account(means: dict[str, str], problem: str) -> None:
    """ISO 13616: the check digits are checked before anybody pays by transfer."""
    place = "/authorities/0/regies/0/other_means/"

    assert place + problem in problems_of(a_town(None, other_means=means))


def test_all_problems_come_at_once() -> None:
    """An operator mends a file once."""
    town = a_town({"accent": "#ff8800", "logo": "<svg/>"}, other_means={"bic": "PSSTFRPPXXX"})

    assert problems_of(town).count("; /authorities") == 2


@pytest.mark.enable_socket
async def test_a_new_appearance_is_kept_and_said_to_nobody_who_needs_no_colours(
    database: Database,
) -> None:
    """A load keeps it once, and the event carries what it always did."""
    town = a_town(an_appearance(), other_means={"iban": IBAN})
    first, second = await load_town(database, town), await load_town(database, town)

    async with database.transaction() as transaction:
        [look] = await PostgresPortal(transaction).looks(["saint-aubin", "elsewhere"])
        [event] = await transaction.connection.fetch("SELECT value FROM outbox")
    assert (first.authorities, second.authorities) == (("saint-aubin",), ())
    assert look.appearance is not None
    assert look.appearance.accent == "#24488f"
    assert look.regies[0].other_means is not None
    assert look.regies[0].other_means.iban == IBAN
    assert b"24488f" not in event["value"]
    assert b"other_means" not in event["value"]


@pytest.mark.enable_socket
async def test_the_page_of_an_invoice_has_its_authority_s_colours_and_logo(
    door: Door, database: Database
) -> None:
    """B10: on the paper's page, in the account and where it is paid."""
    await load_town(database, a_town(an_appearance()))
    await door.log_in()
    await door.publish(*three())
    paths = [
        f"/q/{1:022d}",
        f"/factures/{INVOICE_ID}",
        "/factures",
        f"/payer/selection?invoice_id={INVOICE_ID}",
    ]

    for path in paths:
        page = await door.get(path)
        sheets = [str(found) for found in page.elements("//link[@rel='stylesheet']/@href")]
        [own] = [sheet for sheet in sheets if sheet.startswith("/apparence/saint-aubin.css?v=")]
        logos = {str(found) for found in page.elements("//img/@src") if "/logo?" in str(found)}
        assert page.elements("//*[contains(@class, 'of-saint-aubin')]"), path
        assert len(logos) == 1, path
        assert {(await door.get(address)).status for address in (own, *logos)} == {200}


@pytest.mark.enable_socket
async def test_colours_are_custom_properties_and_nothing_else(
    door: Door, database: Database
) -> None:
    """The dark one is made from the light one where none is given; both are kept for ever."""
    await load_town(database, a_town(an_appearance()))
    await door.publish(an_invoice())
    page = await door.get(f"/q/{TOKEN}")

    sheet = await door.get(str(page.element("//link[contains(@href, 'saint-aubin.css')]/@href")))

    assert sheet.content.decode() == (
        ".of-saint-aubin { --own: #24488f; --own-strong: #193264; --own-pale: #e9edf4;"
        " --own-on: #ffffff; --own-dark: #6088d7; --own-dark-strong: #a0b8e7;"
        " --own-dark-pale: #233243; --own-dark-on: #0b1216; }\n"
    )
    assert sheet.headers["Content-Type"] == "text/css; charset=utf-8"
    assert sheet.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert sheet.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.enable_socket
async def test_a_logo_that_is_opened_by_itself_can_do_nothing(
    door: Door, database: Database
) -> None:
    """An SVG is a document: it is served in a sandbox, and never guessed to be something else."""
    await load_town(database, a_town(an_appearance()))

    logo = await door.get("/apparence/saint-aubin/logo")

    assert logo.content.decode() == LOGO
    assert logo.headers["Content-Type"] == "image/svg+xml"
    assert logo.headers["Content-Security-Policy"] == (
        "default-src 'none'; sandbox; frame-ancestors 'none'"
    )
    assert logo.headers["X-Content-Type-Options"] == "nosniff"
    assert logo.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert logo.headers["Cache-Control"] == "no-cache"


@pytest.mark.enable_socket
@pytest.mark.parametrize(
    "path",
    [
        "/apparence/nowhere.css",
        "/apparence/nowhere/logo",
        "/apparence/saint-aubin.css",
        "/apparence/saint-aubin/logo",
        "/apparence/..%2Fstyle.css",
    ],
)
async def test_what_no_authority_has_is_not_served(
    door: Door, database: Database, path: str
) -> None:
    """An authority may have no colour and no logo; its pages stand without."""
    await load_town(database, a_town(None))
    await door.publish(an_invoice())

    assert (await door.get(path)).status == 404
    assert "apparence/" not in (await door.get(f"/q/{TOKEN}")).content.decode()


@pytest.mark.enable_socket
async def test_a_load_is_seen_half_a_minute_later(door: Door, database: Database) -> None:
    """Pages ask rarely; the address of a changed file is another one."""
    await load_town(database, a_town(an_appearance()))
    await door.publish(an_invoice())
    link = "//link[contains(@href, 'saint-aubin.css')]/@href"
    before = (await door.get(f"/q/{TOKEN}")).element(link)

    await load_town(database, a_town(an_appearance(accent="#2c6a45")))
    soon = (await door.get(f"/q/{TOKEN}")).element(link)
    door.clock.advance(timedelta(seconds=31))
    later = (await door.get(f"/q/{TOKEN}")).element(link)

    assert soon == before
    assert later != before
    assert "#2c6a45" in (await door.get(str(later))).content.decode()


@pytest.mark.enable_socket
async def test_a_page_says_who_answers_and_how_else_to_pay(door: Door, database: Database) -> None:
    """The régie's own contact stands before the authority's."""
    means = {"counter": "À la mairie", "cheque": "À l’ordre de la régie", "iban": IBAN}
    town = a_town(
        an_appearance(), other_means=means, contact={"email": "cantine@saint-aubin.example"}
    )
    await load_town(database, town)
    await door.publish(an_invoice())

    page = await door.get(f"/q/{TOKEN}")

    assert f"IBAN {IBAN}" in page.text
    assert "Référence à rappeler 2026-0042" in page.text
    assert "À la mairie" in page.text
    assert page.element("//section[@aria-labelledby='contact']//a/@href") == (
        "mailto:cantine@saint-aubin.example"
    )
    assert "02 61 91 00 00" not in page.text


@pytest.mark.enable_socket
async def test_after_ninety_days_other_means_do_not_tell_the_number(
    door: Door, database: Database
) -> None:
    """K4: the status and the sum alone."""
    await load_town(database, a_town(an_appearance(), other_means={"iban": IBAN}))
    await door.publish(an_invoice())
    door.clock.advance(timedelta(days=91))

    page = await door.get(f"/q/{TOKEN}")

    assert IBAN in page.text
    assert "2026-0042" not in page.text


@pytest.mark.enable_socket
async def test_what_a_town_wrote_is_shown_as_text(door: Door, database: Database) -> None:
    """Its file is the operator's, and still no markup."""
    contact = {"address": "<script>alert(1)</script>", "url": "https://a.example/?a&b=<"}
    assert "/contact/url" in problems_of(a_town({"contact": contact}))

    del contact["url"]
    await load_town(database, a_town({"contact": contact}))
    await door.publish(an_invoice())

    assert b"<script>alert" not in (await door.get(f"/q/{TOKEN}")).content


@pytest.mark.enable_socket
async def test_legal_pages_name_every_authority(door: Door, database: Database) -> None:
    """LCEN, article 6 III; RGPD, article 13: who publishes, who hosts, whom to ask."""
    legal = {
        "publication_director": "La maire",
        "host": "Syndicat numérique\n35000 Saint-Aubin",
        "data_protection_email": "dpo@saint-aubin.example",
    }
    await load_town(database, a_town(an_appearance(legal=legal)))

    notice = await door.get("/mentions-legales")
    privacy = await door.get("/donnees-personnelles")
    statement = await door.get("/accessibilite")

    assert "Direction de la publication La maire" in notice.text
    assert "Hébergement Syndicat numérique 35000 Saint-Aubin" in notice.text
    assert "dpo@saint-aubin.example" in privacy.text
    assert "02 61 91 00 00" in statement.text
    assert "non conforme" in statement.text
    assert "Défenseur des droits" in statement.text


@pytest.mark.enable_socket
async def test_light_or_dark_is_chosen_with_a_form_and_kept(door: Door) -> None:
    """Without a script, and without a word the device decides."""

    async def dark_sheet() -> list[str]:
        page = await door.get("/accessibilite")
        return [str(media) for media in page.elements("//link[contains(@href, 'dark.css')]/@media")]

    untouched = await dark_sheet()
    chosen = await door.submit("/apparence", {"theme": "dark", "suite": f"/q/{TOKEN}"})
    dark = await dark_sheet()
    await door.submit("/apparence", {"theme": "light"})
    light = await dark_sheet()
    await door.submit("/apparence", {"theme": "auto"})

    assert untouched == ["screen and (prefers-color-scheme: dark)"]
    assert (chosen.status, chosen.location) == (303, f"/q/{TOKEN}")
    assert dark == ["screen"]
    assert light == []
    assert await dark_sheet() == untouched
    assert door.cookie("theme") == ""


@pytest.mark.enable_socket
async def test_a_colour_that_is_none_and_a_forged_form_change_nothing(door: Door) -> None:
    """S17: nobody is led elsewhere, and no cookie takes what somebody made up."""
    made_up = await door.submit(
        "/apparence", {"theme": "</style>", "suite": "https://evil.example"}
    )
    forged = await door.post("/apparence", {"theme": "dark"})
    door.set_cookie("theme", "dark;}")
    page = await door.get("/")

    assert (made_up.status, made_up.location) == (303, "/")
    assert forged.status == 403
    assert page.element("//meta[@name='color-scheme']/@content") == "light dark"
