"""The keys of an issuer, and what they signed: ES256 or RS256, nothing else (ASVS 9.1.1-9.1.3)."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import jwt
import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.api_jws import PyJWS

from gateway.ports.identity import IdentityRefusedError, IdentityUnavailableError
from shared.clock import Clock

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

ALGORITHMS = {"EC": "ES256", "RSA": "RS256"}
"""By kind of key: `none`, and what a shared secret could sign, are in no list."""
CURVE = "P-256"
SMALLEST_RSA_BITS = 2048
PAUSE = timedelta(seconds=60)
"""F33: made-up key ids must not let anybody hammer the issuer."""
FRESH = timedelta(hours=1)
"""So that a key which the issuer withdrew is forgotten here too."""


class _KeySet(msgspec.Struct, frozen=True):
    keys: list[dict[str, Any]]


class IssuerKeys:
    """An issuer's keys: read when first needed, hourly, and when one is unknown.

    Known keys go on serving while the issuer does not answer (F33).
    """

    def __init__(self, fetch: Callable[[], Awaitable[bytes]], clock: Clock) -> None:
        """Read the keys with `fetch`, which may raise IdentityUnavailableError."""
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._tried_at: datetime | None = None
        self._fetched_at: datetime | None = None
        self._lock = asyncio.Lock()

    async def verify(self, token: str) -> bytes:
        """Return what a token says, its signature checked and nothing else.

        Raises:
            IdentityRefusedError: not signed by the issuer, or not as it should be.
            IdentityUnavailableError: no key is known and none can be read.
        """
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError as error:
            raise IdentityRefusedError("unreadable", str(error)) from error
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm not in ALGORITHMS.values():
            raise IdentityRefusedError("algorithm", repr(algorithm))
        if not isinstance(key_id, str) or "crit" in header:
            raise IdentityRefusedError("header", repr(sorted(header)))
        key = await self._key(key_id)
        if key.algorithm_name != algorithm:
            raise IdentityRefusedError("algorithm", f"{algorithm} with a key of another")
        try:
            checked = PyJWS().decode_complete(token, key, algorithms=[algorithm])
        except jwt.PyJWTError as error:
            raise IdentityRefusedError("signature", str(error)) from error
        payload: bytes = checked["payload"]
        return payload

    async def _key(self, key_id: str) -> jwt.PyJWK:
        if self._is_due(key_id):
            # Whoever waited here finds that another did the work: one refetch for all.
            async with self._lock:
                if self._is_due(key_id):
                    await self._refresh()
        key = self._keys.get(key_id)
        if key is None:
            raise IdentityRefusedError("unknown-key", repr(key_id[:80]))
        return key

    def _is_due(self, key_id: str) -> bool:
        if not self._keys or self._fetched_at is None or self._tried_at is None:
            return True
        now = self._clock.now()
        is_wanted = key_id not in self._keys or now - self._fetched_at > FRESH
        return is_wanted and now - self._tried_at >= PAUSE

    async def _refresh(self) -> None:
        self._tried_at = self._clock.now()
        try:
            found = _read(await self._fetch())
        except IdentityUnavailableError as error:
            logger.warning("FranceConnect's keys not read", error=str(error), known=len(self._keys))
            if not self._keys:
                raise
            return
        self._keys, self._fetched_at = found, self._tried_at


def _read(document: bytes) -> dict[str, jwt.PyJWK]:
    """Return the keys that may sign, by id; what is of no use here is left out.

    Raises:
        IdentityUnavailableError: it is no key set, or none of its keys is of use.
    """
    try:
        described = msgspec.json.decode(document, type=_KeySet).keys
    except msgspec.DecodeError as error:
        message = f"key set not understood: {error}"
        raise IdentityUnavailableError(message) from error
    found: dict[str, jwt.PyJWK] = {}
    for entry in described:
        key_id, algorithm = entry.get("kid"), ALGORITHMS.get(str(entry.get("kty")))
        is_of_use = (
            isinstance(key_id, str)
            and algorithm is not None
            and entry.get("use", "sig") == "sig"
            and entry.get("alg", algorithm) == algorithm
            and entry.get("crv", CURVE) == CURVE
        )
        if not is_of_use:
            continue
        try:
            key = jwt.PyJWK(entry, algorithm)
        except jwt.PyJWTError as error:
            logger.warning("key of FranceConnect not understood", key_id=key_id, error=str(error))
            continue
        is_weak = isinstance(key.key, rsa.RSAPublicKey) and key.key.key_size < SMALLEST_RSA_BITS
        if not is_weak:
            found.setdefault(str(key_id), key)
    if not found:
        message = "the key set has no key of use"
        raise IdentityUnavailableError(message)
    return found
