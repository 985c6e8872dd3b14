"""A town of its own for whoever asks, on the broker that TEST_BROKER names."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from demo.town import Town
from tests.broker.kafka import ApacheKafka


@asynccontextmanager
async def open_town(folder: Path) -> AsyncIterator[Town]:
    """Run a town in `folder`, on Apache Kafka or the embedded broker, and stop it in the end."""
    async with AsyncExitStack() as stack:
        servers = None
        if os.environ.get("TEST_BROKER", "embedded") == "apache":
            kafka = await stack.enter_async_context(ApacheKafka())
            servers = kafka.bootstrap_servers
        yield await stack.enter_async_context(
            Town(folder, progress=lambda _line: None, kafka_servers=servers)
        )
