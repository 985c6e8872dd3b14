"""The QR code of a public address: made by one library, read back by another."""

import msgspec
import qrcode
import zxingcpp
from qrcode.constants import ERROR_CORRECT_M

from publication.adapters.errors import UnsafePdfError

MASK = 3
"""Fixed: looking for the best of eight masks costs seven times as much, and each of them reads."""
QUIET_MODULES = 4
"""Empty modules around the code (ISO/IEC 18004, 9.1)."""
PIXELS = 3
FORMATS = zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCode])


class QrCode(msgspec.Struct, frozen=True):
    """A code: `rows` of modules, true where dark, without the quiet zone."""

    url: str
    rows: tuple[tuple[bool, ...], ...]

    @property
    def side(self) -> int:
        """Number of modules of a side, with the quiet zone."""
        return len(self.rows) + 2 * QUIET_MODULES

    def runs(self) -> list[tuple[int, int, int]]:
        """Return the dark runs as (column, row, length), counted with the quiet zone."""
        found = []
        for number, row in enumerate(self.rows):
            start: int | None = None
            for column, is_dark in enumerate((*row, False)):
                if is_dark and start is None:
                    start = column
                elif not is_dark and start is not None:
                    found.append((start + QUIET_MODULES, number + QUIET_MODULES, column - start))
                    start = None
        return found

    def svg(self) -> str:
        """Return the code as an SVG picture, one unit a module."""
        path = "".join(f"M{x} {y}h{length}v1h-{length}z" for x, y, length in self.runs())
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.side} {self.side}">'
            f'<rect width="{self.side}" height="{self.side}" fill="#fff"/>'
            f'<path d="{path}" fill="#000"/></svg>'
        )


def make(url: str) -> QrCode:
    """Return the code of `url`, after reading it back.

    Raises:
        UnsafePdfError: what was made does not read as `url`.
    """
    maker = qrcode.QRCode(error_correction=ERROR_CORRECT_M, mask_pattern=MASK, border=0)
    maker.add_data(url)
    maker.make(fit=True)
    code = QrCode(url, tuple(tuple(bool(module) for module in row) for row in maker.modules))
    verify(code)
    return code


def verify(code: QrCode) -> None:
    """Read the code's own bitmap with an independent reader.

    Raises:
        UnsafePdfError: it reads otherwise, or not at all.
    """
    width = code.side * PIXELS
    blank = b"\xff" * width
    lines = [blank] * (QUIET_MODULES * PIXELS)
    margin = b"\xff" * (QUIET_MODULES * PIXELS)
    for row in code.rows:
        drawn = b"".join((b"\x00" if dark else b"\xff") * PIXELS for dark in row)
        lines += [margin + drawn + margin] * PIXELS
    lines += [blank] * (QUIET_MODULES * PIXELS)
    bitmap = memoryview(b"".join(lines)).cast("B", shape=[width, width])
    found = zxingcpp.read_barcodes(bitmap, formats=FORMATS, is_pure=True, try_rotate=False)
    if [barcode.text for barcode in found] != [code.url]:
        raise UnsafePdfError("unreadable_code", "bitmap")
