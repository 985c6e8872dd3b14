"""The keys that sign access tokens, and what the world needs to check them."""

import base64
import hashlib
import time
from typing import Any

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import ECAlgorithm

from shared.auth import ALGORITHM, InvalidTokenError, Principal, decode_token, encode_token
from shared.errors import SettingsError

BILLER_SECONDS = 900
SERVICE_SECONDS = 300
OWN_KEPT_SECONDS = 60.0
SERVICE_SCOPES = frozenset(
    {"payments:write", "documents:read", "figures:read", "receipts:read", "devices:write"}
)


class TokenSigner:
    """Signs tokens with one key, publishes it with the one before it, and checks tokens of both."""

    def __init__(self, signing_key: str, previous_key: str, issuer: str) -> None:
        """Read the PEM keys.

        Raises:
            SettingsError: a key is not an EC P-256 private key.
        """
        self._key = _read(signing_key)
        self._issuer = issuer
        self._own, self._own_until = "", 0.0
        self._published = [_public(self._key)]
        if previous_key:
            self._published.append(_public(_read(previous_key)))

    def sign(self, principal: Principal, seconds: int) -> str:
        """Return a token that names `principal` for `seconds`."""
        return encode_token(
            principal,
            key=self._key,
            key_id=self._published[0]["kid"],
            issuer=self._issuer,
            seconds=seconds,
        )

    def own(self) -> str:
        """Return a token by which the gateway itself calls the other services.

        The same for a minute: a signature costs more than a page.
        """
        now = time.monotonic()
        if now >= self._own_until:
            gateway = Principal(subject="gateway", authority="", regies=(), scopes=SERVICE_SCOPES)
            self._own = self.sign(gateway, SERVICE_SECONDS)
            self._own_until = now + OWN_KEPT_SECONDS
        return self._own

    async def authenticate(self, token: str) -> Principal:
        """Return who a token names, as `shared.auth.Authenticator` says: nobody is asked for keys.

        Raises:
            InvalidTokenError: it proves nothing.
        """
        try:
            key_id = jwt.get_unverified_header(token).get("kid")
        except jwt.InvalidTokenError as error:
            raise InvalidTokenError(str(error)) from error
        for key in self._published:
            if key["kid"] == key_id:
                return decode_token(token, jwt.PyJWK(key), self._issuer)
        message = "unknown key"
        raise InvalidTokenError(message)

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return the public keys (RFC 7517)."""
        return {"keys": self._published}


def _read(pem: str) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError) as error:
        message = f"token key: {error}"
        raise SettingsError(message) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        message = "token key: an EC P-256 private key is needed"
        raise SettingsError(message)
    return key


def _public(key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    jwk: dict[str, Any] = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    named = {name: str(jwk[name]) for name in ("crv", "kty", "x", "y")}
    # RFC 7638: the thumbprint of the required members, in this order, names the key.
    thumbprint = hashlib.sha256(msgspec.json.encode(named)).digest()
    key_id = base64.urlsafe_b64encode(thumbprint).rstrip(b"=").decode()
    return {**named, "kid": key_id, "alg": ALGORITHM, "use": "sig"}
