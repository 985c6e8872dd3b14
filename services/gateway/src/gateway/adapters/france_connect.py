"""FranceConnect v2: OpenID Connect by hand, with the limits of the State's server (S11).

The code flow with state and nonce, `client_secret_post`, an id token and a userinfo that are both
signed. What is sent is what FranceConnect v2 takes and no more: it refuses parameters it does not
know.
"""

import base64
import secrets
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TypeVar
from urllib.parse import urlencode, urlsplit

import aiohttp
import msgspec
import structlog

from gateway.adapters.france_connect_answers import (
    Discovery,
    IdToken,
    Tokens,
    Userinfo,
    pivot_of,
    read_as,
    suggested_email,
)
from gateway.adapters.france_connect_terms import LEVELS, Terms
from gateway.adapters.issuer_keys import IssuerKeys
from gateway.adapters.vault import Vault
from gateway.ports.identity import IdentityRefusedError, IdentityUnavailableError, Told
from shared.clock import Clock

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

T = TypeVar("T")

SCOPES = "openid identite_pivot email"
TIMEOUT = aiohttp.ClientTimeout(total=10, connect=3)
LONGEST_ANSWER_BYTES = 65_536
FRESH = timedelta(hours=1)
RETRY = timedelta(seconds=60)
DISCOVERY_PATH = "/.well-known/openid-configuration"


