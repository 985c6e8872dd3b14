"""The pool of processes that make paper, and what to do when a document ends one of them."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

import msgspec
import structlog

from publication.adapters import jobs
from publication.adapters.errors import UnsafePdfError
from publication.adapters.jobs import Limits, PaperJob, PaperResult, Place
from publication.ports import Claim, Paper
from shared.events.authority_configured import StampPlace

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

Places = Callable[[], Awaitable[dict[tuple[str, str], StampPlace]]]
CHUNK = 4
"""Jobs sent to a process at once: fewer hand-overs, small enough to keep all processes busy."""
LAYOUTS = 500
"""Layouts remembered; forgetting one costs one more rendering."""
TRIES = 3
"""A document that ended its process this often, alone, is refused."""


class PressSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the press works; see the service's settings."""

    processes: int
    memory_bytes: int
    seconds: int
    sample: float
    limits: Limits
    public_url: str


class Press:
    """Makes paper in other processes, bounded in memory and time."""

    def __init__(self, settings: PressSettings, places: Places) -> None:
        """Start no process before the first job."""
        self._settings = settings
        self._places = places
        self._layouts: OrderedDict[str, Place | None] = OrderedDict()
        self._pool = self._new_pool()

    def _new_pool(self) -> ProcessPoolExecutor:
        # A forked server that has the libraries loaded shares their memory with its children.
        context = get_context("forkserver")
        context.set_forkserver_preload(["publication.adapters.paper"])
        return ProcessPoolExecutor(
            self._settings.processes,
            mp_context=context,
            initializer=jobs.limit_process,
            initargs=(self._settings.memory_bytes,),
        )

    def close(self) -> None:
        """Let the processes go."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def make(
        self, claims: Sequence[Claim], originals: Sequence[bytes | None]
    ) -> list[Paper | None]:
        """Return the paper of each claim, in order; None for one that is to be tried again."""
        places = await self._places()
        known = dict(self._layouts)
        wanted = [
            self._job(claim, original, places, known)
            for claim, original in zip(claims, originals, strict=True)
        ]
        chunks = [
            (claims[start : start + CHUNK], wanted[start : start + CHUNK])
            for start in range(0, len(wanted), CHUNK)
        ]
        made = await asyncio.gather(*(self._make_chunk(*chunk) for chunk in chunks))
        return [found for chunk in made for found in chunk]

    def _job(
        self,
        claim: Claim,
        original: bytes | None,
        places: dict[tuple[str, str], StampPlace],
        known: dict[str, Place | None],
    ) -> PaperJob:
        invoice = claim.request
        place = places.get((invoice.authority, invoice.regie))
        return PaperJob(
            invoice=invoice,
            url=f"{self._settings.public_url}/q/{claim.token}",
            pdf=original,
            wanted=Place(page=place.page, x_mm=place.x_mm, y_mm=place.y_mm, size_mm=place.size_mm)
            if place
            else None,
            known=known,
            sample=self._settings.sample,
            limits=self._settings.limits,
            seconds=self._settings.seconds,
        )

    async def _make_chunk(
        self, claims: Sequence[Claim], batch: list[PaperJob]
    ) -> list[Paper | None]:
        try:
            results = await self._run(batch)
        except BrokenProcessPool:
            # One of them ended the process: alone, each shows whether it is the one.
            return [
                await self._make_alone(claim, job) for claim, job in zip(claims, batch, strict=True)
            ]
        return [self._paper(result) for result in results]

    async def _make_alone(self, claim: Claim, job: PaperJob) -> Paper | None:
        try:
            [result] = await self._run([job])
        except BrokenProcessPool:
            logger.exception("a document ended its process", invoice=str(claim.request.invoice_id))
            if claim.attempts < TRIES:
                return None
            error = UnsafePdfError("resource_limit")
            return Paper(refusal_code=error.code, refusal_detail=error.sentence)
        return self._paper(result)

    async def _run(self, batch: list[PaperJob]) -> list[PaperResult]:
        pool = self._pool
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, jobs.make_all, batch)
        except BrokenProcessPool:
            if self._pool is pool:
                self._pool = self._new_pool()
                pool.shutdown(wait=False)
            raise

    def _paper(self, result: PaperResult) -> Paper:
        if result.layout:
            self._layouts[result.layout] = result.place
            self._layouts.move_to_end(result.layout)
            while len(self._layouts) > LAYOUTS:
                self._layouts.popitem(last=False)
        return Paper(
            document=result.document,
            print_file=result.print_file,
            refusal_code=result.refusal_code,
            refusal_detail=result.refusal_detail,
        )
