"""What lies in the folder of a reading job, and how its process is bounded.

This side of the hand-over loads no library that opens foreign files: only their processes do.
"""

import os
import resource
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self, cast

import msgspec

from ingestion.ports import CheckedLine, ReadingJob, ReadingResult

BODY = "body"
DOCUMENTS = "documents"
LINES = "lines"
PROGRESS = "progress"
"""What came, the PDFs by their SHA-256, what was read of them, how far."""

BATCH = 500
_LENGTH = struct.Struct("<I")
_COUNTS = struct.Struct("<qq")

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[CheckedLine])


def read(job: ReadingJob) -> ReadingResult:
    """Read a deposit; see `adapters.reading.read`."""
    # Runs in a process of its own, which alone pays for these libraries.
    from ingestion.adapters import reading  # noqa: PLC0415

    return reading.read(job)


def lines(folder: Path) -> Iterator[Sequence[CheckedLine]]:
    """Yield the lines that were read in `folder`, in order, in batches."""
    with (folder / LINES).open("rb") as source:
        while prefix := source.read(_LENGTH.size):
            yield _decoder.decode(source.read(_LENGTH.unpack(prefix)[0]))


def progress(folder: Path) -> tuple[int, int]:
    """Return how many bytes and lines have been read so far."""
    try:
        counts = (folder / PROGRESS).read_bytes()
    except FileNotFoundError:
        return 0, 0
    return cast("tuple[int, int]", _COUNTS.unpack(counts)) if counts else (0, 0)


def limit_memory(memory_bytes: int) -> None:
    """Bound the address space of this process: a file that asks for more ends its reading."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


def limit_time(seconds: int) -> None:
    """Let this process use `seconds` more of processor time; the kernel ends it after that."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    allowed = int(used.ru_utime + used.ru_stime) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (allowed, hard))


class Output:
    """Writes checked lines and how far they are."""

    def __init__(self, folder: Path) -> None:
        """Begin the files of `folder` anew."""
        self._lines = (folder / LINES).open("wb")
        self._progress = os.open(folder / PROGRESS, os.O_CREAT | os.O_RDWR, 0o600)
        self._batch: list[CheckedLine] = []
        self.total = 0

    def __enter__(self) -> Self:
        """Return itself; what is added is on disk when the block ends."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Write what is left and close."""
        self._flush(None)
        self._lines.close()
        os.close(self._progress)

    def add(self, line: CheckedLine, position: int) -> None:
        """Add a line; `position` is how many bytes of the body were read up to it."""
        self.total += 1
        self._batch.append(line)
        if len(self._batch) >= BATCH:
            self._flush(position)

    def _flush(self, position: int | None) -> None:
        if self._batch:
            content = _encoder.encode(self._batch)
            self._lines.write(_LENGTH.pack(len(content)))
            self._lines.write(content)
            self._batch.clear()
        if position is not None:
            os.pwrite(self._progress, _COUNTS.pack(position, self.total), 0)
