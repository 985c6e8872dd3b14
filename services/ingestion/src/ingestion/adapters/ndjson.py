"""Reads a deposit of one JSON invoice a line, as a stream (RFC 8259; newline-delimited JSON)."""

import codecs
from collections.abc import Iterator
from typing import BinaryIO

from ingestion.adapters.json_deposit import read_invoice, without_lone_surrogates
from ingestion.domain import InvoiceDraft, Rejection, UnreadableDepositError
from ingestion.ports import Entry, ReadingContext

LINE_BYTES = 1_048_576
"""Longest line: an invoice of 500 lines with long labels takes a fifth of it."""
MAXIMUM_LINES = 2_000_000


def read_file(file: BinaryIO, _context: ReadingContext) -> Iterator[Entry]:
    """Yield one entry for each line that is not blank; its place is `/lines/N`, from 1.

    A line too long, not UTF-8 or not an invoice costs itself and no other.

    Raises:
        UnreadableDepositError: `too_many_invoices`.
    """
    number = 0
    while line := file.readline(LINE_BYTES + 1):
        number += 1
        if number > MAXIMUM_LINES:
            raise UnreadableDepositError(
                "too_many_invoices", "", "Un dépôt compte deux millions de lignes au plus."
            )
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        place = f"/lines/{number}"
        if len(line) > LINE_BYTES:
            _skip_line(file, line)
            yield Entry(place=place, found=_refuse("line_too_long", "Cette ligne dépasse 1 Mio."))
        elif not line.isspace():
            yield Entry(place=place, found=_read(line))


def _read(line: bytes) -> InvoiceDraft | Rejection:
    try:
        line.decode()
    except UnicodeDecodeError:
        return _refuse("not_utf8", "Cette ligne n’est pas en UTF-8.")
    return read_invoice(without_lone_surrogates(line), "")


def _skip_line(file: BinaryIO, part: bytes) -> None:
    while part and not part.endswith(b"\n"):
        part = file.readline(LINE_BYTES)


def _refuse(code: str, message: str) -> Rejection:
    return Rejection(code=code, pointer="", message=message)
