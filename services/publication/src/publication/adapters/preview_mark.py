"""Marks a preview so that nobody takes it for the invoice."""

from functools import cache
from io import BytesIO

import pikepdf

from publication.adapters.pdf_check import opened
from publication.adapters.typesetting import typeset

WORD = "APERÇU"


def mark(pdf: bytes) -> bytes:
    """Return `pdf` with the word across each page, over everything that is printed there.

    Raises:
        UnsafePdfError: the file cannot be read.
    """
    with opened(pdf) as document:
        for page in document.pages:
            left, bottom, right, top = (float(edge) for edge in page.trimbox)
            width, height = abs(right - left), abs(top - bottom)
            if int(page.obj.get("/Rotate", 0)) % 180:
                width, height = height, width
            with pikepdf.open(BytesIO(_sheet(round(width, 1), round(height, 1)))) as sheet:
                page.add_overlay(sheet.pages[0], pikepdf.Rectangle(page.trimbox))
        output = BytesIO()
        document.save(output, deterministic_id=True)
        return output.getvalue()


@cache
def _sheet(width: float, height: float) -> bytes:
    # Of few sizes: paper comes in A4.
    inputs = {"width": str(width), "height": str(height), "word": WORD}
    return typeset("preview.typ", inputs, ("a-2b",))
