"""The cells of a table are read as clerks and spreadsheets write them, money to the cent."""

from collections.abc import Callable
from datetime import date, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from shared.money import format_euros


def code_of(read: Callable[[Cell], object], cell: Cell) -> str:
    """Return the code with which a cell is refused."""
    with pytest.raises(CellError) as caught:
        read(cell)
    return caught.value.code


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("1234,56", 123456),
        ("1234.56", 123456),
        ("1 234,56 €", 123456),
        ("1\u202f234,56\u00a0€", 123456),
        ("1\u00a0234\u00a0567,89", 123456789),
        ("1'234.56", 123456),
        ("1’234,56", 123456),
        ("1.234,56", 123456),
        ("1.234.567,89", 123456789),
        ("€ 12", 1200),
        ("12 EUR", 1200),
        ("12,5", 1250),
        ("12,", 1200),
        ("12,5000", 1250),
        ("0,500", 50),
        ("+12,50", 1250),
        ("-12,50", -1250),
        ("- 12,50 €", -1250),
        ("\u221212,50", -1250),
        ("12,50-", -1250),
        ("(12,50)", -1250),
        ("(12,50 €)", -1250),
        ("(12,50) €", -1250),
        ("0", 0),
        ("  ", None),
        ("", None),
        (None, None),
        (42, 4200),
        (123.45, 12345),
        (0.07, 7),
        (-12.5, -1250),
        (3 * 8.3, 2490),
        (0.1 + 0.2, 30),
    ],
)
def test_reads_an_amount_as_people_write_it(cell: Cell, expected: int | None) -> None:
    """French and plain forms, and the numbers of a spreadsheet to the digits that it shows."""
    amount = cents(cell)

    assert amount == expected


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("1.234", "amount_ambiguous"),
        ("1,234", "amount_ambiguous"),
        ("1,234.56", "amount_ambiguous"),
        ("1.234.567", "amount_ambiguous"),
        ("0,125", "amount_fraction"),
        ("1234,567", "amount_fraction"),
        (12.345, "amount_fraction"),
        (0.005, "amount_fraction"),
        ("12€50", "amount_format"),
        ("12, 50", "amount_format"),
        ("1 23", "amount_format"),
        ("12 34,56", "amount_format"),
        ("--12", "amount_format"),
        ("-(12)", "amount_format"),
        ("(12", "amount_format"),
        ("12)", "amount_format"),
        ("€12€", "amount_format"),
        ("1e5", "amount_format"),
        ("NaN", "amount_format"),
        ("١٢", "amount_format"),
        ("12 $", "amount_format"),
        ("=12", "amount_format"),
        ("9" * 41, "amount_format"),
        (True, "amount_format"),
        (date(2026, 11, 1), "amount_format"),
        (float("nan"), "number_format"),
        (float("inf"), "number_format"),
        (1e15, "number_format"),
    ],
)
def test_refuses_an_amount_that_is_not_clearly_one(cell: Cell, code: str) -> None:
    """A sum of money is never guessed: corpus C4, and no float is rounded to the cent."""
    assert code == code_of(cents, cell)


@given(st.integers(-(10**9), 10**9), st.sampled_from(["fr", "plain", "comma", "brackets"]))
def test_reads_back_every_amount_written(amount: int, form: str) -> None:
    """Law: for any cents, whatever form they are written in, reading gives the same cents."""
    whole_part, rest = divmod(abs(amount), 100)
    sign = "-" if amount < 0 else ""
    written = {
        "fr": format_euros(amount),
        "plain": f"{sign}{whole_part}.{rest:02}",
        "comma": f"{sign}{whole_part},{rest:02} EUR",
        "brackets": f"({whole_part},{rest:02})" if amount < 0 else f"{whole_part},{rest:02}",
    }[form]

    assert amount == cents(written)


@given(st.integers(-(10**9), 10**9))
def test_reads_back_every_amount_that_a_spreadsheet_holds(amount: int) -> None:
    """Law: the double nearest to an amount of cents is that amount, for every accepted size."""
    assert amount == cents(amount / 100)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("2026-11-01", date(2026, 11, 1)),
        ("01/11/2026", date(2026, 11, 1)),
        ("1/11/26", date(2026, 11, 1)),
        ("1.11.2026", date(2026, 11, 1)),
        ("01-11-2026", date(2026, 11, 1)),
        ("2026/11/01", date(2026, 11, 1)),
        ("01/11/2026 00:00", date(2026, 11, 1)),
        ("2026-11-01T14:30:00", date(2026, 11, 1)),
        ("46327", date(2026, 11, 1)),
        (46327, date(2026, 11, 1)),
        (46327.0, date(2026, 11, 1)),
        (date(2026, 11, 1), date(2026, 11, 1)),
        (datetime(2026, 11, 1, 12, 30), date(2026, 11, 1)),  # noqa: DTZ001 - as sheets have them
        (" ", None),
        (None, None),
    ],
)
def test_reads_a_day_as_people_write_it(cell: Cell, expected: date | None) -> None:
    """The day comes before the month; a spreadsheet's own dates and numbers are days too."""
    assert expected == day(cell)


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("31/02/2026", "invalid_date"),
        ("2026-02-30", "invalid_date"),
        ("11/25/2026", "invalid_date"),
        ("00/11/2026", "invalid_date"),
        ("01/11", "date_format"),
        ("01/11-2026", "date_format"),
        ("1er novembre", "date_format"),
        ("12345", "date_format"),
        ("2026-11-01T00:00:00Z", "date_format"),
        (12.5, "date_format"),
        (float("nan"), "date_format"),
        (1e300, "date_format"),
        (True, "date_format"),
        (time(12, 30), "date_format"),
    ],
)
def test_refuses_a_day_that_does_not_exist(cell: Cell, code: str) -> None:
    """A date that no calendar has is told apart from one that is not written as a date."""
    assert code == code_of(day, cell)


