"""Logos that a town file brings: checked, and written anew, so that nothing unseen comes along."""

import base64
import binascii
import re
import warnings
from io import BytesIO
from typing import TypeAlias

import msgspec
from lxml import etree
from PIL import Image, UnidentifiedImageError

Element: TypeAlias = etree._Element  # noqa: SLF001 - lxml gives its element class no public name

LARGEST_BYTES = 65_536
LEAST_PIXELS, MOST_PIXELS = 32, 2048
MOST_ELEMENTS = 2000
DEEPEST = 32
SVG = "http://www.w3.org/2000/svg"
ELEMENTS = frozenset(
    {
        "svg",
        "g",
        "defs",
        "title",
        "desc",
        "path",
        "rect",
        "circle",
        "ellipse",
        "line",
        "polyline",
        "polygon",
        "linearGradient",
        "radialGradient",
        "stop",
        "clipPath",
    }
)
"""Shapes only: no script, style, text, image, use, filter, animation or foreign content."""
ATTRIBUTES = frozenset(
    {
        "id",
        "viewBox",
        "width",
        "height",
        "version",
        "preserveAspectRatio",
        "transform",
        "d",
        "x",
        "y",
        "x1",
        "y1",
        "x2",
        "y2",
        "cx",
        "cy",
        "r",
        "rx",
        "ry",
        "fx",
        "fy",
        "points",
        "fill",
        "fill-rule",
        "fill-opacity",
        "stroke",
        "stroke-width",
        "stroke-linecap",
        "stroke-linejoin",
        "stroke-miterlimit",
        "stroke-dasharray",
        "stroke-dashoffset",
        "stroke-opacity",
        "opacity",
        "offset",
        "stop-color",
        "stop-opacity",
        "gradientUnits",
        "gradientTransform",
        "spreadMethod",
        "clip-path",
        "clip-rule",
        "clipPathUnits",
        "color",
        "role",
        "aria-label",
    }
)
VALUE = re.compile(r"[A-Za-z0-9 ,.#%()+\-_\n\r\t'’À-ÿ]*")
ADDRESS = re.compile(r"url\(", re.IGNORECASE)
OWN_ADDRESS = re.compile(r"url\(#[A-Za-z][A-Za-z0-9_.-]*\)")
PNG_ERRORS = (
    UnidentifiedImageError,
    Image.DecompressionBombError,
    OSError,
    SyntaxError,
    ValueError,
    Warning,
)
"""What Pillow raises for a picture that is none, or that was made to harm."""
_PROLOG = re.compile(r"^\ufeff?\s*(<\?xml[^>]{0,200}\?>\s*)?")


class LogoError(ValueError):
    """The logo cannot be shown as it is; the text says why."""


class Logo(msgspec.Struct, frozen=True, kw_only=True):
    """A logo as it is served."""

    media_type: str
    content: bytes


def read_logo(text: str) -> Logo:
    """Return the logo of a town file: an SVG document, or a PNG in base64.

    Raises:
        LogoError: it is neither, too large, or holds what a picture of ours may not.
    """
    if "<" in text:
        return Logo(media_type="image/svg+xml", content=_svg(text))
    try:
        content = base64.b64decode(
            "".join(text.split()).removeprefix("data:image/png;base64,"), validate=True
        )
    except (ValueError, binascii.Error) as error:
        message = "is neither an SVG document nor base64"
        raise LogoError(message) from error
    return Logo(media_type="image/png", content=_png(content))


def _png(content: bytes) -> bytes:
    _check_size(len(content))
    try:
        # A warning of Pillow is about a picture that unfolds to far more than it weighs.
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Image.open(BytesIO(content), formats=["PNG"]) as picture:
                _check_sides(*picture.size)
                # Written anew: comments and whatever was hung on behind stay out.
                plain = picture.convert("RGBA")
    except LogoError:
        raise
    except PNG_ERRORS as error:
        message = "is not a PNG that can be read"
        raise LogoError(message) from error
    written = BytesIO()
    plain.save(written, "PNG", optimize=True)
    return written.getvalue()


def _svg(text: str) -> bytes:
    _check_size(len(text.encode()))
    body = _PROLOG.sub("", text, count=1)
    if "<!" in re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL):
        # A parser that resolves nothing still accepts a DOCTYPE.
        message = "holds a DOCTYPE or CDATA"
        raise LogoError(message)
    parser = etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        collect_ids=False,
    )
    try:
        root = etree.fromstring(body.encode(), parser)
    except etree.XMLSyntaxError as error:
        message = f"is not well-formed XML: {error.msg}"
        raise LogoError(message) from error
    if root.tag != f"{{{SVG}}}svg":
        message = f"does not start with <svg xmlns='{SVG}'>"
        raise LogoError(message)
    for count, element in enumerate(root.iter()):
        if count == MOST_ELEMENTS:
            message = f"has more than {MOST_ELEMENTS} elements"
            raise LogoError(message)
        _check_element(element)
    if "viewBox" not in root.attrib:
        message = "has no viewBox, without which it cannot be scaled"
        raise LogoError(message)
    etree.cleanup_namespaces(root)
    return etree.tostring(root, encoding="utf-8")


def _check_element(element: Element) -> None:
    # The stubs promise a string; of instructions and entities it is a function.
    tag: object = element.tag
    if not isinstance(tag, str):
        message = "holds a processing instruction or an entity"
        raise LogoError(message)
    name = etree.QName(element)
    if name.namespace != SVG or name.localname not in ELEMENTS:
        message = f"holds <{name.localname}>, which a logo may not"
        raise LogoError(message)
    if sum(1 for _ in element.iterancestors()) > DEEPEST:
        message = f"nests more than {DEEPEST} elements"
        raise LogoError(message)
    for key, value in element.attrib.items():
        _check_attribute(name.localname, str(key), str(value))


def _check_attribute(element: str, name: str, value: str) -> None:
    if name not in ATTRIBUTES:
        shown = etree.QName(name).localname
        message = f"holds the attribute {shown} on <{element}>, which a logo may not"
        raise LogoError(message)
    is_plain = VALUE.fullmatch(value) is not None
    if not is_plain or len(ADDRESS.findall(value)) != len(OWN_ADDRESS.findall(value)):
        message = f"holds a value of {name} on <{element}> that a logo may not"
        raise LogoError(message)


def _check_sides(width: int, height: int) -> None:
    if not all(LEAST_PIXELS <= side <= MOST_PIXELS for side in (width, height)):
        message = (
            f"is {width} by {height} pixels; each side may have {LEAST_PIXELS} to {MOST_PIXELS}"
        )
        raise LogoError(message)


def _check_size(count: int) -> None:
    if count > LARGEST_BYTES:
        message = f"has {count} bytes; at most {LARGEST_BYTES} are shown"
        raise LogoError(message)
