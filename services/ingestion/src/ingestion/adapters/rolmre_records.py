"""The records of a ROLMRE file: 500 characters each, whatever ends them, in whatever code page."""

import codecs
import io
from collections.abc import Iterator
from itertools import pairwise
from typing import BinaryIO

from ingestion.domain import UnreadableDepositError

RECORD_LENGTH = 500
LONGEST_RECORD = 4 * RECORD_LENGTH
"""A line longer than this is no record with a fault, but another kind of file."""

_CHUNK_BYTES = 65_536
_END_OF_FILE = "\x1a"
"""What old programs write at the end of a text."""

_WIDTHS = (
    ("ROLMVT", 1),
    ("ROLCOL", 2),
    ("ROLNAT", 2),
    ("ROLEX", 4),
    ("ROLPER", 1),
    ("ROLDET", 13),
    ("ROLCLE1", 1),
    ("ROLNUL", 1),
    ("ROLCLE2", 1),
    ("ROLREC", 2),
    ("ROLDAT", 8),
    ("ROLROL", 2),
    ("ROLEAU", 12),
    ("ROLASS", 12),
    ("ROLTVE", 12),
    ("ROLTVA", 12),
    ("ROLTOT", 12),
    ("ROLNMAJ", 12),
    ("ROLNOM", 32),
    ("ROLCNM", 32),
    ("ROLDIS", 32),
    ("ROLADR", 32),
    ("ROLCVI", 32),
    ("ROLCP", 5),
    ("ROLLOC", 27),
    ("ROLORU", 32),
    ("ROLOVI", 32),
    ("ROLPRE", 1),
    ("ROLRET", 5),
    ("ROLRGU", 5),
    ("ROLRCO", 11),
    ("ROLRCL", 2),
    ("ROLTIT", 24),
    ("ROLCLI", 20),
    ("ROLSCH", 10),
    ("ROLART", 20),
    ("ROLMONNAIE", 1),
    ("ROLHOM", 1),
    ("ROLDEB", 2),
    ("FILLER", 30),
    ("ROLTPR", 1),
    ("ROLVER", 1),
)
"""Fields and widths, in order, as Noethys writes them (UTILS_Helios.py)."""

_ENDS = [0]
for _, _width in _WIDTHS:
    _ENDS.append(_ENDS[-1] + _width)
_PLACES = {name: slice(*place) for (name, _), place in zip(_WIDTHS, pairwise(_ENDS), strict=True)}

_WINDOWS_LETTERS = b"\xe9\xe8\xc9"
_DOS_LETTERS = b"\x82\x8a\x90"
"""é, è and É in Windows-1252 and in code page 850: the commonest letters with an accent."""


def split(record: str) -> dict[str, str]:
    """Return the fields of a record of the right length, without the spaces that fill them up."""
    return {name: record[place].strip() for name, place in _PLACES.items()}


def field_of(record: str, name: str) -> str:
    """Return a field with its spaces."""
    return record[_PLACES[name]]


def records(file: BinaryIO) -> Iterator[str]:
    """Yield the records of a file, of any length; empty lines are none.

    Records end with LF, CR LF, CR, or nothing at all, every 500 characters.

    Raises:
        UnreadableDepositError: `encoding` where a byte is no character, `record_length` where a
            line is too long to be a record.
    """
    encoding = _encoding(file)
    file.seek(0)
    has_ends = _has_ends(file.read(LONGEST_RECORD + 1))
    file.seek(0)
    pending = ""
    for text in _texts(file, encoding):
        pending += text
        if has_ends:
            *whole, pending = pending.split("\n")
        else:
            end = len(pending) - len(pending) % RECORD_LENGTH
            whole = [pending[at : at + RECORD_LENGTH] for at in range(0, end, RECORD_LENGTH)]
            pending = pending[end:]
        yield from filter(None, map(_checked, whole))
        _checked(pending)
    if last := _checked(pending):
        yield last


def _checked(record: str) -> str:
    if len(record) > LONGEST_RECORD:
        raise UnreadableDepositError(
            "record_length", "", "Le fichier n’a pas d’enregistrements de 500 caractères."
        )
    record = record.rstrip(_END_OF_FILE)
    return "" if record.isspace() else record


def _has_ends(head: bytes) -> bool:
    return b"\n" in head or b"\r" in head or len(head) <= RECORD_LENGTH


def _texts(file: BinaryIO, encoding: str) -> Iterator[str]:
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)(), translate=True)
    try:
        while chunk := file.read(_CHUNK_BYTES):
            yield decoder.decode(chunk)
        yield decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise UnreadableDepositError(
            "encoding", "", "Le fichier contient des caractères illisibles."
        ) from error


def _encoding(file: BinaryIO) -> str:
    """Return the encoding of a file, found from the bytes that are not ASCII.

    Noethys writes UTF-8, other producers Windows or, for Hélios of old, DOS. UTF-8 is never met
    by chance; of the others, the commonest letters with an accent decide.
    """
    file.seek(0)
    mark = file.read(len(codecs.BOM_UTF8))
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    is_utf8 = True
    met: set[int] = set()
    while chunk := file.read(4 * _CHUNK_BYTES):
        if chunk.isascii() and not decoder.getstate()[0]:
            continue
        met.update(chunk)
        try:
            if is_utf8:
                decoder.decode(chunk)
        except UnicodeDecodeError:
            is_utf8 = False
    if is_utf8 and not decoder.getstate()[0]:
        return "utf-8-sig" if mark == codecs.BOM_UTF8 else "utf-8"
    is_dos = not met.isdisjoint(_DOS_LETTERS) and met.isdisjoint(_WINDOWS_LETTERS)
    return "cp850" if is_dos else "cp1252"
