"""Reads a table of invoices, whatever file it comes from: a heading row, then one invoice a row.

Where the table has a column of amounts of lines, consecutive rows of one number are one invoice.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import TypeAlias

from ingestion.adapters.table_cells import Cell
from ingestion.adapters.table_headings import HEADING_ROWS, Heading, find_heading
from ingestion.adapters.table_rows import MISSING_NUMBER, Fields, RowReader, pointer_of
from ingestion.domain import INVOICE_LINES, InvoiceLine, Rejection, UnreadableDepositError
from ingestion.ports import Entry, ReadingContext

MAXIMUM_ROWS = 1_000_000

Row: TypeAlias = tuple[int, Sequence[Cell] | Rejection]
"""Number of a row as the spreadsheet shows it, and its cells or why it has none."""


def entries(
    rows: Iterator[Row], context: ReadingContext, *, has_serials: bool = True
) -> Iterator[Entry]:
    """Yield one entry for each invoice of a table whose heading is among the first rows.

    `has_serials`: a bare number in a column of dates counts days, as spreadsheets do.

    Raises:
        UnreadableDepositError: what `find_heading` refuses; `no_invoices`; `too_many_rows`.
    """
    first = list(islice(rows, HEADING_ROWS))
    heading, below = heading_among(first, context)
    context.remember_mapping(heading.mapping)
    reader = RowReader(heading, context, has_serials=has_serials)
    below_heading = _limited(chain(below, rows))
    found = _lined(below_heading, reader) if reader.has_lines else _single(below_heading, reader)
    is_empty = True
    for entry in found:
        is_empty = False
        yield entry
    if is_empty:
        raise UnreadableDepositError(
            code="no_invoices", pointer="", detail="La table ne contient aucune facture."
        )


def heading_among(first: Sequence[Row], context: ReadingContext) -> tuple[Heading, list[Row]]:
    """Return the heading found among the first rows of a table, and those of them below it.

    Raises:
        UnreadableDepositError: what `find_heading` refuses.
    """
    cells = [() if isinstance(content, Rejection) else content for _, content in first]
    index, heading = find_heading(cells, context.mapping, context.regie)
    return heading, list(first[index + 1 :])


def _limited(rows: Iterator[Row]) -> Iterator[Row]:
    yield from islice(rows, MAXIMUM_ROWS)
    if next(rows, None) is not None:
        raise UnreadableDepositError(
            code="too_many_rows", pointer="", detail="Une table compte 1 000 000 de lignes au plus."
        )


def _single(rows: Iterator[Row], reader: RowReader) -> Iterator[Entry]:
    names = reader.names
    for number, content in rows:
        if isinstance(content, Rejection):
            yield Entry(place=f"/rows/{number}", found=content, fields=names)
            continue
        read = reader.fields(content)
        if read is not None:
            found, fault = read
            yield Entry(place=f"/rows/{number}", found=fault or reader.draft(found), fields=names)


def _lined(rows: Iterator[Row], reader: RowReader) -> Iterator[Entry]:
    group: _Group | None = None
    for number, content in rows:
        read = ({}, content) if isinstance(content, Rejection) else reader.fields(content)
        if read is None:
            continue
        found, fault = read
        if "number" not in found:
            # The invoice above stays open: whether this row cuts it shows in the rows below.
            yield Entry(place=f"/rows/{number}", found=fault or MISSING_NUMBER, fields=reader.names)
            if group is not None:
                group.interrupt(number)
            continue
        if group is None or not group.continues(found):
            if group is not None:
                yield group.entry()
            group = _Group(reader, number, found)
        group.add(number, found, fault)
    if group is not None:
        yield group.entry()


class _Group:
    """The consecutive rows of one invoice."""

    def __init__(self, reader: RowReader, number: int, found: Fields) -> None:
        self._reader = reader
        self._place = number
        self._head: Fields = {"number": found["number"]}
        self._lines: list[InvoiceLine] = []
        self._fault: Rejection | None = None
        self._interruption = 0

    def continues(self, found: Fields) -> bool:
        """Say whether a row is of this invoice: the régie may stand on its first row only."""
        regie = found.get("regie")
        is_same_regie = regie is None or regie == self._head.get("regie")
        return is_same_regie and bool(found["number"] == self._head["number"])

    def interrupt(self, number: int) -> None:
        """Remember the first row without a number below those of this invoice."""
        self._interruption = self._interruption or number

    def add(self, number: int, found: Fields, fault: Rejection | None) -> None:
        """Take a row, unless the invoice has a fault already: then nothing can mend it."""
        # One line too many is kept, for which the rules of entry refuse the invoice.
        if self._fault is None and len(self._lines) <= INVOICE_LINES:
            if fault and fault.pointer.startswith("/lines/"):
                fault = Rejection(
                    code=fault.code,
                    pointer=f"/lines/{len(self._lines)}{fault.pointer.removeprefix('/lines')}",
                    message=fault.message,
                )
            fault = fault or self._cut() or self._merge(found) or self._add_line(found)
            self._fault = fault and self._told(fault, number)

    def entry(self) -> Entry:
        """Return the invoice, or the first fault of its rows."""
        lines = tuple(self._lines)
        return Entry(
            place=f"/rows/{self._place}",
            found=self._fault or self._reader.draft(self._head, lines),
            fields=self._names(),
        )

    def _cut(self) -> Rejection | None:
        """Refuse a row of this invoice below one that may be of it and does not say so."""
        if not self._interruption:
            return None
        return Rejection(
            code="interrupted_invoice",
            pointer="/lines",
            message=f"La ligne {self._interruption} du tableau, au milieu de cette facture, n’a pas"
            " de numéro.",
        )

    def _merge(self, found: Fields) -> Rejection | None:
        """Refuse a row that says of the invoice what another row denies."""
        for field, value in found.items():
            if not field.startswith("line_") and self._head.setdefault(field, value) != value:
                return Rejection(
                    code="rows_disagree",
                    pointer=pointer_of(field),
                    message="Les lignes de cette facture se contredisent dans cette colonne.",
                )
        return None

    def _add_line(self, found: Fields) -> Rejection | None:
        if "line_amount" not in found:
            return None
        label = found.get("line_label")
        if label is None:
            if self._reader.has_labels:
                return Rejection(
                    code="missing_field",
                    pointer=f"/lines/{len(self._lines)}/label",
                    message="Ce champ est obligatoire.",
                )
            label = self._head.get("subject") or f"Facture {self._head['number']}"
        self._lines.append(
            InvoiceLine(
                label=label,
                quantity=found.get("line_quantity", "1"),
                unit_amount_cents=found.get("line_unit_amount"),
                amount_cents=found["line_amount"],
            )
        )
        return None

    def _told(self, fault: Rejection, number: int) -> Rejection:
        """Return a fault with its row, where that is not the one that the entry names."""
        if number == self._place:
            return fault
        message = f"{fault.message} (ligne {number} du tableau)"
        return Rejection(code=fault.code, pointer=fault.pointer, message=message)

    def _names(self) -> Mapping[str, str]:
        return self._reader.names | {
            f"/lines/{index}{pointer}": name
            for index in range(len(self._lines) + 1)
            for pointer, name in self._reader.line_names.items()
        }
