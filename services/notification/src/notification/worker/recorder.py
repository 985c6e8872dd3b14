"""Writes down what became of messages before more of them leave."""

import asyncio
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class Book(Protocol[T_contra]):
    """Where outcomes are kept."""

    async def keep(self, attempts: Sequence[T_contra]) -> None:
        """Record what became of messages and let go of them."""
        ...


class Recorder(Generic[T]):
    """Writes down answers, those of several connections in one transaction.

    Each caller waits until its own answer is committed, so that a crash repeats at most the one
    message that each connection had under way.
    """

    def __init__(self, book: Book[T]) -> None:
        """Write to `book`."""
        self._book = book
        self._pending: list[T] = []
        self._turn = asyncio.Lock()

    async def record(self, attempts: Sequence[T]) -> None:
        """Return once these, and whatever else is pending, are committed."""
        self._pending.extend(attempts)
        async with self._turn:
            # Whoever had the turn before may have taken ours along.
            if not self._pending:
                return
            taken, self._pending = self._pending, []
            try:
                await self._book.keep(taken)
            except BaseException:
                # Not lost: whoever records or claims next brings them along.
                self._pending = taken + self._pending
                raise
