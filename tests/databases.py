"""A service's own database on a real PostgreSQL, which the tests start."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from demo.postgres import EmbeddedPostgres
from shared.postgres import all_migrations, migrate


@asynccontextmanager
async def migrated_database(folder: Path, service: str, package: Path) -> AsyncIterator[str]:
    """Run PostgreSQL in `folder`; give the address of a migrated database of a service there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    async with EmbeddedPostgres(folder, port=port) as server:
        url = await server.create_database(service, role=service, password="of-tests-only")
        await migrate(url, all_migrations(service, package))
        yield url
