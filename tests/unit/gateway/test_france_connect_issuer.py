"""FranceConnect from afar: its keys, its doors, its clock, and when it does not answer (F32-33)."""

from datetime import timedelta

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from gateway.adapters import france_connect
from gateway.adapters.france_connect import FranceConnect
from gateway.adapters.vault import Vault
from gateway.ports.identity import IdentityUnavailableError
from shared.clock import FixedClock
from shared.postgres import Database
from tests.unit.gateway.door import SEALING_KEYS, Page
from tests.unit.gateway.state import (
    DOWN,
    Citizen,
    State,
    a_citizen,
    require_nothing_changed,
    some_terms,
)

pytestmark = pytest.mark.enable_socket


@pytest.mark.parametrize(("seconds", "status"), [(-4, 303), (-6, 502), (64, 303), (66, 502)])
async def test_a_clock_that_is_wrong_shuts_the_door_and_says_why(
    database: Database, state: State, clock: FixedClock, seconds: int, status: int
) -> None:
    """F32: tokens live 60 seconds, and five are forgiven."""
    ours = FixedClock(clock.now() + timedelta(seconds=seconds))
    async with a_citizen(database, ours, state) as citizen:
        with capture_logs() as logs:
            page = await citizen.sign_in()

    told = [log for log in logs if log["event"].startswith("token out of its time")]
    assert page.status == status
    assert [log["issued_seconds_ago"] for log in told] == ([] if status == 303 else [seconds])
    assert all("NTP" in log["event"] for log in told)


async def test_keys_that_were_replaced_are_read_again(citizen: Citizen, state: State) -> None:
    """F33: an unknown kid makes one look up the keys, of either kind."""
    await citizen.sign_in("anais")
    statuses = []
    for algorithm in ("RS256", "ES256"):
        await state.rotate_keys(algorithm=algorithm, forget=True)
        citizen.door.clock.advance(timedelta(seconds=60))
        citizen.door.forget_cookies()
        statuses.append((await citizen.sign_in()).status)

    assert statuses == [303, 303]


async def test_unknown_keys_make_one_look_once_a_minute(
    citizen: Citizen, state: State, clock: FixedClock
) -> None:
    """F33: made-up key ids hammer nobody; within the minute a new key is not believed."""
    await citizen.sign_in("anais")
    clock.advance(timedelta(seconds=60))
    citizen.door.forget_cookies()
    await state.set_faults(unknown_kid=1)
    made_up = await citizen.sign_in("anais")
    await state.rotate_keys()

    too_soon = await citizen.sign_in()
    clock.advance(timedelta(seconds=60))
    later = await citizen.sign_in()

    assert (made_up.status, too_soon.status, later.status) == (502, 502, 303)


async def test_known_keys_serve_while_the_key_set_cannot_be_read(
    citizen: Citizen, state: State, clock: FixedClock
) -> None:
    """F33: also past the hour after which they are read again."""
    await citizen.sign_in("anais")
    citizen.door.forget_cookies()
    await state.set_faults(jwks_error=True)
    clock.advance(timedelta(hours=2))

    page = await citizen.sign_in()

    assert page.status == 303


async def test_without_any_key_nobody_gets_in(citizen: Citizen, state: State) -> None:
    """The first key set cannot be read."""
    await state.set_faults(jwks_error=1)

    page = await citizen.sign_in()

    assert (page.status, DOWN in page.text) == (503, True)
    await require_nothing_changed(citizen)


async def test_a_key_that_was_withdrawn_is_forgotten_within_the_hour(
    citizen: Citizen, state: State, clock: FixedClock
) -> None:
    """Known keys are read again hourly: what the issuer no longer vouches for ends here too."""
    await citizen.sign_in("anais")
    [first] = citizen_keys(citizen)
    await state.rotate_keys(forget=True)
    clock.advance(timedelta(minutes=61))
    citizen.door.forget_cookies()

    await citizen.sign_in("anais")

    assert first not in citizen_keys(citizen)


def citizen_keys(citizen: Citizen) -> list[str]:
    provider = citizen.provider
    return list(provider._keys._keys)


