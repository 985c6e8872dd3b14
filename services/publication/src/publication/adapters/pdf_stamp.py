"""Puts the code on the biller's paper where nothing is printed, or on a page of its own."""

from functools import cache
from io import BytesIO
from math import ceil
from urllib.parse import urlsplit

import msgspec
import pikepdf
import pypdfium2
import zxingcpp
from PIL import Image

from publication.adapters import qr
from publication.adapters.errors import UnsafePdfError
from publication.adapters.jobs import DEFAULT_SIZE_MM, Place
from publication.adapters.pdf_check import opened
from publication.adapters.qr import QrCode
from publication.adapters.typesetting import ACCESSIBLE, typeset

POINTS_PER_MM = 72 / 25.4
CAPTION_MM = 7.0
MARGIN_MM = 6.0
"""Desk printers leave less than that empty at the edge."""
STEP_MM = 4.0
PIXELS_PER_MM = 2.0
BLANK_FROM = 250
"""Anything darker is printed matter: the shaded rows of a table are, the noise of a scan is not."""
RENDERED_SCALE = 3.0
RENDERED_AROUND_PIXELS = 8
SEARCHED_PAGES = 3

Caption = tuple[float, str, str]
"""Width in millimetres, first line, second line."""
_kept: dict[Caption, bytes] = {}


class StampedPdf(msgspec.Struct, frozen=True, kw_only=True):
    """The result: `page` (from 1) carries the code; `place` is None on a page of its own."""

    content: bytes
    page: int
    place: Place | None


def stamp(
    pdf: bytes,
    code: QrCode,
    *,
    authority: str,
    is_payable: bool,
    wanted: Place | None = None,
    earlier: Place | None = None,
) -> StampedPdf:
    """Return `pdf` with the code where nothing printed is covered.

    That is at `wanted` if it is free, else at `earlier` if it is, else where there is room, else
    on a page added at the end.

    Raises:
        UnsafePdfError: the file cannot be read.
    """
    place = _find_place(pdf, wanted, earlier)
    if place is None:
        return _with_page(pdf, code, authority, is_payable=is_payable)
    with opened(pdf) as document:
        _draw(document, code, place, is_payable=is_payable)
        return StampedPdf(content=_save(document), page=place.page, place=place)


def companion(code: QrCode, authority: str, *, is_payable: bool) -> bytes:
    """Return a one-page PDF with the code, to stand beside a signed file that must not change."""
    return _sheet(code, authority, 595.28, 841.89, is_payable=is_payable)


def joined(pdf: bytes, sheet: bytes) -> bytes:
    """Return both in one file to print; a signature of the first no longer holds in it."""
    with opened(pdf) as document, pikepdf.open(BytesIO(sheet)) as extra:
        document.pages.extend(extra.pages)
        return _save(document)


def verify_rendered(pdf: bytes, page: int, url: str) -> None:
    """Render a page (from 1) and read its code.

    Raises:
        UnsafePdfError: the code does not read as `url`.
    """
    document = pypdfium2.PdfDocument(pdf)
    try:
        image = _rendered(document, page - 1, RENDERED_SCALE)
    finally:
        document.close()
    found = zxingcpp.read_barcodes(image, formats=qr.FORMATS)
    if url not in [barcode.text for barcode in found]:
        raise UnsafePdfError("unreadable_code", f"page {page}")


def _find_place(pdf: bytes, wanted: Place | None, earlier: Place | None) -> Place | None:
    try:
        document = pypdfium2.PdfDocument(pdf)
    except pypdfium2.PdfiumError as error:
        raise UnsafePdfError("damaged", str(error)) from error
    try:
        # The first page is what lies on top in the envelope; the last is where forms leave room.
        count = len(document)
        for place in (wanted, earlier):
            if place is not None and place.page <= count and _is_still_free(document, place):
                return place
        size = wanted.size_mm if wanted else DEFAULT_SIZE_MM
        for page in dict.fromkeys([1, count, *range(2, min(count, SEARCHED_PAGES))]):
            picture = _rendered(document, page - 1, PIXELS_PER_MM / POINTS_PER_MM)
            found = _search(picture, page, size)
            if found is not None:
                return found
        return None
    finally:
        document.close()


def _rendered(document: pypdfium2.PdfDocument, index: int, scale: float) -> Image.Image:
    page = document[index]
    try:
        image: Image.Image = page.render(scale=scale, grayscale=True).to_pil()
        return image
    finally:
        page.close()


