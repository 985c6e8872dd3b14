"""Secrets of the accounts file, sealed with Fernet (AES-128-CBC, HMAC-SHA-256).

`python -m payment.adapters.sealing < accounts.json > sealed.json` seals every secret of a file
under the first key of `PROVIDER_SEALING_KEYS`, and anew what was sealed under another of them.
"""

import os
import sys
from typing import Any

import msgspec
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from shared import environment
from shared.errors import SettingsError

PREFIX = "sealed:"
SECRETS = frozenset(
    {"key", "previous_key", "notify_token", "sha_in", "sha_out", "previous_sha_out"}
)
"""Fields of an account that prove who we are, or who the provider is."""

Row = dict[str, Any]


class Seal:
    """Seals under the first of several keys and opens what any of them sealed."""

    def __init__(self, keys: str) -> None:
        """Use `keys`, each 32 bytes in URL-safe base64, separated by commas, the newest first.

        Raises:
            SettingsError: there is none, or one is not a key.
        """
        try:
            self._keys = MultiFernet([Fernet(key.strip()) for key in keys.split(",")])
        except ValueError as error:
            message = "PROVIDER_SEALING_KEYS must be Fernet keys, separated by commas"
            raise SettingsError(message) from error

    def seal(self, secret: str) -> str:
        """Return what may stand in the file."""
        return PREFIX + self._keys.encrypt(secret.encode()).decode("ascii")

    def open(self, sealed: str) -> str:
        """Return the secret.

        Raises:
            ValueError: it was sealed under a key that is not here, or it was altered.
        """
        try:
            return self._keys.decrypt(sealed.removeprefix(PREFIX)).decode()
        except InvalidToken as error:
            message = "sealed under another key"
            raise ValueError(message) from error


def open_secrets(rows: list[Row], keys: str | None) -> list[Row]:
    """Return the accounts of a file with their secrets open.

    With keys, every secret must be sealed: one in the clear would be found out too late.

    Raises:
        SettingsError: a secret cannot be opened, or is not sealed; tells where, never the value.
    """
    seal = Seal(keys) if keys else None
    return [_opened(row, seal, f"$[{index}]") for index, row in enumerate(rows)]


def _opened(row: Row, seal: Seal | None, place: str) -> Row:
    opened = dict(row)
    for name, value in row.items():
        is_sealed = isinstance(value, str) and value.startswith(PREFIX)
        if is_sealed and seal is not None:
            try:
                opened[name] = seal.open(value)
            except ValueError as error:
                message = f"provider accounts: {place}.{name} is {error}"
                raise SettingsError(message) from error
        elif is_sealed:
            message = f"provider accounts: {place}.{name} is sealed, without PROVIDER_SEALING_KEYS"
            raise SettingsError(message)
        elif seal is not None and name in SECRETS and value is not None:
            message = f"provider accounts: {place}.{name} is not sealed"
            raise SettingsError(message)
    return opened


def seal_secrets(rows: list[Row], keys: str) -> list[Row]:
    """Return the accounts of a file with every secret sealed under the first key.

    Raises:
        SettingsError: a secret was sealed under none of the keys.
    """
    seal = Seal(keys)
    sealed = []
    for index, row in enumerate(rows):
        clear = {name: value for name, value in row.items() if not _is_open_secret(name, value)}
        opened = row | _opened(clear, seal, f"$[{index}]")
        sealed.append(
            {
                name: seal.seal(value) if name in SECRETS and isinstance(value, str) else value
                for name, value in opened.items()
            }
        )
    return sealed


def _is_open_secret(name: str, value: object) -> bool:
    return name in SECRETS and not (isinstance(value, str) and value.startswith(PREFIX))


class _Environment(msgspec.Struct, frozen=True, kw_only=True):
    provider_sealing_keys: str


def main() -> None:
    """Seal the file on standard input; the result goes to standard output."""
    keys = environment.read(_Environment, os.environ).provider_sealing_keys
    rows = msgspec.json.decode(sys.stdin.buffer.read(), type=list[Row])
    sealed = msgspec.json.encode(seal_secrets(rows, keys))
    sys.stdout.buffer.write(msgspec.json.format(sealed, indent=2) + b"\n")


if __name__ == "__main__":
    main()
