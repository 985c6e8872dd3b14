"""The second step of a login: what opens, what does not, and what it costs to guess."""

from datetime import timedelta

import pytest

from gateway.ports import Owner
from tests.unit.gateway.door import EMAIL, PASSWORD, Door, Page

pytestmark = pytest.mark.enable_socket

VERIFICATION = "/connexion/verification"
RIGHT = {"email": EMAIL, "password": PASSWORD}


async def enrol(door: Door) -> tuple[str, list[str]]:
    """Log a citizen in and add an application; return its secret and the recovery codes."""
    await door.log_in()
    await door.submit("/compte/securite/application")
    shown = await door.get("/compte/securite/application")
    secret = str(shown.element("//code").text).replace(" ", "")
    page = await door.submit(
        "/compte/securite/application/confirmation", {"code": door.totp_code(secret)}
    )
    assert page.status == 200, page.text
    codes = [str(element.text) for element in page.elements("//ol/li/code")]
    door.clock.advance(timedelta(minutes=2))
    return secret, codes


async def first_step(door: Door, **fields: str) -> Page:
    door.forget_cookies()
    return await door.submit("/connexion", RIGHT | fields)


async def prove(door: Door, code: str, means: str = "totp") -> Page:
    return await door.submit(VERIFICATION, {"moyen": means, "code": code})


async def test_the_password_alone_opens_nothing(door: Door) -> None:
    """ASVS 6.3.3: after it comes the second factor, and until then nobody is logged in."""
    await enrol(door)
    sessions = await door.count("session")

    page = await first_step(door)

    assert (page.status, page.location) == (303, VERIFICATION)
    assert door.cookie("session") == ""
    assert await door.count("session") == sessions
    for path in ("/factures", "/compte", "/compte/securite", "/compte/sessions", "/regie"):
        assert (await door.get(path)).status == 303
    assert (await door.submit("/compte/securite/codes")).status == 303
    assert await door.count("recovery_code") == 10


async def test_the_cookie_of_a_login_half_made_is_no_session(door: Door) -> None:
    """Whoever puts it in the session's place is nobody."""
    await enrol(door)
    await first_step(door)

    door.set_cookie("session", door.cookie("pending"))

    assert (await door.get("/compte")).status == 303


async def test_a_code_of_the_application_opens_the_session_one_asked_for(door: Door) -> None:
    """On to the page that was asked for before the login."""
    secret, _ = await enrol(door)
    await first_step(door, suite="/compte")

    page = await prove(door, door.totp_code(secret))

    assert (page.status, page.location) == (303, "/compte")
    assert (await door.get("/compte")).status == 200
    assert door.cookie("pending") == ""
    assert await door.count("pending_login") == 0


async def test_a_code_is_read_as_people_copy_it(door: Door) -> None:
    """Applications show it in two groups."""
    secret, _ = await enrol(door)
    await first_step(door)
    code = door.totp_code(secret)

    page = await prove(door, f" {code[:3]} {code[3:]} ")

    assert page.status == 303


@pytest.mark.parametrize(
    ("periods", "status"), [(-2, 401), (-1, 303), (0, 303), (1, 303), (2, 401)]
)
async def test_a_clock_may_be_half_a_minute_off(door: Door, periods: int, status: int) -> None:
    """RFC 6238, 5.2: one period before and after."""
    secret, _ = await enrol(door)
    await first_step(door)

    page = await prove(door, door.totp_code(secret, periods))

    assert page.status == status


async def test_a_code_opens_once(door: Door) -> None:
    """RFC 6238, 5.2: who looked over a shoulder comes too late, also with an earlier code."""
    secret, _ = await enrol(door)
    code, earlier = door.totp_code(secret), door.totp_code(secret, -1)
    await first_step(door)
    first = await prove(door, code)
    await first_step(door)

    again = await prove(door, code)
    before = await prove(door, earlier)
    next_one = await prove(door, door.totp_code(secret, 1))

    assert (first.status, again.status, before.status, next_one.status) == (303, 401, 401, 303)


async def test_the_code_that_confirmed_an_application_does_not_open(door: Door) -> None:
    """It was shown on the page of its own enrolment."""
    await door.log_in()
    await door.submit("/compte/securite/application")
    shown = await door.get("/compte/securite/application")
    secret = str(shown.element("//code").text).replace(" ", "")
    code = door.totp_code(secret)
    await door.submit("/compte/securite/application/confirmation", {"code": code})
    await first_step(door)

    page = await prove(door, code)

    assert page.status == 401


