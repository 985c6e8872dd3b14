"""Opens a foreign PDF and refuses what could harm whoever reads it, or us."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO

import msgspec
import pikepdf

from publication.adapters.errors import UnsafePdfError
from publication.adapters.jobs import Limits

FLATE_LIMIT_BYTES = 64 * 1024 * 1024
STREAM_FILTERS = 3
OBJECTS = 200_000
ALLOWED_ATTACHMENTS = frozenset({"factur-x.xml", "zugferd-invoice.xml", "xrechnung.xml"})
"""Names of the invoice XML in Factur-X 1.0, ZUGFeRD 2.0 and XRechnung, in lower case."""

# In the normal form that qpdf writes, a name is never escaped: a match is exact.
_SUSPECT = re.compile(
    rb"/(?:JS|JavaScript|AA|OpenAction|Launch|SubmitForm|ImportData|GoToR|GoToE|XFA|RichMedia\w*"
    rb"|3D|Movie|Sound|Rendition|Screen|EF|URI)\b"
)
_ACTIONS = frozenset(
    {
        "/JavaScript",
        "/Launch",
        "/SubmitForm",
        "/ImportData",
        "/GoToR",
        "/GoToE",
        "/Movie",
        "/Sound",
        "/Rendition",
        "/RichMediaExecute",
        "/GoTo3DView",
    }
)
_ANNOTATIONS = frozenset({"/RichMedia", "/3D", "/Movie", "/Sound", "/Screen"})
_KEYS = frozenset({"/JS", "/AA", "/XFA", "/JavaScript", "/RichMediaContent", "/RichMediaSettings"})
_UNSAFE_SCHEMES = ("javascript:", "vbscript:", "file:", "data:")

_DEFECTS = (
    pikepdf.PdfError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RuntimeError,
    RecursionError,
)
"""What pikepdf raises when an object of a damaged file is not of the kind it should be."""


class CheckedPdf(msgspec.Struct, frozen=True, kw_only=True):
    """What the check learned; `layout` is the same for pages made by one template."""

    pages: int
    is_signed: bool
    layout: str


def check(pdf: bytes, limits: Limits) -> CheckedPdf:
    """Return what is in a PDF that is safe to publish.

    Raises:
        UnsafePdfError: it is not a PDF, encrypted, damaged, too large, active, or a bomb.
    """
    # Readers accept rubbish before the header, and so hide HTML in it.
    if not pdf.startswith(b"%PDF-"):
        raise UnsafePdfError("not_a_pdf")
    if len(pdf) > limits.maximum_bytes:
        raise UnsafePdfError("too_large", f"{len(pdf)} bytes")
    with opened(pdf) as document:
        pages = len(document.pages)
        if pages == 0:
            raise UnsafePdfError("no_page")
        if pages > limits.maximum_pages:
            raise UnsafePdfError("too_many_pages", f"{pages} pages")
        _refuse_active(document)
        for page in document.pages:
            _read_contents(page)
        return CheckedPdf(pages=pages, is_signed=_is_signed(document), layout=_layout(document))


@contextmanager
def opened(pdf: bytes) -> Iterator[pikepdf.Pdf]:
    """Open a PDF within limits; what goes wrong inside the block is the file's fault.

    A limit of qpdf leaves no more than a warning and a cut stream, so warnings are read as well:
    a file that needed any repair beyond a moved cross-reference table is refused.

    Raises:
        UnsafePdfError: encrypted, damaged or over a limit.
    """
    _set_limits()
    before = pikepdf.settings.qpdf_limit_errors()
    warnings: list[str] = []
    try:
        with pikepdf.open(BytesIO(pdf), suppress_warnings=True) as document:
            # A file with an owner password only opens without any.
            if document.is_encrypted:
                raise UnsafePdfError("encrypted")
            yield document
            warnings = [str(warning) for warning in document.get_warnings()]
    except pikepdf.PasswordError as error:
        raise UnsafePdfError("encrypted") from error
    except _DEFECTS as error:
        if "no pages found" in str(error):
            raise UnsafePdfError("no_page") from error
        if "limit" in str(error) or pikepdf.settings.qpdf_limit_errors() != before:
            raise UnsafePdfError("resource_limit", str(error)[:200]) from error
        raise UnsafePdfError("damaged", str(error)[:200]) from error
    except MemoryError as error:
        raise UnsafePdfError("resource_limit") from error
    if pikepdf.settings.qpdf_limit_errors() != before or any("limit" in text for text in warnings):
        raise UnsafePdfError("resource_limit", "; ".join(warnings)[:200])
    serious = [text for text in warnings if not _is_harmless(text)]
    if serious:
        raise UnsafePdfError("damaged", "; ".join(serious)[:200])


def _is_harmless(warning: str) -> bool:
    # A file whose table of contents moved is whole once qpdf found its objects again.
    return any(
        text in warning
        for text in ("xref not found", "can't find startxref", "reconstruct", "startxref")
    )


@cache
def _set_limits() -> None:
    """Set qpdf's limits, which are of the whole process; `cache` makes it happen once."""
    pikepdf.settings.set_qpdf_limits(
        flate_max_memory=FLATE_LIMIT_BYTES,
        run_length_max_memory=FLATE_LIMIT_BYTES,
        png_max_memory=FLATE_LIMIT_BYTES,
        tiff_max_memory=FLATE_LIMIT_BYTES,
        max_stream_filters=STREAM_FILTERS,
        doc_max_warnings=100,
    )


