"""Turns the rows below a heading into invoices; what is looked up in the heading is so once."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from ingestion.adapters.table_cells import (
    Cell,
    CellError,
    address,
    cents,
    currency,
    day,
    kind,
    phone,
    postcode,
    quantity,
    shown,
    text,
    whole,
    whole_cents,
)
from ingestion.adapters.table_headings import Heading
from ingestion.adapters.table_identity import (
    birthdate,
    commune,
    gender,
    given_names,
    identity_of,
)
from ingestion.domain import InvoiceDraft, InvoiceLine, Payer, Rejection
from ingestion.ports import ReadingContext
from shared.money import CURRENCY

Fields = dict[str, Any]
"""What a row says, by field; a blank cell says nothing."""

_READERS: Mapping[str, tuple[str, Callable[[Cell], object]]] = {
    # Régie and number come first: a row with another fault is still known to be of its invoice.
    "regie": ("/regie", text),
    "number": ("/number", text),
    "issued_on": ("/issued_on", day),
    "due_on": ("/due_on", day),
    "amount": ("/amount_cents", cents),
    "amount_cents": ("/amount_cents", whole_cents),
    "currency": ("/currency", currency),
    "subject": ("/subject", text),
    "kind": ("/kind", kind),
    "payer_reference": ("/payer/reference", text),
    "payer_name": ("/payer/name", text),
    "payer_last_name": ("/payer/name", text),
    "payer_first_name": ("/payer/name", text),
    "payer_civility": ("/payer/name", text),
    "payer_email": ("/payer/email", text),
    "payer_phone": ("/payer/phone", phone),
    "payer_address": ("/payer/address", address),
    "payer_address1": ("/payer/address", text),
    "payer_address2": ("/payer/address", text),
    "payer_address3": ("/payer/address", text),
    "payer_address4": ("/payer/address", text),
    "payer_postcode": ("/payer/address", postcode),
    "payer_city": ("/payer/address", text),
    "payer_family_name": ("/payer/identity/family_name", text),
    "payer_given_names": ("/payer/identity/given_names", given_names),
    "payer_birthdate": ("/payer/identity/birthdate", birthdate),
    "payer_gender": ("/payer/identity/gender", gender),
    "payer_birthplace": ("/payer/identity/birthplace", commune),
    "payer_birthcountry": ("/payer/identity/birthcountry", text),
    "pdf": ("/pdf", text),
    "version": ("/version", whole),
    "fiscal_year": ("/fiscal_year", whole),
    "debt_reference": ("/debt_reference", text),
    "line_label": ("/label", text),
    "line_quantity": ("/quantity", quantity),
    "line_unit_amount": ("/unit_amount_cents", cents),
    "line_amount": ("/amount_cents", cents),
}
"""Pointer in the draft (for `line_` fields: in the line) and reader of each field."""
_ADDRESS_PARTS = ("payer_address1", "payer_address2", "payer_address3", "payer_address4")
_TOTAL = re.compile(r"\W*(?:sous[ -]*)?(?:total|totaux)\b", re.IGNORECASE)

MISSING_NUMBER = Rejection(
    code="missing_number",
    pointer="/number",
    message="Cette ligne n’a pas de numéro de facture : une ligne de total, de titre ou de"
    " remarque n’est pas une facture et peut être supprimée du tableau.",
)
TOTAL_ROW = Rejection(
    code="total_row",
    pointer="/number",
    message="Cette ligne est un total, pas une facture : elle peut être supprimée du tableau.",
)


class RowReader:
    """Reads rows under one heading."""

    def __init__(self, heading: Heading, context: ReadingContext, *, has_serials: bool) -> None:
        """Look up once what each row needs; `has_serials`: a bare number may be a date."""
        self._steps = [
            (
                field,
                heading.columns[field],
                read if has_serials or read is not day else _day_without_serial,
            )
            for field, (_, read) in _READERS.items()
            if field in heading.columns
        ]
        self._width = heading.width
        self._named_width = heading.named_width
        self._context = context
        self._regie = context.regie
        self._has_parts = not heading.columns.keys().isdisjoint(
            {*_ADDRESS_PARTS, "payer_postcode", "payer_city"}
        )
        self._has_names = not heading.columns.keys().isdisjoint(
            {"payer_last_name", "payer_first_name", "payer_civility"}
        )
        self.has_lines = "line_amount" in heading.columns
        self.has_labels = "line_label" in heading.columns
        # The column that decides comes first: a row without "Nom" is told of "Nom".
        self.names: dict[str, str] = {}
        self.line_names: dict[str, str] = {}
        for field in (field for field in _READERS if field in heading.mapping):
            names = self.line_names if field.startswith("line_") else self.names
            names.setdefault(pointer_of(field), heading.mapping[field])

    def fields(self, cells: Sequence[Cell]) -> tuple[Fields, Rejection | None] | None:
        """Return what a row says and its first fault; None for a blank row."""
        if not any(cells) and all(cell is None or cell == "" for cell in cells):
            return None
        found: Fields = {}
        fault = None
        if len(cells) != self._width:
            fault = self._width_fault(cells)
            if fault:
                cells = [*cells, *[""] * self._width]
        field = ""
        try:
            for field, index, read in self._steps:
                cell = cells[index]
                if cell == "":
                    continue
                # What most cells are is told without a call for each, a fifth of the time of a row.
                if (
                    read is text
                    and isinstance(cell, str)
                    and cell.isascii()
                    and cell.isprintable()
                    and cell[0].isalnum()
                    and cell[-1] != " "
                ):
                    found[field] = cell
                    continue
                value = read(cell)
                if value is not None:
                    found[field] = value
        except CellError as error:
            place = "/lines" if field.startswith("line_") else ""
            pointer = place + pointer_of(field)
            cell_fault = Rejection(code=error.code, pointer=pointer, message=error.message)
            return found, fault or cell_fault
        if not found and not any(map(shown, cells)):
            return None
        return found, fault

    def draft(self, found: Fields, lines: tuple[InvoiceLine, ...] = ()) -> InvoiceDraft | Rejection:
        """Return the invoice that a row describes, or what is missing from it."""
        get = found.get
        try:
            number = found["number"]
            regie = get("regie") or self._regie
            if not regie:
                return _missing("regie")
            amount = _amount(found, lines)
            kind_found = get("kind", "invoice")
            if kind_found == "credit_note" and amount < 0:
                # A minus before a credit note says the same thing twice.
                amount = -amount
                lines = tuple(_negated(line) for line in lines)
            return InvoiceDraft(
                regie=regie,
                number=number,
                issued_on=found["issued_on"],
                due_on=found["due_on"],
                amount_cents=amount,
                currency=get("currency", CURRENCY),
                subject=get("subject") or _subject(number, kind_found),
                route=self._context.route(regie),
                kind=kind_found,
                payer=self._payer(found),
                lines=lines,
                pdf=get("pdf"),
                fiscal_year=get("fiscal_year"),
                debt_reference=get("debt_reference"),
                version=get("version", 1),
            )
        except KeyError as error:
            return _incomplete(found, error.args[0])

    def _payer(self, found: Fields) -> Payer:
        get = found.get
        if self._has_names:
            parts = ("payer_civility", "payer_name", "payer_last_name", "payer_first_name")
            name = " ".join(found[part] for part in parts if part in found)
            if found.keys().isdisjoint({"payer_name", "payer_last_name"}):
                raise KeyError("payer_last_name")
        else:
            name = found["payer_name"]
        lines = get("payer_address")
        if self._has_parts:
            city = " ".join(
                found[part] for part in ("payer_postcode", "payer_city") if part in found
            )
            parts_found = (*(get(part) for part in _ADDRESS_PARTS), city)
            lines = (*(lines or ()), *(part for part in parts_found if part)) or None
        return Payer(
            reference=get("payer_reference") or _derived_reference(name, lines or ()),
            name=name,
            email=get("payer_email"),
            phone=get("payer_phone"),
            address=lines,
            identity=identity_of(found),
        )

    def _width_fault(self, cells: Sequence[Cell]) -> Rejection | None:
        if len(cells) < self._named_width:
            return Rejection(
                code="too_few_cells",
                pointer="",
                message="Cette ligne compte moins de cellules que la ligne des titres.",
            )
        if any(map(shown, cells[self._width :])):
            return Rejection(
                code="too_many_cells",
                pointer="",
                message="Cette ligne compte plus de cellules que la ligne des titres : un texte qui"
                " contient le séparateur doit être entre guillemets.",
            )
        return None


def pointer_of(field: str) -> str:
    """Return where a field of the table stands in the draft, for `line_` fields in its line."""
    return _READERS[field][0]


def _day_without_serial(cell: Cell) -> date | None:
    """Read a date from a workbook whose days are counted from 1904: a bare number is none."""
    if isinstance(cell, (int, float)):
        raise CellError(
            "date_format",
            "Cette cellule contient un nombre : donnez-lui le format Date dans le tableur.",
        )
    return day(cell)


def _amount(found: Fields, lines: tuple[InvoiceLine, ...]) -> int:
    amount: int | None = found.get("amount", found.get("amount_cents"))
    if amount is not None:
        return amount
    if not lines:
        raise KeyError("amount")
    return sum(line.amount_cents for line in lines)


def _negated(line: InvoiceLine) -> InvoiceLine:
    unit = line.unit_amount_cents
    return InvoiceLine(
        label=line.label,
        quantity=line.quantity,
        unit_amount_cents=None if unit is None else -unit,
        amount_cents=-line.amount_cents,
    )


def _subject(number: str, kind_found: str) -> str:
    return f"{'Avoir' if kind_found == 'credit_note' else 'Facture'} {number}"


def _incomplete(found: Fields, field: str) -> Rejection:
    if "number" not in found:
        return MISSING_NUMBER
    if _TOTAL.match(found["number"]):
        return TOTAL_ROW
    return _missing(field)


def _missing(field: str) -> Rejection:
    return Rejection(
        code="missing_field", pointer=pointer_of(field), message="Ce champ est obligatoire."
    )


def _derived_reference(name: str, lines: tuple[str, ...]) -> str:
    """Return the same reference each time the same person at the same place is billed."""
    person = "\n".join((name, *lines)).casefold()
    return f"TABLE-{hashlib.sha256(person.encode()).hexdigest()[:16]}"
