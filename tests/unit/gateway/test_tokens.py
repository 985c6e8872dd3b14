"""The keys that sign, their names and their succession."""

from hashlib import sha256

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from gateway.adapters.tokens import TokenSigner
from shared.auth import InvalidTokenError, Principal, decode_token
from shared.errors import SettingsError
from tests.unit.gateway.door import ISSUER, a_signing_key

KEY = a_signing_key()
PRINCIPAL = Principal(subject="x", authority="", regies=(), scopes=frozenset({"a"}))


def test_a_key_is_named_by_its_thumbprint() -> None:
    """RFC 7638, 3: SHA-256 over the required members in the order of their names, no spaces."""
    signer = TokenSigner(KEY, "", ISSUER)
    [key] = signer.jwks()["keys"]
    members = ",".join(f'"{name}":"{key[name]}"' for name in ("crv", "kty", "x", "y"))
    expected = jwt.utils.base64url_encode(sha256(("{" + members + "}").encode()).digest()).decode()

    assert key["kid"] == expected
    assert jwt.get_unverified_header(signer.sign(PRINCIPAL, 60))["kid"] == expected


def test_the_key_before_is_still_published_and_no_longer_signs() -> None:
    """Tokens that it signed live on while the new one takes over."""
    old = TokenSigner(KEY, "", ISSUER)
    earlier = old.sign(PRINCIPAL, 60)
    new = TokenSigner(a_signing_key(), KEY, ISSUER)

    keys = {key["kid"]: jwt.PyJWK(key) for key in new.jwks()["keys"]}

    assert len(keys) == 2
    kid = jwt.get_unverified_header(earlier)["kid"]
    assert decode_token(earlier, keys[kid], ISSUER) == PRINCIPAL
    assert jwt.get_unverified_header(new.sign(PRINCIPAL, 60))["kid"] != kid


async def test_both_keys_tokens_are_believed_and_no_others() -> None:
    """The gateway's own door for billers asks nobody for keys."""
    old = TokenSigner(KEY, "", ISSUER)
    new = TokenSigner(a_signing_key(), KEY, ISSUER)
    elsewhere = TokenSigner(KEY, "", "https://ailleurs.exemple.test")

    believed = [await new.authenticate(signer.sign(PRINCIPAL, 60)) for signer in (old, new)]

    assert believed == [PRINCIPAL, PRINCIPAL]
    for token in (new.sign(PRINCIPAL, -1), elsewhere.sign(PRINCIPAL, 60), "abc"):
        with pytest.raises(InvalidTokenError):
            await new.authenticate(token)
    with pytest.raises(InvalidTokenError, match="unknown key"):
        await old.authenticate(new.sign(PRINCIPAL, 60))


def test_the_gateways_own_token_covers_every_authority_and_its_own_calls_only() -> None:
    """Five minutes, three scopes, no biller's right."""
    signer = TokenSigner(KEY, "", ISSUER)
    key = jwt.PyJWK(signer.jwks()["keys"][0])

    own = decode_token(signer.own(), key, ISSUER)

    assert own == Principal(
        subject="gateway",
        authority="",
        regies=(),
        scopes=frozenset(
            {"payments:write", "documents:read", "figures:read", "receipts:read", "devices:write"}
        ),
    )


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not a key",
        pem(ec.generate_private_key(ec.SECP384R1())),
        pem(rsa.generate_private_key(65537, 2048)),
    ],
)
def test_another_kind_of_key_is_refused_at_the_start(text: str) -> None:
    """One algorithm: ES256."""
    with pytest.raises(SettingsError):
        TokenSigner(text, "", ISSUER)
