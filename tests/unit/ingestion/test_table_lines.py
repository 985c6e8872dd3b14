"""Consecutive rows of one number are the lines of one invoice, whole or not at all."""

from collections.abc import Sequence

import pytest

from ingestion.domain import (
    InvoiceLine,
    Rejection,
)
from tests.unit.ingestion.table_builders import (
    HEADINGS,
    a_csv,
    a_row,
    draft_of,
    read_csv,
    refusal_of,
)

LINE_HEADINGS = (*HEADINGS, "Prestation", "Qté", "PU", "Montant ligne")


def test_joins_consecutive_rows_of_one_number() -> None:
    """With a column of line amounts, several rows are the lines of one invoice."""
    first, second = read_csv(
        a_csv(
            (*a_row(c3="48,50"), "Cantine", "18", "2,00", "36,00"),
            ("F-1", "", "", "", "", "Garderie", "", "", "12,50"),
            (*a_row(c0="F-2", c3="2,00"), "Cantine", "1", "2", "2,00"),
            headings=LINE_HEADINGS,
        )
    )

    assert draft_of(first).amount_cents == 4850
    assert draft_of(first).lines == (
        InvoiceLine(label="Cantine", quantity="18", unit_amount_cents=200, amount_cents=3600),
        InvoiceLine(label="Garderie", amount_cents=1250),
    )
    assert (first.place, second.place) == ("/rows/2", "/rows/4")
    assert first.fields["/lines/1/amount_cents"] == "Montant ligne"
    assert first.fields["/lines/0/label"] == "Prestation"


def test_adds_up_the_lines_when_no_column_has_the_total() -> None:
    """The sum of the lines is then what is owed, a credit note's turned positive with its lines."""
    headings = (*HEADINGS[:3], "Nom", "Type facture", "Montant ligne", "PU")
    rows = [
        ("F-1", "01/11/2026", "01/12/2026", "Éloïse", "", "36,00", ""),
        ("F-1", "01/11/2026", "01/12/2026", "Éloïse", "", "-6,00", ""),
        ("A-1", "01/11/2026", "01/12/2026", "Éloïse", "avoir", "-36,00", "-36"),
    ]

    invoice, credit_note = read_csv(a_csv(*rows, headings=headings))

    assert draft_of(invoice).amount_cents == 3000
    assert [line.label for line in draft_of(invoice).lines] == ["Facture F-1", "Facture F-1"]
    assert draft_of(credit_note).amount_cents == 3600
    assert draft_of(credit_note).lines[0].amount_cents == 3600
    assert draft_of(credit_note).lines[0].unit_amount_cents == 3600


@pytest.mark.parametrize(
    ("row", "refusal"),
    [
        (
            ("F-1", "", "", "", "Autre", "Garderie", "", "", "12,50"),
            ("rows_disagree", "/payer/name"),
        ),
        (
            ("F-1", "", "", "49", "", "Garderie", "", "", "12,50"),
            ("rows_disagree", "/amount_cents"),
        ),
        (("F-1", "", "", "", "", "", "", "", "12,50"), ("missing_field", "/lines/1/label")),
        (
            ("F-1", "", "", "", "", "Garderie", "", "", "x"),
            ("amount_format", "/lines/1/amount_cents"),
        ),
        (("F-1", "", "", "", "", "G", "deux", "", "1"), ("quantity_format", "/lines/1/quantity")),
        (("F-1", "", "", "", "", "G"), ("too_few_cells", "")),
    ],
)
def test_refuses_a_whole_invoice_for_one_of_its_rows(
    row: Sequence[str], refusal: tuple[str, str]
) -> None:
    """Half of its lines would be another invoice; the sentence says which row it is."""
    good = (*a_row(c3="48,50"), "Cantine", "18", "2,00", "36,00")
    other = (*a_row(c0="F-2", c3="36,00"), "Cantine", "18", "2,00", "36,00")

    bad, after = read_csv(a_csv(good, row, other, headings=LINE_HEADINGS))

    assert refusal_of(bad) == refusal
    assert isinstance(bad.found, Rejection)
    assert bad.found.message.endswith("(ligne 3 du tableau)")
    assert bad.place == "/rows/2"
    assert draft_of(after).number == "F-2"


def test_refuses_an_invoice_with_a_nameless_row_among_its_own() -> None:
    """That row may be one of its lines; behind the last one it is a row of its own."""
    line = (*a_row(c3=""), "Cantine", "", "", "1,00")
    nameless = ("", "", "", "", "", "Garderie", "", "", "2,00")

    in_between, cut = read_csv(a_csv(line, nameless, line, headings=LINE_HEADINGS))
    total, whole = read_csv(a_csv(line, nameless, headings=LINE_HEADINGS))

    assert refusal_of(cut) == ("interrupted_invoice", "/lines")
    assert refusal_of(in_between) == ("missing_number", "/number")
    assert draft_of(whole).amount_cents == 100
    assert refusal_of(total) == ("missing_number", "/number")


def test_keeps_no_more_rows_than_it_must() -> None:
    """Memory stays bounded: one line beyond the limit is kept for the rules of entry to refuse."""
    line = (*a_row(c3=""), "Cantine", "", "", "1,00")

    (entry,) = read_csv(a_csv(*[line] * 700, headings=LINE_HEADINGS))

    assert len(draft_of(entry).lines) == 501


def test_refuses_an_invoice_for_its_first_row() -> None:
    """The row is the one that the entry names, so the sentence need not; blank rows cut nothing."""
    bad = (*a_row(c1="31/02/2026", c3=""), "Cantine", "", "", "1,00")
    good = (*a_row(c3=""), "Cantine", "", "", "1,00")

    (entry,) = read_csv(a_csv(bad, ("",) * 9, good, headings=LINE_HEADINGS))

    assert refusal_of(entry) == ("invalid_date", "/issued_on")
    assert isinstance(entry.found, Rejection)
    assert entry.found.message == "Cette date n’existe pas."


def test_needs_an_amount_of_the_whole_or_of_a_line() -> None:
    """A row without an amount adds no line, and an invoice of such rows has nothing to pay."""
    (entry,) = read_csv(a_csv((*a_row(c3=""), "Cantine", "", "", ""), headings=LINE_HEADINGS))

    assert refusal_of(entry) == ("missing_field", "/amount_cents")


def test_refuses_an_invoice_cut_by_a_malformed_row() -> None:
    """That row's number cannot be read, so it may be one of its lines."""
    line = (*a_row(c3=""), "Cantine", "", "", "1,00")
    content = a_csv(line, headings=LINE_HEADINGS) + b'F-1;"a"b\n' + a_csv(headings=line)

    malformed, cut = read_csv(content)

    assert refusal_of(malformed) == ("malformed_row", "")
    assert refusal_of(cut) == ("interrupted_invoice", "/lines")
