"""Logos: what is shown is what was checked, and nothing that could act or ask."""

import base64
import struct
import zlib
from io import BytesIO

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from gateway.logos import LARGEST_BYTES, LogoError, read_logo

SHAPE = '<path d="M1 1h2z" fill="#123456"/>'


def an_svg(inside: str = SHAPE, attributes: str = 'viewBox="0 0 8 8"') -> str:
    return f'<svg xmlns="http://www.w3.org/2000/svg" {attributes}>{inside}</svg>'


def a_png(width: int = 64, height: int = 64, *, trailer: bytes = b"") -> str:
    written = BytesIO()
    notes = PngInfo()
    notes.add_text("Author", "<script>alert(1)</script>")
    Image.new("RGB", (width, height), "#24488f").save(written, "PNG", pnginfo=notes)
    return base64.b64encode(written.getvalue() + trailer).decode()


def test_a_drawing_of_shapes_is_written_anew() -> None:
    """Comments and prologue do not come along; the shapes do."""
    found = read_logo(f'<?xml version="1.0"?>\n<!-- drawn by me -->{an_svg()}')

    assert found.media_type == "image/svg+xml"
    assert found.content == an_svg().encode()


@pytest.mark.parametrize(
    "inside",
    [
        "<script>alert(1)</script>",
        "<style>*{background:url(//evil.example)}</style>",
        '<image href="https://evil.example/a.png"/>',
        '<use href="#a"/>',
        "<foreignObject/>",
        '<animate attributeName="d"/>',
        "<a><path/></a>",
        '<p xmlns="http://www.w3.org/1999/xhtml"/>',
        '<path onload="alert(1)"/>',
        '<path style="fill:red"/>',
        '<path class="a"/>',
        '<path fill="url(https://evil.example/#a)"/>',
        '<path fill="url(  #a)"/>',
        '<path fill="URL(#a"/>',
        '<path fill="javascript:alert(1)"/>',
        '<path xmlns:x="http://www.w3.org/1999/xlink" x:href="#a"/>',
        '<path xml:base="https://evil.example/"/>',
        '<path id="a&#34;b"/>',
        "<?xml-stylesheet href='a.css'?>",
        "<![CDATA[<script/>]]>",
        "&nbsp;",
        "<path>",
    ],
)
def test_what_could_act_or_ask_is_refused(inside: str) -> None:
    """Allowed is what is listed; a drawing is never mended."""
    with pytest.raises(LogoError):
        read_logo(an_svg(inside))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('<!DOCTYPE svg [<!ENTITY a "b">]>' + an_svg("&a;"), "DOCTYPE"),
        ('<svg viewBox="0 0 1 1"/>', "does not start"),
        ('<html xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>', "does not start"),
        (an_svg(attributes=""), "no viewBox"),
        (an_svg("<g>" * 40 + "</g>" * 40), "nests more"),
        (an_svg("<g/>" * 2000), "more than 2000 elements"),
        (an_svg(f"<title>{'a' * LARGEST_BYTES}</title>"), "bytes"),
        ("not base64 at all!", "neither"),
        (base64.b64encode(b"GIF89a").decode(), "not a PNG"),
        (a_png()[:60], "not a PNG"),
        (a_png(16, 64), "16 by 64"),
        (a_png(64, 2049), "64 by 2049"),
        (base64.b64encode(bytes(LARGEST_BYTES + 1)).decode(), "bytes"),
    ],
    ids=lambda value: value[:20],
)
def test_what_is_no_logo_says_why(text: str, problem: str) -> None:
    """The operator reads it beside its place in the file."""
    with pytest.raises(LogoError, match=problem):
        read_logo(text)


def test_a_gradient_of_its_own_is_kept() -> None:
    """`url(#…)` inside the drawing leads nowhere else."""
    inside = (
        '<defs><linearGradient id="sky"><stop offset="0" stop-color="#fff"/></linearGradient>'
        '</defs><path d="M1 1h2z" fill="url(#sky)"/>'
    )

    assert b'fill="url(#sky)"' in read_logo(an_svg(inside)).content


def test_a_png_is_written_anew_without_what_hangs_on_it() -> None:
    """Notes inside and bytes behind the picture stay out."""
    found = read_logo(f"data:image/png;base64,{a_png(trailer=b'<script>alert(2)</script>')}")

    assert found.media_type == "image/png"
    assert b"script" not in found.content
    assert Image.open(BytesIO(found.content)).size == (64, 64)


def test_a_picture_that_would_unfold_to_gigabytes_is_refused_by_its_size() -> None:
    """The header alone tells: nothing is unfolded."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IEND", b"")

    with pytest.raises(LogoError):
        read_logo(base64.b64encode(bomb).decode())