def _is_still_free(document: pypdfium2.PdfDocument, place: Place) -> bool:
    """Tell whether nothing is printed at `place`, rendering little more of its page than that."""
    page = document[place.page - 1]
    try:
        scale = PIXELS_PER_MM / POINTS_PER_MM
        width, height = ceil(page.get_width() * scale), ceil(page.get_height() * scale)
        left, top, right, bottom = box = _box(place)
        if not _is_within(box, width, height):
            return False
        # Where the renderer cuts, it draws edges otherwise than within the page: it cuts outside.
        cut = [
            max(0, pixels - RENDERED_AROUND_PIXELS)
            for pixels in (left, height - bottom, width - right, top)
        ]
        # It rounds up to whole pixels: half of one less hits them.
        crop = tuple((pixels - 0.5) / scale for pixels in cut)
        around = page.render(scale=scale, grayscale=True, crop=crop).to_pil()
        x, y = left - cut[0], top - cut[3]
        return _is_blank(around.crop((x, y, x + right - left, y + bottom - top)))
    finally:
        page.close()


def _is_free(picture: Image.Image, place: Place) -> bool:
    box = _box(place)
    return _is_within(box, picture.width, picture.height) and _is_blank(picture.crop(box))


def _box(place: Place) -> tuple[int, int, int, int]:
    """Return the pixels that the block touches: left, top, right, bottom."""
    left, top = place.x_mm * PIXELS_PER_MM, place.y_mm * PIXELS_PER_MM
    right = left + place.size_mm * PIXELS_PER_MM
    bottom = top + (place.size_mm + CAPTION_MM) * PIXELS_PER_MM
    return int(left), int(top), int(right) + 1, int(bottom) + 1


def _is_within(box: tuple[int, int, int, int], width: int, height: int) -> bool:
    left, top, right, bottom = box
    return left >= 0 and top >= 0 and right <= width and bottom <= height


def _is_blank(picture: Image.Image) -> bool:
    darkest, _ = picture.getextrema()
    return isinstance(darkest, int | float) and darkest >= BLANK_FROM


def _search(picture: Image.Image, page: int, size_mm: float) -> Place | None:
    """Look from the top right, row by row downwards: where a reader looks for what to do."""
    width, height = picture.width / PIXELS_PER_MM, picture.height / PIXELS_PER_MM
    lowest = height - MARGIN_MM - size_mm - CAPTION_MM
    y = MARGIN_MM
    while y <= lowest:
        x = width - MARGIN_MM - size_mm
        while x >= MARGIN_MM:
            # A breath of paper on each side, so that the block does not touch what is printed.
            ample = Place(page=page, x_mm=x - 2, y_mm=y - 2, size_mm=size_mm + 4)
            if _is_free(picture, ample):
                return Place(page=page, x_mm=x, y_mm=y, size_mm=size_mm)
            x -= STEP_MM
        y += STEP_MM
    return None


def _draw(document: pikepdf.Pdf, code: QrCode, place: Place, *, is_payable: bool) -> None:
    page = document.pages[place.page - 1]
    size, caption_height = place.size_mm * POINTS_PER_MM, CAPTION_MM * POINTS_PER_MM
    _, shown_height = _shown_size(page)
    left = place.x_mm * POINTS_PER_MM
    bottom = shown_height - place.y_mm * POINTS_PER_MM - size - caption_height
    host = urlsplit(code.url).netloc
    _, caption = _caption(place.size_mm, _sentence(is_payable=is_payable), host)
    form = document.copy_foreign(caption)
    # A page may share its resources with others or inherit them: it gets a copy of its own.
    resources = _copied(page.resources)
    forms = _copied(resources.get("/XObject"))
    name = "/QuittanceCaption"
    forms[name] = form
    resources.XObject = forms
    page.obj.Resources = resources
    module = size / code.side
    drawn = [
        "Q /Artifact BMC q",
        f"{_to_shown(page)} cm",
        f"q {left:.3f} {bottom + caption_height:.3f} {size:.3f} {size:.3f} re 1 g f",
        f"{module:.5f} 0 0 {-module:.5f} {left:.3f} {bottom + caption_height + size:.3f} cm 0 g",
        " ".join(f"{x} {y} {length} 1 re" for x, y, length in code.runs()),
        "f Q",
        f"q 1 0 0 1 {left:.3f} {bottom:.3f} cm {name} Do Q",
        "Q EMC",
    ]
    # What the page leaves of its graphics state must not move the stamp.
    page.contents_add(pikepdf.Stream(document, b"q"), prepend=True)
    page.contents_add(pikepdf.Stream(document, "\n".join(drawn).encode("ascii")))


