"""Reads the cells of a table: money, dates, numbers and text, as clerks and spreadsheets write."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import TypeAlias

Cell: TypeAlias = str | int | float | bool | datetime | date | time | timedelta | None
"""What a cell holds; CSV has text only."""

MAXIMUM_AMOUNT_LENGTH = 40
SIGNIFICANT_DIGITS = 15
"""Digits that a spreadsheet keeps of a number ("Excel specifications and limits")."""
SERIALS = range(36_526, 73_051)
"""Day numbers of 2000 to 2099, counted from 1899-12-30 as spreadsheets do."""

_SERIAL_ORIGIN = date(1899, 12, 30)
_SPACES = dict.fromkeys(map(ord, " \t\u00a0\u2007\u2009\u202f"))
_PLAIN_AMOUNT = re.compile(r"-?[0-9]{1,9}[.,][0-9]{2}", re.ASCII)
_AMOUNT = re.compile(
    r"(?P<whole>[0-9]{1,12}|[0-9]{1,3}(?:['’][0-9]{3})+|[0-9]{1,3}(?:\.[0-9]{3})+(?=,))"
    r"(?:[.,](?P<decimals>[0-9]{0,12}))?"
)
_AMBIGUOUS = re.compile(
    r"[1-9][0-9]{0,2}[.,][0-9]{3}|[0-9]{1,3}(?:[.,][0-9]{3}){2,}|[0-9]{1,3}(?:,[0-9]{3})+\.[0-9]*"
)
_SPACE = re.compile(r"[\t\u00a0\u2007\u2009\u202f]")
_SPACED = re.compile(r"[0-9]{1,3}(?: [0-9]{3})+(?:[.,][0-9]*)?")
_EURO = r"€|eur(?:os?)?"
_SIGNS = {"": 1, "+": 1, "-": -1, "\u2212": -1, "()": -1}
"""What may stand around an amount, a minus behind it too, and what it makes of it."""
_SIGNED = re.compile(
    rf"(?P<before>{_EURO})?\s*(?P<sign>[+\u2212-])?\s*(?P<opened>\()?\s*(?P<between>{_EURO})?\s*"
    rf"(?P<digits>[0-9].*?)\s*(?P<closed>\))?\s*(?P<after>{_EURO})?\s*(?P<last>[)-])?",
    re.IGNORECASE,
)
_CURRENCY = re.compile(_EURO, re.IGNORECASE)
_WHOLE = re.compile(r"[+-]?[0-9]{1,12}")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]{1,9}(?:[.,][0-9]{0,12})?|[.,][0-9]{1,12})")
_TIME = r"(?:[ T]+[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)?"
_YEAR_FIRST = re.compile(rf"([0-9]{{4}})([-/.])([0-9]{{1,2}})\2([0-9]{{1,2}}){_TIME}")
_DAY_FIRST = re.compile(rf"([0-9]{{1,2}})([-/. ])([0-9]{{1,2}})\2([0-9]{{4}}|[0-9]{{2}}){_TIME}")
_SERIAL = re.compile(r"[0-9]{5}")
_QUOTED_FORMULA = re.compile(r'="([^"]*)"')
_NUMBER_LIKE = re.compile(r"[+-]?[0-9][0-9 .,'’/()\u00a0\u2009\u202f-]*")
_BREAKS = re.compile(r"[ \t]*[\t\r\n\v\f\u0085\u2028\u2029]+[ \t]*")
_LINE_BREAKS = re.compile(r"\r\n|[\r\n\v\f\u0085\u2028\u2029]")
_FORMULA_STARTS = frozenset("=+-@\t\r")
"""What makes a spreadsheet run a cell (OWASP, CSV Injection)."""
_ERRORS = frozenset(
    (
        *("#N/A", "#REF!", "#DIV/0!"),
        *("#NAME?", "#NOM?", "#VALUE!", "#VALEUR!"),
        *("#NUM!", "#NOMBRE!", "#NULL!", "#NUL!"),
    )
)
_KINDS: Mapping[str, str] = {
    "facture": "invoice",
    "invoice": "invoice",
    "f": "invoice",
    "avoir": "credit_note",
    "credit_note": "credit_note",
    "a": "credit_note",
}


class CellError(Exception):
    """A cell is not what its column promises; `code` and a French sentence say how."""

    def __init__(self, code: str, message: str) -> None:
        """Keep both for the rejection of the line."""
        super().__init__(code, message)
        self.code = code
        self.message = message


def shown(cell: Cell) -> str:
    """Return about what the spreadsheet shows of a cell, without the space around it."""
    if isinstance(cell, str):
        return cell.strip()
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "VRAI" if cell else "FAUX"
    if isinstance(cell, int):
        return str(cell)
    if isinstance(cell, float):
        return _decimal_text(cell)
    if isinstance(cell, date):
        return f"{cell:%d/%m/%Y}"
    return str(cell)


def text(cell: Cell) -> str | None:
    """Return a cell as one line of text in composed form (NFC), or None when it is blank.

    Raises:
        CellError: `formula_cell` for text that a spreadsheet would run, `error_cell` for what it
            shows when it cannot compute.
    """
    if not isinstance(cell, str):
        return shown(cell) or None
    if cell.isascii() and cell.isprintable():
        written = cell.strip()
        if not written:
            return None
        if cell[0] in _FORMULA_STARTS or written[0] in _FORMULA_STARTS or written[0] == "#":
            return _harmless(cell, written) or None
        return written
    written = unicodedata.normalize("NFC", cell).strip()
    if not written:
        return None
    written = _harmless(cell, written)
    return (written if written.isprintable() else _BREAKS.sub(" ", written)) or None


def phone(cell: Cell) -> str | None:
    """Return a telephone number; with the zero that spreadsheets take from French ones."""
    written = shown(cell)
    if written.startswith("+"):
        return written
    found = text(written)
    if found and len(found) == 9 and found.isdecimal() and found[0] != "0":
        return f"0{found}"
    return found


def postcode(cell: Cell) -> str | None:
    """Return a postcode; with the zero that spreadsheets take from Ain to Ariège."""
    found = text(cell)
    return f"0{found}" if found and len(found) == 4 and found.isdecimal() else found


def address(cell: Cell) -> tuple[str, ...] | None:
    """Return the lines of an address that stands in one cell."""
    if isinstance(cell, str) and not cell.isprintable():
        # The cell as a whole too: what begins it may be no character of a line.
        text(cell)
        lines = tuple(line for line in map(text, _LINE_BREAKS.split(cell)) if line)
        return lines or None
    found = text(cell)
    return (found,) if found else None


def cents(cell: Cell) -> int | None:
    """Return an amount in euros as cents, exactly; None when the cell is blank.

    Text is read as the French write it and as programs do: `1 234,56 €`, `1234.56`, `1'234.56`,
    `1.234,56`, `-12,50`, `(12,50)`. What could be read in two ways, `1.234` or `1,234.56`, is not.

    Raises:
        CellError: `amount_ambiguous`, `amount_fraction` (of a cent), `amount_format`.
    """
    if isinstance(cell, str):
        if _PLAIN_AMOUNT.fullmatch(cell):
            return int(cell[:-3] + cell[-2:])
        return _written_cents(cell)
    if cell is None:
        return None
    if isinstance(cell, (bool, date, time, timedelta)):
        raise _amount_error()
    return _exact_cents(_number(cell))


def whole_cents(cell: Cell) -> int | None:
    """Return an amount that the table has in cents already."""
    try:
        return whole(cell)
    except CellError as error:
        message = "Le montant en centimes est un nombre entier, sans virgule."
        raise CellError("amount_format", message) from error


def whole(cell: Cell) -> int | None:
    """Return a whole number, or None when the cell is blank.

    Raises:
        CellError: `number_format`.
    """
    if isinstance(cell, str):
        written = cell.translate(_SPACES)
        if not written:
            return None
        if _WHOLE.fullmatch(written):
            return int(written)
    elif cell is None:
        return None
    elif isinstance(cell, (int, float)) and not isinstance(cell, bool):
        number = _number(cell)
        if number == number.to_integral_value():
            return int(number)
    raise CellError("number_format", "Ce champ est un nombre entier.")


def quantity(cell: Cell) -> str | None:
    """Return a decimal number with a point and no superfluous zero, as text.

    Raises:
        CellError: `quantity_format`.
    """
    if isinstance(cell, str):
        written = cell.translate(_SPACES)
        if not written:
            return None
        if _DECIMAL.fullmatch(written):
            return _plain_decimal(Decimal(written.replace(",", ".")))
    elif cell is None:
        return None
    elif isinstance(cell, (int, float)) and not isinstance(cell, bool):
        return _plain_decimal(_number(cell))
    raise CellError("quantity_format", "La quantité est un nombre.")


def day(cell: Cell) -> date | None:
    """Return a date; None when the cell is blank.

    `2026-11-01`, `01/11/2026`, `1/11/26` (of this century), a spreadsheet's date or its number.
    The day comes before the month always; a time beside it is left out.

    Raises:
        CellError: `invalid_date` for a day that does not exist, `date_format`.
    """
    if isinstance(cell, str):
        return _written_day(cell)
    if isinstance(cell, datetime):
        return cell.date()
    if cell is None or isinstance(cell, date):
        return cell
    # No NaN and no infinity is between two numbers.
    if isinstance(cell, (int, float)) and SERIALS.start <= cell < SERIALS.stop:
        return _SERIAL_ORIGIN + timedelta(days=int(cell))
    raise _date_error()


def kind(cell: Cell) -> str | None:
    """Return `invoice` or `credit_note`, or None when the cell is blank.

    Raises:
        CellError: `invalid_value`.
    """
    written = shown(cell).casefold()
    if not written:
        return None
    if written not in _KINDS:
        raise CellError("invalid_value", "Le type est « facture » ou « avoir ».")
    return _KINDS[written]


def currency(cell: Cell) -> str | None:
    """Return a currency code; `€` and `euro` are EUR."""
    found = text(cell)
    return "EUR" if found and _CURRENCY.fullmatch(found) else found


def _harmless(cell: str, written: str) -> str:
    quoted = _QUOTED_FORMULA.fullmatch(written)
    if quoted:
        # `="00123"` is how programs keep a spreadsheet from taking a code for a number.
        return _harmless(quoted[1], quoted[1].strip()) if quoted[1].strip() else ""
    if written in _ERRORS:
        raise CellError("error_cell", "La cellule contient une erreur de calcul du tableur.")
    starts = cell[0] in _FORMULA_STARTS or written[0] in _FORMULA_STARTS
    if starts and not _NUMBER_LIKE.fullmatch(written):
        message = "La cellule commence comme une formule de tableur (=, +, -, @, tabulation)."
        raise CellError("formula_cell", message)
    return written


def _written_cents(cell: str) -> int | None:
    written = cell.strip()
    if not written:
        return None
    if len(written) > MAXIMUM_AMOUNT_LENGTH:
        raise _amount_error()
    match = _SIGNED.fullmatch(written)
    if match is None or sum(map(bool, match.group("before", "between", "after"))) > 1:
        raise _amount_error()
    digits = _SPACE.sub(" ", match["digits"])
    if _SPACED.fullmatch(digits):
        digits = digits.replace(" ", "")
    if _AMBIGUOUS.fullmatch(digits):
        message = "Le montant peut se lire de deux façons : écrivez-le sous la forme 1234,56."
        raise CellError("amount_ambiguous", message)
    number = _AMOUNT.fullmatch(digits)
    if number is None or _signs(match) not in _SIGNS:
        raise _amount_error()
    euros = re.sub(r"[.'’]", "", number["whole"])
    amount = _exact_cents(Decimal(f"{euros}.{number['decimals'] or '0'}"))
    return amount * _SIGNS[_signs(match)]


def _signs(match: re.Match[str]) -> str:
    """Return the signs and brackets around an amount, in their order."""
    return "".join(match[name] or "" for name in ("sign", "opened", "closed", "last"))


def _exact_cents(euros: Decimal) -> int:
    amount = euros * 100
    if amount != amount.to_integral_value():
        raise CellError("amount_fraction", "Le montant compte plus de deux décimales.")
    return int(amount)


def _number(cell: float) -> Decimal:
    """Return a spreadsheet's number as it shows it, never as the nearest binary fraction.

    What a formula computed, such as 24.900000000000002 for 3 × 8.3, is the decimal that has at
    most 15 digits: the spreadsheet itself neither keeps nor compares more.
    """
    number = Decimal(cell if isinstance(cell, int) else f"{cell:.{SIGNIFICANT_DIGITS}g}")
    if not number.is_finite() or abs(number) >= 10**12:
        raise CellError("number_format", "Ce nombre est trop grand.")
    return number


def _decimal_text(cell: float) -> str:
    number = Decimal(f"{cell:.{SIGNIFICANT_DIGITS}g}")
    # Beyond its precision a spreadsheet has lost digits of a code: it must not be taken for one.
    if not number.is_finite() or abs(number) >= 10**SIGNIFICANT_DIGITS:
        return str(cell)
    return _plain_decimal(number)


def _plain_decimal(number: Decimal) -> str:
    return f"{number.normalize():f}" if number else "0"


@lru_cache(maxsize=4096)
def _written_day(cell: str) -> date | None:
    written = cell.strip()
    if not written:
        return None
    match = _YEAR_FIRST.fullmatch(written)
    if match:
        year, month, day_of_month = int(match[1]), int(match[3]), int(match[4])
    elif match := _DAY_FIRST.fullmatch(written):
        year, month, day_of_month = int(match[4]), int(match[3]), int(match[1])
        year += 2000 if len(match[4]) == 2 else 0
    elif _SERIAL.fullmatch(written) and int(written) in SERIALS:
        return _SERIAL_ORIGIN + timedelta(days=int(written))
    else:
        raise _date_error()
    try:
        return date(year, month, day_of_month)
    except ValueError as error:
        raise CellError("invalid_date", "Cette date n’existe pas.") from error


def _date_error() -> CellError:
    message = "La date n’est pas de la forme JJ/MM/AAAA ou AAAA-MM-JJ."
    return CellError("date_format", message)


def _amount_error() -> CellError:
    message = "Le montant n’est pas un nombre, comme 1 234,56."
    return CellError("amount_format", message)
