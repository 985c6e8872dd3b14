"""A PES revenue file becomes one draft for each of its pieces, or says why it cannot."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from ingestion.domain import InvoiceLine, UnreadableDepositError
from tests.samples.pes_builder import (
    a_bordereau,
    a_line,
    a_pes,
    a_piece,
    a_tiers,
)
from tests.unit.ingestion.pes_context import (
    Context,
    draft_of,
    problems_of,
    read_pes,
    rejection_of,
)

SAMPLE = Path(__file__).parents[2] / "samples" / "pes" / "pes-ormc-3.xml"


def refusal_of(content: bytes, context: Context | None = None) -> tuple[str, str]:
    """Return code and pointer of the refusal of a whole file."""
    with pytest.raises(UnreadableDepositError) as caught:
        read_pes(content, context)
    return caught.value.code, caught.value.pointer


def one_piece(piece: str, amount: str = "12.50", **head: str | None) -> bytes:
    """Return a file with that piece alone."""
    return a_pes([a_bordereau([piece], amount, **head)])


def test_reads_a_real_file_as_it_stands() -> None:
    """What is read is what XPath finds in the whole document, and passes the rules of entry."""
    content = SAMPLE.read_bytes()
    pieces = etree.fromstring(content).findall(".//Piece")

    def at(piece: etree._Element, path: str) -> str:
        return " ".join(str(piece.xpath(f"string({path}/@V)")).split())

    entries = read_pes(content)
    drafts = [draft_of(entry) for entry in entries]

    assert [entry.place for entry in entries] == [
        f"/Bordereau[1]/Piece[{position}]" for position in (1, 2, 3)
    ]
    assert [draft.number for draft in drafts] == [
        at(piece, "BlocPiece/NumeroFacture") for piece in pieces
    ]
    assert [draft.subject for draft in drafts] == [
        at(piece, "BlocPiece/ObjPce") for piece in pieces
    ]
    assert [draft.debt_reference for draft in drafts] == [
        at(piece, "BlocPiece/NumDette") for piece in pieces
    ]
    assert [f"{draft.amount_cents / 100:.2f}" for draft in drafts] == [
        at(piece, ".//MtHT") for piece in pieces
    ]
    assert [draft.payer.address for draft in drafts] == [
        tuple(
            filter(
                None,
                (at(piece, ".//Adr2"), f"{at(piece, './/CP')} {at(piece, './/Ville')}".strip()),
            )
        )
        for piece in pieces
    ]
    assert [draft.payer.name for draft in drafts] == [
        "M. ZOE LE GOFF-KERBRAT",
        "M. MAELLE NUNEZ Y CANAS",
        "Mme LOIC AIT-UNAL",
    ]
    assert [draft.due_on for draft in drafts] == [
        date(2026, 4, 5),
        date(2026, 3, 31),
        date(2026, 3, 31),
    ]
    assert {(draft.issued_on, draft.fiscal_year) for draft in drafts} == {(date(2026, 3, 5), 2026)}
    assert [problems_of(draft) for draft in drafts] == [[], [], []]


def test_matches_names_and_not_prefixes() -> None:
    """A producer may put every element into the namespace of the root, under any prefix."""
    content = SAMPLE.read_bytes()
    default = content.replace(b"n:PES_Aller", b"PES_Aller").replace(b"xmlns:n=", b"xmlns=")
    other = content.replace(b"n:PES_Aller", b"ns7:PES_Aller").replace(b"xmlns:n=", b"xmlns:ns7=")

    found = [[entry.found for entry in read_pes(file)] for file in (content, default, other)]

    assert found[1] == found[0]
    assert found[2] == found[0]


@pytest.mark.parametrize(
    ("debt", "reference"),
    [
        ("1", "000001"),
        ("4711", "004711"),
        ("123456", "123456"),
        ("123456789012345", "123456789012345"),
    ],
)
def test_a_short_debt_number_is_filled_up(debt: str, reference: str) -> None:
    """PayFiP refuses references of fewer than six characters (R3)."""
    draft = draft_of(read_pes(one_piece(a_piece(debt)))[0])

    assert draft.debt_reference == reference
    assert problems_of(draft) == []


def test_vat_is_owed_and_shown_apart() -> None:
    """MtHT holds the VAT only where there is no MtTVA; a line for each rate says how much."""
    lines = [
        a_line("10.00", MtTVA="2.00", TxTva="20.00"),
        a_line("20.00", MtTVA="1.10", TxTva="5.5"),
        a_line("5.00", MtTVA="1.00", TxTva="20.00"),
    ]

    draft = draft_of(read_pes(one_piece(a_piece(lines=lines), "35.00", MtBordTVA="4.10"))[0])

    assert draft.amount_cents == 3910
    assert [(line.label, line.amount_cents) for line in draft.lines[3:]] == [
        ("TVA 20\u00a0%", 300),
        ("TVA 5,5\u00a0%", 110),
    ]
    assert problems_of(draft) == []


@pytest.mark.parametrize(
    ("head", "block", "kind"),
    [
        ({}, {}, "invoice"),
        ({"TypBord": "02"}, {"TypPce": "02"}, "credit_note"),
        ({"TypBord": "01"}, {"TypPce": "01", "NatPce": "06"}, "credit_note"),
        ({"TypBord": "01"}, {"TypPce": "01", "NatPce": "09"}, "invoice"),
    ],
)
@pytest.mark.parametrize("sign", ["", "-"])
def test_what_takes_a_debt_back_is_a_credit_note(
    head: dict[str, str], block: dict[str, str], kind: str, sign: str
) -> None:
    """Its amount is positive, however the producer writes it; a negative invoice is refused."""
    piece = a_piece(lines=[a_line(f"{sign}12.50")], **block)

    draft = draft_of(read_pes(one_piece(piece, **head))[0])

    assert draft.kind == kind
    if sign and kind == "invoice":
        assert problems_of(draft) == [("amount_not_positive", "/amount_cents")]
    else:
        assert (draft.amount_cents, draft.lines[0].amount_cents) == (1250, 1250)
        assert problems_of(draft) == []


@pytest.mark.parametrize("kind", ["03", "05", "06", "07", "11", "14"])
def test_titres_that_no_citizen_pays_are_refused(kind: str) -> None:
    """Budget entries, sums over many debtors, and what was paid before it was issued."""
    entry = read_pes(one_piece(a_piece(TypPce=kind), TypBord="01"))[0]

    assert rejection_of(entry) == ("not_to_be_paid", "/BlocPiece/TypPce")


def test_a_titre_is_named_by_its_year_and_number() -> None:
    """Titres are numbered anew each year: without the year, the next one would be a conflict."""
    piece = a_piece(None, TypPce="01", Per=None, IdPce="130", DteAsp="2026-03-20")

    draft = draft_of(read_pes(one_piece(piece, TypBord="01"))[0])

    assert (draft.number, draft.debt_reference) == ("2026-130", "000130")
    assert draft.due_on == date(2026, 4, 19)


def test_reads_the_jvs_flavour() -> None:
    """Number and details stand in the lines; a quotient keeps its decimals; a draft has less."""
    lines = [
        a_line(
            "9.999999999999999999999999999",
            JVS_FAC_NumeroFacture="2026-17",
            JVS_LFAC_Libelle="GARDERIE DU SOIR",
            JVS_LFAC_Quantite="3",
            JVS_LFAC_MtUnitaire="3.333333333333333333333333333",
            tiers=a_tiers(RefTiers=None, Numo="FAM000017"),
        ),
        a_line(
            "2.50",
            JVS_FAC_NumeroFacture="2026-17",
            JVS_LFAC_Libelle="REPAS",
            JVS_LFAC_Quantite="1",
            JVS_LFAC_MtUnitaire="2.50",
            tiers=a_tiers(RefTiers=None, Numo="FAM000017"),
        ),
    ]
    piece = a_piece(None, lines=lines, TypPce="01", Per=None)
    bordereau = a_bordereau([piece], "12.50", IdBord=None, DteBordEm=None, TypBord="01")

    draft = draft_of(read_pes(a_pes([bordereau], kind="PESALR2", encoding=""))[0])

    assert (draft.number, draft.debt_reference) == ("2026-17", "202617")
    assert draft.issued_on == date(2026, 3, 4)
    assert draft.payer.reference == "FAM000017"
    assert draft.lines == (
        InvoiceLine(label="GARDERIE DU SOIR", quantity="3", amount_cents=1000),
        InvoiceLine(label="REPAS", quantity="1", unit_amount_cents=250, amount_cents=250),
    )
    assert problems_of(draft) == []


@pytest.mark.parametrize("amount", ["12.345", "12,50", "1e3", "", "9" * 400, "NaN", "٣", "12.50 €"])
def test_an_amount_that_is_none_costs_its_piece_alone(amount: str) -> None:
    """The others are read; the total, which nobody can check then, is not held against them."""
    pieces = [a_piece("1", lines=[a_line(amount)]), a_piece("2")]

    entries = read_pes(a_pes([a_bordereau(pieces, "25.00")], encoding="UTF-8"))

    assert rejection_of(entries[0]) == (
        "amount_format",
        "/LigneDePiece/BlocLignePiece/InfoLignePiece/MtHT",
    )
    assert draft_of(entries[1]).number == "2"


@pytest.mark.parametrize(
    ("values", "refusal"),
    [
        ({"Cle1": "6"}, ("wrong_key", "/BlocPiece/Cle1")),
        ({"Cle2": "A"}, ("wrong_key", "/BlocPiece/Cle2")),
        ({"NumDette": "4712"}, ("wrong_key", "/BlocPiece/Cle1")),
        ({"Per": None}, ("wrong_key", "/BlocPiece/Per")),
        ({"NumDette": "47 11"}, ("debt_reference_format", "/BlocPiece/NumDette")),
        ({"DteAsp": "2026-02-31"}, ("invalid_date", "/BlocPiece/DteAsp")),
        ({"DteAsp": "2026-W10-1"}, ("invalid_date", "/BlocPiece/DteAsp")),
    ],
)
def test_a_fault_of_a_piece_is_named_in_the_words_of_pes(
    values: dict[str, Any], refusal: tuple[str, str]
) -> None:
    """Keys protect the debt number, so a wrong one is not read past."""
    entry = read_pes(one_piece(a_piece(**values)))[0]

    assert rejection_of(entry) == refusal


def test_keys_of_the_last_months_are_computed_with_the_whole_month() -> None:
    """Noethysweb writes `1` for October in Per, and computes both keys with `10`."""
    pieces = [a_piece(month=month) for month in ("10", "11", "12")]

    entries = read_pes(a_pes([a_bordereau(pieces, "37.50")]))

    assert [draft_of(entry).debt_reference for entry in entries] == ["004711"] * 3


def test_a_direct_debit_is_due_on_its_day() -> None:
    """A day that does not exist is refused where it stands."""
    wanted = a_piece("1", lines=[a_line(debited_on="2026-04-12")])
    impossible = a_piece("2", lines=[a_line(debited_on="2026-02-31")])

    entries = read_pes(a_pes([a_bordereau([wanted, impossible], "25.00")]))

    assert draft_of(entries[0]).due_on == date(2026, 4, 12)
    assert rejection_of(entries[1]) == (
        "invalid_date",
        "/LigneDePiece/BlocLignePiece/InfoPrelevementSEPA/DtePrel",
    )


def test_a_piece_needs_one_payer() -> None:
    """Nobody is asked for the share of another."""
    nobody = a_piece("1", lines=[a_line(tiers="")])
    nameless = a_piece("2", lines=[a_line(tiers=a_tiers(Nom=None))])
    several = a_piece("3", lines=[a_line("6.25"), a_line("6.25", tiers=a_tiers(Nom="MARTIN"))])

    entries = read_pes(a_pes([a_bordereau([nobody, nameless, several], "37.50")]))

    assert [rejection_of(entry) for entry in entries] == [
        ("missing_field", "/LigneDePiece/Tiers/InfoTiers/Nom"),
        ("missing_field", "/LigneDePiece/Tiers/InfoTiers/Nom"),
        ("several_payers", "/LigneDePiece/Tiers"),
    ]


def test_the_principal_debtor_pays() -> None:
    """Who is liable beside them is named too, and may stand first."""
    tiers = a_tiers(Nom="CAUTION", TypTiers="03") + a_tiers(Nom="MARTIN")

    draft = draft_of(read_pes(one_piece(a_piece(lines=[a_line(tiers=tiers)])))[0])

    assert draft.payer.name == "Mme ELOISE MARTIN"


@pytest.mark.parametrize(
    ("identifiers", "reference"),
    [
        ({"RefTiers": "F-17", "IdTiers": "21350012300017"}, "F-17"),
        ({"RefTiers": None, "IdTiers": "21350012300017", "NatIdTiers": "01"}, "21350012300017"),
        ({"RefTiers": "00", "IdTiers": "190017512345678"}, None),
        ({"RefTiers": None, "IdTiers": "1900175123456", "NatIdTiers": "04"}, None),
        ({"RefTiers": None}, None),
    ],
)
def test_a_social_security_number_never_becomes_a_reference(
    identifiers: dict[str, Any], reference: str | None
) -> None:
    """Without any other, the reference is made of name and address, the same each time."""
    piece = a_piece(lines=[a_line(tiers=a_tiers(**identifiers))])

    first, second = (draft_of(read_pes(one_piece(piece))[0]).payer for _ in range(2))

    assert first.reference == second.reference == (reference or "PES-a27cfe5f4441884a")


def test_finds_address_and_email_of_the_payer() -> None:
    """PES has no field for an e-mail address; 99999 stands for a postal code abroad."""
    tiers = a_tiers(
        {"Adr1": "BAT. B", "Adr3": "  ", "CP": "99999", "Ville": "B-1000  BRUXELLES"},
        ComplNom="CHEZ M. MARTIN",
        AdrMel="eloise@example.org",
    )

    payer = draft_of(read_pes(one_piece(a_piece(lines=[a_line(tiers=tiers)])))[0]).payer

    assert payer.email == "eloise@example.org"
    assert payer.address == (
        "CHEZ M. MARTIN",
        "BAT. B",
        "12 RUE DE L'EGLISE",
        "B-1000 BRUXELLES",
    )


@pytest.mark.parametrize(
    ("values", "amount", "refusal"),
    [
        ({"NbrPce": "2"}, "12.50", ("piece_count", "NbrPce")),
        ({}, "12.51", ("totals_do_not_add_up", "MtBordHt")),
        ({"MtBordTVA": "1.00"}, "12.50", ("totals_do_not_add_up", "MtBordTVA")),
        ({"NbrPce": "many"}, "12.50", ("invalid_number", "NbrPce")),
        ({"NbrPce": None}, "12.50", ("missing_field", "NbrPce")),
        ({}, "12", ("totals_do_not_add_up", "MtBordHt")),
        ({}, "a lot", ("amount_format", "MtBordHt")),
        ({"Exer": "26"}, "12.50", ("invalid_year", "Exer")),
        ({"DteBordEm": "2026-02-31"}, "12.50", ("invalid_date", "DteBordEm")),
    ],
)
def test_a_bordereau_that_does_not_add_up_is_refused_as_a_whole(
    values: dict[str, str | None], amount: str, refusal: tuple[str, str]
) -> None:
    """Something was lost or added on the way, and nobody can say what."""
    good = a_bordereau()

    found = refusal_of(a_pes([good, a_bordereau(None, amount, **values)]))

    assert found == (refusal[0], f"/Bordereau[2]/BlocBordereau/{refusal[1]}")


def test_pieces_are_counted_in_each_bordereau() -> None:
    """The place of a piece is its path in the file."""
    first = a_bordereau([a_piece("1"), a_piece("2")], "25.00")
    second = a_bordereau([a_piece("3")])

    entries = read_pes(a_pes([first, second]))

    assert [(entry.place, draft_of(entry).number) for entry in entries] == [
        ("/Bordereau[1]/Piece[1]", "1"),
        ("/Bordereau[1]/Piece[2]", "2"),
        ("/Bordereau[2]/Piece[1]", "3"),
    ]


def test_a_file_without_a_regie_or_without_pieces_is_refused() -> None:
    """The format names no régie; one that holds expenses only has no invoices."""
    expenses = a_pes().replace(b"PES_RecetteAller", b"PES_DepenseAller")
    headless = a_pes().replace(b"BlocBordereau", b"Bloc")

    assert refusal_of(a_pes(), Context(regie=None)) == ("missing_regie", "")
    assert refusal_of(a_pes([])) == ("no_invoices", "/PES_RecetteAller")
    assert refusal_of(expenses) == ("no_invoices", "/PES_RecetteAller")
    assert refusal_of(headless) == ("missing_field", "/Bordereau[1]/BlocBordereau")


def test_a_piece_needs_lines_and_a_number() -> None:
    """Without them nobody can say what is owed, nor find it again."""
    no_lines = a_piece("1", lines=[])
    no_number = a_piece(None, IdPce=None, Per=None)

    entries = read_pes(a_pes([a_bordereau([no_lines, no_number], "12.50")]))

    assert [rejection_of(entry) for entry in entries] == [
        ("missing_field", "/LigneDePiece"),
        ("missing_field", "/BlocPiece/IdPce"),
    ]
