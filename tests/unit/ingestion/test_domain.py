"""The rules that an invoice must meet to enter."""

from datetime import date
from typing import Any

import pytest

from ingestion.domain import (
    MAXIMUM_INVOICE_CENTS,
    InvoiceDraft,
    InvoiceLine,
    Payer,
    Regie,
    Rejection,
    validate,
)

TODAY = date(2026, 11, 24)
REGIES = {
    "CANTINE": Regie(code="CANTINE", route="regie"),
    "BUDGET": Regie(code="BUDGET", route="treasury"),
    "MUSEE": Regie(code="MUSEE", route="regie", is_allowed=False),
}


def a_payer(**changes: Any) -> Payer:
    """Return a payer, sound unless changed."""
    fields: dict[str, Any] = {"reference": "F-17", "name": "Éloïse N’Guyen"} | changes
    return Payer(**fields)


def an_invoice(**changes: Any) -> InvoiceDraft:
    """Return an invoice, sound unless changed."""
    fields: dict[str, Any] = {
        "regie": "CANTINE",
        "number": "2026-001",
        "issued_on": date(2026, 11, 1),
        "due_on": date(2026, 12, 1),
        "amount_cents": 4250,
        "currency": "EUR",
        "subject": "Restauration scolaire – octobre",
        "route": "regie",
        "payer": a_payer(),
    } | changes
    return InvoiceDraft(**fields)


def a_treasury_invoice(**changes: Any) -> InvoiceDraft:
    """Return an invoice payable to the treasury, sound unless changed."""
    fields: dict[str, Any] = {
        "regie": "BUDGET",
        "route": "treasury",
        "fiscal_year": 2026,
        "debt_reference": "ROLE2026000017",
    } | changes
    return an_invoice(**fields)


def problems(draft: InvoiceDraft) -> list[tuple[str, str]]:
    """Return code and pointer of each reason to refuse `draft`."""
    return [
        (rejection.code, rejection.pointer)
        for rejection in validate(draft, authority_regies=REGIES, today=TODAY)
    ]


def test_accepts_a_sound_invoice_for_a_regie() -> None:
    """Nothing wrong gives an empty list, accents, dashes and typographic quotes included."""
    draft = an_invoice(
        payer=a_payer(
            email="eloise.nguyen+ecole@mairie.exemple.fr",
            phone="+33 6 12 34 56 78",
            address=("12\u00a0rue de l’Église", "76000 Rouen"),
        ),
        lines=(
            InvoiceLine(label="Repas", quantity="12.5", unit_amount_cents=400, amount_cents=5000),
            InvoiceLine(label="Remise quotient", amount_cents=-750),
        ),
        pdf="facture.pdf",
    )

    found = problems(draft)

    assert found == []


def test_accepts_a_sound_invoice_for_the_treasury() -> None:
    """A fiscal year and a debt reference that PayFiP takes are what the treasury adds."""
    draft = a_treasury_invoice()

    found = problems(draft)

    assert found == []


def test_accepts_a_credit_note_with_a_positive_amount() -> None:
    """What is given back is written positive; the kind says the direction."""
    draft = an_invoice(kind="credit_note", amount_cents=1)

    found = problems(draft)

    assert found == []


def test_tells_every_reason_at_once() -> None:
    """A biller corrects a line once: all its faults come together."""
    draft = an_invoice(regie="PISCINE", amount_cents=0, currency="USD", version=0)

    found = problems(draft)

    assert found == [
        ("unknown_regie", "/regie"),
        ("currency", "/currency"),
        ("amount_not_positive", "/amount_cents"),
        ("version_too_low", "/version"),
    ]


def test_a_reason_can_be_seen_from_the_whole_deposit() -> None:
    """The pointer of a rule starts at the invoice; the deposit puts its place before it."""
    rejection = Rejection(code="currency", pointer="/currency", message="Non.")

    moved = rejection.under("/invoices/3")

    assert moved == Rejection(code="currency", pointer="/invoices/3/currency", message="Non.")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"regie": "MUSEE"}, [("regie_not_allowed", "/regie")]),
        ({"regie": "BUDGET"}, [("wrong_route", "/route")]),
        (
            {"route": "treasury", "fiscal_year": 2026, "debt_reference": "ABC123"},
            [("wrong_route", "/route")],
        ),
    ],
)
def test_refuses_a_regie_out_of_reach(
    changes: dict[str, object], expected: list[tuple[str, str]]
) -> None:
    """The token names the régies, and each régie has one way to be paid."""
    draft = an_invoice(**changes)

    found = problems(draft)

    assert found == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"fiscal_year": None}, [("missing_field", "/fiscal_year")]),
        ({"fiscal_year": 1999}, [("fiscal_year_out_of_range", "/fiscal_year")]),
        ({"fiscal_year": 2028}, [("fiscal_year_out_of_range", "/fiscal_year")]),
        ({"debt_reference": None}, [("missing_field", "/debt_reference")]),
        ({"debt_reference": "ABCDE"}, [("debt_reference_format", "/debt_reference")]),
        ({"debt_reference": "A" * 31}, [("debt_reference_format", "/debt_reference")]),
        ({"debt_reference": "ROLE 2026"}, [("debt_reference_format", "/debt_reference")]),
        ({"debt_reference": "RÔLE2026"}, [("debt_reference_format", "/debt_reference")]),
        ({"debt_reference": "ROLE2026\n"}, [("debt_reference_format", "/debt_reference")]),
    ],
)
def test_refuses_a_treasury_invoice_that_payfip_cannot_take(
    changes: dict[str, object], expected: list[tuple[str, str]]
) -> None:
    """PayFiP wants an exercice of four digits and a refdet of 6 to 30 letters and digits."""
    draft = a_treasury_invoice(**changes)

    found = problems(draft)

    assert found == expected


