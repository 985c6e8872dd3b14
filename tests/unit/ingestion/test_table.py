"""A table of invoices: whose column is whose, what a row lacks, which rows are one invoice."""

from collections.abc import Sequence
from datetime import date

import pytest

from ingestion.adapters import table
from ingestion.domain import (
    InvoiceDraft,
    Payer,
    Regie,
    validate,
)
from tests.unit.ingestion.table_builders import (
    HEADINGS,
    ROW,
    FakeContext,
    a_csv,
    a_row,
    draft_of,
    read_csv,
    refusal_of,
    refused_csv,
)


def test_reads_what_an_invoice_needs() -> None:
    """Five columns are enough; the draft passes the rules of entry."""
    context = FakeContext()

    (entry,) = read_csv(a_csv(ROW), context)

    draft = draft_of(entry)
    assert draft == InvoiceDraft(
        regie="CANTINE",
        number="F-1",
        issued_on=date(2026, 11, 1),
        due_on=date(2026, 12, 1),
        amount_cents=4250,
        currency="EUR",
        subject="Facture F-1",
        route="regie",
        payer=Payer(reference=draft.payer.reference, name="Éloïse Lefèvre"),
    )
    assert entry.place == "/rows/2"
    assert entry.fields == {
        "/number": "N° facture",
        "/issued_on": "Date d’émission",
        "/due_on": "Échéance",
        "/amount_cents": "Montant TTC",
        "/payer/name": "Nom",
    }
    assert context.remembered == {
        "number": "N° facture",
        "issued_on": "Date d’émission",
        "due_on": "Échéance",
        "amount": "Montant TTC",
        "payer_name": "Nom",
    }
    regies = {"CANTINE": Regie(code="CANTINE", route="regie")}
    assert validate(draft, authority_regies=regies, today=date(2026, 11, 24)) == []


def test_reads_every_field_under_its_own_name() -> None:
    """The names of the published contract are headings as well."""
    fields = {
        "regie": "PISCINE",
        "number": "7",
        "issued_on": "2026-11-01",
        "due_on": "2026-12-01",
        "amount_cents": "4250",
        "currency": "eur",
        "subject": "Abonnement",
        "kind": "avoir",
        "payer_reference": "R-9",
        "payer_civility": "Mme",
        "payer_last_name": "LEFÈVRE",
        "payer_first_name": "Éloïse",
        "payer_email": "e@example.org",
        "payer_phone": "+33 6 12 34 56 78",
        "payer_address1": "12 rue X",
        "payer_address2": "Bât. A",
        "payer_address3": "Le Bourg",
        "payer_address4": "BP 3",
        "payer_postcode": "1000",
        "payer_city": "Bourg",
        "pdf": "f7.pdf",
        "version": "2",
        "fiscal_year": "2026",
        "debt_reference": "REF123456",
    }
    context = FakeContext(regie=None, treasury="PISCINE")

    (entry,) = read_csv(a_csv(tuple(fields.values()), headings=tuple(fields)), context)

    assert draft_of(entry) == InvoiceDraft(
        regie="PISCINE",
        number="7",
        issued_on=date(2026, 11, 1),
        due_on=date(2026, 12, 1),
        amount_cents=4250,
        currency="EUR",
        subject="Abonnement",
        route="treasury",
        kind="credit_note",
        payer=Payer(
            reference="R-9",
            name="Mme LEFÈVRE Éloïse",
            email="e@example.org",
            phone="+33 6 12 34 56 78",
            address=("12 rue X", "Bât. A", "Le Bourg", "BP 3", "01000 Bourg"),
        ),
        pdf="f7.pdf",
        fiscal_year=2026,
        debt_reference="REF123456",
        version=2,
    )


