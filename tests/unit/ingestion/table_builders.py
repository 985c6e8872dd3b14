"""Tables for the tests, and a context that says what a reader told it."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import openpyxl
import pytest

from ingestion.adapters import csv_table, xlsx_table
from ingestion.adapters.table_cells import Cell
from ingestion.domain import InvoiceDraft, Rejection, Route, UnreadableDepositError
from ingestion.ports import Entry

SAMPLES = Path(__file__).parents[2] / "samples" / "tables"
HEADINGS = ("N° facture", "Date d’émission", "Échéance", "Montant TTC", "Nom")
ROW = ("F-1", "01/11/2026", "01/12/2026", "42,50", "Éloïse Lefèvre")


class FakeContext:
    def __init__(
        self,
        regie: str | None = "CANTINE",
        mapping: Mapping[str, str] | None = None,
        treasury: str = "",
    ) -> None:
        self._regie = regie
        self._mapping = mapping or {}
        self._treasury = treasury
        self.remembered: Mapping[str, str] = {}

    @property
    def regie(self) -> str | None:
        return self._regie

    @property
    def mapping(self) -> Mapping[str, str]:
        return self._mapping

    def route(self, regie: str) -> Route:
        return "treasury" if regie == self._treasury else "regie"

    def keep_document(self, content: bytes) -> str | Rejection:
        raise AssertionError(content)

    def remember_mapping(self, mapping: Mapping[str, str]) -> None:
        self.remembered = dict(mapping)


def a_csv(
    *rows: Sequence[object], headings: Sequence[str] = HEADINGS, encoding: str = "utf-8"
) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=";").writerows([headings, *rows])
    return text.getvalue().encode(encoding)


def a_workbook(*rows: Sequence[Cell], headings: Sequence[str] = HEADINGS) -> bytes:
    workbook = openpyxl.Workbook()
    sheet = workbook.worksheets[0]
    for row in (headings, *rows):
        sheet.append(list(row))
    return saved(workbook)


def saved(workbook: openpyxl.Workbook) -> bytes:
    file = io.BytesIO()
    workbook.save(file)
    return file.getvalue()


def read_csv(content: bytes, context: FakeContext | None = None) -> list[Entry]:
    return list(csv_table.read_file(io.BytesIO(content), context or FakeContext()))


def read_workbook(content: bytes, context: FakeContext | None = None) -> list[Entry]:
    return list(xlsx_table.read_file(io.BytesIO(content), context or FakeContext()))


def draft_of(entry: Entry) -> InvoiceDraft:
    assert isinstance(entry.found, InvoiceDraft), entry.found
    return entry.found


def refusal_of(entry: Entry) -> tuple[str, str]:
    assert isinstance(entry.found, Rejection), entry.found
    return entry.found.code, entry.found.pointer


def a_row(**cells: str) -> tuple[str, ...]:
    """Return the usual row with some cells replaced, by position: `c3="12"`."""
    return tuple(cells.get(f"c{index}", cell) for index, cell in enumerate(ROW))


def refused_csv(content: bytes, context: FakeContext | None = None) -> tuple[str, str]:
    """Return code and sentence of the refusal of a whole file."""
    with pytest.raises(UnreadableDepositError) as caught:
        read_csv(content, context)
    assert caught.value.pointer == ""
    return caught.value.code, caught.value.detail
