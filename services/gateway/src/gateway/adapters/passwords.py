"""Passwords: argon2id, in a few threads of its own so that logins never starve the portal."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gateway.ports import BusyError

T = TypeVar("T")

MEMORY_KIBIBYTES = 19_456
ITERATIONS = 2
"""OWASP's argon2id minimum: 19 MiB, two passes, one lane."""
THREADS = 2
WAITING_AT_MOST = 64
"""About a second of work: who comes later is better told to come back."""


class Passwords:
    """Makes and checks password hashes off the event loop; see `ports.PasswordKeeper`."""

    def __init__(self) -> None:
        """Keep a hash that matches nothing, to spend the same time on unknown people."""
        self._hasher = PasswordHasher(
            time_cost=ITERATIONS, memory_cost=MEMORY_KIBIBYTES, parallelism=1
        )
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="argon2")
        self._waiting = 0
        self._nobody = self._hasher.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        """Return the hash to keep.

        Raises:
            BusyError: too many are waiting.
        """
        return await self._aside(lambda: self._hasher.hash(password))

    async def matches(self, password_hash: str | None, password: str) -> bool:
        """Tell whether a password is the right one; as slow when there is no one to compare to.

        Raises:
            BusyError: too many are waiting.
        """
        return await self._aside(lambda: self._matches(password_hash, password))

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _aside(self, work: Callable[[], T]) -> T:
        if self._waiting >= WAITING_AT_MOST:
            raise BusyError
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1

    def _matches(self, password_hash: str | None, password: str) -> bool:
        try:
            self._hasher.verify(password_hash or self._nobody, password)
        except (VerificationError, InvalidHashError):
            return False
        return bool(password_hash)
