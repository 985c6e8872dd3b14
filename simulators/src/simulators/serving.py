"""Runs an HTTP application until SIGTERM or SIGINT, and says when it listens."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable

from aiohttp import web

SHUTDOWN_TIMEOUT_SECONDS = 3.0


def port_number(text: str) -> int:
    """Read a TCP port from the command line; 0 lets the machine choose.

    Raises:
        ValueError: not a number from 0 to 65535 (argparse turns it into a usage message).
    """
    port = int(text)
    if not 0 <= port <= 65535:
        message = f"{text} is not a TCP port"
        raise ValueError(message)
    return port


def seconds(text: str) -> float:
    """Read a length of time from the command line: more than nothing, a day at most.

    Raises:
        ArgumentTypeError: it is out of these bounds, or not a number at all.
    """
    length = float(text)
    if not 0 < length <= 86_400:
        message = f"{text} is not a number of seconds"
        raise argparse.ArgumentTypeError(message)
    return length


def amount_cents(text: str) -> int:
    """Read an amount in cents from the command line.

    Raises:
        ArgumentTypeError: it is not more than nothing.
    """
    cents = int(text)
    if cents <= 0:
        message = f"{text} is not an amount in cents"
        raise argparse.ArgumentTypeError(message)
    return cents


async def serve_until_stopped(
    app: web.Application,
    host: str,
    port: int,
    announce: Callable[[str], str],
) -> None:
    """Serve `app`, print `announce(base address)` once it listens, stop on SIGTERM or SIGINT.

    Blocks until a signal came; open requests then get a few seconds to end.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound_port = runner.addresses[0][1]
        sys.stdout.write(announce(f"http://{_in_address(host)}:{bound_port}") + "\n")
        sys.stdout.flush()
        await stop.wait()
    finally:
        await runner.cleanup()


def _in_address(host: str) -> str:
    return f"[{host}]" if ":" in host else host
