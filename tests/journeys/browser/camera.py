"""What the camera of a telephone would see: a printed invoice, as the biller's paper shows it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path

import pypdfium2
import qrcode
import zxingcpp
from PIL import Image
from playwright.async_api import Browser, async_playwright

from tests.journeys.browser.chromium import ARGUMENTS, executable

FRAME = (640, 480)
FRAMES = 10
"""Chromium plays the file in a loop."""


def code_on_paper(pdf: bytes) -> Image.Image:
    """Return the part of a printed page around its code, held a little askew."""
    page = pypdfium2.PdfDocument(pdf)[0].render(scale=3).to_pil().convert("RGB")
    [code] = zxingcpp.read_barcodes(page)
    place = code.position
    side = place.bottom_right.x - place.top_left.x
    left, top = place.top_left.x - side // 2, place.top_left.y - side // 2
    seen = page.crop((left, top, left + 2 * side, top + 2 * side))
    return _on_a_table(seen)


def code_of(text: str) -> Image.Image:
    """Return a code that somebody else printed."""
    drawing = BytesIO()
    qrcode.make(text, border=4).save(drawing)
    return _on_a_table(Image.open(drawing).convert("RGB"))


def as_png(picture: Image.Image) -> bytes:
    """Return a picture as a file that somebody chooses."""
    content = BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()


def _on_a_table(seen: Image.Image) -> Image.Image:
    table = Image.new("RGB", FRAME, "#8a7f72")
    side = FRAME[1] - 80
    table.paste(seen.resize((side, side)), ((FRAME[0] - side) // 2, 40))
    return table.rotate(6, fillcolor="#8a7f72", resample=Image.Resampling.BICUBIC)


@asynccontextmanager
async def filming(picture: Image.Image, folder: Path) -> AsyncIterator[Browser]:
    """Run a browser whose camera sees that picture, and whose owner lets pages film.

    An MJPEG file is one JPEG after the other.
    """
    frame = BytesIO()
    picture.save(frame, "JPEG", quality=90)
    film = folder / "camera.mjpeg"
    film.write_bytes(frame.getvalue() * FRAMES)
    arguments = (
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    )
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=executable(), args=[*ARGUMENTS, *arguments]
        )
        yield browser
        await browser.close()
