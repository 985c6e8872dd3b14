"""A ROLMRE file becomes one draft for each of its records, or says why it cannot."""

from contextlib import suppress
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.adapters import rolmre
from ingestion.domain import InvoiceLine, UnreadableDepositError
from tests.samples.pes_builder import a_rolmre_record, second_key
from tests.unit.ingestion.pes_context import (
    Context,
    draft_of,
    problems_of,
    read_rolmre,
    rejection_of,
)

ASCII_RECORD = a_rolmre_record(ROLNOM="MARTIN", ROLADR="", ROLORU="EAU").encode("ascii")
RECORDS = [a_rolmre_record(str(number)) for number in (4711, 4712, 4713)]


def test_reads_what_is_owed_by_whom() -> None:
    """Each field stands at its columns, and the draft passes the rules of entry."""
    entry = read_rolmre(a_rolmre_record().encode())[0]

    draft = draft_of(entry)
    assert entry.place == "/records/1"
    assert (draft.number, draft.debt_reference, draft.fiscal_year) == ("2013-4711", "004711", 2013)
    assert (draft.issued_on, draft.due_on) == (date(2013, 9, 5), date(2013, 10, 5))
    assert (draft.amount_cents, draft.subject) == (1250, "Facture n°4711")
    assert draft.lines == (InvoiceLine(label="Facture n°4711", amount_cents=1250),)
    assert draft.payer.name == "HÉLÈNE BÉRANGER"
    assert draft.payer.address == ("3 ALLÉE DES CHÊNES", "39000 LONS-LE-SAUNIER")
    assert draft.payer.reference.startswith("ROLMRE-")
    assert problems_of(draft) == []


def test_water_and_its_vat_are_lines_of_their_own() -> None:
    """The total is their sum; the customer number is the reference."""
    record = a_rolmre_record(
        ROLEAU=f"{1000:012}",
        ROLASS=f"{200:012}",
        ROLTVE=f"{55:012}",
        ROLTVA=f"{20:012}",
        ROLTOT=f"{1275:012}",
        ROLCLI="COMPTEUR 17",
        ROLORU="CONSOMMATION DU 2E TRIMESTRE 201",
        ROLOVI="3",
    )

    draft = draft_of(read_rolmre(record.encode())[0])

    assert [(line.label, line.amount_cents) for line in draft.lines] == [
        ("Eau", 1000),
        ("Assainissement", 200),
        ("TVA sur l’eau", 55),
        ("TVA sur l’assainissement", 20),
    ]
    assert draft.subject == "CONSOMMATION DU 2E TRIMESTRE 2013"
    assert draft.payer.reference == "COMPTEUR 17"
    assert problems_of(draft) == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "iso-8859-1", "cp850"])
@pytest.mark.parametrize(
    ("separator", "end"),
    [("\n", "\n"), ("\r\n", "\r\n\x1a"), ("\r", ""), ("", ""), ("\n\n", "\x1a"), ("\n", "\n \n")],
)
def test_records_are_found_in_any_encoding_and_with_any_end(
    encoding: str, separator: str, end: str
) -> None:
    """Columns are characters, not bytes; old files end with Ctrl-Z."""
    content = (separator.join(RECORDS) + end).encode(encoding)

    drafts = [draft_of(entry) for entry in read_rolmre(content)]

    assert [draft.debt_reference for draft in drafts] == ["004711", "004712", "004713"]
    assert {draft.payer.name for draft in drafts} == {"HÉLÈNE BÉRANGER"}
    assert rolmre.recognises(content)


@pytest.mark.parametrize(
    ("values", "refusal"),
    [
        ({"ROLMVT": "2"}, ("record_type", "/ROLMVT")),
        ({"ROLMONNAIE": "F"}, ("currency", "/ROLMONNAIE")),
        ({"ROLEX": "13"}, ("invalid_year", "/ROLEX")),
        ({"ROLDET": "0000000000000"}, ("missing_field", "/ROLDET")),
        ({"ROLNOM": ""}, ("missing_field", "/ROLNOM")),
        ({"ROLCLE1": "X"}, ("wrong_key", "/ROLCLE1")),
        ({"ROLCLE2": "I"}, ("wrong_key", "/ROLCLE2")),
        ({"ROLDAT": "20130231"}, ("invalid_date", "/ROLDAT")),
        ({"ROLEAU": "00000000-500"}, ("amount_format", "/ROLEAU")),
        ({"ROLTOT": "000000001251"}, ("totals_do_not_add_up", "/ROLTOT")),
    ],
)
def test_a_fault_costs_its_record_alone(values: dict[str, Any], refusal: tuple[str, str]) -> None:
    """It is named in the words of the format."""
    content = "\n".join([RECORDS[0], a_rolmre_record(**values), RECORDS[1]]).encode()

    entries = read_rolmre(content)

    assert rejection_of(entries[1]) == refusal
    assert [draft_of(entries[index]).debt_reference for index in (0, 2)] == ["004711", "004712"]


def test_a_record_of_another_length_is_refused() -> None:
    """Its columns could be anything."""
    entries = read_rolmre("\n".join([RECORDS[0], RECORDS[1] + " ", RECORDS[2][:-1]]).encode())

    assert draft_of(entries[0]).debt_reference == "004711"
    assert [rejection_of(entry) for entry in entries[1:]] == [("record_length", "")] * 2


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "no_invoices"),
        (b"\r\n \r\n\x1a", "no_invoices"),
        (b"\n" + b"x" * 3000, "record_length"),
        (RECORDS[0].replace("H", "\x81").encode("latin-1"), "encoding"),
    ],
)
def test_what_has_no_records_is_refused_as_a_whole(content: bytes, code: str) -> None:
    """Nothing of it can be taken."""
    with pytest.raises(UnreadableDepositError) as caught:
        read_rolmre(content)

    assert caught.value.code == code


def test_the_format_names_no_regie() -> None:
    """It comes from the address."""
    with pytest.raises(UnreadableDepositError) as caught:
        read_rolmre(RECORDS[0].encode(), Context(regie=None))

    assert caught.value.code == "missing_regie"


@pytest.mark.parametrize(
    "head",
    [b"", b"1", b"number;amount\n1;2", ASCII_RECORD[:-1], b"2" + ASCII_RECORD[1:]],
)
def test_recognises_no_other_text(head: bytes) -> None:
    """A table of numbers is not one of debts."""
    assert not rolmre.recognises(head)


def test_the_period_is_part_of_the_number() -> None:
    """The same meter has the same debt number in each period."""
    record = a_rolmre_record(period="2", ROLCLE2=second_key("2013", "2", "4711"))

    assert draft_of(read_rolmre(record.encode())[0]).number == "2013-2-4711"


@given(st.data())
def test_any_damage_is_read_or_refused(data: st.DataObject) -> None:
    """Nothing but the one error leaves the reader."""
    content = "\r\n".join(RECORDS).encode(data.draw(st.sampled_from(["utf-8", "cp850"])))
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, min(len(content), start + 40)))
    content = content[:start] + data.draw(st.binary(max_size=40)) + content[end:]

    with suppress(UnreadableDepositError):
        read_rolmre(content)
    rolmre.recognises(content)


@given(st.binary(max_size=1200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    """Also those that are no text at all."""
    with suppress(UnreadableDepositError):
        read_rolmre(content)
    rolmre.recognises(content)