@pytest.mark.parametrize(
    ("amount_cents", "expected"),
    [
        (-1, [("amount_not_positive", "/amount_cents")]),
        (0, [("amount_not_positive", "/amount_cents")]),
        (1, []),
        (MAXIMUM_INVOICE_CENTS, []),
        (MAXIMUM_INVOICE_CENTS + 1, [("amount_too_large", "/amount_cents")]),
        (10**18, [("amount_too_large", "/amount_cents")]),
    ],
)
def test_bounds_the_amount_of_an_invoice(
    amount_cents: int, expected: list[tuple[str, str]]
) -> None:
    """An invoice claims from one cent to the ceiling, both included."""
    draft = an_invoice(amount_cents=amount_cents)

    found = problems(draft)

    assert found == expected


@pytest.mark.parametrize(
    ("issued_on", "due_on", "expected"),
    [
        (date(2000, 1, 1), date(2000, 1, 1), []),
        (date(1999, 12, 31), date(2000, 1, 1), [("issued_too_early", "/issued_on")]),
        (date(2027, 11, 25), date(2027, 11, 25), []),
        (date(2027, 11, 26), date(2027, 11, 26), [("issued_too_late", "/issued_on")]),
        (date(2026, 11, 2), date(2026, 11, 1), [("due_before_issue", "/due_on")]),
        (date(2026, 11, 1), date(9999, 12, 31), [("due_too_late", "/due_on")]),
        (
            date(1, 1, 1),
            date(9999, 12, 31),
            [("issued_too_early", "/issued_on"), ("due_too_late", "/due_on")],
        ),
    ],
)
def test_refuses_absurd_dates(
    issued_on: date, due_on: date, expected: list[tuple[str, str]]
) -> None:
    """From 2000 to a year ahead, and never due before it is issued."""
    draft = an_invoice(issued_on=issued_on, due_on=due_on)

    found = problems(draft)

    assert found == expected


@pytest.mark.parametrize(
    "character",
    ["\x00", "\t", "\r", "\n", "\x7f", "\u00ad", "\u200b", "\u200d", "\u202e", "\u2066", "\u2028"],
)
@pytest.mark.parametrize(
    "pointer",
    [
        "/number",
        "/subject",
        "/pdf",
        "/payer/reference",
        "/payer/name",
        "/payer/email",
        "/payer/address/1",
        "/lines/0/label",
    ],
)
def test_refuses_invisible_characters_in_every_text(pointer: str, character: str) -> None:
    """Controls, zero-width marks and direction overrides make two texts look the same."""
    text = f"a{character}b@exemple.fr"
    draft = an_invoice(
        number=text if pointer == "/number" else "1",
        subject=text if pointer == "/subject" else "Objet",
        pdf=text if pointer == "/pdf" else None,
        payer=a_payer(
            reference=text if pointer == "/payer/reference" else "R",
            name=text if pointer == "/payer/name" else "Nom",
            email=text if pointer == "/payer/email" else None,
            address=("1 rue", text if pointer == "/payer/address/1" else "Rouen"),
        ),
        lines=(InvoiceLine(label=text if pointer == "/lines/0/label" else "L", amount_cents=4250),),
    )

    found = problems(draft)

    assert found == [("forbidden_character", pointer)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"number": "1" * 64}, []),
        ({"number": "1" * 65}, [("too_long", "/number")]),
        ({"number": ""}, [("blank", "/number")]),
        ({"number": " 17"}, [("identifier_format", "/number")]),
        ({"number": "E\u0301-1"}, [("identifier_format", "/number")]),
        ({"subject": "x" * 200}, []),
        ({"subject": "x" * 201}, [("too_long", "/subject")]),
        ({"subject": "\u00a0 "}, [("blank", "/subject")]),
        ({"pdf": "x" * 201}, [("too_long", "/pdf")]),
        ({"payer": a_payer(name="x" * 5000)}, [("too_long", "/payer/name")]),
        ({"payer": a_payer(reference="x" * 101)}, [("too_long", "/payer/reference")]),
        ({"payer": a_payer(address=("1 rue",) * 6)}, []),
        (
            {"payer": a_payer(address=("1 rue",) * 7)},
            [("too_many_address_lines", "/payer/address")],
        ),
        ({"payer": a_payer(address=("x" * 101,))}, [("too_long", "/payer/address/0")]),
        ({"payer": a_payer(phone="appeler le soir")}, [("phone_format", "/payer/phone")]),
        ({"version": 10**12}, [("version_too_high", "/version")]),
    ],
)
def test_bounds_every_text(changes: dict[str, object], expected: list[tuple[str, str]]) -> None:
    """Each text has a longest length, none is blank, and identifiers have one way to be written."""
    draft = an_invoice(**changes)

    found = problems(draft)

    assert found == expected


