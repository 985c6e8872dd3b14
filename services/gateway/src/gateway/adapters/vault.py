"""What may be kept or handed to a browser only sealed: secrets of applications, challenges."""

import base64
import hmac
from collections.abc import Sequence
from hashlib import sha256

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


def sealing_keys(signing_key: str, previous_key: str) -> tuple[bytes, ...]:
    """Return the keys that seal, the one in use first: each derived from a signing key."""
    return tuple(
        base64.urlsafe_b64encode(hmac.digest(key.strip().encode(), b"second factors", sha256))
        for key in (signing_key, previous_key)
        if key
    )


class Vault:
    """Seals with the first key, opens with any (Fernet: AES-128-CBC, HMAC-SHA-256, a time)."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Take the keys, the one in use first."""
        self._newest = Fernet(keys[0])
        self._all = MultiFernet([Fernet(key) for key in keys])

    def seal(self, content: bytes) -> bytes:
        """Return what may be kept."""
        return self._newest.encrypt(content)

    def open(self, sealed: bytes) -> bytes | None:
        """Return what was sealed, however long ago; None when none of our keys did it."""
        try:
            return self._all.decrypt(sealed)
        except InvalidToken:
            return None

    def is_newest(self, sealed: bytes) -> bool:
        """Tell whether the key in use sealed this."""
        try:
            self._newest.decrypt(sealed)
        except InvalidToken:
            return False
        return True

    def hand_out(self, content: bytes, moment: int) -> str:
        """Return what a browser may hold and bring back; `moment` is in seconds of the epoch."""
        return self._newest.encrypt_at_time(content, moment).decode()

    def take_back(self, handed: str, moment: int, seconds: int) -> bytes | None:
        """Return what was handed out at most `seconds` ago; None for anything else."""
        try:
            return self._all.decrypt_at_time(handed.encode(), seconds, moment)
        except InvalidToken:
            return None
