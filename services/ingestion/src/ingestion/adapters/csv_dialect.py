"""Finds how a CSV file is written: its encoding and its delimiter."""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import BinaryIO

import msgspec

from ingestion.adapters.table_headings import HEADING_ROWS, recognised
from ingestion.domain import UnreadableDepositError

SAMPLE_BYTES = 64 * 1024
"""What is looked at to find out; beyond plain ASCII, as much again from the first accent on."""
SAMPLE_ROWS = 40
DELIMITERS = ";,\t|"
"""The most likely first: it wins when nothing tells them apart."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARATION = re.compile(r"""\ufeff?"?sep=(?P<delimiter>[;,\t|])"?[ ]*(?:\r\n|\n|\r|\Z)""")
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
_OTHER_FORMATS = (b"PK\x03\x04", b"%PDF-", b"<", b"{", b"[")


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """How to read a file: from `start_bytes` on, in this encoding, with this delimiter."""

    encoding: str
    start_bytes: int
    delimiter: str


def find_dialect(file: BinaryIO, mapping: Mapping[str, str]) -> Dialect:
    """Return the dialect of a file, wherever it stands; it is left anywhere.

    One encoding holds for the whole file: a byte order mark says which, else UTF-8 if the first
    accents are, else Windows-1252. Guessing again for each line would read half a name in one and
    half in the other. The delimiter is the one under which the most headings are known.

    Raises:
        UnreadableDepositError: `encoding` when the sample is in none of them.
    """
    file.seek(0)
    head = file.read(SAMPLE_BYTES)
    start, encoding = _marked(head) or (0, _unmarked(file, head))
    sample = _decoded(head[start:], encoding)
    if sample is None:
        raise encoding_error()
    declaration = _DECLARATION.match(sample)
    if declaration:
        # Excel hides this line, which is not a row of the table.
        start += len(declaration.group().encode(encoding))
        return Dialect(encoding=encoding, start_bytes=start, delimiter=declaration["delimiter"])
    return Dialect(encoding=encoding, start_bytes=start, delimiter=_delimiter(sample, mapping))


def looks_like_csv(head: bytes) -> bool:
    """Say whether the beginning of a file may be that of a table in text.

    This is weak: nearly any text with a semicolon is one. Ask for every other format before.
    """
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(_OTHER_FORMATS):
        return False
    start, encoding = _marked(head) or (0, "utf-8")
    sample = _decoded(head[start:], encoding)
    if sample is None:
        sample = _decoded(head, "cp1252")
    if sample is None or "\0" in sample:
        return False
    lines = islice(io.StringIO(sample, newline=None), HEADING_ROWS)
    return any(delimiter in line for line in lines for delimiter in DELIMITERS)


def encoding_error() -> UnreadableDepositError:
    """Return the refusal of a file that is not in one encoding from end to end."""
    return UnreadableDepositError(
        code="encoding",
        pointer="",
        detail="Le fichier mêle plusieurs encodages : enregistrez-le en « CSV UTF-8 ».",
    )


def _marked(head: bytes) -> tuple[int, str] | None:
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return len(mark), encoding
    return None


def _unmarked(file: BinaryIO, head: bytes) -> str:
    """Return the encoding of a file that says nothing, from its first bytes beyond ASCII."""
    sample = head
    accent = _NOT_ASCII.search(sample)
    while sample and accent is None:
        sample = file.read(SAMPLE_BYTES)
        accent = _NOT_ASCII.search(sample)
    if accent is None:
        return "utf-8"
    sample = sample[accent.start() :] + file.read(SAMPLE_BYTES)
    return "cp1252" if _decoded(sample, "utf-8") is None else "utf-8"


def _decoded(sample: bytes, encoding: str) -> str | None:
    """Return the text of a sample, which may end within a character, or None."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(sample)
    except UnicodeDecodeError:
        return None


def _delimiter(sample: str, mapping: Mapping[str, str]) -> str:
    return max(DELIMITERS, key=lambda delimiter: _likelihood(sample, delimiter, mapping))


def _likelihood(sample: str, delimiter: str, mapping: Mapping[str, str]) -> tuple[int, int, int]:
    """Return headings known, rows as wide as most, and how wide, under a delimiter."""
    rows = list(_rows(sample, delimiter))
    known = max((recognised(row, mapping) for row in rows[:HEADING_ROWS]), default=0)
    widths = Counter(len(row) for row in rows if len(row) > 1)
    width, count = max(widths.items(), key=lambda item: (item[1], item[0]), default=(0, 0))
    return known, count, width


def _rows(sample: str, delimiter: str) -> Iterator[list[str]]:
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter)
    try:
        yield from islice(reader, SAMPLE_ROWS)
    # The sample is cut anywhere: what was read before still tells.
    except csv.Error:
        return
