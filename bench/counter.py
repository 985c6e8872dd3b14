"""Ingestion alone in a process of its own, so that what is measured of it is its own."""

import asyncio
import contextlib
import sys
from pathlib import Path

from tests.broker.depositing import counter


async def main(folder: Path, url: str) -> None:
    """Print the address of its doors, and serve until the input ends."""
    async with counter(folder, url) as office:
        print(office.url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
