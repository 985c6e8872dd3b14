"""FranceConnect's simulator: the limits of the real one, seen from the network."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jwt
import pytest
import pytest_asyncio
from aiohttp import ClientResponse, DummyCookieJar
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request

from simulators.clock import MovableClock
from simulators.france_connect.app import SWITCHES, create_app
from simulators.france_connect.clients import Client, ClientError
from simulators.france_connect.demands import Rules
from simulators.france_connect.persons import PERSONS

pytestmark = [pytest.mark.asyncio, pytest.mark.enable_socket]

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
SECRET = "an-example-of-256-random-bits-9876543210"
BACK = "https://portail.example/retour"
OUT = "https://portail.example/sortie"
NONCE = "n" * 22


def a_client(client_id: str = "portail", **changes: Any) -> Client:
    described: dict[str, Any] = {
        "client_id": client_id,
        "client_secret": SECRET,
        "redirect_uris": (BACK,),
        "logout_uris": (OUT,),
    }
    return Client(**(described | changes))


class Site:
    """FranceConnect under test, and a service provider in front of it."""

    def __init__(self, http: "TestClient[Request, Application]") -> None:
        self.http = http

    @property
    def issuer(self) -> str:
        return str(self.http.make_url("/api/v2"))

    async def authorize(self, **changes: str | None) -> ClientResponse:
        """Ask as a service provider does; a parameter set to None is left out."""
        described: dict[str, str | None] = {
            "response_type": "code",
            "client_id": "portail",
            "redirect_uri": BACK,
            "scope": "openid identite_pivot email",
            "state": "s" * 43,
            "nonce": NONCE,
            "acr_values": "eidas1",
        }
        asked = {name: text for name, text in (described | changes).items() if text is not None}
        return await self.http.get("/api/v2/authorize", params=asked, allow_redirects=False)

    async def be(self, person: str, **changes: str | None) -> dict[str, str]:
        """Be a person; return what comes back with the browser."""
        opened = await self.authorize(**changes)
        assert opened.status == 303
        sent = await self.http.post(
            opened.headers["Location"], data={"personne": person}, allow_redirects=False
        )
        assert sent.headers["Location"].startswith(f"{BACK}?")
        return dict(parse_qsl(urlsplit(sent.headers["Location"]).query))

    async def redeem(self, code: str, /, **changes: str) -> ClientResponse:
        """Exchange a code."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": BACK,
            "client_id": "portail",
            "client_secret": SECRET,
        }
        return await self.http.post("/api/v2/token", data=form | changes)

    async def tokens(self, person: str = "camille", **changes: str | None) -> dict[str, Any]:
        """Return the tokens of a person who logged in."""
        answer = await self.redeem((await self.be(person, **changes))["code"])
        assert answer.status == 200
        told: dict[str, Any] = await answer.json()
        return told

    async def userinfo(self, access_token: str) -> ClientResponse:
        headers = {"Authorization": f"Bearer {access_token}"}
        return await self.http.get("/api/v2/userinfo", headers=headers)

    async def claims(self, token: str, audience: str = "portail") -> dict[str, Any]:
        """Return what a token says, by the published keys."""
        published = await (await self.http.get("/api/v2/jwks")).json()
        keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(published).keys}
        key = keys[jwt.get_unverified_header(token)["kid"]]
        told: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],
            audience=audience,
            issuer=self.issuer,
            options={"verify_exp": False, "verify_iat": False},
        )
        return told

    async def advance(self, seconds: int) -> None:
        await self.http.post("/api/clock", json={"advance_seconds": seconds})


@asynccontextmanager
async def a_site(*clients: Client, rules: Rules | None = None) -> AsyncIterator[Site]:
    app = create_app(clients or (a_client(),), clock=MovableClock(lambda: NOW), rules=rules)
    async with TestClient(TestServer(app), cookie_jar=DummyCookieJar()) as http:
        yield Site(http)


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    async with a_site() as running:
        yield running


async def test_says_where_its_doors_are(site: Site) -> None:
    """Below `/api/v2`, with the values that v2 has."""
    told = await (await site.http.get("/api/v2/.well-known/openid-configuration")).json()

    assert told["issuer"] == site.issuer
    assert told["end_session_endpoint"] == f"{site.issuer}/session/end"
    assert told["token_endpoint_auth_methods_supported"] == ["client_secret_post"]
    assert told["subject_types_supported"] == ["pairwise"]
    assert told["acr_values_supported"] == ["eidas1"]


