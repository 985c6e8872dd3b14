"""Reads deposits in the background, and takes over those that nobody reads any more."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from uuid import UUID

import stamina
import structlog

from ingestion.domain import Rejection
from ingestion.ports import LEASE, SMALL_BYTES, DepositRow, LostClaimError, OpenUnit
from shared.clock import Clock
from shared.errors import TransientError
from shared.postgres import RETRYABLE_ERRORS

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

READINGS_AT_ONCE = 4
"""Large deposits read side by side, and small ones; the others wait, held by this process."""
LOOK_SECONDS = LEASE.total_seconds() / 6
TAKEN_OVER_AT_MOST = 5
"""A deposit that ended this many processes, or outlived them, is not tried again."""
RETRIES = 5
RETRY_SECONDS = 120.0

_UNEXPECTED = Rejection(
    code="internal_error",
    pointer="",
    message="Une erreur inattendue s’est produite ; elle est enregistrée. Rien n’a été gardé.",
)


class Readings:
    """The deposits that this process reads; one that is begun is read, or left to another."""

    def __init__(
        self,
        *,
        read: Callable[[DepositRow, Path, str], Awaitable[None]],
        fail: Callable[[DepositRow, Rejection], Awaitable[None]],
        fetch: Callable[[DepositRow], Awaitable[Path]],
        remove: Callable[[Path], Awaitable[None]],
        open_unit: OpenUnit,
        clock: Clock,
        instance: str,
    ) -> None:
        """Read with `read`; `fetch` brings the files of a deposit that another process took."""
        self._read = read
        self._fail = fail
        self._fetch = fetch
        self._remove = remove
        self._open_unit = open_unit
        self._clock = clock
        self._instance = instance
        self._small = asyncio.Semaphore(READINGS_AT_ONCE)
        self._large = asyncio.Semaphore(READINGS_AT_ONCE)
        self._running: dict[UUID, asyncio.Task[None]] = {}

    def begin(
        self, deposit: DepositRow, folder: Path | None = None, declared: str = ""
    ) -> "asyncio.Task[None]":
        """Read a deposit that this process holds; its folder is removed at the end.

        The task never fails: what became of the deposit stands in its row.
        """
        task = asyncio.create_task(self._run_one(deposit, folder, declared))
        self._running[deposit.deposit_id] = task
        task.add_done_callback(lambda _: self._running.pop(deposit.deposit_id, None))
        return task

    async def run(self, stopping: asyncio.Event) -> None:
        """Keep hold of what is read here and look for what nobody reads, until `stopping`."""
        while not stopping.is_set():
            try:
                for deposit in await self._look():
                    _ = self.begin(deposit)
            except (TransientError, *RETRYABLE_ERRORS) as error:
                logger.warning("look for deposits put off", error=repr(error))
            try:
                await asyncio.wait_for(stopping.wait(), LOOK_SECONDS)
            except TimeoutError:
                continue
        if self._running:
            await asyncio.wait(list(self._running.values()))

    async def _look(self) -> Sequence[DepositRow]:
        now = self._clock.now()
        own = list(self._running)
        async with self._open_unit() as unit:
            await unit.deposits.hold_claims(own, now + LEASE)
            return await unit.deposits.claim(
                instance=self._instance,
                own=own,
                now=now,
                lease=LEASE,
                limit=max(0, 2 * READINGS_AT_ONCE - len(own)),
            )

    async def _run_one(self, deposit: DepositRow, folder: Path | None, declared: str) -> None:
        try:
            if deposit.attempts > TAKEN_OVER_AT_MOST:
                await self._fail(deposit, _UNEXPECTED)
                return
            async with self._small if deposit.size_bytes <= SMALL_BYTES else self._large:
                folder = folder or await self._fetch(deposit)
                await self._read_safely(deposit, folder, declared)
        except LostClaimError:
            logger.info("deposit read by another", deposit=str(deposit.deposit_id))
        except (TransientError, *RETRYABLE_ERRORS) as error:
            # The claim runs out and the deposit is taken over, here or elsewhere.
            logger.warning("reading put off", deposit=str(deposit.deposit_id), error=repr(error))
        except Exception:
            # A bug, on this input: the deposit must not stop the service again and again.
            logger.exception("deposit could not be read", deposit=str(deposit.deposit_id))
            await self._fail(deposit, _UNEXPECTED)
        finally:
            if folder is not None:
                await self._remove(folder)

    async def _read_safely(self, deposit: DepositRow, folder: Path, declared: str) -> None:
        async for attempt in stamina.retry_context(
            on=(TransientError, *RETRYABLE_ERRORS), attempts=RETRIES, timeout=RETRY_SECONDS
        ):
            with attempt:
                await self._read(deposit, folder, declared)