def test_refuses_a_table_of_more_than_a_million_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit counts rows below the headings, and is checked as they go by."""
    monkeypatch.setattr(table, "MAXIMUM_ROWS", 2)

    entries = read_csv(a_csv(ROW, ROW))
    code, _ = refused_csv(a_csv(ROW, ROW, ROW))

    assert len(entries) == 2
    assert code == "too_many_rows"


@pytest.mark.parametrize(
    ("row", "refusal"),
    [
        (a_row(c0=""), ("missing_number", "/number")),
        (a_row(c0="TOTAL", c1="", c2="", c4=""), ("total_row", "/number")),
        (a_row(c0="Sous-total", c1="", c2="", c4=""), ("total_row", "/number")),
        (a_row(c1=""), ("missing_field", "/issued_on")),
        (a_row(c2=""), ("missing_field", "/due_on")),
        (a_row(c3=""), ("missing_field", "/amount_cents")),
        (a_row(c4=""), ("missing_field", "/payer/name")),
        (a_row(c0='="F-1"', c4="@x"), ("formula_cell", "/payer/name")),
        (a_row(c1="31/02/2026"), ("invalid_date", "/issued_on")),
        (a_row(c3="1.234"), ("amount_ambiguous", "/amount_cents")),
        (a_row(c4="=cmd|' /C calc'!A0"), ("formula_cell", "/payer/name")),
        (ROW[:4], ("too_few_cells", "")),
        ((*ROW, "extra"), ("too_many_cells", "")),
    ],
)
def test_refuses_a_bad_row_alone(row: Sequence[str], refusal: tuple[str, str]) -> None:
    """The rows around it are read, and it is named as the spreadsheet numbers it."""
    before, bad, after = read_csv(a_csv(ROW, row, ROW))

    assert draft_of(before) == draft_of(after)
    assert refusal_of(bad) == refusal
    assert [before.place, bad.place, after.place] == ["/rows/2", "/rows/3", "/rows/4"]


def test_skips_blank_rows_but_counts_them() -> None:
    """A gap between two blocks is nothing to refuse."""
    first, second = read_csv(a_csv(ROW, ("",) * 5, (" ", "\u00a0", "", "", ""), a_row(c0="F-2")))

    assert (first.place, second.place) == ("/rows/2", "/rows/5")
    assert draft_of(second).number == "F-2"


def test_needs_no_column_of_regies_when_the_address_names_one() -> None:
    """A blank cell of a régie column takes the address's régie; without that it is missing."""
    content = a_csv(("", *ROW), headings=("Régie", *HEADINGS))

    (named,) = read_csv(content)
    (unnamed,) = read_csv(content, FakeContext(regie=None))

    assert draft_of(named).regie == "CANTINE"
    assert refusal_of(unnamed) == ("missing_field", "/regie")


def test_derives_the_same_reference_for_the_same_payer() -> None:
    """Without a column of references, name and address tell payers apart, whatever the case."""
    headings = (*HEADINGS, "Adresse")

    first, same, other = read_csv(
        a_csv(
            (*ROW, "12 rue X"),
            (*a_row(c4="ÉLOÏSE LEFÈVRE"), "12 Rue X"),
            (*ROW, "13 rue X"),
            headings=headings,
        )
    )

    assert draft_of(first).payer.reference == "TABLE-6ecae42479c81484"
    assert draft_of(first).payer.reference == draft_of(same).payer.reference
    assert draft_of(first).payer.reference != draft_of(other).payer.reference


@pytest.mark.parametrize(("amount", "cents"), [("12,50", 1250), ("-12,50", 1250)])
def test_reads_a_credit_note_with_or_without_a_minus(amount: str, cents: int) -> None:
    """What is given back is positive in the draft; the minus says no more than the word."""
    content = a_csv((*a_row(c3=amount), "Avoir"), headings=(*HEADINGS, "Type de document"))

    (entry,) = read_csv(content)

    draft = draft_of(entry)
    assert (draft.kind, draft.amount_cents, draft.subject) == ("credit_note", cents, "Avoir F-1")


def test_leaves_a_negative_invoice_negative() -> None:
    """Nothing says that it is a credit note, so the rules of entry refuse it."""
    (entry,) = read_csv(a_csv(a_row(c3="(12,50)")))

    problems = validate(
        draft_of(entry),
        authority_regies={"CANTINE": Regie(code="CANTINE", route="regie")},
        today=date(2026, 11, 24),
    )

    assert [(problem.code, problem.pointer) for problem in problems] == [
        ("amount_not_positive", "/amount_cents")
    ]


def test_needs_a_last_name_beside_a_first_name() -> None:
    """A first name and a title alone name nobody."""
    headings = (*HEADINGS, "Prénom", "Civilité")

    named, unnamed = read_csv(
        a_csv(
            (*a_row(c4="LEFÈVRE"), "Éloïse", ""),
            (*a_row(c4=""), "Éloïse", "Mme"),
            headings=headings,
        )
    )

    assert draft_of(named).payer.name == "LEFÈVRE Éloïse"
    assert refusal_of(unnamed) == ("missing_field", "/payer/name")
