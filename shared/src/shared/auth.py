"""Who is calling: JWT access tokens signed by the gateway, checked against its published keys.

Rules from RFC 8725 and RFC 9068: one algorithm, keys from our own set only, issuer, audience and
expiry required.
"""

import asyncio
import time
from typing import Any, Protocol

import aiohttp
import jwt
import msgspec
import structlog

from shared.errors import TransientError

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

ALGORITHM = "ES256"
AUDIENCE = "quittance"
KEYS_KEPT_SECONDS = 300.0
UNKNOWN_KEY_PAUSE_SECONDS = 5.0
FETCH_TIMEOUT_SECONDS = 5.0


class KeysUnavailableError(TransientError):
    """The gateway's keys cannot be fetched and none are known."""

    slug = "keys-unavailable"


class InvalidTokenError(Exception):
    """The token proves nothing: bad signature, expired, wrong issuer or unknown key."""


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """The program that calls; `authority` is empty for Quittance's own services."""

    subject: str
    authority: str
    regies: tuple[str, ...]
    scopes: frozenset[str]

    def may_act_for(self, authority: str, regie: str | None = None) -> bool:
        """Tell whether the token covers that authority and, if given, that régie."""
        if not self.authority:
            return True
        return self.authority == authority and (regie is None or regie in self.regies)


class Authenticator(Protocol):
    """Turns a bearer token into a principal."""

    async def authenticate(self, token: str) -> Principal:
        """Return who the token names.

        Raises:
            InvalidTokenError: it proves nothing.
            KeysUnavailableError: it cannot be checked now.
        """
        ...


class JwksAuthenticator:
    """Checks tokens against a JWKS address, kept five minutes, read again for an unknown key."""

    def __init__(self, jwks_url: str, issuer: str) -> None:
        """Trust the keys at `jwks_url` for tokens of `issuer`."""
        self._jwks_url = jwks_url
        self._issuer = issuer
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = 0.0
        self._lock = asyncio.Lock()

    async def authenticate(self, token: str) -> Principal:
        """Return who the token names.

        Raises:
            InvalidTokenError: it proves nothing.
            KeysUnavailableError: it cannot be checked now.
        """
        try:
            key_id = str(jwt.get_unverified_header(token).get("kid", ""))
        except jwt.InvalidTokenError as error:
            raise InvalidTokenError(str(error)) from error
        return decode_token(token, await self._key(key_id), self._issuer)

    async def _key(self, key_id: str) -> jwt.PyJWK:
        age = time.monotonic() - self._fetched_at
        stale = age > KEYS_KEPT_SECONDS
        # Made-up key ids must not let a caller hammer the gateway.
        unknown = key_id not in self._keys and age > UNKNOWN_KEY_PAUSE_SECONDS
        if not self._keys or stale or unknown:
            async with self._lock:
                if time.monotonic() - self._fetched_at >= age:
                    await self._fetch()
        key = self._keys.get(key_id)
        if key is None:
            message = "unknown key"
            raise InvalidTokenError(message)
        return key

    async def _fetch(self) -> None:
        try:
            timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT_SECONDS)
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(self._jwks_url, allow_redirects=False) as answer,
            ):
                answer.raise_for_status()
                document: dict[str, Any] = msgspec.json.decode(await answer.read())
            keys = jwt.PyJWKSet.from_dict(document).keys
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError, jwt.PyJWTError) as error:
            logger.warning("keys not fetched", error=repr(error))
            if not self._keys:
                raise KeysUnavailableError(str(error)) from error
            return
        self._keys = {str(key.key_id): key for key in keys}
        self._fetched_at = time.monotonic()


def decode_token(token: str, key: jwt.PyJWK | Any, issuer: str) -> Principal:  # noqa: ANN401
    """Return who `token` names when `key` signed it for us and it is still valid.

    Raises:
        InvalidTokenError: it proves nothing.
    """
    try:
        claims = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            issuer=issuer,
            audience=AUDIENCE,
            options={"require": ["exp", "iat", "sub", "iss", "aud"]},
        )
        return Principal(
            subject=str(claims["sub"]),
            authority=str(claims.get("authority", "")),
            regies=tuple(str(code) for code in claims.get("regies", ())),
            scopes=frozenset(str(claims.get("scope", "")).split()),
        )
    except jwt.PyJWTError as error:
        raise InvalidTokenError(str(error)) from error


def encode_token(principal: Principal, *, key: Any, key_id: str, issuer: str, seconds: int) -> str:  # noqa: ANN401
    """Return a token that names `principal` for `seconds`; `key` is the gateway's private key."""
    now = int(time.time())
    claims = {
        "iss": issuer,
        "aud": AUDIENCE,
        "sub": principal.subject,
        "iat": now,
        "exp": now + seconds,
        "scope": " ".join(sorted(principal.scopes)),
        "regies": list(principal.regies),
    }
    if principal.authority:
        claims["authority"] = principal.authority
    return jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": key_id, "typ": "at+jwt"})
