"""Starts, watches and stops the processes of the demo: those it started and no other."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import aiohttp

STOP_SECONDS = 25.0
READY_SECONDS = 60.0
RESTART_PAUSE_SECONDS = 0.5
POLL_SECONDS = 0.05


class StartError(Exception):
    """A process ended or did not become ready in time; the text holds the end of its log."""


class ManagedProcess:
    """One process with its log; restarted when it dies, as Kubernetes would."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: Path,
        ready_url: str | None = None,
    ) -> None:
        """Describe it; `arguments` follow the Python interpreter."""
        self.name = name
        self.ready_url = ready_url
        self.restarts = 0
        self._arguments = [sys.executable, *arguments]
        self._environment = {**os.environ, **environment}
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def pid(self) -> int:
        """Process id of its present life."""
        if self._process is None:
            message = f"{self.name} is not started"
            raise StartError(message)
        return self._process.pid

    async def start(self) -> None:
        """Start it, for the first time or after a stop, and watch over it."""
        self._stopping = False
        await self._spawn()
        self._watcher = asyncio.create_task(self._watch())

    async def _spawn(self) -> None:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._arguments,
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                # Its own session: Ctrl-C reaches the demo alone, which stops it in good order.
                start_new_session=True,
            )

    async def _watch(self) -> None:
        while self._process is not None:
            await self._process.wait()
            if self._stopping:
                return
            # What is left of its group (readers in other processes) goes with it.
            _kill_group(self._process.pid)
            self.restarts += 1
            await asyncio.sleep(RESTART_PAUSE_SECONDS)
            await self._spawn()

    async def wait_ready(self, session: aiohttp.ClientSession) -> None:
        """Return once it says that it can work.

        Raises:
            StartError: it died again and again, or is not ready in time.
        """
        if self.ready_url is None:
            return
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self.restarts < 3:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(self.ready_url) as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(POLL_SECONDS)
        message = f"{self.name} is not ready\n{self.log_end()}"
        raise StartError(message)

    async def restart(self, environment: Mapping[str, str]) -> None:
        """Stop it and start it again with other variables beside its own."""
        await self.stop()
        self._environment |= environment
        await self.start()

    def log_end(self, lines: int = 15) -> str:
        """Return the last lines of its log."""
        if not self._log.exists():
            return ""
        text = self._log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    async def run_once(self, arguments: Sequence[str]) -> int:
        """Run another command with the same variables to its end and return its exit code."""
        with self._log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *arguments,
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
            )
        return await process.wait()

    def kill(self) -> None:
        """End its present life without warning (SIGKILL), as a fault would; it is restarted."""
        os.kill(self.pid, signal.SIGKILL)

    async def stop(self) -> None:
        """Ask it to stop, and insist after a while."""
        self._stopping = True
        if self._process is None:
            return
        if self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), STOP_SECONDS)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        _kill_group(self._process.pid)
        if self._watcher is not None:
            await self._watcher


def _kill_group(group: int) -> None:
    # The group is the session we made for it, so nobody else's process can be in it.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def memory_bytes(pid: int) -> int:
    """Return the proportional memory of a process and its children (PSS), in bytes."""
    total = 0
    for process in [pid, *_children(pid)]:
        with contextlib.suppress(OSError):
            rollup = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii")
            for line in rollup.splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text(encoding="ascii").split():
                found += [int(child), *_children(int(child))]
    return found
