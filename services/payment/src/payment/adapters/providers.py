"""From the accounts of the file to the providers that speak for them."""

from collections.abc import Sequence

from payment.adapters.accounts import (
    Account,
    LyraShop,
    MollieShop,
    OgoneShop,
    PayboxShop,
    PayfipContract,
    SipsShop,
    TipiContract,
)
from payment.adapters.library import Calls
from payment.adapters.lyra import LyraAccount
from payment.adapters.mollie import MollieAccount
from payment.adapters.ogone import OgoneAccount
from payment.adapters.paybox import PayboxAccount
from payment.adapters.payfip import PayfipAccount
from payment.adapters.payfip_soap import THREADS
from payment.adapters.sips import SipsAccount
from payment.adapters.tipi import TipiAccount
from payment.ports import Provider, Terms
from shared.clock import Clock

LIMIT_SECONDS = 30.0
"""How long a payer may wait for a provider; longer than one call to it may take."""


class ConfiguredProviders:
    """The accounts that are configured; see `ports.Providers`."""

    def __init__(self, accounts: Sequence[Account], notify_base: str, clock: Clock) -> None:
        """Make each account's provider; `notify_base` is where providers reach this service."""
        self._accounts = list(accounts)
        self._base = notify_base.rstrip("/")
        self._clock = clock
        # One pool for each that is called over the network: when one is slow, the others are not.
        self._forms = Calls("form", threads=4, seconds=LIMIT_SECONDS)
        self._payfip = Calls("payfip", threads=THREADS, seconds=LIMIT_SECONDS)
        self._mollie = Calls("mollie", threads=THREADS, seconds=LIMIT_SECONDS)
        self._providers = {
            (account.provider, account.account): self._made(account) for account in accounts
        }

    def _made(self, account: Account) -> Provider:
        url = f"{self._base}/payments/notify/{account.provider}/{account.account}"
        match account:
            case LyraShop():
                return LyraAccount(account, url, self._forms, self._clock)
            case PayboxShop():
                return PayboxAccount(account, url, self._forms, self._clock)
            case SipsShop():
                return SipsAccount(account, url, self._forms, self._clock)
            case OgoneShop():
                return OgoneAccount(account, url, self._forms, self._clock)
            case MollieShop():
                return MollieAccount(account, url, self._mollie, self._clock)
            case PayfipContract():
                return PayfipAccount(account, url, self._payfip, self._clock)
            case TipiContract():
                return TipiAccount(account, url, self._forms, self._clock)

    def for_regies(self, authority: str, regies: set[str], route: str = "regie") -> Provider | None:
        """Return the account that takes the money of all these régies on this route, or None."""
        found = {self._name_of(authority, regie, route) for regie in regies}
        if len(found) != 1:
            return None
        [name] = found
        return self._providers[name] if name else None

    def _name_of(self, authority: str, regie: str, route: str) -> tuple[str, str] | None:
        own = [
            account
            for account in self._accounts
            if account.active and account.authority == authority and account.route == route
        ]
        exact = (account for account in own if account.regies and regie in account.regies)
        common = (account for account in own if account.regies is None)
        account = next(exact, None) or next(common, None)
        return (account.provider, account.account) if account else None

    def by_account(self, provider: str, account: str) -> Provider | None:
        """Return an account by name, also one that starts no attempt any more, or None."""
        return self._providers.get((provider, account))

    def terms(self, provider: str, account: str) -> Terms:
        """Return what the authority decided for an account; the default for one that is gone."""
        for own in self._accounts:
            if (own.provider, own.account) == (provider, account):
                return own.terms
        return Terms()
