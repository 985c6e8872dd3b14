"""How every service runs: `python -m <service> [run|migrate|check]`."""

import argparse
import asyncio
import gc
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import structlog
import uvloop
from aiohttp import web

from shared import environment, logs, postgres
from shared.environment import CommonSettings
from shared.errors import QuittanceError, SettingsError

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

S = TypeVar("S", bound=CommonSettings)
Loop = Callable[[asyncio.Event], Awaitable[None]]
DRAIN_SECONDS = 20.0


def main(
    name: str,
    package_folder: Path,
    settings_type: type[S],
    run: Callable[[S], Coroutine[Any, Any, None]],
) -> None:
    """Parse the command line and do it; exits 1 with one line when a service cannot go on."""
    parser = argparse.ArgumentParser(prog=name)
    parser.add_argument("command", nargs="?", default="run", choices=["run", "migrate", "check"])
    command = parser.parse_args().command
    try:
        settings = environment.read(settings_type, os.environ)
        logs.configure(name, level=settings.log_level, form=settings.log_format)
        steps = postgres.all_migrations(name, package_folder)
        if command == "migrate":
            for step in asyncio.run(postgres.migrate(settings.database_url, steps)):
                logger.info("migration applied", step=step)
            return
        pending = asyncio.run(postgres.pending_migrations(settings.database_url, steps))
        if pending:
            raise SettingsError("migrations to apply first: " + ", ".join(pending))
        if command == "check":
            logger.info("ready to run")
            return
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(settings))
    except QuittanceError as error:
        sys.exit(f"{name}: {error.slug}: {error}")


async def serve(
    application: web.Application, settings: CommonSettings, loops: Sequence[Loop]
) -> None:
    """Serve HTTP and run `loops` side by side until SIGTERM or until one of them fails.

    Each loop gets an event and must end soon after it is set. When one raises, the others are
    stopped and the error goes up: a service that cannot do all of its work does none.
    """
    stopping = asyncio.Event()
    running = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        running.add_signal_handler(name, stopping.set)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=DRAIN_SECONDS)
    await runner.setup()
    await web.TCPSite(runner, settings.http_host, settings.http_port).start()
    spare_the_collector()
    logger.info("listening", host=settings.http_host, port=settings.http_port)
    try:
        await _run_all(loops, stopping)
    finally:
        await runner.cleanup()
    logger.info("stopped")


def spare_the_collector() -> None:
    """Let what was built at the start alone: modules and settings stay until the end.

    Python's own thresholds stay too. Each page leaves some fifty objects in cycles: to collect them
    a thousand pages at a time stopped everybody who waited for fifty milliseconds.
    """
    gc.collect()
    gc.freeze()


async def _run_all(loops: Sequence[Loop], stopping: asyncio.Event) -> None:
    tasks = [asyncio.ensure_future(loop(stopping)) for loop in loops]
    told = asyncio.create_task(stopping.wait())
    await asyncio.wait([*tasks, told], return_when=asyncio.FIRST_COMPLETED)
    stopping.set()
    told.cancel()
    _, late = await asyncio.wait(tasks, timeout=DRAIN_SECONDS) if tasks else (set(), set())
    for task in late:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result
    if late:
        logger.warning("loops cancelled after the drain", count=len(late))
