"""Setting second factors up and taking them away: by their owner, who has just proved it."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest
import zxingcpp
from lxml import etree

from gateway.ports import Owner
from tests.unit.gateway.door import EMAIL, PASSWORD, Door, Page

pytestmark = pytest.mark.enable_socket

HOME = "/compte/securite"
PROOF = f"{HOME}/preuve"


async def start(door: Door, base: str = HOME) -> str:
    """Begin with an application; return its secret."""
    await door.submit(f"{base}/application")
    shown = await door.get(f"{base}/application")
    return str(shown.element("//code").text).replace(" ", "")


async def confirm(door: Door, secret: str, base: str = HOME, name: str = "") -> Page:
    return await door.submit(
        f"{base}/application/confirmation", {"code": door.totp_code(secret), "nom": name}
    )


async def letters(door: Door) -> list[dict[str, Any]]:
    async with door.database.reading() as connection:
        rows = await connection.fetch(
            "SELECT value FROM outbox WHERE type = 'letter.due.v1' ORDER BY id"
        )
    return [msgspec.json.decode(row["value"]) for row in rows]


def only_factor(page: Page) -> str:
    return page.fields(f"{HOME}/retrait")["factor_id"]


async def test_an_application_is_added_once_its_first_code_is_right(door: Door) -> None:
    """A picture to scan, the same secret to copy, and codes for the day it is lost."""
    await door.log_in()
    secret = await start(door)
    picture = await door.get(f"{HOME}/application/code.svg")

    page = await confirm(door, secret, name="Mon téléphone")
    listed = await door.get(HOME)

    assert (picture.status, picture.headers["Content-Type"]) == (200, "image/svg+xml")
    assert picture.headers["Cache-Control"] == "no-store"
    assert len(page.elements("//ol/li/code")) == 10
    assert "Mon téléphone application de codes" in listed.text
    assert "Il vous reste 10 codes." in listed.text
    assert await door.count("totp_start") == 0


async def test_the_picture_is_what_applications_read(door: Door) -> None:
    """The address of the key-uri format, with the secret that is written below it."""
    await door.log_in()
    secret = await start(door)

    picture = await door.get(f"{HOME}/application/code.svg")

    assert read_code(picture.content) == (
        f"otpauth://totp/Quittance:camille.martin%40exemple.test?secret={secret}&issuer=Quittance"
    )


def read_code(svg: bytes) -> str:
    """Return the text of a code drawn as squares of one unit."""
    root = etree.fromstring(svg)
    path = root.find("{http://www.w3.org/2000/svg}path")
    size = int(root.get("viewBox", "").split()[2])
    pixels = bytearray(b"\xff" * (size * size))
    assert path is not None
    for step in path.get("d", "").split("M")[1:]:
        x, y = (float(number) for number in step.split("H")[0].split(","))
        pixels[int(y) * size + int(x)] = 0
    image = memoryview(bytes(pixels)).cast("B", (size, size))
    [code] = zxingcpp.read_barcodes(image, is_pure=True)
    return str(code.text)


async def test_a_wrong_first_code_adds_nothing(door: Door) -> None:
    """And the same secret waits for a right one."""
    await door.log_in()
    secret = await start(door)

    wrong = await door.submit(f"{HOME}/application/confirmation", {"code": "000000"})
    again = await door.get(f"{HOME}/application")

    assert wrong.status == 422
    assert await door.count("factor") == 0
    assert str(again.element("//code").text).replace(" ", "") == secret


async def test_guessing_the_first_code_is_slowed_down(door: Door) -> None:
    """Five, as everywhere."""
    await door.log_in()
    await start(door)

    statuses = [
        (await door.submit(f"{HOME}/application/confirmation", {"code": "000000"})).status
        for _ in range(6)
    ]

    assert statuses == [422] * 5 + [429]


async def test_a_secret_that_waits_belongs_to_one_session(door: Door) -> None:
    """Another session of the same person neither sees nor confirms it."""
    await door.log_in()
    secret = await start(door)
    door.forget_cookies()
    await door.submit("/connexion", {"email": EMAIL, "password": PASSWORD})

    seen = await door.get(f"{HOME}/application")
    picture = await door.get(f"{HOME}/application/code.svg")
    confirmed = await confirm(door, secret)

    assert (seen.status, picture.status, confirmed.status) == (303, 404, 303)
    assert await door.count("factor") == 0


async def test_a_secret_waits_ten_minutes(door: Door) -> None:
    """Whoever comes later begins anew."""
    await door.log_in()
    secret = await start(door)
    door.clock.advance(timedelta(minutes=10))

    page = await confirm(door, secret)

    assert (page.status, page.location) == (303, HOME)
    assert await door.count("factor") == 0


@pytest.mark.parametrize(
    "path", [f"{HOME}/application", f"{HOME}/retrait", f"{HOME}/codes", f"{HOME}/cle"]
)
async def test_nothing_changes_without_a_proof_of_the_last_minutes(door: Door, path: str) -> None:
    """ASVS 7.5.1: a session that was left open changes nothing of what protects the account."""
    await door.log_in()
    await confirm(door, await start(door))
    factor_id = only_factor(await door.get(HOME))
    door.clock.advance(timedelta(minutes=6))

    page = await door.submit(path, {"factor_id": factor_id})

    assert page.status == 303
    assert page.location.startswith(f"{PROOF}?suite=")
    assert await door.count("factor") == 1
    assert await door.count("recovery_code") == 10
    assert await door.count("totp_start") == 0


async def test_a_proof_renews_the_session_under_another_secret(door: Door) -> None:
    """ASVS 7.2.4; and it leads on to what was wanted."""
    await door.log_in()
    door.clock.advance(timedelta(minutes=6))
    before = door.cookie("session")

    wrong = await door.submit(PROOF, {"moyen": "motdepasse", "password": "no", "suite": HOME})
    right = await door.submit(PROOF, {"moyen": "motdepasse", "password": PASSWORD, "suite": HOME})
    secret = await start(door)

    assert (wrong.status, right.status, right.location) == (401, 303, HOME)
    assert len(secret) == 32
    assert door.cookie("session") != before
    door.forget_cookies()
    door.set_cookie("session", before)
    assert (await door.get("/compte")).status == 303


async def test_a_code_proves_as_well_as_a_password(door: Door) -> None:
    """For who has no password."""
    await door.log_in()
    secret = await start(door)
    await confirm(door, secret)
    door.clock.advance(timedelta(minutes=6))

    page = await door.submit(
        PROOF, {"moyen": "totp", "code": door.totp_code(secret), "suite": "https://evil.test/"}
    )
    codes = await door.submit(f"{HOME}/codes")

    assert (page.status, page.location) == (303, HOME)
    assert codes.status == 200


async def test_guessing_the_password_of_an_open_session_is_slowed_down(door: Door) -> None:
    """As at the door."""
    await door.log_in()

    statuses = [
        (await door.submit(PROOF, {"moyen": "motdepasse", "password": "no"})).status
        for _ in range(6)
    ]

    assert statuses == [401] * 5 + [429]


async def test_new_recovery_codes_replace_the_earlier_ones(door: Door) -> None:
    """What was lost opens nothing."""
    await door.log_in()
    first = await confirm(door, await start(door))
    earlier = str(first.elements("//ol/li/code")[0].text)

    page = await door.submit(f"{HOME}/codes")
    later = str(page.elements("//ol/li/code")[0].text)
    door.forget_cookies()
    await door.submit("/connexion", {"email": EMAIL, "password": PASSWORD})
    statuses = [
        (await door.submit("/connexion/verification", {"moyen": "secours", "code": code})).status
        for code in (earlier, later)
    ]

    assert statuses == [401, 303]
    assert await door.count("recovery_code") == 10


async def test_without_a_factor_there_are_no_recovery_codes(door: Door) -> None:
    """They stand in for one."""
    await door.log_in()

    page = await door.submit(f"{HOME}/codes")

    assert (page.status, page.location) == (303, HOME)
    assert await door.count("recovery_code") == 0


async def test_removing_the_last_factor_takes_the_codes_with_it(door: Door) -> None:
    """Then the password alone opens again."""
    await door.log_in()
    await confirm(door, await start(door))

    page = await door.submit(f"{HOME}/retrait", {"factor_id": only_factor(await door.get(HOME))})
    door.forget_cookies()
    entered = await door.submit("/connexion", {"email": EMAIL, "password": PASSWORD})

    assert (page.status, page.location) == (303, f"{HOME}?fait=retrait")
    assert await door.count("factor") == 0
    assert await door.count("recovery_code") == 0
    assert entered.location == "/factures"


@pytest.mark.parametrize("made_up", ["", "1", str(uuid4()), "'; DROP TABLE factor"])
async def test_a_factor_that_is_nobodys_is_not_found(door: Door, made_up: str) -> None:
    """404, whatever was written."""
    await door.log_in()

    page = await door.submit(f"{HOME}/retrait", {"factor_id": made_up})

    assert page.status == 404


async def test_nobody_removes_another_persons_factor(door: Door) -> None:
    """S1: whose it is is part of the statement; the same answer as for one that is nobody's."""
    await door.log_in()
    await confirm(door, await start(door))
    factor_id = only_factor(await door.get(HOME))
    door.forget_cookies()
    await door.log_in(email="autre@exemple.test")

    page = await door.submit(f"{HOME}/retrait", {"factor_id": factor_id})

    assert page.status == 404
    assert await door.count("factor") == 1
    assert await door.count("recovery_code") == 10


