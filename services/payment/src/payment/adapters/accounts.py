"""The shops at the providers, with their keys: one JSON file, mounted as a secret."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from payment.ports import Provider
from shared.errors import SettingsError

Key = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9]{8,128}(?![\s\S])")]
"""Letters and digits: a line end left by an editor would make every signature wrong.

`$` would let that line end pass; `(?![\\s\\S])` is the end of the text in every dialect.
"""


class Account(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One shop: whose money it takes, and how the provider and we prove ourselves.

    `regies` is None when it takes the money of every régie of the authority. `previous_key` is
    still believed while a new key spreads.
    """

    account: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,60}(?![\s\S])")]
    authority: Annotated[str, msgspec.Meta(min_length=1)]
    regies: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] | None
    provider: Literal["lyra"]
    site_id: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{8}(?![\s\S])")]
    key: Key
    previous_key: Key | None = None
    ctx_mode: Literal["TEST", "PRODUCTION"]
    service_url: Annotated[str, msgspec.Meta(pattern=r"^https?://\S+(?![\s\S])")]

    def __repr__(self) -> str:
        """Name the account and never its keys: this is what ends up in logs."""
        return f"Account({self.account!r})"


def read_accounts(path: Path) -> list[Account]:
    """Return the accounts of a file.

    Raises:
        SettingsError: it cannot be read, or two accounts have one name or one régie.
    """
    try:
        accounts = msgspec.json.decode(path.read_bytes(), type=list[Account])
    except (OSError, msgspec.DecodeError) as error:
        message = f"provider accounts: {error}"
        raise SettingsError(message) from error
    names = [account.account for account in accounts]
    regies = [
        (account.authority, regie) for account in accounts for regie in account.regies or ("*",)
    ]
    if len(set(names)) < len(names) or len(set(regies)) < len(regies):
        message = "provider accounts: a name or a régie comes twice"
        raise SettingsError(message)
    return accounts


class ConfiguredProviders:
    """The accounts that are configured; see `ports.Providers`."""

    def __init__(
        self,
        accounts: list[Account],
        makers: Mapping[str, Callable[[Account], Provider]],
    ) -> None:
        """Make each account's provider with the maker of its kind."""
        self._accounts = accounts
        self._providers: dict[tuple[str, str], Provider] = {
            (account.provider, account.account): makers[account.provider](account)
            for account in accounts
        }

    def for_regies(self, authority: str, regies: set[str]) -> Provider | None:
        """Return the account that takes the money of all these régies, or None."""
        found = {self._account_of(authority, regie) for regie in regies}
        if len(found) != 1:
            return None
        [account] = found
        return self._providers[(account.provider, account.account)] if account else None

    def _account_of(self, authority: str, regie: str) -> Account | None:
        own = [account for account in self._accounts if account.authority == authority]
        for account in own:
            if account.regies is not None and regie in account.regies:
                return account
        return next((account for account in own if account.regies is None), None)

    def by_account(self, provider: str, account: str) -> Provider | None:
        """Return an account by name, or None."""
        return self._providers.get((provider, account))
