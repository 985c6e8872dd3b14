"""Work that leaves the process: claimed in a transaction, done outside it, recorded in another."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import structlog

from shared.errors import TransientError
from shared.postgres import RETRYABLE_ERRORS

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

T = TypeVar("T")

IDLE_SECONDS = 1.0
PAUSE_AFTER_FAILURE_SECONDS = 1.0


class Worker(Generic[T]):
    """Claims batches of tasks and performs up to `concurrency` batches side by side.

    `claim` takes at most that many tasks under a lease (SKIP LOCKED) and commits; `perform` does
    them and records each outcome itself, so an error that reaches the worker is not the task's.
    """

    def __init__(
        self,
        name: str,
        *,
        claim: Callable[[int], Awaitable[Sequence[T]]],
        perform: Callable[[Sequence[T]], Awaitable[None]],
        batch: int,
        concurrency: int,
        wake: asyncio.Event,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        """Work on what `claim` gives, looking again when `wake` is set or after `idle_seconds`."""
        self._name = name
        self._claim = claim
        self._perform = perform
        self._batch = batch
        self._concurrency = concurrency
        self._wake = wake
        self._idle_seconds = idle_seconds
        self._running: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until `stopping` is set, then finish what was begun.

        An error that no retry heals is a bug: it is raised here, and stops the service.
        """
        while not stopping.is_set() and self._failure is None:
            if len(self._running) >= self._concurrency:
                await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
                continue
            self._wake.clear()
            tasks = await self._claim_safely()
            if tasks:
                self._begin(tasks)
            else:
                await self._idle()
        if self._running:
            await asyncio.wait(self._running)
        if self._failure is not None:
            raise self._failure

    async def _claim_safely(self) -> Sequence[T]:
        try:
            return await self._claim(self._batch)
        except (TransientError, *RETRYABLE_ERRORS) as error:
            logger.warning("claim failed", worker=self._name, error=repr(error))
            await asyncio.sleep(PAUSE_AFTER_FAILURE_SECONDS)
            return ()

    def _begin(self, tasks: Sequence[T]) -> None:
        running = asyncio.create_task(self._perform_safely(tasks))
        self._running.add(running)
        running.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failure = task.exception()
            self._wake.set()

    async def _perform_safely(self, tasks: Sequence[T]) -> None:
        try:
            await self._perform(tasks)
        except (TransientError, *RETRYABLE_ERRORS) as error:
            # The lease runs out and the tasks are claimed again.
            logger.warning("work interrupted", worker=self._name, error=repr(error))
            await asyncio.sleep(PAUSE_AFTER_FAILURE_SECONDS)

    async def _idle(self) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), self._idle_seconds)
        except TimeoutError:
            return