async def test_a_login_brings_a_code_state_and_issuer(site: Site) -> None:
    """RFC 9207: the issuer beside the code."""
    back = await site.be("camille")

    assert (back["state"], back["iss"]) == ("s" * 43, site.issuer)


async def test_an_id_token_has_the_claims_of_the_real_one(site: Site) -> None:
    """ES256, 60 seconds, the nonce that was sent."""
    tokens = await site.tokens()

    claims = await site.claims(tokens["id_token"])
    assert jwt.get_unverified_header(tokens["id_token"])["alg"] == "ES256"
    assert (claims["nonce"], claims["acr"]) == (NONCE, "eidas1")
    assert (claims["iat"], claims["exp"]) == (int(NOW.timestamp()), int(NOW.timestamp()) + 60)
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 60)
    assert "refresh_token" not in tokens


async def test_userinfo_is_signed_and_tells_what_the_scopes_grant() -> None:
    """No more than was asked."""
    async with a_site(a_client(scopes=frozenset({"openid", "birth"}))) as site:
        tokens = await site.tokens(scope="openid birth")
        answer = await site.userinfo(tokens["access_token"])
        claims = await site.claims(await answer.text())
        subject = (await site.claims(tokens["id_token"]))["sub"]

    assert answer.content_type == "application/jwt"
    assert (claims["birthplace"], claims["birthcountry"]) == ("75107", "99100")
    assert not {"family_name", "email", "birthdate"} & set(claims)
    assert claims["sub"] == subject


async def test_every_person_is_told_with_all_six_fields() -> None:
    """Who was born abroad has an empty place of birth, not none."""
    pivots = {}
    async with a_site() as site:
        for person in PERSONS:
            tokens = await site.tokens(person.name)
            claims = await site.claims(await (await site.userinfo(tokens["access_token"])).text())
            pivots[person.name] = (
                claims["birthdate"],
                claims["birthplace"],
                claims["birthcountry"],
            )
            assert claims["given_name"].split() == claims["given_name_array"]

    assert pivots["minh"] == ("1979-02-03", "", "99243")
    assert pivots["aminata"] == ("1962-00-00", "", "99335")
    assert len(pivots) == 6


async def test_a_subject_is_the_same_for_a_client_and_another_for_the_next() -> None:
    """Pairwise: clients cannot put together what they know."""
    async with a_site(a_client(), a_client("voisin")) as site:
        first = (await site.claims((await site.tokens())["id_token"]))["sub"]
        again = (await site.claims((await site.tokens())["id_token"]))["sub"]
        code = (await site.be("camille", client_id="voisin"))["code"]
        tokens = await (await site.redeem(code, client_id="voisin")).json()
        neighbours = (await site.claims(tokens["id_token"], "voisin"))["sub"]

    assert first == again
    assert first != neighbours
    assert (len(first), first[-2:]) == (66, "v1")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"prompt": "none"}, "prompt"),
        ({"nonce": "n" * 21}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"state": None}, "state"),
        ({"acr_values": None}, "acr_values"),
        ({"acr_values": "eidas2"}, "acr_values"),
        ({"response_type": "id_token"}, "response_type"),
        ({"scope": "identite_pivot"}, "scope"),
        ({"scope": "openid address"}, "scope"),
        ({"scope": "openid profile"}, "habilitation"),
        ({"client_id": "inconnu"}, "client_id"),
        ({"redirect_uri": f"{BACK}/"}, "redirect_uri"),
        ({"redirect_uri": f"{BACK}?x=1"}, "redirect_uri"),
        ({"code_challenge": "c" * 43}, "code_challenge"),
        ({"login_hint": "camille"}, "login_hint"),
    ],
)
async def test_a_demand_that_is_not_as_it_should_be_stays_on_a_page(
    site: Site, changes: dict[str, str | None], words: str
) -> None:
    """And the browser is not sent back, least of all to an address that is not registered."""
    answer = await site.authorize(**changes)

    assert answer.status == 400
    assert words in await answer.text()
    assert await (await site.http.get("/api/logins")).json() == []


