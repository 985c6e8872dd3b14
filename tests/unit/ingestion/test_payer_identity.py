"""Who a payer is for the State: taken as deposited, refused where it is not exact."""

from datetime import date
from typing import Any

import msgspec
import pytest

from ingestion.adapters import json_deposit
from ingestion.adapters.pes_payer import derived_reference
from ingestion.domain import InvoiceDraft, PayerIdentity, Rejection, fingerprint, validate
from shared.events.invoice_generated import Payer as PublishedPayer
from tests.unit.ingestion.e_invoices import CII, read_cii
from tests.unit.ingestion.table_builders import (
    HEADINGS,
    ROW,
    a_csv,
    a_workbook,
    draft_of,
    read_csv,
    read_workbook,
    refusal_of,
)
from tests.unit.ingestion.test_domain import REGIES, TODAY, a_payer, an_invoice

IDENTITY: dict[str, Any] = {
    "family_name": "MARTIN",
    "given_names": ("Camille", "Dominique"),
    "birthdate": "1984-05-12",
    "gender": "female",
    "birthplace": "75056",
    "birthcountry": "99100",
}
IDENTITY_HEADINGS = (
    "Nom de naissance du redevable",
    "payer_given_names",
    "Date de naissance du redevable",
    "Sexe du redevable",
    "payer_birthplace",
    "payer_birthcountry",
)


def problems(**changes: Any) -> list[tuple[str, str]]:
    identity = PayerIdentity(**(IDENTITY | changes))
    draft = an_invoice(payer=a_payer(identity=identity))
    return [
        (found.code, found.pointer)
        for found in validate(draft, authority_regies=REGIES, today=TODAY)
    ]


def read(identity: object) -> InvoiceDraft | Rejection:
    """Return what one invoice of a JSON deposit with that identity becomes."""
    draft = msgspec.to_builtins(an_invoice())
    draft["payer"]["identity"] = identity
    [found] = json_deposit.read(msgspec.json.encode({"invoices": [draft]})).lines
    return found


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"birthdate": "1984-05-00"},
        {"birthdate": "1984-00-00"},
        {"birthdate": TODAY.isoformat()},
        {"gender": None, "birthplace": None, "birthcountry": None},
        {"birthplace": "", "birthcountry": "99109"},
        {"birthplace": "2A004"},
    ],
)
def test_takes_an_identity_that_is_exact(changes: dict[str, Any]) -> None:
    """C5: also partial dates, birth abroad and fields that the biller does not know."""
    assert problems(**changes) == []


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"family_name": " "}, "blank", "family_name"),
        ({"family_name": "a" * 101}, "too_long", "family_name"),
        ({"family_name": "4970 1000 0000 0055"}, "card_number", "family_name"),
        ({"given_names": ()}, "given_names_count", "given_names"),
        ({"given_names": ("a",) * 21}, "given_names_count", "given_names"),
        ({"given_names": ("Camille", "")}, "blank", "given_names/1"),
        ({"birthdate": "12/05/1984"}, "birthdate_format", "birthdate"),
        ({"birthdate": "1984-02-30"}, "birthdate_format", "birthdate"),
        ({"birthdate": "1984-00-12"}, "birthdate_format", "birthdate"),
        ({"birthdate": "0000-00-00"}, "birthdate_format", "birthdate"),
        ({"birthdate": "1849-12-31"}, "birthdate_format", "birthdate"),
        ({"birthdate": "2026-11-25"}, "birthdate_format", "birthdate"),
        ({"birthdate": "１９８４-05-12"}, "birthdate_format", "birthdate"),
        ({"birthplace": "Paris"}, "birthplace_format", "birthplace"),
        ({"birthcountry": "FR"}, "birthcountry_format", "birthcountry"),
        ({"birthcountry": ""}, "birthcountry_format", "birthcountry"),
    ],
)
def test_refuses_an_identity_that_is_not(changes: dict[str, Any], code: str, field: str) -> None:
    """A wrong one would link nobody or, worse, somebody else."""
    assert problems(**changes) == [(code, f"/payer/identity/{field}")]


def test_reads_an_identity_from_a_json_deposit() -> None:
    """Under the payer, beside the name that is printed."""
    found = read(IDENTITY)

    assert isinstance(found, InvoiceDraft)
    assert found.payer.identity == PayerIdentity(**IDENTITY)


