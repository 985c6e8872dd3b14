"""Reads the invoice XML that a Factur-X (or ZUGFeRD 2, XRechnung) PDF carries inside."""

from collections.abc import Iterator
from functools import cache
from io import BytesIO
from itertools import islice
from threading import Lock
from typing import BinaryIO

import pikepdf

from ingestion.adapters import en16931
from ingestion.adapters.cii import read_entry
from ingestion.adapters.xml_reader import MAXIMUM_XML_BYTES
from ingestion.domain import UnreadableDepositError
from ingestion.ports import Entry, ReadingContext

MAXIMUM_PDF_BYTES = 20 * 1024 * 1024
MAXIMUM_ATTACHMENTS = 100
FLATE_LIMIT_BYTES = 64 * 1024 * 1024
"""Most memory one compressed stream may unfold to."""
STREAM_FILTERS = 3
EMBEDDED_NAMES = frozenset({"factur-x.xml", "zugferd-invoice.xml", "xrechnung.xml"})
"""In lower case; older producers write `ZUGFeRD-invoice.xml`."""

_PDF_DEFECTS = (
    pikepdf.PdfError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RuntimeError,
)
"""What pikepdf raises when objects of a damaged file are not of the kind they should be."""
_limit_lock = Lock()


def read_file(file: BinaryIO, context: ReadingContext) -> Iterator[Entry]:
    """Yield the one invoice in a PDF's embedded XML; see `ports.FormatReader`.

    The PDF is its document. How the XML is understood: `cii.read_file`. Blocks for some
    milliseconds; its errors can be pickled.

    Raises:
        UnreadableDepositError: `missing_regie`, and what `extract` or `cii.read_entry` refuses.
    """
    en16931.require_regie(context.regie)
    pdf = file.read(MAXIMUM_PDF_BYTES + 1)
    yield read_entry(extract(pdf), context, pdf)


def extract(pdf: bytes) -> bytes:
    """Return the bytes of the one invoice XML embedded in a PDF, read but not trusted.

    Raises:
        UnreadableDepositError: `not_a_pdf`, `pdf_too_large`, `encrypted` (also with an empty
            password), `unreadable_pdf`, `pdf_limit`, `no_embedded_invoice`,
            `several_embedded_invoices`.
    """
    if not pdf.startswith(b"%PDF-"):
        raise _refuse(code="not_a_pdf", detail="Le fichier n’est pas un PDF.")
    if len(pdf) > MAXIMUM_PDF_BYTES:
        raise _refuse(code="pdf_too_large", detail="Le PDF dépasse 20 Mio.")
    _set_limits()
    # The count of limits met is one for the whole process, so two files must not be read at once.
    with _limit_lock:
        limits_met = pikepdf.settings.qpdf_limit_errors()
        try:
            found, warnings = _embedded_invoices(pdf)
        except pikepdf.PasswordError as error:
            raise _encrypted_error() from error
        except _PDF_DEFECTS as error:
            _refuse_limit(limits_met, [str(error)])
            raise _refuse(code="unreadable_pdf", detail="Le PDF est abîmé et illisible.") from error
        _refuse_limit(limits_met, warnings)
    if not found:
        raise _refuse(
            code="no_embedded_invoice",
            detail="Le PDF ne contient pas de facture Factur-X (factur-x.xml).",
        )
    if len(found) > 1:
        raise _refuse(
            code="several_embedded_invoices",
            detail="Le PDF contient plusieurs factures XML différentes.",
        )
    return found.pop()


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


def _refuse_limit(limits_met: int, messages: list[str]) -> None:
    """Refuse a file that met a limit, which may leave no more than a warning and a cut stream."""
    # Not all of qpdf's limits are counted: that of Flate only shows in the message.
    is_cut = any("limit exceeded" in message for message in messages)
    if is_cut or pikepdf.settings.qpdf_limit_errors() != limits_met:
        raise _refuse(code="pdf_limit", detail="Le PDF demande trop de mémoire pour être lu.")


def _embedded_invoices(pdf: bytes) -> tuple[set[bytes], list[str]]:
    """Return the different invoices found, and what qpdf warned of on the way."""
    with pikepdf.open(BytesIO(pdf)) as document:
        # A file with an owner password only opens without any, and is refused all the same.
        if document.is_encrypted:
            raise _encrypted_error()
        found = {
            _content(stream)
            for name, stream in _embedded_files(document)
            if name.rpartition("/")[2].lower() in EMBEDDED_NAMES
        }
        return found, [str(warning) for warning in document.get_warnings()]


def _embedded_files(document: pikepdf.Pdf) -> Iterator[tuple[str, pikepdf.Stream]]:
    """Yield name and content of the files in the name tree and of those associated (`/AF`)."""
    specifications: list[tuple[str, pikepdf.Object]] = []
    names = document.Root.get("/Names", pikepdf.Dictionary())
    if "/EmbeddedFiles" in names:
        tree = pikepdf.NameTree(names.EmbeddedFiles)
        specifications += islice(tree.items(), MAXIMUM_ATTACHMENTS + 1)
    associated = document.Root.get("/AF", pikepdf.Array())
    specifications += [("", entry) for entry in islice(associated, MAXIMUM_ATTACHMENTS + 1)]
    if len(specifications) > 2 * MAXIMUM_ATTACHMENTS:
        raise _refuse(code="pdf_limit", detail="Le PDF contient trop de fichiers joints.")
    for key, entry in specifications:
        files = entry.get("/EF", pikepdf.Dictionary())
        stream = files.get("/UF", files.get("/F"))
        if isinstance(stream, pikepdf.Stream):
            yield str(entry.get("/UF", entry.get("/F", key))), stream


def _content(stream: pikepdf.Stream) -> bytes:
    content = stream.read_bytes()
    if len(content) > MAXIMUM_XML_BYTES:
        raise _refuse(code="xml_too_large", detail="Le fichier XML joint est trop volumineux.")
    return content


def _encrypted_error() -> UnreadableDepositError:
    return _refuse(code="encrypted", detail="Le PDF est protégé par un mot de passe.")


def _refuse(*, code: str, detail: str) -> UnreadableDepositError:
    return UnreadableDepositError(code=code, pointer="", detail=detail)
