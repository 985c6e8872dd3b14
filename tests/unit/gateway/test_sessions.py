"""Where somebody is logged in: listed, ended, and a letter when a browser is new to them."""

from datetime import timedelta
from uuid import uuid4

import pytest

from tests.unit.gateway.door import EMAIL, PASSWORD, Door, Page
from tests.unit.gateway.test_factors import letters

pytestmark = pytest.mark.enable_socket

SESSIONS = "/compte/sessions"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"
ANDROID = (
    "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0"
    " Mobile Safari/537.36"
)


async def enter(door: Door, user_agent: str, email: str = EMAIL) -> Page:
    return await door.submit(
        "/connexion", {"email": email, "password": PASSWORD}, {"User-Agent": user_agent}
    )


async def two_browsers(door: Door) -> tuple[str, str]:
    """Log one person in from a computer, then from a telephone; return both sessions' secrets."""
    await door.add_account()
    await enter(door, FIREFOX)
    computer = door.cookie("session")
    door.forget_cookies()
    door.clock.advance(timedelta(minutes=10))
    await enter(door, ANDROID)
    return computer, door.cookie("session")


async def is_open(door: Door, secret: str) -> bool:
    door.forget_cookies()
    door.set_cookie("session", secret)
    return (await door.get("/compte")).status == 200


async def test_sessions_are_listed_in_words_this_one_first(door: Door) -> None:
    """ASVS 7.5.2: browser and system, place, how and when."""
    await two_browsers(door)

    page = await door.get(SESSIONS)

    rows = [
        " ".join(row.text_content().replace("\u00a0", " ").split())
        for row in page.elements("//section[@aria-labelledby='ouvertes']//li")
    ]
    assert rows == [
        (
            "Chrome, Android cette session depuis l’adresse réseau 127.0.0.1, mot de passe –"
            " ouverte le 24 novembre 2026 à 14 h 15, vue le 24 novembre 2026 à 14 h 15"
        ),
        (
            "Firefox, Linux depuis l’adresse réseau 127.0.0.1, mot de passe –"
            " ouverte le 24 novembre 2026 à 14 h 05, vue le 24 novembre 2026 à 14 h 05 Fermer"
        ),
    ]


async def test_one_session_is_ended(door: Door) -> None:
    """On the server: its cookie is worth nothing any more; this one stays."""
    computer, telephone = await two_browsers(door)
    session_id = (await door.get(SESSIONS)).fields(f"{SESSIONS}/fin")["session_id"]

    page = await door.submit(f"{SESSIONS}/fin", {"session_id": session_id})

    assert (page.status, page.location) == (303, f"{SESSIONS}?fait=fin")
    assert not await is_open(door, computer)
    assert await is_open(door, telephone)


async def test_all_other_sessions_are_ended(door: Door) -> None:
    """ASVS 7.4.3; nobody else's are."""
    computer, telephone = await two_browsers(door)
    door.forget_cookies()
    await door.log_in(email="autre@exemple.test")
    stranger = door.cookie("session")
    door.forget_cookies()
    door.set_cookie("session", telephone)

    page = await door.submit(f"{SESSIONS}/autres")

    assert (page.status, page.location) == (303, f"{SESSIONS}?fait=autres")
    assert not await is_open(door, computer)
    assert await is_open(door, telephone)
    assert await is_open(door, stranger)


async def test_a_browser_is_forgotten_with_what_is_open_in_it(door: Door) -> None:
    """And a sign-in from it is new again."""
    computer, telephone = await two_browsers(door)
    page = await door.get(SESSIONS)
    _, older = page.elements("//input[@name='browser_id']/@value")

    forgotten = await door.submit(f"{SESSIONS}/oubli", {"browser_id": older})

    assert (forgotten.status, forgotten.location) == (303, f"{SESSIONS}?fait=oubli")
    assert not await is_open(door, computer)
    assert await is_open(door, telephone)
    assert await door.count("known_browser") == 1


@pytest.mark.parametrize(
    ("path", "field", "column"),
    [("fin", "session_id", "session"), ("oubli", "browser_id", "known_browser")],
)
async def test_nobody_ends_what_is_another_persons(
    door: Door, path: str, field: str, column: str
) -> None:
    """S1: the same 404 as for what does not exist."""
    await two_browsers(door)
    async with door.database.reading() as connection:
        theirs = str(await connection.fetchval(f"SELECT {field} FROM {column} LIMIT 1"))
    door.forget_cookies()
    await door.log_in(email="autre@exemple.test")

    answers = [
        (await door.submit(f"{SESSIONS}/{path}", {field: value})).status
        for value in (theirs, str(uuid4()), "x", "")
    ]

    assert answers == [404] * 4
    assert await door.count("session") == 3
    assert await door.count("known_browser") == 3


@pytest.mark.parametrize("path", ["fin", "autres", "oubli"])
async def test_a_forged_form_ends_no_session(door: Door, path: str) -> None:
    """S5."""
    await two_browsers(door)

    page = await door.post(f"{SESSIONS}/{path}", {})

    assert page.status == 403
    assert await door.count("session") == 2


async def test_a_browser_that_is_new_to_an_account_is_told_by_letter(door: Door) -> None:
    """ASVS 6.3.5: once for each, with what its owner needs to recognise it."""
    await two_browsers(door)
    door.clock.advance(timedelta(hours=2))
    await enter(door, ANDROID)
    known = await letters(door)
    door.forget_cookies()

    await enter(door, FIREFOX)
    [letter] = await letters(door)

    assert known == []
    assert (letter["kind"], letter["email"], letter["language"]) == ("new-device", EMAIL, "fr")
    assert letter["details"] == {
        "device": "Firefox, Linux",
        "place": "127.0.0.1",
        "moment": "24\u00a0novembre\u00a02026\u00a0à\u00a016\u00a0h\u00a015",
    }


