"""A running town and a real browser for all journeys of this folder."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from demo.biller import Biller
from demo.town import Town
from demo.welcome import fill
from tests.journeys.browser.chromium import ARGUMENTS, executable
from tests.towns import open_town


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def town(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """Return one town for the folder, with the demo's invoices in it."""
    async with open_town(tmp_path_factory.mktemp("town")) as town:
        await fill(town.endpoints(), lambda _line: None)
        yield town


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def biller(town: Town) -> AsyncIterator[Biller]:
    """Return the billing application of the first authority, logged in."""
    async with aiohttp.ClientSession() as session:
        biller = Biller(town.endpoints(), session)
        await biller.log_in()
        yield biller


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def chromium() -> AsyncIterator[Browser]:
    """Return a browser that reaches this machine and nothing else."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=executable(), args=list(ARGUMENTS)
        )
        yield browser
        await browser.close()
