"""Binds a print run in a process of its own, handing over a few letters at a time."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TypeVar

import msgspec

from publication.adapters.print_run_jobs import (
    LENGTH_BYTES,
    Batch,
    BoundLetter,
    Opening,
    framed,
    piece_decoder,
)
from publication.ports import BindingError, Fetch, Manifest, PrintFile
from shared.errors import TransientError

S = TypeVar("S")

BATCH_BYTES = 4 * 1024 * 1024
"""Handed over at once: enough to keep the process busy, little to hold twice."""
BATCH_LETTERS = 64
FETCHED_AT_ONCE = 16


class BinderDiedError(TransientError):
    """The process that bound the run ended; perhaps the next one does not."""

    slug = "binder-died"


class ProcessBinder:
    """Binds print runs, each in a new process: nothing of one is left for the next."""

    def __init__(self, *, memory_bytes: int, seconds: int) -> None:
        """Let a process take so much address space, and so much processor time for a letter."""
        self._memory_bytes = memory_bytes
        self._seconds = seconds

    async def bind(self, manifest: Manifest, fetch: Fetch) -> AsyncIterator[bytes]:
        """Yield the merged file piece by piece; while one batch is bound the next is fetched.

        Raises:
            BindingError: one of the files cannot be merged.
            BinderDiedError: the process ended.
        """
        opening = Opening(
            identity=msgspec.json.encode(manifest).decode(),
            is_duplex=manifest.is_duplex,
            seconds=self._seconds,
        )
        batches = list(_batches(manifest.files))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "publication.adapters.print_run_process",
            str(self._memory_bytes),
            stdin=PIPE,
            stdout=PIPE,
        )
        fetched = asyncio.create_task(_fetch_all(batches[0], fetch))
        try:
            await _send(process, opening)
            for position, files in enumerate(batches, start=1):
                contents = await fetched
                if position < len(batches):
                    fetched = asyncio.create_task(_fetch_all(batches[position], fetch))
                letters = [
                    BoundLetter(pdf=content, pages=file.pages)
                    for content, file in zip(contents, files, strict=True)
                ]
                await _send(process, Batch(letters=letters, is_last=position == len(batches)))
                yield await self._piece(process)
        finally:
            fetched.cancel()
            if process.returncode is None:
                # Whatever it does now is of no use to anybody; one that is done has ended.
                process.kill()
            await process.wait()

    async def _piece(self, process: Process) -> bytes:
        try:
            length = int.from_bytes(await _stream(process.stdout).readexactly(LENGTH_BYTES))
            if length > self._memory_bytes:
                message = f"an answer of {length} bytes"
                raise BinderDiedError(message)
            piece = piece_decoder.decode(await _stream(process.stdout).readexactly(length))
        except (OSError, EOFError, msgspec.DecodeError) as error:
            raise BinderDiedError(str(error)) from error
        if piece.refusal_code:
            raise BindingError(piece.refusal_code)
        return piece.content


async def _send(process: Process, message: msgspec.Struct) -> None:
    stream = _stream(process.stdin)
    try:
        stream.write(framed(message))
        await stream.drain()
    except OSError as error:
        raise BinderDiedError(str(error)) from error


def _batches(files: Sequence[PrintFile]) -> Iterator[list[PrintFile]]:
    batch: list[PrintFile] = []
    size = 0
    for file in files:
        if batch and (len(batch) == BATCH_LETTERS or size + file.size_bytes > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(file)
        size += file.size_bytes
    yield batch


async def _fetch_all(files: Sequence[PrintFile], fetch: Fetch) -> list[bytes]:
    slots = asyncio.Semaphore(FETCHED_AT_ONCE)

    async def fetch_one(file: PrintFile) -> bytes:
        async with slots:
            return await fetch(file.key)

    return list(await asyncio.gather(*(fetch_one(file) for file in files)))


def _stream(pipe: S | None) -> S:
    if pipe is None:
        message = "the process was started without its pipes"
        raise BinderDiedError(message)
    return pipe
