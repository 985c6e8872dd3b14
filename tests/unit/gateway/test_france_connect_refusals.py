"""Answers of FranceConnect that prove nothing: each is refused, and nothing changes (S11)."""

import pytest
from structlog.testing import capture_logs

from shared.clock import FixedClock
from shared.postgres import Database
from simulators.france_connect.app import SWITCHES
from simulators.france_connect.demands import Rules
from tests.unit.gateway.state import (
    DOWN,
    NOT_VERIFIED,
    Citizen,
    State,
    a_citizen,
    a_state,
    query_of,
    require_nothing_changed,
)

pytestmark = pytest.mark.enable_socket

REFUSED = {
    "wrong_nonce": "nonce",
    "wrong_issuer": "issuer",
    "wrong_audience": "audience",
    "weak_acr": "acr",
    "wrong_signature": "signature",
    "unknown_kid": "unknown-key",
    "alg_none": "algorithm",
    "alg_hs256": "algorithm",
    "expired_token": "expired",
    "early_token": "early",
    "json_userinfo": "unsigned-userinfo",
    "wrong_subject": "subject",
    "wrong_userinfo_signature": "signature",
    "wrong_userinfo_audience": "audience",
}
UNAVAILABLE = ("huge_answer", "server_error_returned", "temporarily_unavailable")
OTHERS = {"wrong_discovery", "jwks_error", "server_error", "invalid_request", "slow_seconds"}


def test_every_switch_of_the_simulator_is_tried_here() -> None:
    """A fault that is added there is to be refused here."""
    assert {*REFUSED, *UNAVAILABLE, *OTHERS} == set(SWITCHES)


@pytest.mark.parametrize(("switch", "reason"), REFUSED.items())
async def test_an_answer_that_does_not_pass_a_check_opens_nothing(
    citizen: Citizen, state: State, switch: str, reason: str
) -> None:
    """S11: its reason stands in the log, not on the page."""
    await citizen.sign_in("anais")
    citizen.door.forget_cookies()
    async with citizen.door.database.transaction() as transaction:
        await transaction.connection.execute("TRUNCATE account CASCADE")
    await state.set_faults(**{switch: 1})

    with capture_logs() as logs:
        page = await citizen.sign_in()

    assert page.status == 502
    assert NOT_VERIFIED in page.text
    assert [log["reason"] for log in logs if log["event"] == "identity refused"] == [reason]
    await require_nothing_changed(citizen)
    assert (await citizen.sign_in()).status == 303


@pytest.mark.parametrize("switch", UNAVAILABLE)
async def test_a_franceconnect_that_is_down_is_said_to_be(
    citizen: Citizen, state: State, switch: str
) -> None:
    """In plain French, with what can be done meanwhile; no stack."""
    await state.set_faults(**{switch: 1})
    left = await citizen.leave()
    opened = await state.open(left.location)
    if opened.headers["Location"].startswith("/"):
        address = await state.answer((await citizen.leave()).location, personne="camille")
    else:
        address = opened.headers["Location"]

    page = await citizen.come_back(address)

    assert (page.status, page.headers["Retry-After"]) == (503, "60")
    assert DOWN in page.text
    await require_nothing_changed(citizen)


async def test_a_door_that_fails_at_any_moment_is_told_alike(
    citizen: Citizen, state: State
) -> None:
    """Discovery at the start, the token's door on the way back."""
    await state.set_faults(server_error=1)
    at_start = await citizen.leave()
    left = await citizen.leave()
    address = await state.answer(left.location, personne="camille")
    await state.set_faults(server_error=1)
    on_the_way_back = await citizen.come_back(address)

    assert (at_start.status, on_the_way_back.status) == (503, 503)
    await require_nothing_changed(citizen)


async def test_a_demand_that_is_not_taken_is_the_operators_to_mend(
    citizen: Citizen, state: State
) -> None:
    """`invalid_request`: the log says it, the page says no more than it must."""
    await state.set_faults(invalid_request=1)
    left = await citizen.leave()
    opened = await state.open(left.location)

    with capture_logs() as logs:
        page = await citizen.come_back(opened.headers["Location"])

    assert page.status == 502
    assert "FranceConnect n’a pas accepté notre demande." in page.text
    assert ("FranceConnect sent back an error", "invalid_request") in [
        (log["event"], log.get("error")) for log in logs
    ]


async def test_an_error_without_a_state_of_ours_is_not_shown(citizen: Citizen) -> None:
    """Nobody writes on our pages through an address."""
    page = await citizen.door.get(
        "/connexion/franceconnect/retour?error=access_denied&error_description=Appelez+le+3999"
    )

    assert page.status == 400
    assert "3999" not in page.text


async def test_what_an_error_describes_is_not_shown(citizen: Citizen) -> None:
    """Not even with a state of ours: it comes through the address."""
    sent = query_of((await citizen.leave()).location)

    page = await citizen.door.get(
        f"/connexion/franceconnect/retour?error=<b>x&error_description=Appelez&state={sent['state']}"
    )

    assert page.status == 502
    assert "Appelez" not in page.text
    assert "<b>x" not in page.content.decode()