@pytest.mark.parametrize(
    "cell",
    ["=1+1", "=cmd|' /C calc'!A0", "+cmd", "-x", "@SUM(A1)", "\tx", "\rx", " =1+1", "=x\ny"],
)
def test_refuses_text_that_a_spreadsheet_would_run(cell: str) -> None:
    """CSV injection (OWASP): such text would run in the next spreadsheet that it is exported to."""
    assert "formula_cell" == code_of(text, cell)
    assert "formula_cell" == code_of(address, cell)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("  Éloïse ", "Éloïse"),
        ("E\u0301loi\u0308se", "Éloïse"),
        ("deux\r\nlignes", "deux lignes"),
        ('="00123"', "00123"),
        ('=""', None),
        ("-12", "-12"),
        ("+33 6 12", "+33 6 12"),
        ("#12", "#12"),
        (2026001.0, "2026001"),
        (12, "12"),
        (12.5, "12.5"),
        (0.0, "0"),
        (date(2026, 11, 1), "01/11/2026"),
        (True, "VRAI"),
        (" \u00a0", None),
        (None, None),
    ],
)
def test_reads_text_as_it_is_shown(cell: Cell, expected: str | None) -> None:
    """Space around it goes, accents are composed, and a code typed as a number has no `.0`."""
    assert expected == text(cell)


@pytest.mark.parametrize("cell", ["#N/A", "#REF!", "#NOM?", "#VALEUR!", "#DIV/0!"])
def test_refuses_what_a_spreadsheet_could_not_compute(cell: str) -> None:
    """An error is no name and no address."""
    assert "error_cell" == code_of(text, cell)


@pytest.mark.parametrize(
    ("read", "cell", "expected"),
    [
        (phone, "+33 6 12 34 56 78", "+33 6 12 34 56 78"),
        (phone, "06.12.34.56.78", "06.12.34.56.78"),
        (phone, 612345678.0, "0612345678"),
        (phone, "", None),
        (postcode, 1000.0, "01000"),
        (postcode, "76000", "76000"),
        (address, "12 rue X\r\n\r\n76000 Rouen", ("12 rue X", "76000 Rouen")),
        (address, "12 rue X", ("12 rue X",)),
        (address, "\n \n", None),
        (address, 12.0, ("12",)),
        (quantity, "2,50", "2.5"),
        (quantity, "-1", "-1"),
        (quantity, 18.0, "18"),
        (quantity, "0", "0"),
        (quantity, None, None),
        (quantity, "", None),
        (whole, "2 026", 2026),
        (whole, 2026.0, 2026),
        (whole, " ", None),
        (whole, None, None),
        (whole_cents, "4250", 4250),
        (kind, "Avoir", "credit_note"),
        (kind, "FACTURE", "invoice"),
        (kind, None, None),
        (currency, "€", "EUR"),
        (currency, "Euros", "EUR"),
        (currency, "CHF", "CHF"),
        (currency, None, None),
        (shown, 1e300, "1e+300"),
        (shown, time(12, 30), "12:30:00"),
    ],
)
def test_reads_the_other_cells(
    read: Callable[[Cell], object], cell: Cell, expected: object
) -> None:
    """Telephones and postcodes get back the zero that a spreadsheet took from them."""
    assert expected == read(cell)


@pytest.mark.parametrize(
    ("read", "cell", "code"),
    [
        (quantity, "deux", "quantity_format"),
        (quantity, True, "quantity_format"),
        (whole, "2,5", "number_format"),
        (whole, 2.5, "number_format"),
        (whole, True, "number_format"),
        (whole_cents, "42,50", "amount_format"),
        (kind, "devis", "invalid_value"),
        (phone, "=1", "formula_cell"),
    ],
)
def test_refuses_the_other_cells(read: Callable[[Cell], object], cell: Cell, code: str) -> None:
    """Each reader says with its own code what it cannot read."""
    assert code == code_of(read, cell)