async def test_an_agent_keeps_a_second_factor(door: Door) -> None:
    """S10: the last one stays; one of two may go."""
    await door.add_town()
    await door.log_in_agent()
    page = await door.get("/regie/securite")
    factor_id = page.fields("/regie/securite/retrait")["factor_id"]

    last = await door.submit("/regie/securite/retrait", {"factor_id": factor_id})
    await confirm(door, await start(door, "/regie/securite"), "/regie/securite", "Le second")
    one_of_two = await door.submit("/regie/securite/retrait", {"factor_id": factor_id})
    left = await door.get("/regie/securite")

    assert last.status == 409
    assert "Un agent garde toujours un second moyen" in last.text
    assert one_of_two.status == 303
    assert "Le second" in left.text
    assert await door.count("factor") == 1


async def test_an_agents_pages_are_not_a_citizens(door: Door) -> None:
    """Each is sent to the door of their own."""
    await door.add_town()
    await door.log_in_agent()
    as_agent = await door.get(HOME)
    door.forget_cookies()
    await door.log_in()

    as_citizen = await door.get("/regie/securite")

    assert (as_agent.status, as_agent.location) == (303, f"/connexion?suite={HOME}")
    assert (as_citizen.status, as_citizen.location) == (303, "/regie/connexion")


async def test_nobody_adds_factors_without_end(door: Door) -> None:
    """Ten: each is tried at every login."""
    account_id = await door.log_in()
    async with door.portal() as portal:
        for _ in range(10):
            await portal.add_totp(Owner(account_id=account_id), "x", b"y", 0, door.clock.now())

    page = await confirm(door, await start(door))

    assert page.status == 409
    assert await door.count("factor") == 10


