"""Passkeys (WebAuthn level 3): what a browser is asked, and whether its answer holds."""

import ipaddress
from collections.abc import Sequence
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import parse_authentication_credential_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from gateway.ports.factors import NewPasskey, Owner, PasskeyFactor

LONGEST_ANSWER = 16_384
"""Characters: an answer without attestation has about a thousand."""
MALFORMED = (WebAuthnException, ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""What the library says of an answer that does not hold, or is none at all."""
NAME = "Quittance"


class Answer:
    """What a browser brought for a sign-in: of which passkey it says that it is, and of whom."""

    def __init__(self, text: str) -> None:
        """Read it.

        Raises:
            ValueError: it is no such answer.
        """
        try:
            if len(text) > LONGEST_ANSWER:
                raise ValueError
            self.credential = parse_authentication_credential_json(text)
        except MALFORMED as error:
            message = "no answer of a passkey"
            raise ValueError(message) from error
        self.credential_id: bytes = self.credential.raw_id
        self.handle: bytes | None = self.credential.response.user_handle


class RelyingParty:
    """The portal as passkeys know it: by the host and the origin of its public address."""

    def __init__(self, public_url: str) -> None:
        """Be known by that address."""
        parts = urlsplit(public_url)
        self._host = parts.hostname or ""
        self._origin = f"{parts.scheme}://{parts.netloc}"

    @property
    def is_possible(self) -> bool:
        """Whether browsers make passkeys here: for a name, over TLS or on the machine itself."""
        try:
            ipaddress.ip_address(self._host)
        except ValueError:
            return self._origin.startswith("https://") or self._host == "localhost"
        return False

    def ask_new(
        self, challenge: bytes, owner: Owner, name: str, known: Sequence[PasskeyFactor]
    ) -> str:
        """Return what to ask a browser, as JSON, to make a passkey; not where one is `known`."""
        return options_to_json(
            generate_registration_options(
                rp_id=self._host,
                rp_name=NAME,
                user_name=name,
                user_id=handle_of(owner),
                challenge=challenge,
                exclude_credentials=_described(known),
                # Found without a name, and never used without a finger, a face or a code.
                authenticator_selection=AuthenticatorSelectionCriteria(
                    resident_key=ResidentKeyRequirement.REQUIRED,
                    user_verification=UserVerificationRequirement.REQUIRED,
                ),
            )
        )

    def ask(self, challenge: bytes, known: Sequence[PasskeyFactor]) -> str:
        """Return what to ask a browser, as JSON, to use a passkey: of `known`, or any of ours."""
        return options_to_json(
            generate_authentication_options(
                rp_id=self._host,
                challenge=challenge,
                allow_credentials=_described(known),
                user_verification=UserVerificationRequirement.REQUIRED,
            )
        )

    def made(self, text: str, challenge: bytes) -> NewPasskey | None:
        """Return the passkey that an answer brings; None when it does not hold."""
        try:
            if len(text) > LONGEST_ANSWER:
                return None
            found = verify_registration_response(
                credential=text,
                expected_challenge=challenge,
                expected_rp_id=self._host,
                expected_origin=self._origin,
                require_user_verification=True,
            )
        except MALFORMED:
            # The library tells why; whoever made it up need not know.
            return None
        return NewPasskey(
            credential_id=found.credential_id,
            public_key=found.credential_public_key,
            sign_count=found.sign_count,
        )

    def signed(self, answer: Answer, passkey: PasskeyFactor, challenge: bytes) -> int | None:
        """Return how often a passkey says that it signed; None when its answer does not hold.

        A count that does not grow tells of a copy (WebAuthn 6.1.1), except where it is always nil.
        """
        try:
            found = verify_authentication_response(
                credential=answer.credential,
                expected_challenge=challenge,
                expected_rp_id=self._host,
                expected_origin=self._origin,
                credential_public_key=passkey.public_key,
                credential_current_sign_count=passkey.sign_count,
                require_user_verification=True,
            )
        except MALFORMED:
            return None
        return found.new_sign_count


def handle_of(owner: Owner) -> bytes:
    """Return what a passkey knows its owner by: always the same, and no name (WebAuthn 14.6.1)."""
    return sha256(f"quittance {owner.name}".encode()).digest()


def _described(passkeys: Sequence[PasskeyFactor]) -> Any:  # noqa: ANN401
    return [PublicKeyCredentialDescriptor(id=passkey.credential_id) for passkey in passkeys]
