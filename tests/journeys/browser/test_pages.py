"""Every page in a real browser: no barrier that a machine can find, whoever reads and on what."""

import re
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from demo.biller import Biller
from demo.town import Town
from tests.journeys.browser.chromium import DOUBLED, NARROWEST, PHONE
from tests.journeys.browser.inspection import (
    axe_violations,
    keyboard_problems,
    sideways,
    small_targets,
)
from tests.journeys.browser.places import PLACES, Place
from tests.journeys.browser.setting import Setting, open_setting

pytestmark = [pytest.mark.journey, pytest.mark.asyncio(loop_scope="package")]


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def setting(
    town: Town, biller: Biller, chromium: Browser, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Setting]:
    """Return a browser for everybody, and where every page is."""
    setting = await open_setting(town, biller, chromium, tmp_path_factory.mktemp("setting"))
    yield setting
    for context in setting.contexts.values():
        await context.close()


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
async def test_a_page_has_no_barrier(place: Place, setting: Setting) -> None:
    """Axe-core, the keyboard, 320 pixels and 200 %, in light and in dark."""
    page = await setting.contexts[place.who].new_page()
    problems: list[str] = []
    try:
        await _open(page, setting.urls[place.name], place)
        problems += await axe_violations(page)
        problems += await keyboard_problems(page)

        await page.emulate_media(color_scheme="dark")
        await page.set_viewport_size(PHONE)
        problems += [f"dark: {found}" for found in await axe_violations(page)]
        problems += [f"small: {found}" for found in await small_targets(page)]

        for size in (NARROWEST, DOUBLED):
            await page.set_viewport_size(size)
            problems += [f"{size['width']} wide: {found}" for found in await sideways(page)]
    finally:
        await page.close()

    assert problems == []


async def _open(page: Page, url: str, place: Place) -> None:
    answer = await page.goto(url)
    assert answer is not None
    assert answer.status == place.status, f"{url}: {answer.status}"


async def test_every_page_that_is_served_is_looked_at(town: Town, setting: Setting) -> None:
    """A new page without a place in the list fails here."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(town.url("portal") + "/openapi.json") as answer,
    ):
        document = await answer.json()
    served = {
        path
        for path, operations in document["paths"].items()
        if "text/html"
        in operations.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
    }
    visited = [
        url.removeprefix(town.url("portal")).partition("?")[0] for url in setting.urls.values()
    ]

    missing = {path for path in served if not any(_fits(path, address) for address in visited)}

    assert missing == set()


def _fits(template: str, address: str) -> bool:
    pattern = re.sub(r"\{\w+(:[^/]*)?\}(?=/|$)", "[^/]+", template)
    return re.fullmatch(pattern, address) is not None
