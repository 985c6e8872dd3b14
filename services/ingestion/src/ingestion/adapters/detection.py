"""Which format a deposit is in, from its content alone: names and media types are often wrong."""

import codecs
import re
import zipfile
from typing import BinaryIO

from ingestion.adapters import rolmre
from ingestion.adapters.archive import BROKEN_ZIP
from ingestion.domain import UnreadableDepositError

HEAD_BYTES = 65_536
"""What is looked at; a format must show itself within it."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_ROOT = re.compile(
    r"(?:\s|<!--.*?-->|<\?.*?\?>|<!DOCTYPE[^>\[]*(?:\[.*?\])?[^>]*>)*<(?:[\w.-]+:)?([\w.-]+)",
    re.DOTALL,
)
_INVOICES_KEY = re.compile(r'"invoices"\s*:')
_XML_ROOTS = {
    "PES_Aller": "pes",
    "Invoice": "ubl",
    "CreditNote": "ubl",
    "CrossIndustryInvoice": "cii",
    "CrossIndustryDocument": "cii",
}


def detect(file: BinaryIO, declared: str = "") -> str:
    """Return the name of a file's format, and leave it at its beginning.

    `declared` is the media type that came with it: it only decides in whose words a text is refused
    that is nothing at all.

    Raises:
        UnreadableDepositError: `no_invoices` for an empty file, `unsupported_format` for one that
            is none of the known ones.
    """
    file.seek(0)
    head = file.read(HEAD_BYTES)
    file.seek(0)
    if not head.strip():
        raise UnreadableDepositError("no_invoices", "", "Le dépôt est vide.")
    if head.startswith(b"%PDF-"):
        return "facturx"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_kind(file)
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        # The container of Excel 97: its reader tells what is in it.
        return "xlsx"
    text = _text(head)
    start = text.lstrip()[:1]
    if start == "<":
        return _xml_kind(text)
    if start == "{":
        return "ndjson" if _is_ndjson(text) else "json"
    if start == "[" or declared == "application/json":
        return "json"
    if "\x00" in text:
        raise _unsupported()
    if rolmre.recognises(head):
        return "rolmre"
    return "csv"


def _text(head: bytes) -> str:
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return head.removeprefix(mark).decode(encoding, errors="replace")
    # Latin-1 reads any byte, and what is looked for here is ASCII.
    return head.decode("latin-1")


def _is_ndjson(text: str) -> bool:
    """Say whether an object stands on the first line alone and is not a whole deposit."""
    first, newline, _ = text.lstrip().partition("\n")
    if _INVOICES_KEY.search(first):
        return False
    # A line longer than what is looked at does not show its end.
    return first.rstrip().endswith("}") or (not newline and len(text) >= HEAD_BYTES)


def _xml_kind(text: str) -> str:
    found = _ROOT.match(text)
    kind = _XML_ROOTS.get(found.group(1)) if found else None
    if kind is None:
        raise _unsupported()
    return kind


def _zip_kind(file: BinaryIO) -> str:
    try:
        with zipfile.ZipFile(file) as archive:
            names = set(archive.namelist())
    except BROKEN_ZIP as error:
        raise UnreadableDepositError(
            "unreadable_zip", "", "L’archive ZIP est abîmée ou incomplète."
        ) from error
    finally:
        file.seek(0)
    is_spreadsheet = "xl/workbook.xml" in names or "xl/workbook.bin" in names
    is_spreadsheet |= "content.xml" in names and "mimetype" in names
    return "xlsx" if is_spreadsheet else "zip"


def _unsupported() -> UnreadableDepositError:
    return UnreadableDepositError(
        "unsupported_format",
        "",
        "Ce format n’est pas reconnu : JSON, NDJSON, CSV, XLSX, ZIP, PES, ROLMRE, UBL, CII ou PDF"
        " Factur-X.",
    )
