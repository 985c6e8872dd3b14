"""Draws the pages of a published document: PDFium is native code that reads foreign input.

It runs in the press's confined processes only, never in the service itself.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

import pypdfium2
from PIL import Image

from publication.adapters.errors import UnsafePdfError
from publication.domain import Pages, PageSize, drawn_size

QUALITY = 75
EFFORT = 2
"""Of WebP's seven: more effort costs twice the time for one part in thirty."""
LONGEST_TEXT = 20_000
LONGEST_TEXTS = 100_000
"""Characters of a page, and of all: a page of people's text has three thousand."""


def look(pdf: bytes, widest: int) -> Pages:
    """Return the size of each page drawn `widest` pixels wide, and the text that stands on it.

    Raises:
        UnsafePdfError: it cannot be read.
    """
    sizes, texts = [], []
    left = LONGEST_TEXTS
    with _opened(pdf) as document:
        for index in range(len(document)):
            with _page(document, index) as page:
                width, height = drawn_size(*_points(page), widest)
                sizes.append(PageSize(number=index + 1, width=width, height=height))
                text = _text(page)[: min(LONGEST_TEXT, left)]
            texts.append(text)
            left -= len(text)
    return Pages(pages=tuple(sizes), text=tuple(texts))


def draw(pdf: bytes, number: int, width: int) -> bytes:
    """Return the picture of a page (from 1) as WebP.

    Raises:
        UnsafePdfError: it cannot be read, or has no such page.
    """
    with _opened(pdf) as document:
        if not 1 <= number <= len(document):
            raise UnsafePdfError("no_page")
        with _page(document, number - 1) as page:
            points = _points(page)
            size = drawn_size(*points, width)
            # PDFium rounds each side up by itself: a very flat page must not become a huge one.
            scale = min(size[0] / points[0], size[1] / points[1])
            drawn: Image.Image = page.render(scale=scale, rev_byteorder=True).to_pil()
            output = BytesIO()
            # Rounding leaves a pixel more or less: the page says its size before it is drawn.
            drawn.convert("RGB").resize(size).save(output, "WEBP", quality=QUALITY, method=EFFORT)
    return output.getvalue()


@contextmanager
def _opened(pdf: bytes) -> Iterator[pypdfium2.PdfDocument]:
    try:
        document = pypdfium2.PdfDocument(pdf)
    except pypdfium2.PdfiumError as error:
        raise UnsafePdfError("damaged", str(error)) from error
    try:
        yield document
    except (pypdfium2.PdfiumError, ValueError, OSError) as error:
        raise UnsafePdfError("damaged", str(error)) from error
    finally:
        document.close()


@contextmanager
def _page(document: pypdfium2.PdfDocument, index: int) -> Iterator[pypdfium2.PdfPage]:
    page = document[index]
    try:
        yield page
    finally:
        page.close()


def _points(page: pypdfium2.PdfPage) -> tuple[float, float]:
    width, height = float(page.get_width()), float(page.get_height())
    if not (width > 0 and height > 0):
        raise UnsafePdfError("damaged", f"a page of {width} by {height}")
    return width, height


def _text(page: pypdfium2.PdfPage) -> str:
    found = page.get_textpage()
    try:
        lines = str(found.get_text_bounded()).splitlines()
    finally:
        found.close()
    # What no reader can say aloud (control characters, marks of lost letters) is left out.
    return "\n".join("".join(c for c in line if c.isprintable()).strip() for line in lines).strip()