async def test_a_parameter_that_comes_twice_is_refused(site: Site) -> None:
    """Nobody knows which one counts."""
    answer = await site.http.get("/api/v2/authorize?client_id=portail&client_id=voisin")

    assert answer.status == 400


async def test_a_person_may_say_no(site: Site) -> None:
    """`access_denied`, and the page is used up."""
    opened = await site.authorize()
    where = opened.headers["Location"]
    sent = await site.http.post(where, data={"refus": "1"}, allow_redirects=False)
    again = await site.http.post(where, data={"personne": "camille"}, allow_redirects=False)

    assert dict(parse_qsl(urlsplit(sent.headers["Location"]).query))["error"] == "access_denied"
    assert again.status == 410


async def test_a_person_that_does_not_exist_is_asked_for_again(site: Site) -> None:
    """The page comes back, and still serves."""
    where = (await site.authorize()).headers["Location"]
    wrong = await site.http.post(where, data={"personne": "personne"}, allow_redirects=False)
    right = await site.http.post(where, data={"personne": "anais"}, allow_redirects=False)

    assert (wrong.status, right.status) == (422, 303)


@pytest.mark.parametrize(("seconds", "status"), [(30, 200), (31, 400)])
async def test_a_code_lives_thirty_seconds(site: Site, seconds: int, status: int) -> None:
    """To the second."""
    code = (await site.be("camille"))["code"]
    await site.advance(seconds)

    assert (await site.redeem(code)).status == status


@pytest.mark.parametrize(("seconds", "status"), [(60, 200), (61, 401)])
async def test_an_access_token_lives_sixty_seconds(site: Site, seconds: int, status: int) -> None:
    """To the second."""
    tokens = await site.tokens()
    await site.advance(seconds)

    assert (await site.userinfo(tokens["access_token"])).status == status


async def test_a_page_lives_thirty_minutes(site: Site) -> None:
    """Then one starts again."""
    where = (await site.authorize()).headers["Location"]
    await site.advance(1801)

    assert (await site.http.get(where)).status == 410


async def test_a_code_that_comes_twice_ends_the_token_of_the_first(site: Site) -> None:
    """RFC 6749, 4.1.2."""
    code = (await site.be("camille"))["code"]
    first = await (await site.redeem(code)).json()

    second = await site.redeem(code)

    assert (second.status, (await second.json())["error"]) == (400, "invalid_grant")
    assert (await site.userinfo(first["access_token"])).status == 401


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"client_secret": "another-secret"}, 401, "invalid_client"),
        ({"client_id": "inconnu"}, 401, "invalid_client"),
        ({"redirect_uri": f"{BACK}/"}, 400, "invalid_grant"),
        ({"grant_type": "refresh_token"}, 400, "unsupported_grant_type"),
        ({"code": ""}, 400, "invalid_grant"),
        ({"code_verifier": "v" * 43}, 400, "invalid_grant"),
    ],
)
async def test_an_exchange_that_is_not_as_it_should_be_gives_nothing(
    site: Site, changes: dict[str, str], status: int, error: str
) -> None:
    """The code of every OAuth error, and no token."""
    code = (await site.be("camille"))["code"]

    answer = await site.redeem(code, **changes)

    assert (answer.status, (await answer.json())["error"]) == (status, error)