async def test_a_discovery_that_names_another_issuer_is_not_believed(
    citizen: Citizen, state: State
) -> None:
    """OpenID Connect Discovery 4.3; once it is mended, it is read again."""
    await state.set_faults(wrong_discovery=1)

    page = await citizen.leave()

    assert (page.status, (await citizen.leave()).status) == (503, 303)


async def test_a_known_discovery_serves_while_it_cannot_be_read(
    citizen: Citizen, state: State, clock: FixedClock
) -> None:
    """Nothing in it changes from one year to the next."""
    await citizen.leave()
    clock.advance(timedelta(hours=2))
    await state.set_faults(server_error=1)

    statuses = [(await citizen.leave()).status, (await citizen.leave()).status]

    assert statuses == [303, 303]


async def test_wrong_credentials_are_told_to_the_operator(
    database: Database, clock: FixedClock, state: State
) -> None:
    """And the citizen learns that it does not work now."""
    async with a_citizen(database, clock, state, client_secret="not-the-secret") as citizen:
        with capture_logs() as logs:
            page = await citizen.sign_in()

    assert (page.status, DOWN in page.text) == (503, True)
    assert {"status": 401, "error": "invalid_client"}.items() <= next(
        log for log in logs if log["event"] == "FranceConnect refused"
    ).items()


async def test_who_does_not_answer_in_time_is_given_up(
    citizen: Citizen, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten seconds at most for each call."""
    assert france_connect.TIMEOUT.total == 10
    left = await citizen.leave()
    address = await state.answer(left.location, personne="camille")
    monkeypatch.setattr(france_connect, "TIMEOUT", aiohttp.ClientTimeout(total=0.2))
    await state.set_faults(slow_seconds=3600)

    page: Page = await citizen.come_back(address)

    assert page.status == 503
    await require_nothing_changed(citizen)


@pytest.mark.parametrize(
    "changes",
    [
        {"token_endpoint": "https://evil.example/token"},
        {"jwks_uri": "https://evil.example/jwks"},
        {"authorization_endpoint": "{origin}.evil.example/authorize"},
        {"end_session_endpoint": "{origin}/end?x=1"},
        {"userinfo_endpoint": 5},
        {"issuer": "{origin}/"},
        {"issuer": "{origin}/API"},
    ],
)
async def test_a_discovery_that_leads_elsewhere_is_refused(
    clock: FixedClock, changes: dict[str, object]
) -> None:
    """The secret goes where the settings point and nowhere else; the issuer is exact."""
    app = web.Application()
    told: dict[str, object] = {}

    async def discover(_: web.Request) -> web.Response:
        return web.json_response(told)

    app.router.add_get("/.well-known/openid-configuration", discover)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        origin = str(server.make_url("")).rstrip("/")
        names = ("authorization", "token", "userinfo", "end_session")
        told |= {f"{name}_endpoint": f"{origin}/{name}" for name in names}
        told |= {"issuer": origin, "jwks_uri": f"{origin}/jwks"}
        provider = FranceConnect(session, some_terms(origin), Vault(SEALING_KEYS), clock)
        good = await provider.authorize_url("s", "n", "")
        told |= {
            name: value.replace("{origin}", origin) if isinstance(value, str) else value
            for name, value in changes.items()
        }
        provider = FranceConnect(session, some_terms(origin), Vault(SEALING_KEYS), clock)

        with pytest.raises(IdentityUnavailableError):
            await provider.authorize_url("s", "n", "")

    assert good.startswith(f"{origin}/authorization?response_type=code&")


async def test_no_redirect_is_followed(clock: FixedClock) -> None:
    """ASVS 13.2.4: a door that sends elsewhere is a door that failed."""
    app, asked = web.Application(), []

    async def lead_away(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    app.router.add_get("/{path:.*}", lead_away)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        origin = str(server.make_url("")).rstrip("/")
        provider = FranceConnect(session, some_terms(origin), Vault(SEALING_KEYS), clock)

        with pytest.raises(IdentityUnavailableError):
            await provider.authorize_url("s", "n", "")

    assert asked == ["/.well-known/openid-configuration"]
