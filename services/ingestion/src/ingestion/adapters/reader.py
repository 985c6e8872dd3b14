"""The processes that read deposits, bounded in memory and time; see `adapters.reading`."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

import structlog

from ingestion.adapters import job_files
from ingestion.domain import Rejection
from ingestion.ports import SMALL_BYTES, CheckedLine, ReadingJob, ReadingResult

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

PROGRESS_SECONDS = 1.0
TRIES = 2
"""A deposit that ended its process this often is refused: a neighbour may have ended it once."""

_TOO_MUCH = Rejection(
    code="resource_limit",
    pointer="",
    message="Le dépôt demande trop de mémoire ou de temps pour être lu.",
)


class ProcessReader:
    """Reads deposits in other processes; see `ports.Reader`.

    Small deposits have a process of their own, so that no large one keeps a lone invoice waiting.
    """

    def __init__(self, processes: int, memory_bytes: int) -> None:
        """Start no process before the first job; `processes` read large deposits."""
        self._memory_bytes = memory_bytes
        self._sizes = {"small": 1, "large": processes}
        self._pools = {lane: self._new_pool(lane) for lane in self._sizes}

    def _new_pool(self, lane: str) -> ProcessPoolExecutor:
        # A forked server that has the libraries loaded shares their memory with its children.
        context = get_context("forkserver")
        context.set_forkserver_preload(["ingestion.adapters.reading"])
        return ProcessPoolExecutor(
            self._sizes[lane],
            mp_context=context,
            initializer=job_files.limit_memory,
            initargs=(self._memory_bytes,),
        )

    def close(self) -> None:
        """Let the processes go."""
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)

    async def read(
        self, job: ReadingJob, progress: Callable[[int, int], Awaitable[None]]
    ) -> ReadingResult:
        """Read a deposit; `progress` is told bytes and lines read from time to time."""
        lane = "small" if job.size_bytes <= SMALL_BYTES else "large"
        for _ in range(TRIES):
            try:
                return await self._read(job, lane, progress)
            except BrokenProcessPool:
                logger.warning("a deposit ended its process", folder=job.folder.name)
        return ReadingResult(format="", problem=_TOO_MUCH)

    async def _read(
        self, job: ReadingJob, lane: str, progress: Callable[[int, int], Awaitable[None]]
    ) -> ReadingResult:
        pool = self._pools[lane]
        running = asyncio.get_running_loop().run_in_executor(pool, job_files.read, job)
        try:
            while True:
                done, _ = await asyncio.wait([running], timeout=PROGRESS_SECONDS)
                if done:
                    return await running
                await progress(*job_files.progress(job.folder))
        except BrokenProcessPool:
            if self._pools[lane] is pool:
                self._pools[lane] = self._new_pool(lane)
                pool.shutdown(wait=False)
            raise

    def lines(self, folder: Path) -> Iterator[Sequence[CheckedLine]]:
        """Yield the lines of a deposit that was read in `folder`, in order, in batches."""
        return job_files.lines(folder)
