"""Looks at a workbook before a library loads it: what it would unfold to, and cells without value.

The library takes a whole sheet into memory, as a rectangle as large as its outermost cells, and
gives nothing for a cell that has no value. Both are seen here, in the bytes, in little memory.
"""

import copy
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import BinaryIO

import msgspec

from ingestion.adapters.xml_reader import MAXIMUM_XML_BYTES, Element, parse
from ingestion.domain import UnreadableDepositError

MAXIMUM_FILE_BYTES = 64 * 1024 * 1024
MAXIMUM_UNPACKED_BYTES = 512 * 1024 * 1024
"""Most that all parts of a workbook unfold to: 100 000 invoices take 75 MB."""
MAXIMUM_RATIO = 200
RATIO_FLOOR_BYTES = 10 * 1024 * 1024
"""A part that unfolds to less may be as repetitive as it likes."""
MAXIMUM_PARTS = 2_000
MAXIMUM_CELLS = 3_000_000
"""Largest rectangle of cells in one sheet: about 85 bytes each while it is read."""
CHUNK_BYTES = 1024 * 1024
MAXIMUM_ROW_BYTES = 8 * 1024 * 1024

_ENCRYPTED = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""A compound file: an old `.xls`, or a workbook with a password (MS-OFFCRYPTO)."""
_WORKBOOK = "xl/workbook.xml"
_RELATIONSHIPS = "xl/_rels/workbook.xml.rels"
_SHEETS = "/worksheets/"
# Names may have a prefix: `<x:row`. What is found too much only makes a bound a little lower.
_USUAL_CELL = re.compile(rb'<c r="([A-Z]+)([0-9]+)"')
_ROW = re.compile(rb"[<:]row\b")
_CELL = re.compile(rb"[<:]c[\s>/]")
_REFERENCE = re.compile(rb"r\s*=")
# The library takes small letters for columns as well.
_COLUMN = re.compile(rb"""\br\s*=\s*["']([A-Za-z]+)""")
_NUMBER = re.compile(rb"""\br\s*=\s*["'][A-Za-z]*([0-9]+)""")
_FORMULA_WITHOUT_VALUE = re.compile(
    rb"[<:]f\b(?:[^>]*/>|[^>]*>[^<]*</(?:\w+:)?f>)\s*"
    rb"(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v>\s*</(?:\w+:)?v>)?\s*</(?:\w+:)?c>"
)
_ERROR = re.compile(rb"""\st\s*=\s*["']e["']""")
_READ_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    KeyError,
    IndexError,
)
"""What `zipfile` raises for archives that are damaged, encrypted or packed in unknown ways."""


class WorkbookFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the library will not tell: rows with a cell that has no value, by sheet; first year."""

    valueless_rows: Mapping[str, frozenset[int]]
    counts_from_1904: bool


def inspect(file: BinaryIO) -> WorkbookFacts:
    """Return facts about a workbook that is safe to load.

    Raises:
        UnreadableDepositError: `encrypted`, `not_a_workbook`, `unreadable_workbook`,
            `workbook_too_large`, and what `xml_reader.parse` refuses.
    """
    file.seek(0)
    if file.read(8) == _ENCRYPTED:
        raise _refuse(
            "encrypted",
            "Le classeur est protégé par un mot de passe, ou d’un ancien format (.xls) :"
            " enregistrez-le en « Classeur Excel (.xlsx) ».",
        )
    if file.seek(0, 2) > MAXIMUM_FILE_BYTES:
        raise _too_large_error()
    try:
        with zipfile.ZipFile(file) as archive:
            return _inspect(archive)
    except _READ_ERRORS as error:
        raise unreadable_error() from error


def unreadable_error() -> UnreadableDepositError:
    """Return the refusal of a workbook that is damaged."""
    return _refuse("unreadable_workbook", "Le classeur est abîmé et illisible.")


def _inspect(archive: zipfile.ZipFile) -> WorkbookFacts:
    parts = {_folded(part.filename): part for part in archive.infolist()}
    if len(parts) != len(archive.infolist()):
        # Two programs may each read another one of two parts of one name.
        raise unreadable_error()
    if len(parts) > MAXIMUM_PARTS:
        raise _too_large_error()
    if _WORKBOOK not in parts:
        raise _refuse("not_a_workbook", "Le fichier n’est pas un classeur Excel (.xlsx).")
    workbook = parse(_whole(archive, parts[_WORKBOOK]))
    sheets = dict(_sheet_files(workbook, _relationships(archive, parts)))
    valueless: dict[str, frozenset[int]] = {}
    unpacked = 0
    for name, part in parts.items():
        # A sheet may be called and put anywhere, and the library finds it by its last name.
        file = name.rpartition("/")[2]
        sheet = _Sheet() if file in sheets.values() or _SHEETS in name else None
        for chunk in _chunks(archive, part, MAXIMUM_UNPACKED_BYTES - unpacked):
            unpacked += len(chunk)
            if sheet:
                sheet.feed(chunk)
        if sheet:
            valueless[file] = valueless.get(file, frozenset()) | sheet.finish()
    return WorkbookFacts(
        valueless_rows={sheet: valueless.get(file, frozenset()) for sheet, file in sheets.items()},
        counts_from_1904=any(
            element.get("date1904") in {"1", "true"} for element in _named(workbook, "workbookPr")
        ),
    )


def _folded(name: str) -> str:
    """Return the name of a part as the library compares names: case and slash are the same."""
    return name.replace("\\", "/").lower()


def _relationships(
    archive: zipfile.ZipFile, parts: Mapping[str, zipfile.ZipInfo]
) -> Iterator[tuple[str, str]]:
    """Yield identifier and last name of each file that the workbook refers to."""
    if _RELATIONSHIPS in parts:
        root = parse(_whole(archive, parts[_RELATIONSHIPS]))
        for relationship in _named(root, "Relationship"):
            target = _folded(str(relationship.get("Target")))
            yield str(relationship.get("Id")), target.rpartition("/")[2]


def _chunks(archive: zipfile.ZipFile, part: zipfile.ZipInfo, left: int) -> Iterator[bytes]:
    """Yield what a part really unfolds to, which is not always the size that the archive names."""
    whole = copy.copy(part)
    whole.file_size = left + CHUNK_BYTES
    size = 0
    with archive.open(whole) as unpacked:
        while chunk := unpacked.read(CHUNK_BYTES):
            size += len(chunk)
            is_bomb = size > RATIO_FLOOR_BYTES and size > MAXIMUM_RATIO * part.compress_size
            if size > left or is_bomb:
                raise _too_large_error()
            yield chunk


def _whole(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> bytes:
    return b"".join(_chunks(archive, part, MAXIMUM_XML_BYTES))


class _Sheet:
    """The outermost cells of a sheet and its rows with a cell that has no value, as it streams."""

    def __init__(self) -> None:
        self._rest = b""
        self._width = 0
        self._height = 0
        self._rows = 0
        self._valueless: set[int] = set()

    def feed(self, chunk: bytes) -> None:
        """Look at the rows that are complete; the last one waits for the next chunk."""
        text = self._rest + chunk
        cut = max(text.rfind(b"<row"), text.rfind(b":row"))
        cut = max(0, cut)
        self._look(text[:cut])
        self._rest = text[cut:]
        if len(self._rest) > MAXIMUM_ROW_BYTES:
            raise _too_large_error()

    def finish(self) -> frozenset[int]:
        """Return the rows with a cell without value, once all was fed."""
        self._look(self._rest)
        return frozenset(self._valueless)

    def _look(self, rows: bytes) -> None:
        self._measure(rows)
        if self._width * self._height > MAXIMUM_CELLS:
            raise _too_large_error()
        # Patterns take longer than all the rest, and most sheets have neither formula nor error.
        if b"<f" in rows or b":f" in rows:
            for match in _FORMULA_WITHOUT_VALUE.finditer(rows):
                self._valueless.add(_row_of_cell(rows, match.start()))
        if b'"e"' in rows or b"'e'" in rows:
            for match in _ERROR.finditer(rows):
                self._valueless.add(_row_of_cell(rows, match.start()))

    def _measure(self, rows: bytes) -> None:
        cells = _USUAL_CELL.findall(rows)
        references = len(_REFERENCE.findall(rows)) - rows.count(b'<row r="')
        if len(cells) == references == rows.count(b"<c") and b":c" not in rows:
            if cells:
                columns, numbers = map(set, zip(*cells, strict=True))
                self._width = max(self._width, *map(_column, columns))
                self._height = max(self._height, *map(int, numbers))
            return
        columns = set(_COLUMN.findall(rows))
        self._width = max(self._width, max(map(_column, columns), default=0))
        self._height = max(self._height, max(map(int, _NUMBER.findall(rows)), default=0))
        # Cells that do not say where they are stand side by side.
        widest = max(len(_CELL.findall(row)) for row in _ROW.split(rows))
        self._width = max(self._width, widest)
        self._rows += len(_ROW.findall(rows))
        self._height = max(self._height, self._rows)


def _row_of_cell(rows: bytes, position: int) -> int:
    """Return the row of the cell within which a place lies."""
    start = max(rows.rfind(b"<c ", 0, position), rows.rfind(b":c ", 0, position))
    cell = rows[max(start, 0) : rows.find(b">", max(start, 0))]
    place = _NUMBER.search(cell)
    if start < 0 or place is None:
        raise _refuse(
            "formula_without_value",
            "Le classeur contient une formule dont le résultat n’est pas enregistré.",
        )
    return int(place[1])


def _column(letters: bytes) -> int:
    """Return the number of a column; past all that a sheet has, where there are more letters."""
    number = 0
    for letter in letters[:3].upper():
        number = number * 26 + letter - 64
    return number if len(letters) <= 3 else MAXIMUM_CELLS + 1


def _sheet_files(
    workbook: Element, relationships: Iterator[tuple[str, str]]
) -> Iterator[tuple[str, str]]:
    """Yield name and file of each sheet."""
    files = dict(relationships)
    for sheet in _named(workbook, "sheet"):
        key = next((str(value) for name, value in sheet.items() if str(name).endswith("}id")), "")
        yield str(sheet.get("name")), files.get(key, "")


def _named(root: Element, name: str) -> Iterator[Element]:
    return root.iterfind(f".//{{*}}{name}")


def _too_large_error() -> UnreadableDepositError:
    return _refuse(
        "workbook_too_large",
        "Le classeur est trop volumineux : enregistrez la feuille des factures en CSV.",
    )


def _refuse(code: str, detail: str) -> UnreadableDepositError:
    return UnreadableDepositError(code=code, pointer="", detail=detail)