@pytest.mark.parametrize(
    ("email", "expected"),
    [
        ("a@b.fr", []),
        ("o'neil@sous.domaine.exemple.fr", []),
        ("a@exemple", [("email_format", "/payer/email")]),
        ("a@b.fr,c@d.fr", [("email_format", "/payer/email")]),
        ("a@b.fr;c@d.fr", [("email_format", "/payer/email")]),
        ("a@b@c.fr", [("email_format", "/payer/email")]),
        ("Éloïse <a@b.fr>", [("email_format", "/payer/email")]),
        ('"a b"@b.fr', [("email_format", "/payer/email")]),
        (".a@b.fr", [("email_format", "/payer/email")]),
        ("a..b@b.fr", [("email_format", "/payer/email")]),
        ("a@-b.fr", [("email_format", "/payer/email")]),
        ("a@b..fr", [("email_format", "/payer/email")]),
        ("a" * 65 + "@b.fr", [("email_format", "/payer/email")]),
        ("a@b.fr\r\nBcc: c@d.fr", [("forbidden_character", "/payer/email")]),
        ("a@b.fr\n", [("forbidden_character", "/payer/email")]),
        ("a@" + "b" * 260 + ".fr", [("too_long", "/payer/email")]),
        ("", [("blank", "/payer/email")]),
    ],
)
def test_accepts_one_plain_address_and_no_other_form(
    email: str, expected: list[tuple[str, str]]
) -> None:
    """One address goes into one header: no list, no display name, no line break."""
    draft = an_invoice(payer=a_payer(email=email))

    found = problems(draft)

    assert found == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((("Repas", 4251),), [("lines_do_not_add_up", "/lines")]),
        ((("Repas", 4000), ("Remise", 250)), []),
        (
            (("Repas", 10**10), ("Erreur", 4250 - 10**10)),
            [
                ("amount_too_large", "/lines/0/amount_cents"),
                ("amount_too_large", "/lines/1/amount_cents"),
            ],
        ),
        ((("", 4250),), [("blank", "/lines/0/label")]),
        ((("Repas", 0),) * 501, [("too_many_lines", "/lines")]),
    ],
)
def test_checks_the_lines_against_the_amount(
    lines: tuple[tuple[str, int], ...], expected: list[tuple[str, str]]
) -> None:
    """Lines are optional, but when they are there they lead exactly to the amount."""
    draft = an_invoice(
        lines=tuple(InvoiceLine(label=label, amount_cents=cents) for label, cents in lines)
    )

    found = problems(draft)

    assert found == expected


@pytest.mark.parametrize("quantity", ["", "1,5", "1e3", "NaN", "١", "1.1234567", "1.", " 1", "1\n"])
def test_refuses_a_quantity_that_is_not_a_plain_decimal(quantity: str) -> None:
    """A quantity has a point, at most six decimals, and ASCII digits."""
    draft = an_invoice(lines=(InvoiceLine(label="Repas", quantity=quantity, amount_cents=4250),))

    found = problems(draft)

    assert found == [("quantity_format", "/lines/0/quantity")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Payé par carte 4970 1000 0000 0014", [("card_number", "/subject")]),
        ("carte 5555-5555-5555-4444 !", [("card_number", "/subject")]),
        ("375000000000007", [("card_number", "/subject")]),
        ("Payé par carte 4970 1000 0000 0015", []),
        ("SIRET 356 000 000 00048", []),
        ("IBAN FR76 4970 1000 0000 0014 1234 567", []),
        ("Dossier 9970100000000005", []),
    ],
)
def test_refuses_a_card_number_in_free_text(text: str, expected: list[tuple[str, str]]) -> None:
    """No card number is kept: 15 or 16 digits of a card range that pass Luhn, and only those."""
    draft = an_invoice(subject=text)

    found = problems(draft)

    assert found == expected