@pytest.mark.parametrize(
    ("means", "code"),
    [
        ("totp", "000000"),
        ("totp", ""),
        ("totp", "٠١٢٣٤٥"),
        ("totp", "x" * 5000),
        ("secours", "aaaa-aaaa-aaaa-aaaa"),
        ("secours", ""),
        ("cle", ""),
        ("", ""),
        ("motdepasse", PASSWORD),
    ],
)
async def test_a_wrong_answer_says_nothing_more_than_wrong(
    door: Door, means: str, code: str
) -> None:
    """The same words for each, and no session."""
    await enrol(door)
    await first_step(door)

    page = await prove(door, code, means)

    assert page.status == 401
    assert "Ce n’est pas la bonne réponse. Vérifiez, puis recommencez." in page.text
    assert door.cookie("session") == ""


async def test_a_recovery_code_opens_once(door: Door) -> None:
    """Whatever its case and its hyphens; the others still open."""
    _, codes = await enrol(door)
    await first_step(door)
    first = await prove(door, codes[0].upper().replace("-", " "), "secours")
    await first_step(door)

    again = await prove(door, codes[0], "secours")
    other = await prove(door, codes[1], "secours")
    page = await door.get("/compte/securite")

    assert (first.status, again.status, other.status) == (303, 401, 303)
    assert "Il vous reste 8 codes." in page.text


async def test_a_recovery_code_of_another_account_opens_nothing(door: Door) -> None:
    """Whose it is is part of the question."""
    _, codes = await enrol(door)
    door.forget_cookies()
    await door.add_account(email="autre@exemple.test")
    async with door.portal() as portal:
        account = await portal.find_account("autre@exemple.test")
        assert account is not None
        await portal.add_totp(
            Owner(account_id=account.account_id), "x", b"sealed by nobody", 0, door.clock.now()
        )
    await door.submit("/connexion", RIGHT | {"email": "autre@exemple.test"})

    page = await prove(door, codes[0], "secours")

    assert page.status == 401
    async with door.portal() as portal:
        owner = Owner(account_id=(await portal.find_account(EMAIL)).account_id)  # type: ignore[union-attr]
        assert await portal.recovery_codes_left(owner) == 10


async def test_guessing_codes_is_slowed_down(door: Door) -> None:
    """S8: five for one account in a quarter of an hour, however often the password is given."""
    secret, _ = await enrol(door)
    statuses = []
    for _ in range(6):
        await first_step(door)
        statuses.append((await prove(door, "000000")).status)

    refused = await prove(door, door.totp_code(secret))
    door.clock.advance(timedelta(seconds=15))
    admitted = await prove(door, door.totp_code(secret))

    assert statuses == [401] * 5 + [429]
    assert (refused.status, refused.headers["Retry-After"]) == (429, "15")
    assert admitted.status == 303


async def test_the_second_step_may_take_ten_minutes(door: Door) -> None:
    """A login half made is not left lying about."""
    secret, _ = await enrol(door)
    await first_step(door)
    door.clock.advance(timedelta(minutes=10))

    late = await prove(door, door.totp_code(secret))
    page = await door.get(VERIFICATION)

    assert (late.status, late.location) == (303, "/connexion")
    assert (page.status, page.location) == (303, "/connexion")
    assert door.cookie("session") == ""


async def test_a_session_gets_a_secret_of_its_own(door: Door) -> None:
    """Fixation: neither the earlier session nor the half-made login becomes the session."""
    secret, _ = await enrol(door)
    before = door.cookie("session")
    await door.submit("/connexion", RIGHT)
    pending = door.cookie("pending")

    await prove(door, door.totp_code(secret))

    after = door.cookie("session")
    assert after not in ("", before, pending)
    door.forget_cookies()
    door.set_cookie("session", before)
    assert (await door.get("/compte")).status == 303


async def test_a_login_half_made_opens_one_session(door: Door) -> None:
    """Its cookie, kept by somebody, is worth nothing once the session is open."""
    secret, codes = await enrol(door)
    await first_step(door)
    pending = door.cookie("pending")
    await prove(door, door.totp_code(secret))
    door.forget_cookies()
    door.set_cookie("pending", pending)

    page = await prove(door, codes[0], "secours")

    assert (page.status, page.location) == (303, "/connexion")
    assert door.cookie("session") == ""


