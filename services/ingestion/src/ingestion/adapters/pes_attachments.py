"""Takes the PDFs out of the PES_PJ part of a PES file: base64 of gzip of the document."""

import base64
import binascii
import zlib
from typing import BinaryIO

from ingestion.adapters.pes_stream import (
    ATTACHMENTS,
    REFERENCE,
    Source,
    elements,
    local_name,
    values,
)
from ingestion.adapters.xml_reader import Element
from ingestion.domain import Rejection, UnreadableDepositError
from ingestion.ports import ReadingContext

MAXIMUM_DOCUMENT_BYTES = 20 * 1024 * 1024
"""Most that an attachment may unfold to; the limit of documents themselves may be lower."""
MAXIMUM_ATTACHMENTS = 100_000

INVOICE_TYPES = ("007", "010", "006")
"""TypePJ of what is the invoice, the best first: ORMC invoice, PDF invoice beside an ORMC,
PESFacture. The others (002, 008, 011…) justify or complete it and are not shown."""

POINTER = "/BlocPiece/PJRef"
"""Where a piece names its attachments, from the piece."""

_IN_THIS_FILE = "01"
_GZIP_WINDOW = 31
_GZIP_MARK = b"\x1f\x8b"


class Attachments:
    """The attachments of a file by IdUnique: what was kept of each, or why nothing could be."""

    def __init__(self, *, are_named: bool) -> None:
        """Begin without any; `are_named` is False when no piece of the file names one."""
        self._are_named = are_named
        self._found: dict[str, tuple[str, str | Rejection | None]] = {}

    def add(self, identifier: str, kind: str, kept: str | Rejection | None) -> None:
        """Note what became of an attachment; None when it is no document to show.

        Raises:
            UnreadableDepositError: `too_many_attachments`.
        """
        if len(self._found) >= MAXIMUM_ATTACHMENTS:
            raise UnreadableDepositError(
                "too_many_attachments",
                f"/{ATTACHMENTS}",
                "Le fichier compte trop de pièces jointes.",
            )
        earlier = self._found.get(identifier)
        if earlier is not None and earlier != (kind, kept):
            # Nobody can say which of them a piece means, so it gets neither.
            kind, kept = (
                INVOICE_TYPES[0],
                _refuse(
                    "duplicate_document", "Deux pièces jointes différentes ont le même identifiant."
                ),
            )
        self._found[identifier] = (kind, kept)

    def document_of(self, piece: Element) -> str | Rejection | None:
        """Return the SHA-256 of the invoice among the attachments of a piece, None without one."""
        if not self._are_named:
            return None
        found: list[tuple[int, str | Rejection]] = []
        for reference in map(values, piece.iter(f"{{*}}{REFERENCE}")):
            identifier = reference.get("IdUnique")
            # Other supports say that it was sent by another way.
            if identifier is None or reference.get("Support", _IN_THIS_FILE) != _IN_THIS_FILE:
                continue
            if identifier not in self._found:
                return _refuse(
                    "missing_document", "La pièce jointe annoncée n’est pas dans le fichier."
                )
            kind, kept = self._found[identifier]
            if kept is not None:
                found.append((INVOICE_TYPES.index(kind), kept))
        return min(found, key=lambda pair: pair[0])[1] if found else None


def read_attachments(file: BinaryIO, source: Source, context: ReadingContext) -> Attachments:
    """Read the file once for its attachments, and keep those that are invoices.

    Raises:
        UnreadableDepositError: what `pes_stream.elements` refuses; `too_many_attachments`.
    """
    attachments = Attachments(are_named=source.has_references)
    if source.has_attachments:
        for element in elements(file, source, frozenset({"PJ"})):
            description = values(element)
            identifier = description.get("IdUnique")
            if identifier is not None:
                kind = description.get("TypePJ", "")
                attachments.add(identifier, kind, _keep(element, kind, context))
    return attachments


def _keep(element: Element, kind: str, context: ReadingContext) -> str | Rejection | None:
    if kind not in INVOICE_TYPES:
        return None
    content = _unpack(_text(element))
    if isinstance(content, Rejection):
        return content
    # Type 006 is also that of the avis des sommes à payer as XML: nothing to show.
    if content.lstrip()[:1] == b"<":
        return None
    kept = context.keep_document(content)
    if isinstance(kept, Rejection):
        return Rejection(code=kept.code, pointer=POINTER, message=kept.message)
    return kept


def _text(element: Element) -> str:
    for content in element:
        if local_name(content) == "Contenu":
            return "".join(map(str, content.itertext()))
    return ""


def _unpack(text: str) -> bytes | Rejection:
    try:
        packed = base64.b64decode("".join(text.split()), validate=True)
    # ValueError: what is not ASCII.
    except (binascii.Error, ValueError):
        return _broken()
    if not packed.startswith(_GZIP_MARK):
        # Not compressed, against the rule, is harmless; nothing at all is not.
        return packed or _broken()
    unzip = zlib.decompressobj(_GZIP_WINDOW)
    try:
        content = unzip.decompress(packed, MAXIMUM_DOCUMENT_BYTES + 1)
    except zlib.error:
        return _broken()
    if len(content) > MAXIMUM_DOCUMENT_BYTES:
        return _refuse("document_too_large", "La pièce jointe dépasse la taille permise.")
    return content if unzip.eof and content else _broken()


def _broken() -> Rejection:
    return _refuse("broken_document", "La pièce jointe est abîmée : elle ne se décompresse pas.")


def _refuse(code: str, message: str) -> Rejection:
    return Rejection(code=code, pointer=POINTER, message=message)
