"""What an id token must say, claim by claim (OpenID Connect Core 2 and 3.1.3.7)."""

from typing import Any

import aiohttp
import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from gateway.adapters.france_connect import FranceConnect
from gateway.adapters.issuer_keys import IssuerKeys
from gateway.adapters.vault import Vault
from gateway.ports.identity import IdentityRefusedError
from shared.clock import FixedClock
from tests.unit.gateway.door import NOW, SEALING_KEYS
from tests.unit.gateway.state import CLIENT_ID, some_terms

ISSUER = "https://oidc.exemple.test/api/v2"
KEY = ec.generate_private_key(ec.SECP256R1())
NONCE = "n" * 43
SECONDS = int(NOW.timestamp())


async def read(asked: str = "eidas1", **changes: Any) -> str:
    """Return whom a token names, which is well signed; a claim set to None is left out."""
    described: dict[str, Any] = {
        "iss": ISSUER,
        "sub": "somebody",
        "aud": CLIENT_ID,
        "exp": SECONDS + 60,
        "iat": SECONDS,
        "nonce": NONCE,
        "acr": "eidas1",
    }
    claims = {name: told for name, told in (described | changes).items() if told is not None}
    content = msgspec.json.encode(claims)
    token = jwt.api_jws.encode(content, KEY, algorithm="ES256", headers={"kid": "one"})

    async def fetch() -> bytes:
        public = ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
        return msgspec.json.encode({"keys": [public | {"kid": "one"}]})

    clock = FixedClock(NOW)
    async with aiohttp.ClientSession() as session:
        provider = FranceConnect(session, some_terms(ISSUER, acr=asked), Vault(SEALING_KEYS), clock)
        provider._keys = IssuerKeys(fetch, clock)
        return await provider._check_id_token(token, NONCE)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"aud": [CLIENT_ID]},
        {"aud": [CLIENT_ID, "another"], "azp": CLIENT_ID},
        {"azp": CLIENT_ID},
        {"acr": "eidas2"},
        {"acr": "eidas3"},
        {"iat": SECONDS + 5},
        {"exp": SECONDS - 4},
        {"exp": SECONDS + 60.5},
        {"amr": ["pwd"], "auth_time": SECONDS, "something": {"new": 1}},
    ],
)
async def test_takes_what_says_enough(changes: dict[str, Any]) -> None:
    """A higher level is at least the one asked for; what is not known is left alone."""
    assert await read(**changes) == "somebody"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": None}, "claims"),
        ({"sub": None}, "claims"),
        ({"aud": None}, "claims"),
        ({"exp": None}, "claims"),
        ({"iat": None}, "claims"),
        ({"nonce": None}, "claims"),
        ({"acr": None}, "claims"),
        ({"sub": ""}, "claims"),
        ({"sub": "s" * 256}, "claims"),
        ({"sub": 5}, "claims"),
        ({"exp": str(SECONDS + 60)}, "claims"),
        ({"exp": True}, "claims"),
        ({"exp": -1}, "claims"),
        ({"exp": 1e300}, "claims"),
        ({"iss": f"{ISSUER}/"}, "issuer"),
        ({"iss": ISSUER.upper()}, "issuer"),
        ({"aud": []}, "audience"),
        ({"aud": "another"}, "audience"),
        ({"aud": f"{CLIENT_ID} "}, "audience"),
        ({"aud": [CLIENT_ID, "another"]}, "audience"),
        ({"aud": [CLIENT_ID, "another"], "azp": "another"}, "audience"),
        ({"azp": "another"}, "audience"),
        ({"exp": SECONDS - 5}, "expired"),
        ({"iat": SECONDS + 6}, "early"),
        ({"nonce": ""}, "nonce"),
        ({"nonce": "é" * 43}, "nonce"),
        ({"nonce": NONCE + "n"}, "nonce"),
        ({"acr": "eidas"}, "acr"),
        ({"acr": "EIDAS1"}, "acr"),
        ({"acr": ""}, "acr"),
    ],
)
async def test_refuses_what_does_not(changes: dict[str, Any], reason: str) -> None:
    """Each claim is needed, and each is looked at."""
    with pytest.raises(IdentityRefusedError) as refusal:
        await read(**changes)

    assert refusal.value.reason == reason


@pytest.mark.parametrize(("asked", "told"), [("eidas2", "eidas2"), ("eidas2", "eidas3")])
async def test_takes_the_level_that_was_asked_for_or_a_higher_one(asked: str, told: str) -> None:
    """Regulation eIDAS 910/2014, article 8."""
    assert await read(asked, acr=told) == "somebody"


@pytest.mark.parametrize(("asked", "told"), [("eidas2", "eidas1"), ("eidas3", "eidas2")])
async def test_a_level_below_the_one_asked_is_refused(asked: str, told: str) -> None:
    """A weaker proof is not the proof that was asked for."""
    with pytest.raises(IdentityRefusedError, match="acr"):
        await read(asked, acr=told)
