"""Reads invoices from a CSV file (RFC 4180), as spreadsheets and billing applications write it."""

import csv
import io
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO

from ingestion.adapters.csv_dialect import (
    SAMPLE_BYTES,
    encoding_error,
    find_dialect,
    looks_like_csv,
)
from ingestion.adapters.table import Row, entries
from ingestion.adapters.table_headings import HEADING_ROWS
from ingestion.domain import Rejection, UnreadableDepositError
from ingestion.ports import Entry, ReadingContext

MAXIMUM_ROW_CHARACTERS = 128 * 1024
"""Longest row; no field is longer than Python's `csv` allows by default, 131 072 characters."""
MAXIMUM_ROW_LINES = 100
"""Most lines of text in one row; beyond it a quote was opened and never closed."""

_MALFORMED = Rejection(
    code="malformed_row",
    pointer="",
    message='Les guillemets de cette ligne sont mal placés : doublez ceux du texte ("").',
)


def recognises(head: bytes) -> bool:
    """Say whether the first 64 KiB of a file may be CSV: ask for every other format before."""
    return looks_like_csv(head[:SAMPLE_BYTES])


def read_file(file: BinaryIO, context: ReadingContext) -> Iterator[Entry]:
    """Yield one entry for each invoice of a CSV file, in memory that its length does not change.

    A row with a fault is refused alone. The file is refused as a whole where rows may have been
    lost or misread: a byte that is not of its encoding, for then it was put together from several
    or damaged, and names that decode may be wrong as well; NUL; an open quote; a cut last row.

    Raises:
        UnreadableDepositError: `encoding`, `nul_character`, `row_too_long`, `unclosed_quote`,
            `truncated`, and what `table.entries` refuses.
    """
    dialect = find_dialect(file, context.mapping)
    file.seek(dialect.start_bytes)
    text = io.TextIOWrapper(file, encoding=dialect.encoding, newline="")
    try:
        yield from entries(_rows(_Lines(text), dialect.delimiter), context)
    except UnicodeDecodeError as error:
        raise encoding_error() from error
    finally:
        # The file belongs to the caller, and the wrapper would close it.
        text.detach()


class _Lines:
    """The lines of a text, none of which is taken into memory when it is too long."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._lines = iter(partial(text.readline, MAXIMUM_ROW_CHARACTERS + 1), "")
        self.characters = 0
        self.count = 0
        self.is_ended = True
        """Whether the last line had an end."""

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.characters += len(line)
            self.count += 1
            if self.characters > MAXIMUM_ROW_CHARACTERS:
                raise _refuse("row_too_long", "Une ligne du fichier est démesurément longue.")
            if self.count > MAXIMUM_ROW_LINES:
                raise _unclosed_error()
            if "\0" in line:
                message = "Le fichier contient des octets nuls : enregistrez-le en « CSV UTF-8 »."
                raise _refuse("nul_character", message)
            self.is_ended = line[-1] in "\r\n"
            yield line


def _rows(lines: _Lines, delimiter: str) -> Iterator[Row]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    number = 0
    width = 0
    while True:
        lines.characters = lines.count = 0
        number += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # Over several lines of text it took the beginning of other rows for its own.
            if lines.count > 1 or not lines.is_ended:
                raise _unclosed_error() from error
            yield number, _MALFORMED
            continue
        if number <= HEADING_ROWS:
            width = max(width, len(cells))
        if not lines.is_ended and len(cells) < width:
            raise _refuse("truncated", "La dernière ligne est incomplète : le fichier est coupé.")
        yield number, cells


def _unclosed_error() -> UnreadableDepositError:
    return _refuse(
        "unclosed_quote", "Un guillemet est ouvert et jamais fermé : le fichier est coupé ou abîmé."
    )


def _refuse(code: str, detail: str) -> UnreadableDepositError:
    return UnreadableDepositError(code=code, pointer="", detail=detail)
