"""A running town for the tests of a module."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from demo.town import Town
from tests.towns import open_town


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """Return a town that lives as long as the module."""
    async with open_town(tmp_path_factory.mktemp("town")) as town:
        yield town
