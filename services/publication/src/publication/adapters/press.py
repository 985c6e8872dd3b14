"""The processes that make paper, and what to do when a document ends one of them."""

import asyncio
import socket
import subprocess
import sys
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import msgspec
import structlog

from publication.adapters import jobs
from publication.adapters.errors import UnsafePdfError
from publication.adapters.jobs import (
    DrawJob,
    DrawResult,
    Job,
    Limits,
    LookJob,
    LookResult,
    PaperJob,
    PaperResult,
    Place,
)
from publication.domain import Pages
from publication.ports import Claim, Paper, PressAwayError, UndrawableError
from shared.events.authority_configured import StampPlace

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

R = TypeVar("R", PaperResult, LookResult, DrawResult)
Places = Callable[[], Awaitable[dict[tuple[str, str], StampPlace]]]
LAYOUTS = 500
"""Layouts remembered; forgetting one costs one more rendering."""
TRIES = 3
"""A document that ended its process this often is refused."""
PICTURES_AT_ONCE = 1
"""A process of its own for pages that somebody looks at; it starts with the first of them."""
PICTURE_SECONDS = 5
"""Processor time for a page's picture: an invoice takes a tenth of one."""
JOBS_PER_PROCESS = 1000
"""Then another takes its place: what libraries leak, or a file left behind, goes with it."""


class PressSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the press works; see the service's settings."""

    processes: int
    memory_bytes: int
    seconds: int
    sample: float
    limits: Limits
    public_url: str


class Press:
    """Makes paper and pictures in other processes, bounded in memory and time, one job each."""

    def __init__(self, settings: PressSettings, places: Places) -> None:
        """Start no process before the first job."""
        self._settings = settings
        self._places = places
        self._layouts: OrderedDict[str, Place | None] = OrderedDict()
        self._room = _Room(settings)
        self._makers = _places_for(settings.processes)
        # Who looks at a page does not wait behind a deposit of ten thousand.
        self._pictures = _places_for(PICTURES_AT_ONCE)

    def close(self) -> None:
        """Let the processes go."""
        for free in (self._makers, self._pictures):
            while not free.empty():
                process = free.get_nowait()
                if process is not None:
                    process.close()
        self._room.close()

    async def make(
        self, claims: Sequence[Claim], originals: Sequence[bytes | None]
    ) -> list[Paper | None]:
        """Return the paper of each claim, in order; None for one that is to be tried again."""
        places = await self._places()
        known = dict(self._layouts)
        return await asyncio.gather(
            *(
                self._make_alone(claim, self._job(claim, original, places, known))
                for claim, original in zip(claims, originals, strict=True)
            )
        )

    async def preview(self, claim: Claim, original: bytes | None) -> Paper:
        """Return the paper of a claim, each page marked as one that was not published."""
        job = self._job(claim, original, await self._places(), {})
        paper = await self._make_alone(claim, msgspec.structs.replace(job, is_preview=True))
        if paper is None:
            # Its process ended; with somebody waiting for the answer there is one try.
            error = UnsafePdfError("resource_limit")
            return Paper(refusal_code=error.code, refusal_detail=error.sentence)
        return paper

    async def look(self, pdf: bytes, widest: int) -> Pages:
        """Return the pages of a document, drawn `widest` pixels wide.

        Raises:
            UndrawableError: it cannot be read within the limits.
            PressAwayError: no process came up.
        """
        job = LookJob(pdf=pdf, widest=widest, seconds=PICTURE_SECONDS)
        result = await self._shown(job, LookResult)
        if result.pages is None:
            raise UndrawableError(result.refusal_code)
        return result.pages

    async def draw(self, pdf: bytes, number: int, width: int) -> bytes:
        """Return the picture of a page (from 1), as WebP.

        Raises:
            UndrawableError: it cannot be drawn within the limits.
            PressAwayError: no process came up.
        """
        job = DrawJob(pdf=pdf, number=number, width=width, seconds=PICTURE_SECONDS)
        result = await self._shown(job, DrawResult)
        if not result.picture:
            raise UndrawableError(result.refusal_code)
        return result.picture

    async def _shown(self, job: Job, kind: type[R]) -> R:
        try:
            async with self._process(self._pictures) as process:
                return await process.do(job, kind, self._settings.memory_bytes)
        except _NotStartedError as error:
            raise PressAwayError from error
        except _EndedError as error:
            logger.warning("a page ended its process", error=str(error))
            code = "resource_limit"
            raise UndrawableError(code) from error

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

    async def _make_alone(self, claim: Claim, job: PaperJob) -> Paper | None:
        try:
            async with self._process(self._makers) as process:
                result = await process.do(job, PaperResult, self._settings.memory_bytes)
        except _NotStartedError:
            logger.exception("no process to make paper with")
            return None
        except _EndedError:
            logger.exception("a document ended its process", invoice=str(claim.request.invoice_id))
            if claim.attempts < TRIES:
                return None
            error = UnsafePdfError("resource_limit")
            return Paper(refusal_code=error.code, refusal_detail=error.sentence)
        return self._paper(result)

    @asynccontextmanager
    async def _process(
        self, free: "asyncio.LifoQueue[_Process | None]"
    ) -> "AsyncIterator[_Process]":
        process = await free.get()
        kept: _Process | None = None
        try:
            if process is None:
                process = await self._room.start()
            yield process
            if process.jobs_done < JOBS_PER_PROCESS:
                kept = process
        finally:
            # One that ended, or whose answer nobody took, is of no use to the next.
            if kept is None and process is not None:
                process.close()
            free.put_nowait(kept)

    def _paper(self, result: PaperResult) -> Paper:
        if result.layout:
            self._layouts[result.layout] = result.place
            self._layouts.move_to_end(result.layout)
            while len(self._layouts) > LAYOUTS:
                self._layouts.popitem(last=False)
        return Paper(
            document=result.document,
            print_file=result.print_file,
            pages=result.pages,
            refusal_code=result.refusal_code,
            refusal_detail=result.refusal_detail,
        )


