"""A passkey in software (WebAuthn level 3, section 6), for tests, which can be spoilt."""

import base64
import json
import secrets
from hashlib import sha256
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

USER_PRESENT, USER_VERIFIED, HAS_CREDENTIAL = 0x01, 0x04, 0x40
ORIGIN = "https://factures.exemple.test"


def to_text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def from_text(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Authenticator:
    """One passkey of one site. Each attribute may be spoilt before it answers."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.credential_id = secrets.token_bytes(32)
        self.origin = ORIGIN
        self.flags = USER_PRESENT | USER_VERIFIED
        self.sign_count = 0
        self.handle = b""
        self.relying_party = ""

    def make(self, options: str) -> str:
        """Answer `navigator.credentials.create`."""
        asked = json.loads(options)
        self.handle = from_text(asked["user"]["id"])
        self.relying_party = self.relying_party or asked["rp"]["id"]
        numbers = self._key.public_key().public_numbers()
        public_key = cbor2.dumps(
            {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)}
        )
        attested = bytes(16) + len(self.credential_id).to_bytes(2) + self.credential_id + public_key
        data = self._data(self.flags | HAS_CREDENTIAL) + attested
        statement = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        return self._answer(
            {
                "clientDataJSON": self._client_data("webauthn.create", asked["challenge"]),
                "attestationObject": to_text(statement),
            }
        )

    def sign(self, options: str) -> str:
        """Answer `navigator.credentials.get`."""
        asked = json.loads(options)
        self.sign_count += 1
        data = self._data(self.flags)
        client_data = self._client_data("webauthn.get", asked["challenge"])
        signed = data + sha256(from_text(client_data)).digest()
        return self._answer(
            {
                "clientDataJSON": client_data,
                "authenticatorData": to_text(data),
                "signature": to_text(self._key.sign(signed, ec.ECDSA(hashes.SHA256()))),
                "userHandle": to_text(self.handle),
            }
        )

    def _data(self, flags: int) -> bytes:
        party = sha256(self.relying_party.encode()).digest()
        return party + bytes([flags]) + self.sign_count.to_bytes(4)

    def _client_data(self, kind: str, challenge: str) -> str:
        content = {"type": kind, "challenge": challenge, "origin": self.origin}
        return to_text(json.dumps(content).encode())

    def _answer(self, response: dict[str, Any]) -> str:
        name = to_text(self.credential_id)
        return json.dumps(
            {
                "id": name,
                "rawId": name,
                "type": "public-key",
                "response": response,
                "clientExtensionResults": {},
            }
        )