@pytest.mark.parametrize(
    ("identity", "code", "pointer"),
    [
        (IDENTITY | {"nir": "284057505600112"}, "unknown_field", "/payer/identity/nir"),
        (IDENTITY | {"gender": "F"}, "invalid_value", "/payer/identity/gender"),
        (IDENTITY | {"given_names": "Camille"}, "wrong_type", "/payer/identity/given_names"),
        ({"family_name": "MARTIN"}, "missing_field", "/payer/identity/given_names"),
    ],
)
def test_refuses_an_identity_of_another_form(identity: object, code: str, pointer: str) -> None:
    """An unknown field costs its line: a social security number has no place here."""
    found = read(identity)

    assert isinstance(found, Rejection)
    assert (found.code, found.pointer) == (code, f"/invoices/0{pointer}")


def test_what_was_held_before_identities_were_is_unchanged() -> None:
    """An optional field that is absent leaves the fingerprint as it was."""
    draft = an_invoice()
    content = msgspec.to_builtins(draft)

    assert "identity" not in content["payer"]
    assert fingerprint(draft, None) != fingerprint(
        an_invoice(payer=a_payer(identity=PayerIdentity(**IDENTITY))), None
    )


def test_reads_an_identity_from_a_table() -> None:
    """Under headings that name the payer, dates and genders as people write them."""
    cells = ("MARTIN", "Camille, Dominique", "12/05/1984", "F", "1053", "99100")

    [entry] = read_csv(a_csv(ROW + cells, headings=HEADINGS + IDENTITY_HEADINGS))

    assert draft_of(entry).payer.identity == PayerIdentity(**(IDENTITY | {"birthplace": "01053"}))


def test_reads_a_birthdate_of_a_spreadsheet() -> None:
    """A date is one there, and not a text."""
    cells = ("MARTIN", "Camille", date(1984, 5, 12), "", "", "")

    [entry] = read_workbook(a_workbook(ROW + cells, headings=HEADINGS + IDENTITY_HEADINGS))

    identity = draft_of(entry).payer.identity
    assert identity is not None
    assert (identity.birthdate, identity.gender) == ("1984-05-12", None)


@pytest.mark.parametrize(
    ("headings", "cells"),
    [
        (("Date de naissance", "Sexe"), ("12/05/2019", "F")),
        (IDENTITY_HEADINGS[:2], ("MARTIN", "Camille")),
        (IDENTITY_HEADINGS[:3], ("MARTIN", "", "12/05/1984")),
    ],
    ids=["of the child", "without a birthdate", "without given names"],
)
def test_a_table_that_does_not_say_all_says_nothing(
    headings: tuple[str, ...], cells: tuple[str, ...]
) -> None:
    """A list of pupils has birthdates too: they are not the payer's."""
    [entry] = read_csv(a_csv(ROW + cells, headings=HEADINGS + headings))

    assert draft_of(entry).payer.identity is None


@pytest.mark.parametrize(
    ("cells", "refusal"),
    [
        (("12/13/1984", "F"), ("invalid_date", "/payer/identity/birthdate")),
        (("12/05/1984", "X"), ("invalid_value", "/payer/identity/gender")),
        (("=1+1", "F"), ("date_format", "/payer/identity/birthdate")),
    ],
)
def test_a_table_with_a_wrong_cell_is_told_of_it(
    cells: tuple[str, str], refusal: tuple[str, str]
) -> None:
    """The row is refused, with the field."""
    row = (*ROW, "MARTIN", "Camille", *cells)

    [entry] = read_csv(a_csv(row, headings=HEADINGS + IDENTITY_HEADINGS[:4]))

    assert refusal_of(entry) == refusal


def test_references_that_were_made_up_can_be_told_from_billers_own() -> None:
    """The portal links no payer by them: two of one name at one address get the same."""
    nameless = CII.part("buyer").replace("<ram:ID>F-17</ram:ID>", "")
    [row] = read_csv(a_csv(ROW))
    made_up = [
        draft_of(row).payer.reference,
        read_cii(CII.with_parts(buyer=nameless), "SALLES").payer.reference,
        derived_reference("PES", "MARTIN", ()),
        derived_reference("ROLMRE", "MARTIN", ()),
    ]

    found = [PublishedPayer(reference=text, name="x").own_reference for text in made_up]
    own = PublishedPayer(reference="FAM-0042", name="x").own_reference

    assert found == [None] * 4
    assert own == "FAM-0042"
