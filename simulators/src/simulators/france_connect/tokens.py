"""What the doors hand out, and how a fault switch spoils it."""

from datetime import datetime, timedelta

from simulators.faults import FaultBoard
from simulators.france_connect.clients import SCOPE_CLAIMS
from simulators.france_connect.keys import KeyRing
from simulators.france_connect.register import TOKEN_LIVES, Login

SPOILED_CLAIMS = {
    "wrong_nonce": {"nonce": "a-nonce-of-somebody-else-entirely"},
    "wrong_issuer": {"iss": "https://franceconnect.example.org/api/v2"},
    "wrong_audience": {"aud": "another-service"},
    "weak_acr": {"acr": "eidas0"},
}
"""Switches that change what an id token says; it is signed as it should be."""
ANOTHER_SUBJECT = "0" * 64 + "v1"


class Mint:
    """Makes id tokens and signed userinfo."""

    def __init__(self, keys: KeyRing, faults: FaultBoard) -> None:
        """Sign with `keys`; spoil as `faults` say."""
        self._keys = keys
        self._faults = faults

    def id_token(self, login: Login, issuer: str, now: datetime) -> str:
        """Return the id token of a login."""
        person, client = login.person, login.demand.client
        if person is None:
            message = "nobody has logged in"
            raise ValueError(message)
        issued_at = now
        if self._takes(login, "expired_token"):
            issued_at = now - TOKEN_LIVES - timedelta(minutes=5)
        elif self._takes(login, "early_token"):
            issued_at = now + timedelta(minutes=5)
        claims: dict[str, object] = {
            "sub": person.subject(client.client_id),
            "iss": issuer,
            "aud": client.client_id,
            "iat": int(issued_at.timestamp()),
            "exp": int((issued_at + TOKEN_LIVES).timestamp()),
            "nonce": login.demand.nonce,
            "acr": login.demand.acr,
            "amr": ["pwd"],
        }
        for switch, changes in SPOILED_CLAIMS.items():
            if self._takes(login, switch):
                claims |= changes
        return self._signed(login, claims)

    def _signed(self, login: Login, claims: dict[str, object]) -> str:
        if self._takes(login, "alg_none"):
            return self._keys.unsigned(claims)
        if self._takes(login, "alg_hs256"):
            return self._keys.sign_with_secret(claims, login.demand.client.client_secret)
        if self._takes(login, "wrong_signature"):
            return self._keys.sign_with_unpublished(claims, own_id=False)
        if self._takes(login, "unknown_kid"):
            return self._keys.sign_with_unpublished(claims, own_id=True)
        return self._keys.sign(claims)

    def person_claims(self, login: Login) -> dict[str, object]:
        """Return the subject and what the scopes that were asked for tell of the person."""
        person = login.person
        if person is None:
            message = "nobody has logged in"
            raise ValueError(message)
        known = person.claims()
        asked = {name for scope in login.demand.scopes for name in SCOPE_CLAIMS[scope]}
        is_another = self._takes(login, "wrong_subject")
        subject = ANOTHER_SUBJECT if is_another else person.subject(login.demand.client.client_id)
        told = {name: value for name, value in known.items() if name in asked and value}
        # Who was born abroad has the claim, and it is empty.
        if "birthplace" in asked:
            told["birthplace"] = known["birthplace"]
        return {"sub": subject, **told}

    def userinfo(self, login: Login, claims: dict[str, object], issuer: str, now: datetime) -> str:
        """Return these claims as a signed token."""
        whole = {
            **claims,
            "iss": issuer,
            "aud": login.demand.client.client_id,
            "iat": int(now.timestamp()),
            "exp": int((now + TOKEN_LIVES).timestamp()),
        }
        if self._takes(login, "wrong_userinfo_audience"):
            whole["aud"] = "another-service"
        if self._takes(login, "wrong_userinfo_signature"):
            return self._keys.sign_with_unpublished(whole, own_id=False)
        return self._keys.sign(whole)

    def _takes(self, login: Login, switch: str) -> bool:
        if not self._faults.take(switch):
            return False
        login.faults.append(switch)
        return True
