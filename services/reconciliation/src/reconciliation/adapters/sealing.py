"""Secrets at rest, sealed with Fernet (AES-128-CBC, HMAC-SHA-256) under keys that may change."""

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from shared.errors import SettingsError, TransientError


class SealError(TransientError):
    """A secret was sealed under a key that is not here: a newer replica may have it."""

    slug = "unknown-key"


class FernetSealer:
    """Seals under the first of several keys and opens what any of them sealed."""

    def __init__(self, keys: str) -> None:
        """Use `keys`, each 32 bytes in URL-safe base64, separated by commas, the newest first.

        Raises:
            SettingsError: there is none, or one is not a key.
        """
        try:
            self._keys = MultiFernet([Fernet(key.strip()) for key in keys.split(",")])
        except ValueError as error:
            message = "WEBHOOK_KEY must be Fernet keys, separated by commas"
            raise SettingsError(message) from error

    def seal(self, secret: bytes) -> bytes:
        """Return what may be stored."""
        return self._keys.encrypt(secret)

    def open(self, sealed: bytes) -> bytes:
        """Return the secret.

        Raises:
            SealError: it was sealed under a key that is not here.
        """
        try:
            return self._keys.decrypt(sealed)
        except InvalidToken as error:
            message = "a secret was sealed under another key"
            raise SealError(message) from error

    def seal_again(self, sealed: bytes) -> bytes:
        """Return the same secret sealed under the first key, so that the others may go.

        Raises:
            SealError: it was sealed under a key that is not here.
        """
        return self.seal(self.open(sealed))
