"""`python -m demo run` keeps a town running; `python -m demo journey` makes one journey."""

import argparse
import asyncio
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from demo.journey import Journey
from demo.town import Town
from demo.welcome import fill, memory_table, where_to_click

FOLDER = Path(".demo")


def _print(line: str) -> None:
    print(line, flush=True)


async def _run(folder: Path, *, journey: bool) -> None:
    started = time.monotonic()
    stopping = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stopping.set)
    # A fresh town at each start: the embedded broker forgets, so nothing else may remember.
    shutil.rmtree(folder, ignore_errors=True)
    async with Town(folder, progress=lambda line: _print("  " + line)) as town:
        if journey:
            await Journey(town.endpoints(), lambda line: _print("  " + line)).run()
            for line in memory_table(town):
                _print("  " + line)
            _print(f"journey complete in {time.monotonic() - started:.1f} s")
            return
        await fill(town.endpoints(), lambda line: _print("  " + line))
        endpoints = folder / "endpoints.json"
        endpoints.touch(mode=0o600)
        endpoints.write_text(json.dumps(town.endpoints(), indent=2), encoding="utf-8")
        for line in where_to_click(town.endpoints()):
            _print(line)
        _print(f"ready in {time.monotonic() - started:.1f} s; Ctrl-C stops it")
        _print("ready")
        await stopping.wait()
        _print("stopping")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m demo")
    parser.add_argument("command", choices=["run", "journey"])
    arguments = parser.parse_args()
    folder = FOLDER if arguments.command == "run" else Path(f".demo-journey-{os.getpid()}")
    try:
        asyncio.run(_run(folder, journey=arguments.command == "journey"))
    except Exception as error:
        logs = sorted((folder / "logs").glob("*.log")) if folder.exists() else []
        print(f"failed: {type(error).__name__}: {error}", file=sys.stderr)
        if logs:
            print(f"logs: {folder / 'logs'}", file=sys.stderr)
        raise SystemExit(1) from error
    if arguments.command == "journey":
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
