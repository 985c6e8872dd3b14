"""Reads invoices from an Excel workbook (`.xlsx`, `.xlsm`): values only, macros and links never."""

from collections.abc import Iterator
from itertools import chain, islice
from typing import BinaryIO

from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from ingestion.adapters.table import Row, entries, heading_among
from ingestion.adapters.table_headings import HEADING_ROWS
from ingestion.adapters.xlsx_guard import WorkbookFacts, inspect, unreadable_error
from ingestion.domain import Rejection, UnreadableDepositError
from ingestion.ports import Entry, ReadingContext

MAXIMUM_SHEETS = 50

_SIGNATURE = b"PK\x03\x04"
_FIRST_PARTS = ("[Content_Types].xml", "_rels/", "docProps/", "xl/")

_VALUELESS = Rejection(
    code="formula_without_value",
    pointer="",
    message="Une cellule de cette ligne contient une erreur, ou une formule sans résultat :"
    " ouvrez le classeur dans un tableur, vérifiez-la et enregistrez.",
)


def recognises(head: bytes) -> bool:
    """Say whether the first bytes of a ZIP archive are those of an Office document.

    The first part tells: an archive of invoices begins with none of these. A document of another
    kind than a workbook is refused by `read_file`.
    """
    if not head.startswith(_SIGNATURE) or len(head) < 30:
        return False
    length = int.from_bytes(head[26:28], "little")
    return head[30 : 30 + length].decode("ascii", "replace").startswith(_FIRST_PARTS)


def read_file(file: BinaryIO, context: ReadingContext) -> Iterator[Entry]:
    """Yield one entry for each invoice of the first visible sheet whose headings are known.

    The values that the workbook holds are read, those of formulas too: they are what the clerk saw
    and saved, and computing them again here could give others. A formula without a value, as
    programs write it, and a cell in error refuse their row. Hidden sheets are not read.

    Raises:
        UnreadableDepositError: what `xlsx_guard.inspect` and `table.entries` refuse;
            `too_many_sheets`.
    """
    facts = inspect(file)
    file.seek(0)
    try:
        workbook = CalamineWorkbook.from_filelike(file)
    except CalamineError as error:
        raise unreadable_error() from error
    with workbook:
        rows = _rows_of_invoices(workbook, facts, context)
        yield from entries(rows, context, has_serials=not facts.counts_from_1904)


def _rows_of_invoices(
    workbook: CalamineWorkbook, facts: WorkbookFacts, context: ReadingContext
) -> Iterator[Row]:
    """Return the rows of the first sheet that has the headings, else of the first with any row."""
    if len(workbook.sheets_metadata) > MAXIMUM_SHEETS:
        raise UnreadableDepositError(
            code="too_many_sheets", pointer="", detail="Un classeur compte 50 feuilles au plus."
        )
    fallback: list[Row] = []
    for sheet in workbook.sheets_metadata:
        if (
            sheet.visible is not SheetVisibleEnum.Visible
            or sheet.typ is not SheetTypeEnum.WorkSheet
        ):
            continue
        valueless = facts.valueless_rows.get(sheet.name, frozenset())
        rows = _rows(_loaded(workbook, sheet.name), valueless)
        first = list(islice(rows, HEADING_ROWS))
        try:
            heading_among(first, context)
        except UnreadableDepositError:
            # Another sheet may have them; if none has, this one tells the clerk what is missing.
            fallback = fallback or first
        else:
            return chain(first, rows)
    return iter(fallback)


def _loaded(workbook: CalamineWorkbook, name: str) -> CalamineSheet:
    try:
        return workbook.get_sheet_by_name(name)
    except CalamineError as error:
        raise unreadable_error() from error


def _rows(sheet: CalamineSheet, valueless: frozenset[int]) -> Iterator[Row]:
    for number, cells in enumerate(sheet.iter_rows(), start=1):
        yield number, _VALUELESS if number in valueless else cells
