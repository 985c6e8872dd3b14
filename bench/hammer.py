"""`python -m bench.hammer`: asks pages over fifty connections at once; prints each answer's time.

A client of a few lines, so that on two cores the measure is of the server: kept connections, no
parsing but of the status and the length. Reads a `Round` from its standard input.
"""

import asyncio
import sys
import time
from urllib.parse import urlsplit

import msgspec
import uvloop

TIMEOUT_SECONDS = 30.0


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask: each of `paths` in turn with one of `cookies`, for `seconds`."""

    base: str
    paths: tuple[str, ...]
    cookies: tuple[str, ...] = ("",)
    at_once: int = 50
    seconds: float = 5.0
    warm_up_seconds: float = 1.5


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """What came back: seconds of each answer, and bytes of the last one."""

    seconds: list[float]
    elapsed: float
    body_bytes: int


class AnswerError(Exception):
    """An answer was not 200."""


async def _connection(asked: Round, number: int, ends_at: float, spent: list[float]) -> int:
    address = urlsplit(asked.base)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    size = 0
    try:
        while time.perf_counter() < ends_at:
            path = asked.paths[number % len(asked.paths)]
            cookie = asked.cookies[number % len(asked.cookies)]
            number += asked.at_once
            started = time.perf_counter()
            head = f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\nCookie: {cookie}\r\n\r\n"
            writer.write(head.encode())
            size = await asyncio.wait_for(_answer(reader, path), TIMEOUT_SECONDS)
            spent.append(time.perf_counter() - started)
    finally:
        writer.close()
    return size


async def _answer(reader: asyncio.StreamReader, path: str) -> int:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    length = 0
    for line in head.split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            length = int(value)
    body = await reader.readexactly(length)
    if " 200 " not in head.partition("\r\n")[0]:
        message = f"{path}: {head[:200]} {body[:300]!r}"
        raise AnswerError(message)
    return length


async def hammer(asked: Round) -> Counted:
    """Ask for the warm-up and then for the measure; return the measure."""
    counted = Counted(seconds=[], elapsed=1.0, body_bytes=0)
    for seconds in (asked.warm_up_seconds, asked.seconds):
        spent: list[float] = []
        started = time.perf_counter()
        sizes = await asyncio.gather(
            *(
                _connection(asked, number, started + seconds, spent)
                for number in range(asked.at_once)
            )
        )
        elapsed = time.perf_counter() - started
        counted = Counted(seconds=spent, elapsed=elapsed, body_bytes=sizes[0])
    return counted


if __name__ == "__main__":
    wanted = msgspec.json.decode(sys.stdin.buffer.read(), type=Round)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.stdout.buffer.write(msgspec.json.encode(runner.run(hammer(wanted))))