async def test_each_change_is_told_by_letter_and_written_down(door: Door) -> None:
    """ASVS 6.3.7: whoever did not do it learns of it."""
    await door.log_in()
    await confirm(door, await start(door), name="Mon téléphone")
    await door.submit(f"{HOME}/retrait", {"factor_id": only_factor(await door.get(HOME))})

    sent = await letters(door)

    assert [(letter["kind"], letter["email"]) for letter in sent] == [("factor-changed", EMAIL)] * 2
    assert [letter["details"]["change"] for letter in sent] == [
        "ajout de «\u00a0Mon téléphone\u00a0»",
        "retrait de «\u00a0Mon téléphone\u00a0»",
    ]
    assert sent[0]["details"]["place"] == "127.0.0.1"
    async with door.database.reading() as connection:
        kinds = [row["kind"] for row in await connection.fetch("SELECT kind FROM account_event")]
    assert kinds.count("factor-changed") == 2


async def test_an_address_that_nobody_proved_gets_no_letter(door: Door) -> None:
    """It may be a stranger's."""
    await door.log_in(verified=False)

    await confirm(door, await start(door))

    assert await letters(door) == []


async def test_a_name_is_shown_as_it_was_typed_and_no_further(door: Door) -> None:
    """No markup, no end of a page."""
    await door.log_in()

    await confirm(door, await start(door), name="<script>alert(1)</script>" + "x" * 90)
    page = await door.get(HOME)

    assert b"<script>" not in page.content
    assert ("<script>alert(1)</script>" + "x" * 35) in page.text


@pytest.mark.parametrize("path", ["application", "application/confirmation", "retrait", "codes"])
async def test_a_forged_form_changes_no_factor(door: Door, path: str) -> None:
    """S5."""
    await door.log_in()
    secret = await start(door)
    await door.submit("/langue", {"langue": "fr"})

    page = await door.post(f"{HOME}/{path}", {"code": door.totp_code(secret)})

    assert page.status == 403
    assert await door.count("factor") == 0


async def test_the_pages_name_every_field_and_need_no_script(door: Door) -> None:
    """RGAA 11.1: labels; and each page has one title."""
    await door.log_in()
    await confirm(door, await start(door))

    for path in (HOME, f"{HOME}/application", PROOF, "/compte/sessions", "/connexion/cle"):
        await door.submit(f"{HOME}/application")
        page = await door.get(path)
        assert page.status == 200, path
        assert len(page.elements("//h1")) == 1
        for field in page.elements("//main//input[not(@type='hidden')]"):
            assert page.elements(f"//label[@for='{field.get('id')}']"), field.get("name")
        for identifier in page.elements("//@id"):
            assert len(page.elements(f"//*[@id='{identifier}']")) == 1