def _refuse_active(document: pikepdf.Pdf) -> None:
    if len(document.objects) > OBJECTS:
        raise UnsafePdfError("resource_limit", f"{len(document.objects)} objects")
    for entry in document.objects:
        shown = (
            entry.stream_dict.unparse()
            if isinstance(entry, pikepdf.Stream)
            else entry.unparse(resolved=True)
        )
        # Matching the text of an object is a hundred times cheaper than walking it in Python.
        if _SUSPECT.search(shown):
            _refuse_in(entry, depth=0)


def _refuse_in(entry: pikepdf.Object, *, depth: int) -> None:
    """Refuse active content in an object and what it holds directly; the rest is met elsewhere."""
    if depth > 100:
        raise UnsafePdfError("resource_limit", "nested too deeply")
    if isinstance(entry, pikepdf.Array):
        for child in entry:
            if not _is_elsewhere(child):
                _refuse_in(child, depth=depth + 1)
    elif isinstance(entry, (pikepdf.Dictionary, pikepdf.Stream)):
        if "/EF" in entry:
            _refuse_attachment(entry)
        for key, value in entry.items():
            _refuse_pair(str(key), value)
            if not _is_elsewhere(value):
                _refuse_in(value, depth=depth + 1)


def _is_elsewhere(value: object) -> bool:
    return isinstance(value, pikepdf.Object) and bool(value.is_indirect)


def _refuse_pair(key: str, value: object) -> None:
    if key in _KEYS:
        raise UnsafePdfError("active_content", key)
    if key == "/S" and isinstance(value, pikepdf.Name) and str(value) in _ACTIONS:
        raise UnsafePdfError("active_content", str(value))
    if key == "/Subtype" and isinstance(value, pikepdf.Name) and str(value) in _ANNOTATIONS:
        raise UnsafePdfError("active_content", str(value))
    if key == "/URI" and isinstance(value, pikepdf.String):
        address = "".join(str(value).split()).lower()
        if address.startswith(_UNSAFE_SCHEMES):
            raise UnsafePdfError("active_content", "address of a program")


def _refuse_attachment(specification: pikepdf.Object) -> None:
    """Refuse an embedded file unless its name and content are those of an invoice's XML."""
    name = str(specification.get("/UF", specification.get("/F", "")))
    if name.rpartition("/")[2].lower() not in ALLOWED_ATTACHMENTS:
        raise UnsafePdfError("embedded_file", name[:100])
    for stream in specification.EF.values():
        content = stream.read_bytes() if isinstance(stream, pikepdf.Stream) else b""
        if not content.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
            raise UnsafePdfError("embedded_file", "not XML")


def _read_contents(page: pikepdf.Page) -> None:
    """Unfold what is drawn, so that a bomb is met here and not in the reader."""
    contents = page.obj.get("/Contents")
    streams = contents if isinstance(contents, pikepdf.Array) else [contents]
    for stream in streams:
        if isinstance(stream, pikepdf.Stream):
            stream.read_bytes()


def _is_signed(document: pikepdf.Pdf) -> bool:
    form = document.Root.get("/AcroForm")
    if form is None:
        return False
    if int(form.get("/SigFlags", 0)) & 1:
        return True
    return any(
        field.get("/FT") == pikepdf.Name.Sig and "/V" in field for field in form.get("/Fields", [])
    )


def _layout(document: pikepdf.Pdf) -> str:
    first = document.pages[0]
    fonts = first.resources.get("/Font") if first.resources else None
    names = sorted(
        # A subset's name starts with six letters of chance.
        re.sub(r"^/[A-Z]{6}\+", "/", str(font.get("/BaseFont", "")))
        for font in (fonts.values() if isinstance(fonts, pikepdf.Dictionary) else ())
    )
    information = document.trailer.get("/Info", pikepdf.Dictionary())
    producer = str(information.get("/Producer", ""))
    box = [round(float(edge)) for edge in first.mediabox]
    text = repr((box, int(first.obj.get("/Rotate", 0)), names, producer, len(document.pages) > 1))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
