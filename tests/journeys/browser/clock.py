"""Lets months pass for the services of a town, and for nothing else on the machine."""

import asyncio
from pathlib import Path

import aiohttp
import libfaketime

from demo.town import SERVICES, Town

LIBRARY = Path(libfaketime.__file__).parent / "vendor/libfaketime/src/libfaketime.so.1"


async def move_clock(town: Town, days: int) -> None:
    """Restart the services of a town with a clock that is `days` ahead of this machine's."""
    later = {
        "LD_PRELOAD": str(LIBRARY),
        "FAKETIME": f"+{days}d",
        # Pauses and timeouts go on as they were.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    processes = [town.processes[service] for service in SERVICES]
    await asyncio.gather(*(process.restart(later) for process in processes))
    timeout = aiohttp.ClientTimeout(total=5)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        await asyncio.gather(*(process.wait_ready(session) for process in processes))
