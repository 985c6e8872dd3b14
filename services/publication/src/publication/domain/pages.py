"""Pages of a published document as pictures: how large they are, and where they are kept."""

import msgspec

WIDTHS = (800, 1200)
"""Widths in pixels in which a page is drawn, and no others: nobody fills the store with sizes."""
MOST_PIXELS = 4_000_000
"""A page of any shape is drawn with no more: an A4 page 1200 wide has half of it."""
LONGEST_SIDE = 8_000
"""Nor longer than that: WebP ends at 16 383, and browsers of telephones well before."""


class PageSize(msgspec.Struct, frozen=True, kw_only=True):
    """A page, from 1, and how large its widest picture is, in pixels."""

    number: int
    width: int
    height: int


class Pages(msgspec.Struct, frozen=True, kw_only=True):
    """The pages of a document, and the text of each for whoever cannot see a picture."""

    pages: tuple[PageSize, ...]
    text: tuple[str, ...]


def drawn_size(width_points: float, height_points: float, width: int) -> tuple[int, int]:
    """Return the pixels of a page drawn so wide: in its shape, unless that is a ribbon."""
    height = width * height_points / width_points
    shrink = min(1.0, (MOST_PIXELS / (width * height)) ** 0.5, LONGEST_SIDE / height)
    return max(1, int(width * shrink)), max(1, int(height * shrink))


def pages_folder(document_key: str) -> str:
    """Return below which key the pictures of a document are kept, and erased with it."""
    return f"{document_key.removesuffix('.pdf')}-pages/"


def index_key(document_key: str) -> str:
    """Return where the sizes and texts of a document's pages are kept."""
    return f"{pages_folder(document_key)}pages.json"


def picture_key(document_key: str, number: int, width: int) -> str:
    """Return where the picture of a page is kept."""
    return f"{pages_folder(document_key)}{number}-{width}.webp"
