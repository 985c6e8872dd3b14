"""Accounts: opened without telling who has one, entered under a new session, left for good."""

from datetime import timedelta
from ipaddress import ip_network

import pytest

from shared.clock import FixedClock
from shared.postgres import Database
from tests.unit.gateway.door import EMAIL, PASSWORD, Door
from tests.unit.gateway.fakes import FakePasswords, FakeServices

pytestmark = pytest.mark.enable_socket

RIGHT = {"email": EMAIL, "password": PASSWORD}
WRONG = {"email": EMAIL, "password": "not that one at all"}


async def test_opening_an_account_answers_alike_whether_there_was_one(door: Door) -> None:
    """S9: no enumeration; the account that was there keeps its password."""
    demand = {"email": "nouvelle@exemple.test", "password": "un tilleul sous la pluie"}

    first = await door.submit("/compte/creer", demand)
    second = await door.submit("/compte/creer", demand | {"password": "un tout autre mot de passe"})

    assert (first.status, first.location) == (303, "/connexion?compte=demande")
    assert (second.status, second.location) == (first.status, first.location)
    assert second.content == first.content
    assert (await door.submit("/connexion", demand)).status == 303


async def test_an_opened_account_is_not_verified(door: Door) -> None:
    """Nothing proves that who typed the address reads its mail."""
    demand = {"email": "nouvelle@exemple.test", "password": "un tilleul sous la pluie"}
    await door.submit("/compte/creer", demand)

    await door.submit("/connexion", demand)

    assert "pas encore vérifiée" in (await door.get("/compte")).text


@pytest.mark.parametrize(
    ("email", "password", "words"),
    [
        ("camille", "un tilleul sous la pluie", "adresse électronique complète"),
        ("camille@exemple", "un tilleul sous la pluie", "adresse électronique complète"),
        ("a b@exemple.test", "un tilleul sous la pluie", "adresse électronique complète"),
        ("камилла@exemple.test", "un tilleul sous la pluie", "adresse électronique complète"),
        ("a@b@exemple.test", "un tilleul sous la pluie", "adresse électronique complète"),
        ("a@exemple.test\r\nBcc: b", "un tilleul sous la pluie", "adresse électronique complète"),
        ("x" * 190 + "@exemple.test", "un tilleul sous la pluie", "adresse électronique complète"),
        ("a@exemple.test", "elevenchars", "au moins 12 caractères"),
        ("a@exemple.test", "x" * 201, "au plus 200 caractères"),
        ("a@exemple.test", "aaaaaaaaaaaa", "répète la même chose"),
        (
            "long.address@exemple.test",
            "Long.Address@exemple.test",
            "ne peut pas être votre adresse",
        ),
    ],
)
async def test_an_account_that_cannot_be_is_refused_beside_its_field(
    door: Door, email: str, password: str, words: str
) -> None:
    """CNIL 2022-100: twelve characters; and nothing is kept."""
    page = await door.submit("/compte/creer", {"email": email, "password": password})

    assert page.status == 422
    assert words in page.text
    assert password not in page.content.decode()
    assert await door.count("account") == 0


async def test_opening_accounts_from_one_place_is_slowed_down(door: Door) -> None:
    """Nobody fills the table with addresses."""
    statuses = [
        (
            await door.submit(
                "/compte/creer", {"email": f"a{n}@exemple.test", "password": PASSWORD}
            )
        ).status
        for n in range(21)
    ]

    assert statuses == [303] * 20 + [429]


async def test_logging_in_leads_where_one_was_going(door: Door) -> None:
    """The page asked for before, in the account."""
    await door.add_account()

    page = await door.submit("/connexion", RIGHT | {"suite": "/compte"})

    assert (page.status, page.location) == (303, "/compte")


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.test/",
        "//evil.test/",
        "/\\evil.test",
        "/\t/evil.test",
        "\\\\evil.test",
        "javascript:alert(1)",
        "evil.test",
        "/factures\r\nSet-Cookie: a=b",
        "//[",
    ],
)
async def test_logging_in_leads_nowhere_but_here(door: Door, target: str) -> None:
    """S17: an open redirect would lend our name to whoever phishes."""
    await door.add_account()

    page = await door.submit("/connexion", RIGHT | {"suite": target})

    assert (page.status, page.location) == (303, "/factures")


async def test_an_unknown_address_and_a_wrong_password_are_told_alike(door: Door) -> None:
    """S9: same status, same words."""
    await door.add_account()

    wrong = await door.submit("/connexion", WRONG)
    unknown = await door.submit("/connexion", WRONG | {"email": "autre@exemple.test"})

    assert (wrong.status, unknown.status) == (401, 401)
    assert wrong.text == unknown.text
    assert await door.count("session") == 0


async def test_a_password_with_more_after_it_is_not_the_password(door: Door) -> None:
    """Nothing is cut off before it is compared."""
    await door.add_account()

    page = await door.submit("/connexion", RIGHT | {"password": PASSWORD + "x" * 300})

    assert page.status == 401


async def test_guessing_one_account_is_slowed_down_but_never_locked(door: Door) -> None:
    """S8: five in a quarter of an hour, then waits that double; the owner gets in after one."""
    await door.add_account()

    statuses = [(await door.submit("/connexion", WRONG)).status for _ in range(6)]
    refused = await door.submit("/connexion", RIGHT)
    door.clock.advance(timedelta(seconds=15))
    once_more = await door.submit("/connexion", WRONG)
    refused_longer = await door.submit("/connexion", RIGHT)
    door.clock.advance(timedelta(seconds=30))
    admitted = await door.submit("/connexion", RIGHT)

    assert statuses == [401] * 5 + [429]
    assert (refused.status, refused.headers["Retry-After"]) == (429, "15")
    assert once_more.status == 401
    assert (refused_longer.status, refused_longer.headers["Retry-After"]) == (429, "30")
    assert admitted.status == 303


