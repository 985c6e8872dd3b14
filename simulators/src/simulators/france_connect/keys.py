"""The keys that sign id tokens and userinfo, published as long as anything they signed may live."""

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

ALGORITHMS = ("ES256", "RS256")
RSA_BITS = 2048


@dataclass(frozen=True, kw_only=True)
class Key:
    """One key, by its id."""

    key_id: str
    algorithm: str
    private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

    def public(self) -> dict[str, Any]:
        """Return what the world needs to check it (RFC 7517)."""
        if isinstance(self.private, ec.EllipticCurvePrivateKey):
            described = ECAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        else:
            described = RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        described.pop("key_ops", None)
        return {**described, "kid": self.key_id, "alg": self.algorithm, "use": "sig"}


class KeyRing:
    """The key in use and the ones before it."""

    def __init__(self) -> None:
        """Start with one elliptic key."""
        self._keys: list[Key] = []
        self.rotate()

    def rotate(self, algorithm: str = "ES256", *, forgets: bool = False) -> Key:
        """Sign with a new key from now on; `forgets` publishes the earlier ones no more."""
        if forgets:
            self._keys.clear()
        private = (
            ec.generate_private_key(ec.SECP256R1())
            if algorithm == "ES256"
            else rsa.generate_private_key(65537, RSA_BITS)
        )
        key = Key(key_id=f"sim-{secrets.token_hex(6)}", algorithm=algorithm, private=private)
        self._keys.append(key)
        return key

    def published(self) -> dict[str, list[dict[str, Any]]]:
        """Return the key set, the key in use first."""
        return {"keys": [key.public() for key in reversed(self._keys)]}

    def sign(self, claims: Mapping[str, object]) -> str:
        """Return a token signed with the key in use."""
        key = self._keys[-1]
        return jwt.encode(
            dict(claims), key.private, algorithm=key.algorithm, headers={"kid": key.key_id}
        )

    def sign_with_unpublished(self, claims: Mapping[str, object], *, own_id: bool) -> str:
        """Return a token signed with a key that nobody can look up, under its own or our id."""
        stranger = ec.generate_private_key(ec.SECP256R1())
        current = self._keys[-1]
        key_id = f"sim-{secrets.token_hex(6)}" if own_id else current.key_id
        if current.algorithm == "RS256":
            signer = rsa.generate_private_key(65537, RSA_BITS)
            return jwt.encode(dict(claims), signer, algorithm="RS256", headers={"kid": key_id})
        return jwt.encode(dict(claims), stranger, algorithm="ES256", headers={"kid": key_id})

    def sign_with_secret(self, claims: Mapping[str, object], secret: str) -> str:
        """Return a token whose signature anybody with the client's secret can make (HS256)."""
        headers = {"kid": self._keys[-1].key_id}
        return jwt.encode(dict(claims), secret, algorithm="HS256", headers=headers)

    def unsigned(self, claims: Mapping[str, object]) -> str:
        """Return a token that says `alg: none`."""
        header = {"alg": "none", "typ": "JWT", "kid": self._keys[-1].key_id}
        parts = (json.dumps(part).encode() for part in (header, dict(claims)))
        return ".".join(_encoded(part) for part in parts) + "."

    def read(self, token: str) -> dict[str, Any] | None:
        """Return the claims of a token of ours, however old; None for anything else."""
        for key in reversed(self._keys):
            try:
                claims: dict[str, Any] = jwt.decode(
                    token,
                    key.private.public_key(),
                    algorithms=[key.algorithm],
                    options={"verify_exp": False, "verify_aud": False, "verify_iat": False},
                )
            except jwt.PyJWTError:
                continue
            return claims
        return None


def challenge_of(verifier: str) -> str:
    """Return the S256 challenge of a PKCE verifier (RFC 7636, 4.2)."""
    return _encoded(hashlib.sha256(verifier.encode()).digest())


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
