"""Which keys of an issuer are believed, and which signatures (ASVS 9.1.1-9.1.3, RFC 8725)."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from gateway.adapters.issuer_keys import IssuerKeys
from gateway.ports.identity import IdentityRefusedError, IdentityUnavailableError
from shared.clock import FixedClock

NOW = datetime(2026, 11, 24, 13, 5, tzinfo=UTC)
ELLIPTIC = ec.generate_private_key(ec.SECP256R1())
STRANGER = ec.generate_private_key(ec.SECP256R1())
LONG_CURVE = ec.generate_private_key(ec.SECP384R1())
RSA = rsa.generate_private_key(65537, 2048)
SHORT_RSA = rsa.generate_private_key(65537, 1024)  # noqa: S505 - too short on purpose
CLAIMS = {"sub": "somebody"}


def elliptic(key: ec.EllipticCurvePrivateKey = ELLIPTIC, **changes: Any) -> dict[str, Any]:
    described: dict[str, Any] = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return described | {"kid": "one", "alg": "ES256", "use": "sig"} | changes


def modular(key: rsa.RSAPrivateKey = RSA, **changes: Any) -> dict[str, Any]:
    described: dict[str, Any] = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return described | {"kid": "two", "alg": "RS256", "use": "sig"} | changes


def signed(
    key: Any = ELLIPTIC, algorithm: str = "ES256", headers: Mapping[str, Any] | None = None
) -> str:
    return jwt.encode(CLAIMS, key, algorithm=algorithm, headers={"kid": "one", **(headers or {})})


def keys_of(*described: Mapping[str, Any]) -> IssuerKeys:
    async def fetch() -> bytes:
        return msgspec.json.encode({"keys": described})

    return IssuerKeys(fetch, FixedClock(NOW))


async def test_believes_both_kinds_of_signature() -> None:
    """FranceConnect v2 signs with ES256 or RS256."""
    keys = keys_of(elliptic(), modular())

    payloads = [
        await keys.verify(signed()),
        await keys.verify(signed(RSA, "RS256", {"kid": "two"})),
    ]

    assert [json.loads(payload) for payload in payloads] == [CLAIMS, CLAIMS]


def unsigned(algorithm: object, **header: object) -> str:
    parts = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
        for part in ({"alg": algorithm, "kid": "one", **header}, CLAIMS)
    )
    return ".".join(parts) + "."


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (unsigned("none"), "algorithm"),
        (unsigned("NONE"), "algorithm"),
        (unsigned("ES256"), "signature"),
        (unsigned(None), "algorithm"),
        (unsigned(["ES256"]), "algorithm"),
        (jwt.encode(CLAIMS, "x" * 32, algorithm="HS256", headers={"kid": "one"}), "algorithm"),
        (signed(LONG_CURVE, "ES384"), "algorithm"),
        (signed(RSA, "PS256"), "algorithm"),
        (signed(RSA, "RS256"), "algorithm"),
        (signed(STRANGER), "signature"),
        (signed(headers={"kid": "three"}), "unknown-key"),
        (signed(headers={"crit": ["exp"]}), "unreadable"),
        (unsigned("ES256", crit=["b64"], b64=False), "unreadable"),
        (unsigned("ES256", crit=["b64"], b64=False).partition(".")[0] + "..AAAA", "header"),
        (unsigned("ES256", kid=5), "unreadable"),
        (jwt.encode(CLAIMS, ELLIPTIC, algorithm="ES256"), "header"),
        (signed()[:-4] + "AAAA", "signature"),
        (signed().replace(".", ".YWJj", 1), "signature"),
        ("", "unreadable"),
        ("a.b", "unreadable"),
        ("é.è.à", "unreadable"),
        ("a.b.c.d.e", "unreadable"),
    ],
)
async def test_refuses_what_the_issuer_did_not_sign(token: str, reason: str) -> None:
    """Never a key that the token itself brings, nor an algorithm that it chooses."""
    with pytest.raises(IdentityRefusedError) as refusal:
        await keys_of(elliptic(), modular()).verify(token)

    assert refusal.value.reason == reason


async def test_a_key_that_the_token_brings_is_not_looked_at() -> None:
    """`jwk`, `jku` and `x5u` are whoever made the token."""
    brought = {"jwk": elliptic(STRANGER), "jku": "https://evil.example/jwks", "x5u": "https://e"}

    with pytest.raises(IdentityRefusedError, match="signature"):
        await keys_of(elliptic()).verify(signed(STRANGER, headers=brought))


@pytest.mark.parametrize(
    "described",
    [
        elliptic(use="enc"),
        elliptic(alg="ES384"),
        elliptic(LONG_CURVE),
        elliptic(crv="P-384"),
        elliptic(kid=5),
        {name: value for name, value in elliptic().items() if name != "kid"},
        {name: value for name, value in elliptic().items() if name != "x"},
        modular(SHORT_RSA),
        {"kty": "oct", "k": "AAAA", "kid": "one", "alg": "HS256"},
        {"kty": "OKP", "crv": "Ed25519", "x": "AAAA", "kid": "one"},
    ],
)
async def test_keys_of_no_use_are_left_out(described: dict[str, Any]) -> None:
    """Of another kind, too short, for encryption: and the others still serve."""
    useful = elliptic(kid="useful")

    payload = await keys_of(described, useful).verify(signed(headers={"kid": "useful"}))
    with pytest.raises(IdentityUnavailableError):
        await keys_of(described).verify(signed())

    assert json.loads(payload) == CLAIMS


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": []}', b"<"])
async def test_what_is_no_key_set_is_told_as_unavailable(document: bytes) -> None:
    """And asked for again the next time."""
    answers = [document, msgspec.json.encode({"keys": [elliptic()]})]

    async def fetch() -> bytes:
        return answers.pop(0)

    keys = IssuerKeys(fetch, FixedClock(NOW))
    with pytest.raises(IdentityUnavailableError):
        await keys.verify(signed())

    assert json.loads(await keys.verify(signed())) == CLAIMS
