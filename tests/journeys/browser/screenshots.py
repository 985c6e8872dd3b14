"""`python -m tests.journeys.browser.screenshots`: pictures of the main pages, into docs/images."""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Literal

import aiohttp
import msgspec
from playwright.async_api import ViewportSize, async_playwright

from demo.biller import Biller
from demo.welcome import fill
from tests.journeys.browser.chromium import ARGUMENTS, DESK, PHONE, executable
from tests.journeys.browser.places import PLACES
from tests.journeys.browser.setting import Setting, open_setting
from tests.towns import open_town

FOLDER = Path(__file__).parents[3] / "docs" / "images"
QUALITY = 80


class Shot(msgspec.Struct, frozen=True):
    """A picture: of which place, on which screen, in which colours."""

    place: str
    screen: ViewportSize
    colours: Literal["light", "dark"] = "light"

    @property
    def file(self) -> Path:
        """Where it is kept."""
        screen = "phone" if self.screen is PHONE else "desk"
        return FOLDER / f"{self.place}-{screen}{'-dark' if self.colours == 'dark' else ''}.jpg"


SHOTS = (
    Shot("home", DESK),
    Shot("list", DESK),
    Shot("list", PHONE),
    Shot("list", PHONE, "dark"),
    Shot("invoice", DESK),
    Shot("paper", PHONE),
    Shot("paper", PHONE, "dark"),
    Shot("scanner", PHONE),
    Shot("outcome", PHONE),
    Shot("alerts", DESK),
    Shot("security", DESK),
    Shot("figures", DESK),
)


async def take(setting: Setting, shot: Shot) -> None:
    """Take one picture, of what a screen shows without scrolling."""
    who = next(place.who for place in PLACES if place.name == shot.place)
    page = await setting.contexts[who].new_page()
    await page.emulate_media(color_scheme=shot.colours, reduced_motion="reduce")
    await page.set_viewport_size(shot.screen)
    await page.goto(setting.urls[shot.place], wait_until="networkidle")
    await page.screenshot(path=shot.file, type="jpeg", quality=QUALITY)
    await page.close()


async def main() -> None:
    """Run a town, play its people, and take every picture."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="quittance-screenshots-"))
    async with open_town(folder / "town") as town, aiohttp.ClientSession() as session:
        await fill(town.endpoints(), lambda _line: None)
        biller = Biller(town.endpoints(), session)
        await biller.log_in()
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=executable(), args=list(ARGUMENTS)
            )
            setting = await open_setting(town, biller, browser, folder)
            for number, shot in enumerate(SHOTS, start=1):
                await take(setting, shot)
                sys.stdout.write(f"\r  {number}/{len(SHOTS)} {shot.file.name:<30}")
                sys.stdout.flush()
            await browser.close()
    sys.stdout.write("\n")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
