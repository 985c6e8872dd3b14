"""The token endpoint, as RFC 6749 has it (2.3.1, 4.4, 5.1, 5.2), and the keys (RFC 7517)."""

import base64
from datetime import timedelta
from typing import Any
from urllib.parse import quote_plus

import aiohttp
import jwt
import msgspec
import pytest

from shared.auth import Principal, decode_token
from tests.unit.gateway.door import CLIENT_ID, CLIENT_SECRET, ISSUER, Door, Page

pytestmark = pytest.mark.enable_socket

FORM = "application/x-www-form-urlencoded"
GRANT = {"grant_type": "client_credentials"}
POSTED = GRANT | {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}


def basic(client_id: str, secret: str) -> dict[str, str]:
    return {"Authorization": aiohttp.encode_basic_auth(client_id, secret)}


def content(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(page.content)
    return found


async def principal(door: Door, page: Page) -> Principal:
    """Return whom the token names, checked as another service checks it."""
    keys = content(await door.get("/.well-known/jwks.json"))
    token = content(page)["access_token"]
    kid = jwt.get_unverified_header(token)["kid"]
    [key] = [jwt.PyJWK(key) for key in keys["keys"] if key["kid"] == kid]
    return decode_token(token, key, ISSUER)


@pytest.mark.parametrize("way", ["basic", "post"])
async def test_a_biller_gets_a_token_with_its_rights(door: Door, way: str) -> None:
    """Both ways of RFC 6749, 2.3.1; authority, régies and scopes are inside."""
    await door.add_town()
    headers = basic(CLIENT_ID, CLIENT_SECRET) if way == "basic" else {}

    page = await door.post("/oauth/token", GRANT if way == "basic" else POSTED, headers)

    assert page.status == 200
    assert content(page)["token_type"] == "Bearer"
    assert content(page)["expires_in"] == 900
    assert content(page)["scope"] == "deposits:read deposits:write"
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Pragma"] == "no-cache"
    assert await principal(door, page) == Principal(
        subject=CLIENT_ID,
        authority="saint-aubin",
        regies=("CANTINE",),
        scopes=frozenset({"deposits:read", "deposits:write"}),
    )


async def test_fewer_scopes_are_given_when_fewer_are_asked(door: Door) -> None:
    """RFC 6749, 3.3."""
    await door.add_town()

    page = await door.post("/oauth/token", POSTED | {"scope": "deposits:read"})

    assert content(page)["scope"] == "deposits:read"
    assert (await principal(door, page)).scopes == {"deposits:read"}


async def test_credentials_in_the_header_are_form_encoded(door: Door) -> None:
    """RFC 6749, 2.3.1: both halves, before they are joined."""
    await door.add_town()
    pair = f"{quote_plus(CLIENT_ID)}:{quote_plus(CLIENT_SECRET).replace('a', '%61')}"
    header = "Basic " + base64.b64encode(pair.encode()).decode()

    page = await door.post("/oauth/token", GRANT, {"Authorization": header})

    assert page.status == 200


@pytest.mark.parametrize(
    ("form", "headers", "status", "error"),
    [
        ({}, {}, 400, "invalid_request"),
        ({"grant_type": "password"}, {}, 400, "unsupported_grant_type"),
        (GRANT, {}, 401, "invalid_client"),
        (GRANT | {"client_id": CLIENT_ID}, {}, 401, "invalid_client"),
        (POSTED | {"client_secret": "wrong"}, {}, 401, "invalid_client"),
        (POSTED | {"client_id": "unknown"}, {}, 401, "invalid_client"),
        (GRANT, basic(CLIENT_ID, "wrong"), 401, "invalid_client"),
        (GRANT, {"Authorization": "Basic not-base64!"}, 401, "invalid_client"),
        (GRANT, {"Authorization": "Basic bm9jb2xvbg=="}, 401, "invalid_client"),
        (GRANT, {"Authorization": "Basic JTAwOmE="}, 401, "invalid_client"),
        (POSTED, basic(CLIENT_ID, CLIENT_SECRET), 400, "invalid_request"),
        (POSTED | {"scope": "payments:write"}, {}, 400, "invalid_scope"),
        (POSTED | {"scope": "deposits:read figures:read"}, {}, 400, "invalid_scope"),
    ],
)
async def test_what_is_wrong_is_told_by_its_standard_name(
    door: Door, form: dict[str, str], headers: dict[str, str], status: int, error: str
) -> None:
    """RFC 6749, 5.2: JSON, never stored, with the challenge that the client used."""
    await door.add_town()

    page = await door.post("/oauth/token", form or b"", {"Content-Type": FORM} | headers)

    assert (page.status, content(page)["error"]) == (status, error)
    assert page.headers["Cache-Control"] == "no-store"
    assert ("WWW-Authenticate" in page.headers) is (status == 401 and bool(headers))
    assert "access_token" not in content(page)


async def test_a_parameter_that_comes_twice_is_refused(door: Door) -> None:
    """RFC 6749, 3.2."""
    await door.add_town()

    page = await door.post("/oauth/token", [*POSTED.items(), ("scope", "a"), ("scope", "b")])

    assert (page.status, content(page)["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("body", "media"),
    [(b"{}", "application/json"), (b"grant_type=\xff", FORM), (b"a=%00", FORM)],
)
async def test_a_body_that_is_no_form_is_refused(door: Door, body: bytes, media: str) -> None:
    """RFC 6749, 4.4.2."""
    page = await door.post("/oauth/token", body, {"Content-Type": media})

    assert (page.status, content(page)["error"]) == (400, "invalid_request")


async def test_guessing_secrets_is_slowed_down(door: Door) -> None:
    """Twenty from one place, then 429 with the time to wait; then the right one is heard again."""
    await door.add_town()
    wrong = POSTED | {"client_secret": "wrong"}

    statuses = [(await door.post("/oauth/token", wrong)).status for _ in range(21)]
    page = await door.post("/oauth/token", POSTED)
    door.clock.advance(timedelta(seconds=15))

    assert statuses == [401] * 20 + [429]
    assert (page.status, page.headers["Retry-After"]) == (429, "15")
    assert (await door.post("/oauth/token", POSTED)).status == 200


async def test_a_biller_may_ask_as_often_as_it_likes(door: Door) -> None:
    """Only failures count."""
    await door.add_town()

    statuses = {(await door.post("/oauth/token", POSTED)).status for _ in range(40)}

    assert statuses == {200}


async def test_the_key_set_holds_no_private_part(door: Door) -> None:
    """RFC 7517: what the world needs to check, and no more."""
    page = await door.get("/.well-known/jwks.json")

    [key] = content(page)["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
    assert (key["alg"], key["use"], key["crv"]) == ("ES256", "sig", "P-256")
