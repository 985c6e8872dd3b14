"""Passwords: argon2id, in a few threads of its own so that logins never starve the portal."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MEMORY_KIBIBYTES = 19_456
ITERATIONS = 2
"""OWASP's argon2id minimum: 19 MiB, two passes, one lane."""
THREADS = 2


class Passwords:
    """Makes and checks password hashes off the event loop."""

    def __init__(self) -> None:
        """Keep a hash that matches nothing, to spend the same time on unknown people."""
        self._hasher = PasswordHasher(
            time_cost=ITERATIONS, memory_cost=MEMORY_KIBIBYTES, parallelism=1
        )
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="argon2")
        self._nobody = self._hasher.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        """Return the hash to keep."""
        running = asyncio.get_running_loop()
        return await running.run_in_executor(self._threads, self._hasher.hash, password)

    async def matches(self, password_hash: str | None, password: str) -> bool:
        """Tell whether a password is the right one; as slow when there is no one to compare to."""
        running = asyncio.get_running_loop()
        return await running.run_in_executor(self._threads, self._matches, password_hash, password)

    def _matches(self, password_hash: str | None, password: str) -> bool:
        try:
            self._hasher.verify(password_hash or self._nobody, password)
        except (VerificationError, InvalidHashError):
            return False
        return password_hash is not None