async def test_basic_authentication_is_not_taken(site: Site) -> None:
    """`client_secret_post` alone."""
    code = (await site.be("camille"))["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK}
    headers = {"Authorization": "Basic cG9ydGFpbDpzZWNyZXQ="}

    answer = await site.http.post("/api/v2/token", data=form, headers=headers)

    assert answer.status == 401


async def test_pkce_is_held_to_where_it_is_taken() -> None:
    """S256 and the right verifier."""
    challenge = {
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
    }
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    async with a_site(rules=Rules(has_pkce=True)) as site:
        wrong = await site.redeem((await site.be("camille", **challenge))["code"])
        right = await site.redeem(
            (await site.be("camille", **challenge))["code"], code_verifier=verifier
        )

    assert (wrong.status, right.status) == (400, 200)


async def test_logging_out_ends_the_session_and_leads_back(site: Site) -> None:
    """With an id token that has expired, and the state that was given."""
    tokens = await site.tokens()
    await site.advance(1200)
    asked = {
        "id_token_hint": tokens["id_token"],
        "post_logout_redirect_uri": OUT,
        "state": "fin",
    }

    answer = await site.http.get("/api/v2/session/end", params=asked, allow_redirects=False)

    [login] = await (await site.http.get("/api/logins")).json()
    assert (answer.status, answer.headers["Location"]) == (303, f"{OUT}?state=fin")
    assert login["is_open"] is False


@pytest.mark.parametrize(
    "changes",
    [
        {"id_token_hint": "made-up"},
        {"post_logout_redirect_uri": "https://ailleurs.example/"},
        {"post_logout_redirect_uri": f"{OUT}/"},
    ],
)
async def test_a_logout_that_is_not_as_it_should_be_ends_nothing(
    site: Site, changes: dict[str, str]
) -> None:
    """And leads nowhere."""
    tokens = await site.tokens()
    asked = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": OUT}

    answer = await site.http.get(
        "/api/v2/session/end", params=asked | changes, allow_redirects=False
    )

    [login] = await (await site.http.get("/api/logins")).json()
    assert (answer.status, login["is_open"]) == (400, True)


@pytest.mark.parametrize(
    ("wanted", "algorithms"),
    [
        ({}, ["ES256", "ES256"]),
        ({"algorithm": "RS256"}, ["RS256", "ES256"]),
        ({"algorithm": "RS256", "forget": True}, ["RS256"]),
    ],
)
async def test_keys_can_be_replaced(
    site: Site, wanted: dict[str, object], algorithms: list[str]
) -> None:
    """What was signed before can be checked unless the earlier key is forgotten."""
    answer = await site.http.post("/api/keys", json=wanted)
    published = await (await site.http.get("/api/v2/jwks")).json()

    assert answer.status == 200
    assert [key["alg"] for key in published["keys"]] == algorithms
    assert not any({"d", "p", "q"} & set(key) for key in published["keys"])
    tokens = await site.tokens()
    assert jwt.get_unverified_header(tokens["id_token"])["alg"] == algorithms[0]
    assert (await site.claims(tokens["id_token"]))["acr"] == "eidas1"


@pytest.mark.parametrize("body", ["{", '{"algorithm": "HS256"}', "[]"])
async def test_a_key_of_another_kind_is_not_made(site: Site, body: str) -> None:
    """Nothing changes."""
    before = await (await site.http.get("/api/v2/jwks")).json()

    answer = await site.http.post("/api/keys", data=body)

    assert answer.status == 400
    assert await (await site.http.get("/api/v2/jwks")).json() == before


async def test_every_switch_is_offered_and_off(site: Site) -> None:
    """What the documents name is there."""
    shown = await (await site.http.get("/api/faults")).json()

    assert set(shown) == set(SWITCHES)
    assert not any(shown.values())


async def test_a_fault_is_noted_with_the_login_that_it_hit(site: Site) -> None:
    """And used up."""
    await site.http.post("/api/faults", json={"wrong_nonce": 1})
    spoiled = await site.claims((await site.tokens())["id_token"])
    whole = await site.claims((await site.tokens())["id_token"])

    logins = await (await site.http.get("/api/logins")).json()
    assert (spoiled["nonce"] == NONCE, whole["nonce"]) == (False, NONCE)
    assert [login["faults"] for login in logins] == [["wrong_nonce"], []]


async def test_people_see_who_logged_in(site: Site) -> None:
    """The overview, and the page of the persons, are pages."""
    await site.tokens("anais")

    overview = await (await site.http.get("/")).text()
    persons = await (await site.http.get((await site.authorize()).headers["Location"])).text()

    assert "Connexions (1)" in overview
    assert "anais" in overview
    assert "née à l’étranger (Mali)" in persons


@pytest.mark.parametrize(
    "changes",
    [
        {"client_secret": "short"},
        {"client_id": ""},
        {"redirect_uris": ("portail.example",)},
        {"scopes": frozenset({"openid", "address"})},
    ],
)
async def test_a_client_that_nobody_could_have_been_given_is_refused(
    changes: dict[str, Any],
) -> None:
    """At the start, with its name."""
    with pytest.raises(ClientError):
        a_client(**changes)


async def test_the_same_client_twice_is_refused() -> None:
    """Two secrets for one name."""
    with pytest.raises(ClientError, match="portail is described twice"):
        create_app((a_client(), a_client()))