async def test_the_first_browser_after_an_hour_is_told_too(door: Door) -> None:
    """An account whose owner never came may be entered by somebody else first."""
    await door.add_account()
    door.clock.advance(timedelta(hours=2))

    await enter(door, FIREFOX)

    assert [letter["kind"] for letter in await letters(door)] == ["new-device"]


async def test_a_browser_knows_one_person_without_the_other(door: Door) -> None:
    """A family shares one; each of them is told of it."""
    await door.add_account()
    await door.add_account(email="autre@exemple.test")
    await enter(door, FIREFOX)
    held = door.cookie("browser")
    door.clock.advance(timedelta(hours=2))

    await enter(door, FIREFOX, "autre@exemple.test")

    assert door.cookie("browser") == held
    assert [letter["email"] for letter in await letters(door)] == ["autre@exemple.test"]
    async with door.database.reading() as connection:
        kept = await connection.fetch("SELECT secret_sha256 FROM known_browser")
    assert held.encode() not in [row["secret_sha256"] for row in kept]
    assert await door.count("known_browser") == 2


async def test_a_browser_stays_known_for_a_year_after_a_logout(door: Door) -> None:
    """The cookie outlives the session and opens nothing."""
    await door.add_account()
    entered = await enter(door, FIREFOX)
    await door.submit("/deconnexion")

    assert entered.cookies["browser"]["max-age"] == "31536000"
    assert door.cookie("browser") != ""
    assert (await door.get("/compte")).status == 303


@pytest.mark.parametrize("held", ["", "x", "x" * 5000, "é"])
async def test_a_browsers_cookie_that_was_made_up_opens_nothing(door: Door, held: str) -> None:
    """It is only what somebody is known again by."""
    await door.add_account()
    door.set_cookie("browser", held)

    page = await enter(door, "")

    assert page.status == 303
    assert "Navigateur inconnu" in (await door.get(SESSIONS)).text


async def test_a_browser_that_does_not_come_back_is_forgotten(door: Door) -> None:
    """After a year, with the logins that nobody finished and the challenges that were answered."""
    await door.add_account()
    await enter(door, FIREFOX)
    door.clock.advance(timedelta(days=366))

    async with door.portal() as portal:
        await portal.tidy_all(door.clock.now())

    assert await door.count("known_browser") == 0


async def test_an_agent_sees_and_ends_sessions_too(door: Door) -> None:
    """Under the agents' part of the site; nothing is mailed."""
    await door.add_town()
    await door.log_in_agent()
    door.forget_cookies()
    door.clock.advance(timedelta(minutes=1))
    await door.log_in_agent()

    page = await door.get("/regie/sessions")
    await door.submit("/regie/sessions/autres")

    assert len(page.elements("//section[@aria-labelledby='ouvertes']//li")) == 2
    assert await door.count("session") == 1
    assert (await door.get("/regie")).status == 200
    assert await letters(door) == []


async def guess(door: Door, times: int, email: str = EMAIL) -> list[int]:
    """Give a wrong password so many times; return what was answered."""
    wrong = {"email": email, "password": "not that one at all"}
    return [(await door.submit("/connexion", wrong)).status for _ in range(times)]


async def test_a_stranger_who_guesses_keeps_nobody_out_of_their_usual_browser(door: Door) -> None:
    """S8: the owner gets in where they are known; the stranger is kept waiting all the same."""
    await door.add_account()
    await enter(door, FIREFOX)
    usual = door.cookie("browser")
    door.forget_cookies()
    guessed = await guess(door, 6)

    elsewhere = await enter(door, FIREFOX)
    door.forget_cookies()
    door.set_cookie("browser", usual)
    owners = await enter(door, FIREFOX)
    door.forget_cookies()
    strangers = await enter(door, ANDROID)

    assert guessed == [401] * 5 + [429]
    assert (elsewhere.status, owners.status, strangers.status) == (429, 303, 429)


async def test_a_stolen_browsers_cookie_gives_five_tries_of_its_own(door: Door) -> None:
    """ASVS 6.3.1: no more than anybody has; and nobody else waits because of them."""
    await door.add_account()
    await enter(door, FIREFOX)
    stolen = door.cookie("browser")
    door.forget_cookies()
    door.set_cookie("browser", stolen)

    guessed = await guess(door, 6)
    door.forget_cookies()
    elsewhere = await enter(door, ANDROID)

    assert guessed == [401] * 5 + [429]
    assert elsewhere.status == 303


@pytest.mark.parametrize("email", [EMAIL, "inconnue@exemple.test"])
async def test_a_browser_that_the_account_does_not_know_counts_as_anybodys(
    door: Door, email: str
) -> None:
    """S9: what was made up, or is known to another account, says nothing of who has one."""
    await door.add_account()
    await door.log_in(email="autre@exemple.test")
    strangers = door.cookie("browser")
    door.forget_cookies()
    guessed = []
    for held in (strangers, "made up", strangers):
        door.set_cookie("browser", held)
        guessed += await guess(door, 2, email)

    assert guessed == [401] * 5 + [429]


async def test_a_browser_that_was_forgotten_is_nobodys_usual_one(door: Door) -> None:
    """Its owner said so: attempts from it count with everybody's."""
    await two_browsers(door)
    browser = door.cookie("browser")
    async with door.database.transaction() as transaction:
        await transaction.connection.execute("DELETE FROM known_browser")
    door.forget_cookies()
    await guess(door, 5)
    door.set_cookie("browser", browser)

    page = await enter(door, ANDROID)

    assert page.status == 429
