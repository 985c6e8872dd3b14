"""Questions about one thing each, asked about many at once."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Gathering(Generic[K, V]):
    """Asks at once for a key that comes alone, and together for those that come meanwhile.

    While a question is under way, further keys wait for the next one: nobody waits for more than
    two questions, and the more come at a time, the less each costs.
    """

    def __init__(
        self, ask: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]], *, at_most: int
    ) -> None:
        """Answer by `ask`, which is given at most `at_most` different keys at a time.

        Keys that its answer leaves out have no value.
        """
        self._ask = ask
        self._at_most = at_most
        self._waiting: dict[K, asyncio.Future[V | None]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def get(self, key: K) -> V | None:
        """Return the value of a key, or None when there is none.

        Raises whatever the question raised: everybody who waited for it meets the same error.
        """
        future = self._waiting.get(key)
        if future is None:
            future = self._waiting[key] = asyncio.get_running_loop().create_future()
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_on())
        # Who gives up must not take the answer from others who wait for the same key.
        return await asyncio.shield(future)

    async def _ask_on(self) -> None:
        try:
            while self._waiting:
                keys = list(self._waiting)[: self._at_most]
                asked = {key: self._waiting.pop(key) for key in keys}
                await self._answer(asked)
        finally:
            self._asking = None

    async def _answer(self, asked: Mapping[K, "asyncio.Future[V | None]"]) -> None:
        try:
            found = await self._ask(list(asked))
        except Exception as error:  # noqa: BLE001 - it goes to those who asked
            for future in asked.values():
                future.set_exception(error)
                # It may be that nobody waits any more: then nobody needs to be told.
                future.exception()
        else:
            for key, future in asked.items():
                future.set_result(found.get(key))