async def test_a_success_forgets_the_failures_of_that_account(door: Door) -> None:
    """Four slips of the finger, and the next ones count from the start."""
    await door.add_account()
    for _ in range(4):
        await door.submit("/connexion", WRONG)
    await door.submit("/connexion", RIGHT)
    door.forget_cookies()

    statuses = [(await door.submit("/connexion", WRONG)).status for _ in range(5)]

    assert statuses == [401] * 5


async def test_many_accounts_from_one_place_are_slowed_down(door: Door) -> None:
    """Credential stuffing: each account once, all from one address."""
    statuses = [
        (await door.submit("/connexion", WRONG | {"email": f"a{n}@exemple.test"})).status
        for n in range(21)
    ]

    assert statuses == [401] * 20 + [429]


async def test_behind_our_proxy_each_reader_is_counted_apart(
    database: Database, clock: FixedClock, services: FakeServices
) -> None:
    """One guesser must not close the door to everybody whom the same proxy forwards."""
    trusted = (ip_network("127.0.0.0/8"),)
    async with Door(database, clock, services, FakePasswords(), trusted_proxies=trusted) as door:
        for number in range(21):
            await door.submit(
                "/connexion",
                WRONG | {"email": f"a{number}@exemple.test"},
                {"X-Forwarded-For": f"10.9.9.{number}, 203.0.113.7"},
            )

        same = await door.submit("/connexion", WRONG, {"X-Forwarded-For": "203.0.113.7"})
        other = await door.submit("/connexion", WRONG, {"X-Forwarded-For": "203.0.113.8"})

    assert (same.status, other.status) == (429, 401)


async def test_a_forwarded_address_is_not_believed_from_anybody(door: Door) -> None:
    """Without a proxy of ours the header is the caller's own invention."""
    statuses = [
        (
            await door.submit(
                "/connexion",
                WRONG | {"email": f"a{number}@exemple.test"},
                {"X-Forwarded-For": f"203.0.113.{number}"},
            )
        ).status
        for number in range(21)
    ]

    assert statuses[-1] == 429


async def test_logging_in_makes_a_new_session_and_ends_the_old_one(door: Door) -> None:
    """S3: a session that somebody planted before the login is worth nothing after it."""
    await door.log_in()
    before = door.cookie("session")

    await door.submit("/connexion", RIGHT)

    assert door.cookie("session") not in ("", before)
    assert await door.count("session") == 1
    door.forget_cookies()
    door.set_cookie("session", before)
    assert (await door.get("/compte")).status == 303


async def test_a_session_secret_is_kept_as_a_digest_only(door: Door) -> None:
    """Whoever reads the table cannot log in with it."""
    await door.log_in()
    secret = door.cookie("session")

    async with door.database.reading() as connection:
        kept = await connection.fetchval("SELECT session_sha256 FROM session")

    assert len(secret) == 43
    assert secret.encode() not in kept


async def test_logging_out_ends_the_session_on_the_server(door: Door) -> None:
    """S3: the cookie alone does not bring it back."""
    await door.log_in()
    secret = door.cookie("session")

    page = await door.submit("/deconnexion")
    door.set_cookie("session", secret)

    assert (page.status, page.location) == (303, "/")
    assert (await door.get("/compte")).status == 303


async def test_a_session_ends_after_thirty_idle_minutes(door: Door) -> None:
    """S3: idle."""
    await door.log_in()

    door.clock.advance(timedelta(minutes=29))
    awake = await door.get("/compte")
    door.clock.advance(timedelta(minutes=29))
    still_awake = await door.get("/compte")
    door.clock.advance(timedelta(minutes=31))
    asleep = await door.get("/compte")

    assert [page.status for page in (awake, still_awake, asleep)] == [200, 200, 303]


async def test_a_session_ends_after_twelve_hours_however_awake(door: Door) -> None:
    """S3: absolute."""
    await door.log_in()

    statuses = []
    for _ in range(36):
        door.clock.advance(timedelta(minutes=20))
        statuses.append((await door.get("/compte")).status)

    assert statuses == [200] * 35 + [303]


async def test_sessions_that_ended_are_swept_away(door: Door) -> None:
    """Nobody's traces are kept longer than they serve."""
    await door.log_in()
    await door.submit("/connexion", WRONG)
    door.clock.advance(timedelta(hours=1))

    async with door.portal() as portal:
        swept = await portal.tidy(door.clock.now())

    # The session, and what is counted of a wrong password: by name, by address, for the alarm.
    assert swept == 4
    assert await door.count("session") == 0
    assert await door.count("throttle") == 0


async def test_cookies_are_bound_to_this_host_over_tls(
    database: Database, clock: FixedClock, services: FakeServices
) -> None:
    """S4: __Host-, Secure, HttpOnly, SameSite=Lax, for the whole site and no other."""
    async with Door(database, clock, services, FakePasswords(), is_secure=True) as door:
        page = await door.get("/connexion")

    cookie = page.cookies["__Host-form"]
    assert cookie["secure"] is True
    assert cookie["httponly"] is True
    assert (cookie["samesite"], cookie["path"], cookie["domain"]) == ("Lax", "/", "")
    assert page.headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"


async def test_an_address_to_go_on_to_that_is_none_breaks_no_page(door: Door) -> None:
    """S17: whatever a link brings, the login page is shown."""
    page = await door.get("/connexion?suite=//[")

    assert page.status == 200
    assert page.fields("/connexion")["suite"] == ""