async def test_secrets_are_kept_sealed_or_as_digests(door: Door) -> None:
    """Whoever reads the tables can neither make codes nor use any."""
    secret, codes = await enrol(door)
    await first_step(door)
    pending = door.cookie("pending")

    async with door.database.reading() as connection:
        sealed = await connection.fetchval("SELECT sealed_secret FROM factor")
        kept = [row["code_sha256"] for row in await connection.fetch("SELECT * FROM recovery_code")]
        half = await connection.fetchval("SELECT pending_sha256 FROM pending_login")

    assert secret.encode() not in sealed
    assert not any(code.encode() in kept for code in codes)
    assert {len(digest) for digest in kept} == {32}
    assert pending.encode() not in half


async def test_a_forged_second_step_does_nothing(door: Door) -> None:
    """S5: it is a form like any other."""
    secret, _ = await enrol(door)
    await first_step(door)

    page = await door.post(VERIFICATION, {"moyen": "totp", "code": door.totp_code(secret)})

    assert page.status == 403
    assert door.cookie("session") == ""


async def test_after_franceconnect_nothing_more_is_asked_and_after_a_link_it_is(
    door: Door,
) -> None:
    """FranceConnect forbids a second password of ours; a mailbox alone is one factor."""
    secret, _ = await enrol(door)
    async with door.portal() as portal:
        account = await portal.find_account(EMAIL)
    assert account is not None

    for method, location in (("franceconnect", "/factures"), ("link", VERIFICATION)):
        door.forget_cookies()
        page = await door.enter(account.account_id, method)
        assert (page.status, page.location) == (303, location), method
    assert (await prove(door, door.totp_code(secret))).location == "/factures"
    assert "lien reçu par courriel" in (await door.get("/compte/sessions")).text


async def test_an_agent_without_a_second_factor_makes_one_before_anything(door: Door) -> None:
    """S10, ASVS 6.3.3: nothing opens until it is confirmed; then codes, and the figures."""
    await door.add_town(has_factor=False)
    entered = await door.submit("/regie/connexion", {"login": "Regisseur", "password": PASSWORD})
    closed = await door.get("/regie")
    offered = await door.get("/regie/activation")
    await door.submit("/regie/activation/application")
    shown = await door.get("/regie/activation/application")
    secret = str(shown.element("//code").text).replace(" ", "")
    wrong = await door.submit("/regie/activation/application/confirmation", {"code": "000000"})

    codes = await door.submit(
        "/regie/activation/application/confirmation", {"code": door.totp_code(secret)}
    )

    assert (entered.status, entered.location) == (303, "/regie/activation")
    assert (closed.status, closed.location) == (303, "/regie/connexion")
    assert "Les agents voient l’argent de la collectivité" in offered.text
    assert wrong.status == 422
    assert len(codes.elements("//ol/li/code")) == 10
    assert str(codes.element("//p[@class='actions']/a").get("href")) == "/regie"
    assert (await door.get("/regie")).status == 200


async def test_an_agent_with_a_second_factor_cannot_make_another_by_the_password_alone(
    door: Door,
) -> None:
    """Else a stolen password would be enough."""
    await door.add_town()
    await door.submit("/regie/connexion", {"login": "Regisseur", "password": PASSWORD})

    page = await door.get("/regie/activation")
    started = await door.submit("/regie/activation/application")

    assert (page.status, page.location) == (303, VERIFICATION)
    assert (started.status, started.location) == (303, VERIFICATION)
    assert await door.count("totp_start") == 0


async def test_of_two_browsers_one_makes_the_first_factor(door: Door) -> None:
    """Whoever comes second is asked for the first one's."""
    await door.add_town(has_factor=False)
    agent = {"login": "Regisseur", "password": PASSWORD}
    await door.submit("/regie/connexion", agent)
    await door.submit("/regie/activation/application")
    shown = await door.get("/regie/activation/application")
    secret = str(shown.element("//code").text).replace(" ", "")
    async with door.portal() as portal:
        await portal.add_totp(Owner(login="regisseur"), "x", b"sealed", 0, door.clock.now())

    page = await door.submit(
        "/regie/activation/application/confirmation", {"code": door.totp_code(secret)}
    )

    assert (page.status, page.location) == (303, VERIFICATION)
    assert await door.count("factor") == 1
    assert await door.count("session") == 0


async def test_a_citizens_half_made_login_is_no_agents(door: Door) -> None:
    """The page of new agents is theirs."""
    await enrol(door)
    await first_step(door)

    page = await door.get("/regie/activation")

    assert (page.status, page.location) == (303, "/regie/connexion")
