"""FranceConnect's doors: authorize and its page, token, userinfo, keys, discovery, logout."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from aiohttp import web

from simulators.clock import MovableClock
from simulators.faults import FaultBoard
from simulators.france_connect.clients import Client
from simulators.france_connect.demands import LEVEL, DemandError, Rules, check_demand
from simulators.france_connect.keys import ALGORITHMS, KeyRing, challenge_of
from simulators.france_connect.persons import BY_NAME, PERSONS
from simulators.france_connect.register import Login, Register
from simulators.france_connect.tokens import Mint
from simulators.pages import page

ROOT = "/api/v2"
HUGE_ANSWER = "x" * 200_000


@dataclass(frozen=True, kw_only=True)
class Doors:
    """The handlers, around one register."""

    register: Register
    clients: Mapping[str, Client]
    keys: KeyRing
    mint: Mint
    faults: FaultBoard
    clock: MovableClock
    rules: Rules

    async def discover(self, request: web.Request) -> web.Response:
        """Say where the doors are."""
        issuer = issuer_of(request)
        if self.faults.take("wrong_discovery"):
            issuer = "https://franceconnect.example.org/api/v2"
        return web.json_response(
            {
                "issuer": issuer,
                "authorization_endpoint": f"{issuer}/authorize",
                "token_endpoint": f"{issuer}/token",
                "userinfo_endpoint": f"{issuer}/userinfo",
                "jwks_uri": f"{issuer}/jwks",
                "end_session_endpoint": f"{issuer}/session/end",
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code"],
                "subject_types_supported": ["pairwise"],
                "acr_values_supported": [LEVEL],
                "token_endpoint_auth_methods_supported": ["client_secret_post"],
                "id_token_signing_alg_values_supported": list(ALGORITHMS),
                "userinfo_signing_alg_values_supported": list(ALGORITHMS),
                "authorization_response_iss_parameter_supported": True,
            }
        )

    async def show_keys(self, _: web.Request) -> web.Response:
        """Publish the keys."""
        if self.faults.take("jwks_error"):
            return web.Response(status=503)
        return web.json_response(self.keys.published())

    async def authorize(self, request: web.Request) -> web.StreamResponse:
        """Take a demand, by GET or POST, and lead to the page of the persons."""
        text = request.query_string if request.method == "GET" else await request.text()
        try:
            pairs = parse_qsl(text, keep_blank_values=True)
            demand = check_demand(pairs, self.clients, self.rules)
        except DemandError as error:
            return page("france_connect/error.html", status=400, sentence=str(error))
        login = self.register.start(demand, self.clock.now())
        for switch in ("server_error_returned", "temporarily_unavailable", "invalid_request"):
            if self.faults.take(switch):
                login.faults.append(switch)
                login.is_refused = True
                return _back(request, login, error=switch.removesuffix("_returned"))
        raise web.HTTPSeeOther(location=f"{ROOT}/interaction/{login.interaction}")

    async def show_persons(self, request: web.Request) -> web.StreamResponse:
        """Offer the made-up persons."""
        login = self._waiting(request)
        if login is None:
            return _over()
        return page("france_connect/persons.html", login=login, persons=PERSONS)

    async def choose(self, request: web.Request) -> web.StreamResponse:
        """Log the chosen person in, or say no, and send the browser back."""
        login = self._waiting(request)
        if login is None:
            return _over()
        posted = await request.post()
        if "refus" in posted:
            login.is_refused = True
            return _back(request, login, error="access_denied")
        person = BY_NAME.get(str(posted.get("personne", "")))
        if person is None:
            return page("france_connect/persons.html", status=422, login=login, persons=PERSONS)
        return _back(request, login, code=self.register.choose(login, person, self.clock.now()))

    async def redeem(self, request: web.Request) -> web.Response:
        """Give tokens for a code: `client_secret_post` and nothing else."""
        posted = {name: str(value) for name, value in (await request.post()).items()}
        client = self.clients.get(posted.get("client_id", ""))
        is_known = client is not None and client.client_secret == posted.get("client_secret")
        if client is None or not is_known or "Authorization" in request.headers:
            return _refused(401, "invalid_client")
        if posted.get("grant_type") != "authorization_code":
            return _refused(400, "unsupported_grant_type")
        now = self.clock.now()
        login = self.register.redeem(
            posted.get("code", ""), client, posted.get("redirect_uri", ""), now
        )
        if login is None or not _is_verified(login, posted.get("code_verifier", "")):
            return _refused(400, "invalid_grant")
        if self.faults.take("huge_answer"):
            return web.json_response({"access_token": HUGE_ANSWER})
        tokens = {
            "access_token": login.access_token,
            "expires_in": 60,
            "id_token": self.mint.id_token(login, issuer_of(request), now),
            "scope": " ".join(login.demand.scopes),
            "token_type": "Bearer",
        }
        return web.json_response(tokens, headers={"Cache-Control": "no-store"})

    async def tell(self, request: web.Request) -> web.Response:
        """Tell who it is, signed unless the client is registered otherwise."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        now = self.clock.now()
        login = self.register.by_access_token(token, now) if scheme == "Bearer" else None
        if login is None:
            return _refused(401, "invalid_token")
        claims = self.mint.person_claims(login)
        if self.faults.take("json_userinfo") or not login.demand.client.is_userinfo_signed:
            return web.json_response(claims)
        signed = self.mint.userinfo(login, claims, issuer_of(request), now)
        return web.Response(text=signed, content_type="application/jwt")

    async def end_session(self, request: web.Request) -> web.StreamResponse:
        """End the session that an id token names, and send the browser back."""
        asked = request.query
        claims = self.keys.read(asked.get("id_token_hint", ""))
        client = self.clients.get(str(claims["aud"])) if claims else None
        if claims is None or client is None:
            return page("france_connect/error.html", status=400, sentence="id_token_hint invalide")
        target = asked.get("post_logout_redirect_uri", "")
        if target not in client.logout_uris:
            sentence = "post_logout_redirect_uri non enregistrée"
            return page("france_connect/error.html", status=400, sentence=sentence)
        self.register.end(client.client_id, str(claims["sub"]), self.clock.now())
        query = urlencode({"state": asked["state"]}) if "state" in asked else ""
        raise web.HTTPSeeOther(location=f"{target}?{query}" if query else target)

    def _waiting(self, request: web.Request) -> Login | None:
        return self.register.waiting(request.match_info["interaction"], self.clock.now())


def issuer_of(request: web.Request) -> str:
    """Return the issuer: the address at which this simulator was asked."""
    return f"{request.scheme}://{request.host}{ROOT}"


def _back(request: web.Request, login: Login, **answer: str) -> web.Response:
    query = urlencode({**answer, "state": login.demand.state, "iss": issuer_of(request)})
    response = web.Response(status=303)
    response.headers["Location"] = f"{login.demand.redirect_uri}?{query}"
    return response


def _is_verified(login: Login, verifier: str) -> bool:
    challenge = login.demand.challenge
    return challenge_of(verifier) == challenge if challenge else not verifier


def _refused(status: int, error: str) -> web.Response:
    return web.json_response({"error": error, "error_description": "simulated"}, status=status)


def _over() -> web.Response:
    sentence = "cette page a déjà servi, ou date de plus de 30 minutes"
    return page("france_connect/error.html", status=410, sentence=sentence)
