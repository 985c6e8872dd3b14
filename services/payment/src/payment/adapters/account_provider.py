"""What the providers have in common: an account, its notice address, and threads to call from."""

from typing import Generic, TypeVar

from payment.adapters.accounts import BaseAccount
from payment.adapters.library import Calls
from payment.domain import Notice
from payment.ports import Question, Rules
from shared.clock import Clock

A = TypeVar("A", bound=BaseAccount)


class AccountProvider(Generic[A]):
    """One account at a provider that cannot be asked; see `ports.Provider`."""

    def __init__(self, account: A, notify_url: str, calls: Calls, clock: Clock) -> None:
        """Speak for `account`; notices come to `notify_url`, libraries run in `calls`."""
        self._account = account
        self._notify_url = notify_url
        self._calls = calls
        self._clock = clock

    @property
    def name(self) -> str:
        """Name of the provider, as events carry it."""
        return self._account.provider

    @property
    def account(self) -> str:
        """Name of the account."""
        return self._account.account

    @property
    def rules(self) -> Rules:
        """What it takes and how it behaves."""
        return self._account.rules

    async def ask(self, question: Question) -> Notice | None:  # noqa: ARG002 - the port's
        """Return None: this provider only speaks by itself."""
        return None
