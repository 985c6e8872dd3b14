"""The headings of a table tell what its columns hold, and are never guessed at."""

import pytest

from ingestion.adapters.table_headings import NAMES, plain
from tests.unit.ingestion.table_builders import (
    HEADINGS,
    ROW,
    FakeContext,
    a_csv,
    draft_of,
    read_csv,
    refused_csv,
)


@pytest.mark.parametrize(
    ("heading", "expected"),
    [
        ("N° de facture", "numero facture"),
        ("NUMÉRO FACTURE", "numero facture"),
        ("nº facture :", "numero facture"),
        ("Montant TTC (€)", "montant ttc"),
        ("montant ttc en euros", "montant ttc"),
        ("Date d'émission", "date emission"),
        ("DATE_EMISSION", "date emission"),
        ("  ", ""),
    ],
)
def test_compares_headings_without_their_dress(heading: str, expected: str) -> None:
    """Accents, case, punctuation, small words and the unit tell nothing."""
    assert expected == plain(heading)


def test_gives_every_heading_one_meaning() -> None:
    """A heading that stood for two fields would depend on the order of a list."""
    fields: dict[str, set[str]] = {}
    for field, names in NAMES.items():
        for name in (field, *names.split("|")):
            fields.setdefault(plain(name), set()).add(field)

    several = {name: found for name, found in fields.items() if len(found) > 1}

    assert several == {}


@pytest.mark.parametrize(
    ("headings", "read"),
    [
        (("Montant TTC", "Net à payer"), "Net à payer"),
        (("Total", "Reste dû"), "Reste dû"),
        (("Montant", "amount"), "amount"),
    ],
)
def test_prefers_the_most_telling_heading(headings: tuple[str, str], read: str) -> None:
    """Of two amounts the one that is left to pay is read, wherever it stands."""
    row = {"Montant TTC": "1", "Total": "1", "Montant": "1"}
    cells = tuple(row.get(heading, "2") for heading in headings)
    context = FakeContext()

    (entry,) = read_csv(
        a_csv(
            ROW[:3] + ROW[4:] + cells,
            headings=HEADINGS[:3] + HEADINGS[4:] + headings,
        ),
        context,
    )

    assert draft_of(entry).amount_cents == 200
    assert context.remembered["amount"] == read


def test_believes_the_mapping_before_the_names() -> None:
    """What the régie has set goes before what this module knows, and is written as it likes."""
    context = FakeContext(mapping={"amount": "a verser", "subject": "Colonne X"})
    content = a_csv((*ROW, "7,00", "Cantine"), headings=(*HEADINGS, "À verser", "Colonne X"))

    (entry,) = read_csv(content, context)

    draft = draft_of(entry)
    assert (draft.amount_cents, draft.subject) == (700, "Cantine")
    assert context.remembered["amount"] == "À verser"


@pytest.mark.parametrize(
    ("mapping", "named"),
    [
        ({"amount": "Inconnue"}, "« Inconnue »"),
        ({"amount": "Net à payer"}, "« Net à payer »"),
        ({"payer_email": "Contact"}, "« Contact »"),
        ({"colour": "Nom"}, "« colour »"),
        ({"amount": ""}, "«  »"),
    ],
)
def test_refuses_a_mapping_that_does_not_fit(mapping: dict[str, str], named: str) -> None:
    """An amount must not come from another column than the one that was set."""
    context = FakeContext(mapping=mapping)

    code, detail = refused_csv(a_csv(ROW), context)

    assert code == "mapping"
    assert named in detail
    assert context.remembered == {}


def test_does_not_miss_a_remembered_column_that_may_be_missing() -> None:
    """A table without e-mail addresses follows one with them, in the same régie."""
    context = FakeContext(mapping={"payer_email": "Courriel"})

    (entry,) = read_csv(a_csv(ROW), context)

    assert draft_of(entry).payer.email is None


def test_says_which_columns_are_missing_and_which_were_seen() -> None:
    """The clerk reads both in one sentence, in the file's words, without control characters."""
    content = a_csv(("1", "2", "3"), headings=("N° facture", "Nom", "Remar\x07que"))

    code, detail = refused_csv(content, FakeContext(regie=None))

    assert code == "missing_columns"
    assert detail == (
        "La première ligne doit nommer les colonnes ; il manque : la date d’émission, la date"
        " limite de paiement, le montant, la régie, dans une colonne ou dans l’adresse."
        " Colonnes lues : « N° facture », « Nom », « Remarque »."
    )


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "no_invoices"),
        (a_csv(), "no_invoices"),
        (a_csv(("",) * 5, (" ",) * 5), "no_invoices"),
        (b"\n\n\n", "missing_columns"),
        (a_csv((*ROW, "1"), headings=(*HEADINGS, "montant ttc")), "duplicate_column"),
        (a_csv(headings=("x",) * 513), "too_many_columns"),
    ],
)
def test_refuses_a_table_without_sense(content: bytes, code: str) -> None:
    """Nothing is guessed of a table without rows, or with one heading over two columns."""
    assert code == refused_csv(content)[0]


def test_does_not_mind_a_double_heading_that_is_not_read() -> None:
    """Only a column that is read can be mistaken for its twin."""
    content = a_csv((*ROW, "a", "b"), headings=(*HEADINGS, "Remarque", "Remarque"))

    (entry,) = read_csv(content)

    assert draft_of(entry).number == "F-1"


def test_takes_what_was_billed_for_the_subject() -> None:
    """With one row for each invoice, a column of services says what it is about."""
    content = a_csv((*ROW, "Cantine", "x"), headings=(*HEADINGS, "Prestation", "Quantité"))

    (entry,) = read_csv(content)

    assert (draft_of(entry).subject, draft_of(entry).lines) == ("Cantine", ())