def _places_for(processes: int) -> "asyncio.LifoQueue[_Process | None]":
    """Return as many places, all empty.

    The last to come back goes first: what one process can do starts no second one.
    """
    free: asyncio.LifoQueue[_Process | None] = asyncio.LifoQueue()
    for _ in range(processes):
        free.put_nowait(None)
    return free


class _NotStartedError(Exception):
    """A process did not come up: no document's fault."""


class _EndedError(Exception):
    """A process ended, or answered nonsense, while it had a document."""


class _Process:
    """One process that makes paper, at the other end of a socket."""

    def __init__(self, connection: socket.socket) -> None:
        self.jobs_done = 0
        self._connection = connection

    async def do(self, job: Job, kind: type[R], most_bytes: int) -> R:
        """Return what a job asks for, which is of that kind.

        Raises:
            _EndedError: the process did not live to answer, or answered nonsense.
        """
        try:
            await self._send(jobs.encoder.encode(job))
            length = int.from_bytes(await _received(self._connection, jobs.LENGTH_BYTES))
            if length > most_bytes:
                message = f"an answer of {length} bytes"
                raise _EndedError(message)
            answer = await _received(self._connection, length)
            result = jobs.result_decoder.decode(answer)
        except (OSError, EOFError, msgspec.DecodeError) as error:
            raise _EndedError(str(error)) from error
        if not isinstance(result, kind):
            message = f"an answer to another question: {type(result).__name__}"
            raise _EndedError(message)
        self.jobs_done += 1
        return result

    async def _send(self, message: bytes) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self._connection, len(message).to_bytes(jobs.LENGTH_BYTES))
        await loop.sock_sendall(self._connection, message)

    def close(self) -> None:
        """Let it go: it ends once it sees that nobody is there."""
        self._connection.close()


async def _received(connection: socket.socket, length: int) -> bytearray:
    loop = asyncio.get_running_loop()
    content = bytearray(length)
    rest = memoryview(content)
    while rest:
        count = await loop.sock_recv_into(connection, rest)
        if count == 0:
            raise EOFError
        rest = rest[count:]
    return content


class _Room:
    """The process that has the libraries loaded and forks the others; see `pressroom`."""

    def __init__(self, settings: PressSettings) -> None:
        self._arguments = [str(settings.memory_bytes), settings.public_url]
        self._room: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    async def start(self) -> _Process:
        """Return a new process that waits for its first job.

        Raises:
            _NotStartedError: it did not come up.
        """
        ours, theirs = socket.socketpair()
        ours.settimeout(0)
        try:
            with theirs:
                socket.send_fds(self._opened(), [b"+"], [theirs.fileno()])
            await _received(ours, len(jobs.STARTED))
        except BaseException as error:
            ours.close()
            if isinstance(error, (OSError, EOFError)):
                raise _NotStartedError from error
            raise
        return _Process(ours)

    def _opened(self) -> socket.socket:
        """Return the way to a room that is alive."""
        if self._control is None or self._room is None or self._room.poll() is not None:
            self.close()
            self._control, theirs = socket.socketpair()
            with theirs:
                self._room = subprocess.Popen(  # noqa: S603 - our own module
                    [
                        sys.executable,
                        "-m",
                        "publication.adapters.pressroom",
                        str(theirs.fileno()),
                        *self._arguments,
                    ],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                )
        return self._control

    def close(self) -> None:
        """End it; its forks end when their own sockets are closed."""
        if self._control is not None:
            self._control.close()
        if self._room is not None:
            self._room.terminate()
            self._room.wait()
        self._control = self._room = None