class FranceConnect:
    """FranceConnect as the portal's pages use it; see `ports.IdentityProvider`."""

    def __init__(
        self, session: aiohttp.ClientSession, terms: Terms, vault: Vault, clock: Clock
    ) -> None:
        """Call through `session`; seal the tokens of browsers' sessions with `vault`."""
        self._session = session
        self._terms = terms
        self._vault = vault
        self._clock = clock
        self._discovery: Discovery | None = None
        self._discovered_at: datetime | None = None
        self._discovery_tried_at: datetime | None = None
        self._keys = IssuerKeys(self._fetch_keys, clock)

    @property
    def issuer(self) -> str:
        """Its name, which is one half of an identity's key; the subject is the other."""
        return self._terms.issuer

    @property
    def origin(self) -> str:
        """Where forms may lead browsers."""
        parts = urlsplit(self._terms.issuer)
        return f"{parts.scheme}://{parts.netloc}"

    def new_verifier(self) -> str:
        """Return what proves later that the code was asked from here; empty without PKCE."""
        return secrets.token_urlsafe(32) if self._terms.has_pkce else ""

    async def authorize_url(self, state: str, nonce: str, verifier: str) -> str:
        """Return where to send a browser that wants to prove who it is.

        `prompt` is not sent: FranceConnect asks for login and consent each time whatever it says.

        Raises:
            IdentityUnavailableError: nobody tells where that is.
        """
        query = {
            "response_type": "code",
            "client_id": self._terms.client_id,
            "redirect_uri": self._terms.redirect_uri,
            "scope": SCOPES,
            "state": state,
            "nonce": nonce,
            "acr_values": self._terms.acr,
        }
        if verifier:
            digest = base64.urlsafe_b64encode(sha256(verifier.encode()).digest())
            query["code_challenge"] = digest.decode().rstrip("=")
            query["code_challenge_method"] = "S256"
        return f"{(await self._endpoints()).authorization_endpoint}?{urlencode(query)}"

    async def identify(self, code: str, nonce: str, verifier: str, told_issuer: str | None) -> Told:
        """Return who came back with `code`; `told_issuer` is what the address said beside it.

        Raises:
            IdentityRefusedError: the code is spent or late, or an answer does not pass a check.
            IdentityUnavailableError: FranceConnect does not answer as it should.
        """
        endpoints = await self._endpoints()
        # RFC 9207: an answer that another issuer gave is not to be mixed up with ours.
        is_needed = endpoints.authorization_response_iss_parameter_supported
        if told_issuer != self.issuer and (told_issuer is not None or is_needed):
            raise IdentityRefusedError("issuer-of-the-answer", repr(told_issuer))
        tokens = await self._redeem(endpoints, code, verifier)
        subject = await self._check_id_token(tokens.id_token, nonce)
        person = await self._ask_who(endpoints, tokens.access_token)
        if person.sub != subject:
            # OpenID Connect Core 5.3.2: else it may be somebody else's.
            raise IdentityRefusedError("subject", "userinfo is of another")
        return Told(
            subject=subject,
            pivot=pivot_of(person),
            email=suggested_email(person),
            sealed_token=self._vault.seal(tokens.id_token.encode()),
        )

    async def logout_url(self, sealed_token: bytes, state: str) -> str | None:
        """Return where to send a browser that leaves, or None when the token cannot be opened.

        Raises:
            IdentityUnavailableError: nobody tells where that is.
        """
        id_token = self._vault.open(sealed_token)
        if id_token is None:
            # Sealed under a key that is no longer ours: the session here has ended all the same.
            logger.warning("id token sealed under another key", issuer=self.issuer)
            return None
        query = {
            "id_token_hint": id_token.decode(),
            "state": state,
            "post_logout_redirect_uri": self._terms.logout_uri,
        }
        return f"{(await self._endpoints()).end_session_endpoint}?{urlencode(query)}"

    async def _endpoints(self) -> Discovery:
        """Return where FranceConnect's doors are: read hourly, and the known ones serve meanwhile.

        Raises:
            IdentityUnavailableError: none are known and they cannot be read.
        """
        now = self._clock.now()
        known = self._discovery
        if known is not None:
            is_fresh = self._discovered_at is not None and now - self._discovered_at <= FRESH
            tried_at = self._discovery_tried_at
            if is_fresh or (tried_at is not None and now - tried_at < RETRY):
                return known
        self._discovery_tried_at = now
        try:
            found = await self._discover()
        except IdentityUnavailableError as error:
            logger.warning("FranceConnect not discovered", error=str(error))
            if known is None:
                raise
            return known
        self._discovery, self._discovered_at = found, now
        return found

    async def _discover(self) -> Discovery:
        answer = await self._call("GET", f"{self.issuer}{DISCOVERY_PATH}")
        found = read_as(answer.require(200), Discovery)
        # OpenID Connect Discovery 4.3: identical, or it speaks for somebody else.
        if found.issuer != self.issuer:
            message = f"it says that it is {found.issuer[:200]}"
            raise IdentityUnavailableError(message)
        # The secret goes to the token's door: nowhere but where the settings point.
        for endpoint in found.endpoints():
            if not endpoint.startswith(f"{self.origin}/") or set("?#") & set(endpoint):
                message = f"a door lies elsewhere: {endpoint[:200]}"
                raise IdentityUnavailableError(message)
        return found

    async def _fetch_keys(self) -> bytes:
        answer = await self._call("GET", (await self._endpoints()).jwks_uri)
        return answer.require(200)

    async def _redeem(self, endpoints: Discovery, code: str, verifier: str) -> Tokens:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._terms.redirect_uri,
            "client_id": self._terms.client_id,
            "client_secret": self._terms.client_secret,
        }
        if verifier:
            form["code_verifier"] = verifier
        answer = await self._call("POST", endpoints.token_endpoint, form=form)
        if answer.status == 400 and answer.error_code() == "invalid_grant":
            raise IdentityRefusedError("code", "spent, late or not ours")
        tokens = read_as(answer.require(200), Tokens)
        if tokens.token_type.lower() != "bearer":
            message = f"tokens of type {tokens.token_type[:40]}"
            raise IdentityUnavailableError(message)
        return tokens

    async def _check_id_token(self, token: str, nonce: str) -> str:
        """Return whom the id token names (OpenID Connect Core 3.1.3.7)."""
        claims = _claims(await self._keys.verify(token), IdToken)
        self._check_addressee(claims.iss, claims.aud, claims.azp)
        self._check_times(claims.iat, claims.exp)
        if not secrets.compare_digest(claims.nonce.encode(), nonce.encode()):
            raise IdentityRefusedError("nonce")
        given = LEVELS.index(claims.acr) if claims.acr in LEVELS else -1
        if given < LEVELS.index(self._terms.acr):
            raise IdentityRefusedError("acr", repr(claims.acr[:80]))
        return claims.sub

    async def _ask_who(self, endpoints: Discovery, access_token: str) -> Userinfo:
        headers = {"Authorization": f"Bearer {access_token}"}
        answer = await self._call("GET", endpoints.userinfo_endpoint, headers=headers)
        content = answer.require(200)
        if answer.media_type == "application/jwt":
            try:
                token = content.decode("ascii")
            except UnicodeDecodeError as error:
                raise IdentityRefusedError("unreadable", str(error)) from error
            person = _claims(await self._keys.verify(token), Userinfo)
            if person.iss is None or person.aud is None:
                raise IdentityRefusedError("claims", "userinfo without iss or aud")
            self._check_addressee(person.iss, person.aud, None)
            self._check_times(person.iat, person.exp)
            return person
        if answer.media_type != "application/json" or self._terms.is_userinfo_signed:
            raise IdentityRefusedError("unsigned-userinfo", answer.media_type[:80])
        return _claims(content, Userinfo)

    def _check_addressee(self, issuer: str, audience: str | list[str], party: str | None) -> None:
        if issuer != self.issuer:
            raise IdentityRefusedError("issuer", repr(issuer[:200]))
        named = [audience] if isinstance(audience, str) else audience
        # Others beside us must say that it was given to us.
        is_ours = self._terms.client_id in named and (len(named) == 1 or party is not None)
        if not is_ours or party not in (None, self._terms.client_id):
            raise IdentityRefusedError("audience", repr(named)[:200])

    def _check_times(self, issued_at: float | None, expires_at: float | None) -> None:
        """Go on when a token lives now.

        FranceConnect's id tokens live 60 seconds (F32): a clock that is late or early shuts
        everybody out, and the log must say so.
        """
        now, skew = self._clock.now().timestamp(), self._terms.clock_skew_seconds
        is_early = issued_at is not None and issued_at > now + skew
        is_late = expires_at is not None and expires_at <= now - skew
        if is_early or is_late:
            logger.error(
                "token out of its time: is this machine's clock right (NTP)?",
                issued_seconds_ago=round(now - issued_at, 1) if issued_at is not None else None,
                expired_seconds_ago=round(now - expires_at, 1) if expires_at is not None else None,
                clock_skew_seconds=skew,
            )
            raise IdentityRefusedError("early" if is_early else "expired")

    async def _call(
        self,
        method: str,
        address: str,
        *,
        form: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> "_Answer":
        try:
            async with self._session.request(
                method,
                address,
                data=form,
                headers=headers,
                timeout=TIMEOUT,
                allow_redirects=False,
            ) as answer:
                content = await _read(answer.content)
                return _Answer(answer.status, answer.content_type, content)
        except (aiohttp.ClientError, TimeoutError) as error:
            logger.warning("FranceConnect did not answer", address=address, error=repr(error))
            raise IdentityUnavailableError(repr(error)) from error


class _Answer(msgspec.Struct, frozen=True):
    """What came back, read whole."""

    status: int
    media_type: str
    content: bytes

    def error_code(self) -> str:
        """Return the code of an OAuth error (RFC 6749, 5.2), or an empty text."""
        try:
            return str(msgspec.json.decode(self.content, type=dict[str, object]).get("error", ""))
        except msgspec.DecodeError:
            return ""

    def require(self, status: int) -> bytes:
        """Return the content.

        Raises:
            IdentityUnavailableError: the answer has another status.
        """
        if self.status != status:
            code = self.error_code()[:80]
            # A refusal of our credentials looks like this, and only the operator can mend it.
            logger.error("FranceConnect refused", status=self.status, error=code)
            message = f"status {self.status} {code}"
            raise IdentityUnavailableError(message)
        return self.content


async def _read(stream: aiohttp.StreamReader) -> bytes:
    received = bytearray()
    async for piece in stream.iter_any():
        received += piece
        if len(received) > LONGEST_ANSWER_BYTES:
            message = f"an answer of more than {LONGEST_ANSWER_BYTES} bytes"
            raise IdentityUnavailableError(message)
    return bytes(received)


def _claims(content: bytes, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(content, type=shape)
    except msgspec.DecodeError as error:
        raise IdentityRefusedError("claims", str(error)) from error
