"""Every page in a real browser: no barrier that a machine can find, whoever reads and on what."""

import re
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page

from demo.biller import Biller
from demo.town import Town
from tests.journeys.browser.chromium import DESK, NARROWEST, PHONE
from tests.journeys.browser.inspection import (
    axe_violations,
    keyboard_problems,
    sideways,
    small_targets,
)
from tests.journeys.browser.people import log_in
from tests.journeys.browser.places import PLACES, Place, addresses

pytestmark = [pytest.mark.journey, pytest.mark.asyncio(loop_scope="package")]

Contexts = dict[str, BrowserContext]


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def contexts(town: Town, chromium: Browser) -> AsyncIterator[Contexts]:
    """Return browsers of nobody, of the demo's citizen and of its agent."""
    found: Contexts = {}
    for who in ("nobody", "citizen", "agent"):
        found[who] = await chromium.new_context(locale="fr-FR", viewport=DESK)  # type: ignore[arg-type]
    page = await found["citizen"].new_page()
    await log_in(page, town)
    await page.close()
    yield found
    for context in found.values():
        await context.close()


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def urls(town: Town, biller: Biller) -> dict[str, str]:
    """Return the address of each place."""
    return await addresses(town, biller)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
async def test_a_page_has_no_barrier(
    place: Place, contexts: Contexts, urls: dict[str, str]
) -> None:
    """Axe-core, the keyboard, 320 pixels and 200 %, in light and in dark."""
    page = await contexts[place.who].new_page()
    problems: list[str] = []
    try:
        await _open(page, urls[place.name], place)
        problems += await axe_violations(page)
        problems += await keyboard_problems(page)

        await page.emulate_media(color_scheme="dark")
        await page.set_viewport_size(PHONE)  # type: ignore[arg-type]
        problems += [f"dark: {found}" for found in await axe_violations(page)]
        problems += [f"small: {found}" for found in await small_targets(page)]

        # Half of 1280 pixels is what is left of them at 200 %.
        for size in (NARROWEST, {"width": 640, "height": 450}):
            await page.set_viewport_size(size)  # type: ignore[arg-type]
            problems += [f"{size['width']} wide: {found}" for found in await sideways(page)]
    finally:
        await page.close()

    assert problems == []


async def _open(page: Page, url: str, place: Place) -> None:
    answer = await page.goto(url)
    assert answer is not None
    assert answer.status == place.status, f"{url}: {answer.status}"


async def test_every_page_that_is_served_is_looked_at(town: Town, urls: dict[str, str]) -> None:
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
    visited = [url.removeprefix(town.url("portal")).partition("?")[0] for url in urls.values()]

    missing = {path for path in served if not any(_fits(path, address) for address in visited)}

    assert missing == set()


def _fits(template: str, address: str) -> bool:
    pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))
    return re.fullmatch(pattern, address) is not None