def _copied(entries: object) -> pikepdf.Dictionary:
    copy = pikepdf.Dictionary()
    if isinstance(entries, pikepdf.Dictionary):
        for name, value in entries.items():
            copy[name] = value
    return copy


def _shown_box(page: pikepdf.Page) -> tuple[float, float, float, float]:
    left, bottom, right, top = (float(edge) for edge in page.cropbox)
    return min(left, right), min(bottom, top), abs(right - left), abs(top - bottom)


def _rotation(page: pikepdf.Page) -> int:
    node: pikepdf.Object | None = page.obj
    while node is not None:
        if "/Rotate" in node:
            return int(node.Rotate) % 360
        node = node.get("/Parent")
    return 0


def _shown_size(page: pikepdf.Page) -> tuple[float, float]:
    _, _, width, height = _shown_box(page)
    return (height, width) if _rotation(page) in (90, 270) else (width, height)


def _to_shown(page: pikepdf.Page) -> str:
    """Return the matrix from the page as it is shown (origin bottom left) to its own space."""
    left, bottom, width, height = _shown_box(page)
    a, b, c, d, e, f = {
        0: (1, 0, 0, 1, 0.0, 0.0),
        90: (0, 1, -1, 0, width, 0.0),
        180: (-1, 0, 0, -1, width, height),
        270: (0, -1, 1, 0, 0.0, height),
    }[_rotation(page)]
    return f"{a} {b} {c} {d} {left + e:.3f} {bottom + f:.3f}"


def captions(host: str) -> dict[Caption, bytes]:
    """Return the captions of most invoices: those of a code of the usual size."""
    sentences = [_sentence(is_payable=is_payable) for is_payable in (True, False)]
    return {key: _set(*key) for key in ((DEFAULT_SIZE_MM, first, host) for first in sentences)}


def keep_captions(made: dict[Caption, bytes]) -> None:
    """Use these in this process from now on, instead of setting them here."""
    _kept.update(made)


def _sentence(*, is_payable: bool) -> str:
    return "Payer en ligne" if is_payable else "Consulter en ligne"


def _set(width_mm: float, first: str, second: str) -> bytes:
    inputs = {"width": str(width_mm), "first": first, "second": second}
    return typeset("caption.typ", inputs, ("a-2b",))


@cache
def _caption(width_mm: float, first: str, second: str) -> tuple[pikepdf.Pdf, pikepdf.Object]:
    # One caption for each size and host: cached, since it is the same on every invoice. Its file
    # stays open for as long as parts of it are copied.
    made = _kept.get((width_mm, first, second)) or _set(width_mm, first, second)
    caption = pikepdf.open(BytesIO(made))
    return caption, caption.make_indirect(caption.pages[0].as_form_xobject())


def _with_page(pdf: bytes, code: QrCode, authority: str, *, is_payable: bool) -> StampedPdf:
    with opened(pdf) as document:
        width, height = _shown_size(document.pages[0])
        sheet = _sheet(code, authority, max(width, 250), max(height, 350), is_payable=is_payable)
        with pikepdf.open(BytesIO(sheet)) as extra:
            document.pages.extend(extra.pages)
            return StampedPdf(content=_save(document), page=len(document.pages), place=None)


def _sheet(code: QrCode, authority: str, width: float, height: float, *, is_payable: bool) -> bytes:
    qr.verify(code)
    action = "consulter et payer" if is_payable else "consulter"
    return typeset(
        "sheet.typ",
        {
            "width": f"{width:.2f}",
            "height": f"{height:.2f}",
            "authority": authority,
            "title": "Votre facture en ligne",
            "sentence": f"Pour {action} cette facture, scannez le code ci-dessous avec votre"
            " téléphone, ou ouvrez l’adresse écrite dessous.",
            "alt": "Code QR de la facture en ligne",
            "code": code.svg(),
            "url": code.url,
        },
        ACCESSIBLE,
    )


def _save(document: pikepdf.Pdf) -> bytes:
    """Write the file, leaving every stream that was not touched as it is."""
    output = BytesIO()
    document.save(
        output,
        compress_streams=False,
        stream_decode_level=pikepdf.StreamDecodeLevel.none,
        object_stream_mode=pikepdf.ObjectStreamMode.preserve,
        # The version stays, and with it the metadata that may name it.
        fix_metadata_version=False,
        deterministic_id=True,
    )
    return output.getvalue()
