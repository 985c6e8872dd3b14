"""Apache Kafka itself, one KRaft node for the tests, with idempotent and transactional producers.

The jars come from `pom.xml` beside this file (`make test` fetches them); a JDK 17 runs them.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from shared import kafka, topics
from shared.environment import CommonSettings

JARS = Path(__file__).parent / "jars"
START_SECONDS = 60.0
STOP_SECONDS = 15.0
POLL_SECONDS = 0.1
CLUSTER_ID = "cXVpdHRhbmNlLXRlc3RzMQ"
"""Any 16 bytes in base64url: it only has to be the same for the format and the start."""

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.message.timestamp.after.max.ms=9223372036854775807
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
"""


class ApacheKafkaError(Exception):
    """Apache Kafka did not start; the text holds the end of its log."""


class ApacheKafka:
    """One broker on 127.0.0.1; use it as an asynchronous context manager.

    `stop` or `kill` followed by `start` is the same broker again, with what it held.
    """

    def __init__(self) -> None:
        """Choose free ports; nothing is started or written yet."""
        self._port, self._controller_port = _free_ports(2)
        self._folder = Path()
        self._process: asyncio.subprocess.Process | None = None

    @property
    def bootstrap_servers(self) -> str:
        """Address for the clients' `bootstrap_servers`."""
        return f"127.0.0.1:{self._port}"

    @property
    def settings(self) -> CommonSettings:
        """Settings with which `shared.kafka` reaches this broker."""
        return CommonSettings(
            database_url="", kafka_bootstrap_servers=self.bootstrap_servers, http_port=0
        )

    async def __aenter__(self) -> Self:
        """Format a temporary folder, start on it and return once the broker answers.

        Raises:
            ApacheKafkaError: it ended, or did not answer in time.
        """
        self._folder = Path(tempfile.mkdtemp(prefix="apache-kafka-"))
        try:
            await self._format()
            await self.start()
        except BaseException:
            await self._leave()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Kill it and remove its folder: nobody reads it again."""
        await self._leave()

    async def start(self) -> None:
        """Start it and return once it answers.

        Raises:
            ApacheKafkaError: it ended, or did not answer in time.
        """
        self._process = await self._java("kafka.Kafka", str(self._configuration))
        deadline = asyncio.get_running_loop().time() + START_SECONDS
        while asyncio.get_running_loop().time() < deadline and self._process.returncode is None:
            # The port first: aiokafka logs every refused connection.
            with contextlib.suppress(OSError, kafka.BrokerUnavailableError):
                _, writer = await asyncio.open_connection("127.0.0.1", self._port)
                writer.close()
                await topics.ping(self.settings)
                return
            await asyncio.sleep(POLL_SECONDS)
        raise ApacheKafkaError(self._end_of_log())

    async def stop(self) -> None:
        """Ask it to end, as an orderly restart does; kill it when it does not in time."""
        self._signal(signal.SIGTERM)
        if self._process is not None:
            try:
                await asyncio.wait_for(self._process.wait(), STOP_SECONDS)
            except TimeoutError:
                await self.kill()

    async def kill(self) -> None:
        """End it at once, as a crash does."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            await self._process.wait()

    @property
    def _configuration(self) -> Path:
        return self._folder / "server.properties"

    async def _format(self) -> None:
        self._configuration.write_text(
            PROPERTIES.format(
                port=self._port, controller_port=self._controller_port, data=self._folder / "data"
            ),
            encoding="utf-8",
        )
        tool = await self._java(
            "kafka.tools.StorageTool",
            "format",
            "--cluster-id",
            CLUSTER_ID,
            "--config",
            str(self._configuration),
        )
        if await tool.wait() != 0:
            raise ApacheKafkaError(self._end_of_log())

    async def _java(self, main_class: str, *arguments: str) -> asyncio.subprocess.Process:
        with (self._folder / "broker.log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                "java",
                "-Xmx512m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-Djava.awt.headless=true",
                "-cp",
                f"{JARS}/*",
                main_class,
                *arguments,
                cwd=self._folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            # Its own session: the group is this broker and nothing else.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _end_of_log(self) -> str:
        return (self._folder / "broker.log").read_text("utf-8", errors="replace")[-3000:]

    async def _leave(self) -> None:
        await self.kill()
        shutil.rmtree(self._folder)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in sockets:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in sockets]
