"""A running town for the tests of a module, on the broker that TEST_BROKER names."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from demo.town import Town
from tests.broker.kafka import ApacheKafka


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """Return a town that lives as long as the module: Apache Kafka, or the embedded broker."""
    folder: Path = tmp_path_factory.mktemp("town")
    async with AsyncExitStack() as stack:
        servers = None
        if os.environ.get("TEST_BROKER", "embedded") == "apache":
            kafka = await stack.enter_async_context(ApacheKafka())
            servers = kafka.bootstrap_servers
        yield await stack.enter_async_context(
            Town(folder, progress=lambda _line: None, kafka_servers=servers)
        )
