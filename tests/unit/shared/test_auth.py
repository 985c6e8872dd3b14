"""Only tokens that our gateway signed, for us and in time, name anybody."""

import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from shared.auth import AUDIENCE, InvalidTokenError, Principal, decode_token, encode_token

KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_KEY = ec.generate_private_key(ec.SECP256R1())
BILLER = Principal(
    subject="biller", authority="saint-aubin", regies=("CANTINE",), scopes=frozenset({"a", "b"})
)


def a_token(*, key: Any = KEY, issuer: str = "us", seconds: int = 60) -> str:
    return encode_token(BILLER, key=key, key_id="k", issuer=issuer, seconds=seconds)


def forged(**claims: object) -> str:
    now = int(time.time())
    base = {"iss": "us", "aud": AUDIENCE, "sub": "x", "iat": now, "exp": now + 60}
    kept = {name: value for name, value in (base | claims).items() if value is not None}
    return jwt.encode(kept, KEY, algorithm="ES256")


def test_a_token_names_who_it_was_made_for() -> None:
    """Subject, authority, régies and scopes come back."""
    assert decode_token(a_token(), KEY.public_key(), "us") == BILLER


@pytest.mark.parametrize(
    "token",
    [
        a_token(key=OTHER_KEY),
        a_token(issuer="them"),
        a_token(seconds=-10),
        forged(aud="others"),
        forged(exp=None),
        forged(sub=None),
        forged(iat=None),
        jwt.encode({"sub": "x"}, "k" * 32, algorithm="HS256"),
        jwt.encode({"sub": "x"}, "", algorithm="none"),
        "not.a.token",
    ],
    ids=[
        "key",
        "issuer",
        "expired",
        "audience",
        "no-exp",
        "no-sub",
        "no-iat",
        "hmac",
        "none",
        "no",
    ],
)
def test_refuses_a_token_that_proves_nothing(token: str) -> None:
    """RFC 8725: algorithm, issuer, audience and dates are all required to be ours."""
    with pytest.raises(InvalidTokenError):
        decode_token(token, KEY.public_key(), "us")


def test_a_biller_acts_for_its_own_regies_only() -> None:
    """The token's authority and régies bound what it may touch."""
    assert BILLER.may_act_for("saint-aubin", "CANTINE")
    assert not BILLER.may_act_for("saint-aubin", "MUSIQUE")
    assert not BILLER.may_act_for("val-de-brume", "CANTINE")