async def test_an_answer_of_another_issuer_is_refused(citizen: Citizen, state: State) -> None:
    """RFC 9207: the code would be sent to whom it is not for."""
    statuses = []
    for changed in ("https%3A%2F%2Fother.example", ""):
        left = await citizen.leave()
        address = await state.answer(left.location, personne="camille")
        told, _, _ = address.partition("&iss=")
        statuses.append((await citizen.come_back(f"{told}&iss={changed}")).status)
        left = await citizen.leave()
        address = await state.answer(left.location, personne="camille")
        statuses.append((await citizen.come_back(address.partition("&iss=")[0])).status)

    assert statuses == [502] * 4
    await require_nothing_changed(citizen)


@pytest.mark.parametrize(("code", "status"), [("", 502), ("x" * 2049, 502), ("not-a-code", 400)])
async def test_a_code_that_is_none_opens_nothing(
    citizen: Citizen, state: State, code: str, status: int
) -> None:
    """Empty, endless, guessed."""
    left = query_of((await citizen.leave()).location)

    page = await citizen.door.get(
        f"/connexion/franceconnect/retour?code={code}&state={left['state']}&iss={state.issuer}"
    )

    assert page.status == status
    await require_nothing_changed(citizen)


async def test_a_code_serves_once(citizen: Citizen, state: State) -> None:
    """Somebody who saw the address cannot redeem it in a journey of their own."""
    left = await citizen.leave()
    address = await state.answer(left.location, personne="camille")
    await citizen.come_back(address)
    citizen.door.forget_cookies()
    other = query_of((await citizen.leave()).location)
    query = query_of(address)

    page = await citizen.door.get(
        f"/connexion/franceconnect/retour?code={query['code']}&state={other['state']}"
        f"&iss={state.issuer}"
    )

    assert page.status == 400
    assert "L’identification a pris trop de temps, ou a déjà servi" in page.text
    assert await citizen.door.count("session") == 1


async def test_a_code_of_another_journey_has_another_nonce(citizen: Citizen, state: State) -> None:
    """Code injection: a fresh code of somebody else, under one's own state (RFC 9700, 4.5)."""
    theirs = query_of(await state.answer((await citizen.leave()).location, personne="anais"))
    own = query_of((await citizen.leave()).location)

    page = await citizen.door.get(
        f"/connexion/franceconnect/retour?code={theirs['code']}&state={own['state']}"
        f"&iss={state.issuer}"
    )

    assert (page.status, NOT_VERIFIED in page.text) == (502, True)
    await require_nothing_changed(citizen)


async def test_an_unsigned_userinfo_is_taken_where_the_setting_says_so(
    database: Database, clock: FixedClock
) -> None:
    """The sandbox; its subject is still that of the id token, which is signed."""
    async with (
        a_state(clock, is_userinfo_signed=False) as state,
        a_citizen(database, clock, state, is_userinfo_signed=False) as citizen,
    ):
        taken = await citizen.sign_in()
        own = await citizen.door.get("/compte/franceconnect")
        citizen.door.forget_cookies()
        await state.set_faults(wrong_subject=1)
        refused = await citizen.sign_in()

    assert (taken.status, refused.status) == (303, 502)
    assert "Camille, Louise, Marie" in own.text


async def test_pkce_is_sent_and_redeemed_where_the_setting_says_so(
    database: Database, clock: FixedClock
) -> None:
    """S256, and the verifier is never in the browser (RFC 7636)."""
    async with (
        a_state(clock, rules=Rules(has_pkce=True)) as state,
        a_citizen(database, clock, state, has_pkce=True) as citizen,
    ):
        left = query_of((await citizen.leave()).location)
        page = await citizen.sign_in()
        logins = await state.logins()

    assert left["code_challenge_method"] == "S256"
    assert len(left["code_challenge"]) == 43
    assert page.status == 303
    assert logins[-1]["has_challenge"] is True


async def test_franceconnect_as_it_is_refuses_pkce(
    database: Database, clock: FixedClock, state: State
) -> None:
    """Which is why it is off: the demand is not taken."""
    async with a_citizen(database, clock, state, has_pkce=True) as citizen:
        opened = await state.open((await citizen.leave()).location)

    assert opened.status == 400
    assert "code_challenge" in await opened.text()


async def test_no_secret_and_no_token_stands_in_the_log(citizen: Citizen, state: State) -> None:
    """ASVS 16.2.5: neither code nor token nor the person's name."""
    await state.set_faults(wrong_userinfo_signature=1)

    with capture_logs() as logs:
        await citizen.sign_in()

    told = repr(logs)
    assert "identity refused" in told
    assert not any(secret in told for secret in ("eyJ", "MARTIN", "an-example-of-256", "code="))
