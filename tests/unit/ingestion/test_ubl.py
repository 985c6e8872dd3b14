"""A UBL invoice or credit note becomes a draft that says by whom, until when and what for."""

from datetime import date

import pytest

from ingestion.adapters import ubl
from ingestion.domain import Regie, UnreadableDepositError, validate
from tests.unit.ingestion.e_invoices import (
    CII,
    UBL,
    UBL_CREDIT_NOTE,
    Context,
    draft_of,
    entry_of,
    read_cii,
    refusal_of,
)

BUYER = UBL.part("buyer")
IDENTIFIER = "<cac:PartyIdentification><cbc:ID>F-17</cbc:ID></cac:PartyIdentification>"
PAYMENT = "<cac:PaymentMeans><cbc:PaymentMeansCode>30</cbc:PaymentMeansCode>{}</cac:PaymentMeans>"


def a_contact(*parts: str) -> str:
    return f"<cac:Contact>{''.join(parts)}</cac:Contact>"


def test_reads_what_is_owed_by_whom_until_when() -> None:
    """Each field comes from its business term, and the draft passes the rules of entry."""
    draft = draft_of(ubl.read_file, UBL.with_parts())

    problems = validate(
        draft,
        authority_regies={"SALLES": Regie(code="SALLES", route="regie")},
        today=date(2026, 11, 24),
    )

    assert problems == []
    assert (draft.regie, draft.route, draft.kind) == ("SALLES", "regie", "invoice")
    assert (draft.number, draft.amount_cents, draft.currency) == ("2026-001", 12000, "EUR")
    assert (draft.issued_on, draft.due_on) == (date(2026, 11, 1), date(2026, 12, 1))
    assert (draft.payer.reference, draft.payer.name) == ("F-17", "Éloïse Dupont")
    assert draft.payer.address == ("12 rue de l’Église", "76000 Rouen")
    assert (draft.payer.email, draft.payer.phone, draft.pdf) == (None, None, None)
    assert draft.subject == "Location de salle"


def test_says_the_same_as_the_cii_of_the_same_invoice() -> None:
    """The syntax is the biller's choice; the invoice is one."""
    from_ubl = draft_of(ubl.read_file, UBL.with_parts())
    from_cii = read_cii(CII.with_parts(), "SALLES")

    assert from_ubl == from_cii


def test_names_fields_as_the_document_does() -> None:
    """What the rules of entry refuse is shown to the biller under its own names."""
    entry = entry_of(ubl.read_file, UBL.with_parts())

    assert entry.place == "/Invoice"
    assert entry.fields["/due_on"] == "cbc:DueDate"
    assert entry.fields["/amount_cents"] == "cbc:PayableAmount"
    assert entry.fields["/payer/name"] == "cbc:RegistrationName"


def test_reads_a_credit_note() -> None:
    """Its root says what it is; what is given back is a positive amount."""
    draft = draft_of(ubl.read_file, UBL_CREDIT_NOTE.with_parts())

    assert (draft.kind, draft.number, draft.amount_cents) == ("credit_note", "2026-001", 12000)
    assert [line.amount_cents for line in draft.lines] == [10000, 2000]


@pytest.mark.parametrize(
    ("type_code", "kind"),
    [
        ("<cbc:InvoiceTypeCode>380</cbc:InvoiceTypeCode>", "invoice"),
        ("<cbc:InvoiceTypeCode>384</cbc:InvoiceTypeCode>", "invoice"),
        ("<cbc:InvoiceTypeCode>389</cbc:InvoiceTypeCode>", "invoice"),
        ("<cbc:InvoiceTypeCode>381</cbc:InvoiceTypeCode>", "credit_note"),
        ("", "invoice"),
    ],
)
def test_tells_invoices_from_credit_notes(type_code: str, kind: str) -> None:
    """UNTDID 1001 as EN 16931 restricts it; plain UBL may leave it to the root."""
    draft = draft_of(ubl.read_file, UBL.with_parts(type_code=type_code))

    assert draft.kind == kind


@pytest.mark.parametrize("code", ["325", "999", "SalesInvoice"])
def test_refuses_a_document_that_claims_no_money(code: str) -> None:
    """A pro forma is no invoice, and a code of another list is not guessed."""
    type_code = f"<cbc:InvoiceTypeCode>{code}</cbc:InvoiceTypeCode>"

    refusal = refusal_of(ubl.read_file, UBL.with_parts(type_code=type_code))

    assert refusal == ("document_type", "/Invoice/cbc:InvoiceTypeCode")


@pytest.mark.parametrize(
    ("due", "means", "due_on"),
    [
        ("", "", date(2026, 12, 1)),
        ("<cbc:DueDate>2026-11-15</cbc:DueDate>", "", date(2026, 11, 15)),
        ("<cbc:DueDate>2026-11-15+01:00</cbc:DueDate>", "", date(2026, 11, 15)),
        ("<cbc:DueDate>2026-11-15Z</cbc:DueDate>", "", date(2026, 11, 15)),
        ("<cbc:DueDate>2026-10-15</cbc:DueDate>", "", date(2026, 11, 1)),
        (
            "",
            "<cbc:PaymentDueDate>2026-11-20</cbc:PaymentDueDate>",
            date(2026, 11, 20),
        ),
        (
            "<cbc:DueDate>2026-11-15</cbc:DueDate>",
            "<cbc:PaymentDueDate>2026-11-20</cbc:PaymentDueDate>",
            date(2026, 11, 15),
        ),
    ],
)
def test_finds_a_due_date_never_before_the_issue(due: str, means: str, due_on: date) -> None:
    """BT-9 first, then that of the means of payment; none given means thirty days."""
    xml = UBL.with_parts(due=due, means=PAYMENT.format(means))

    draft = draft_of(ubl.read_file, xml)

    assert draft.due_on == due_on


def test_a_credit_note_has_its_due_date_with_the_means_of_payment() -> None:
    """UBL 2.1 has no other place for BT-9 there."""
    means = PAYMENT.format("<cbc:PaymentDueDate>2026-11-20</cbc:PaymentDueDate>")

    draft = draft_of(ubl.read_file, UBL_CREDIT_NOTE.with_parts(means=means))

    assert draft.due_on == date(2026, 11, 20)


def test_the_last_of_several_due_dates_counts() -> None:
    """What is due in parts is wholly due at the last date."""
    means = "".join(
        PAYMENT.format(f"<cbc:PaymentDueDate>{day}</cbc:PaymentDueDate>")
        for day in ("2026-11-20", "2027-01-20", "2026-12-20")
    )

    draft = draft_of(ubl.read_file, UBL.with_parts(due="", means=means))

    assert draft.due_on == date(2027, 1, 20)


@pytest.mark.parametrize(
    "written", ["2026-02-31", "31/02/2026", "20261201", "2026-12", "0000-01-01", "２026-12-01", ""]
)
def test_refuses_a_date_that_does_not_exist(written: str) -> None:
    """A date is a real day, written as XML Schema has it."""
    due = refusal_of(ubl.read_file, UBL.with_parts(due=f"<cbc:DueDate>{written}</cbc:DueDate>"))
    issue = refusal_of(
        ubl.read_file, UBL.with_parts(issue=f"<cbc:IssueDate>{written}</cbc:IssueDate>")
    )

    assert due == ("due_date", "/Invoice/cbc:DueDate")
    assert issue == ("issue_date", "/Invoice/cbc:IssueDate")


@pytest.mark.parametrize(
    "profile",
    [
        "",
        "<cbc:UBLVersionID>2.1</cbc:UBLVersionID>",
        (
            "<cbc:CustomizationID>urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc"
            ":billing:3.0</cbc:CustomizationID>"
            "<cbc:ProfileID>urn:fdc:peppol.eu:2017:poacc:billing:01:1.0</cbc:ProfileID>"
        ),
        (
            "<cbc:CustomizationID>urn:cen.eu:en16931:2017#compliant#urn:xeinkauf.de:kosit"
            ":xrechnung_3.0</cbc:CustomizationID>"
        ),
    ],
)
def test_reads_every_flavour(profile: str) -> None:
    """Plain UBL, Peppol and XRechnung are the same document with other rules for writers."""
    draft = draft_of(ubl.read_file, UBL.with_parts(profile=profile))

    assert draft.amount_cents == 12000


@pytest.mark.parametrize(
    ("legal_entity", "party_name", "name"),
    [
        ("Éloïse Dupont", "Chez Éloïse", "Éloïse Dupont"),
        ("", "Chez Éloïse", "Chez Éloïse"),
        ("王小明", "", "王小明"),
        ("Ελένη Παπαδοπούλου", "", "Ελένη Παπαδοπούλου"),
        ("محمد بن علي", "", "محمد بن علي"),
    ],
)
def test_knows_the_payer_by_the_legal_name_first(
    legal_entity: str, party_name: str, name: str
) -> None:
    """BT-44, then the trading name, in any script."""
    buyer = f"<cac:PartyName><cbc:Name>{party_name}</cbc:Name></cac:PartyName>"
    if legal_entity:
        buyer += (
            "<cac:PartyLegalEntity><cbc:RegistrationName>"
            f"{legal_entity}</cbc:RegistrationName></cac:PartyLegalEntity>"
        )

    draft = draft_of(ubl.read_file, UBL.with_parts(buyer=buyer))

    assert draft.payer.name == name
    assert draft.payer.address is None


@pytest.mark.parametrize(
    ("changes", "reference"),
    [
        ({}, "F-17"),
        (
            {
                "buyer": BUYER.replace(IDENTIFIER, ""),
                "reference": "<cbc:BuyerReference>SERVICE-4</cbc:BuyerReference>",
            },
            "SERVICE-4",
        ),
        (
            {
                "buyer": BUYER.replace(IDENTIFIER, "").replace(
                    "</cbc:RegistrationName>",
                    "</cbc:RegistrationName><cbc:CompanyID>35600000000048</cbc:CompanyID>",
                )
            },
            "35600000000048",
        ),
    ],
)
def test_knows_the_payer_by_the_best_identifier(changes: dict[str, str], reference: str) -> None:
    """BT-46, then BT-10, then the legal identifier BT-47, as in CII."""
    draft = draft_of(ubl.read_file, UBL.with_parts(**changes))

    assert draft.payer.reference == reference


def test_derives_the_reference_that_cii_derives() -> None:
    """Without any identifier a person is one payer, whatever the syntax of their invoices."""
    in_ubl = UBL.with_parts(buyer=BUYER.replace(IDENTIFIER, ""))
    in_cii = CII.with_parts(buyer=CII.part("buyer").replace("<ram:ID>F-17</ram:ID>", ""))

    reference = draft_of(ubl.read_file, in_ubl).payer.reference

    assert reference == read_cii(in_cii, "SALLES").payer.reference
    assert reference.startswith("CII-")


@pytest.mark.parametrize(
    ("electronic", "contact", "email"),
    [
        ('<cbc:EndpointID schemeID="EM">a@b.fr</cbc:EndpointID>', "", "a@b.fr"),
        ('<cbc:EndpointID schemeID="EM">a@b.fr</cbc:EndpointID>', "c@d.fr", "a@b.fr"),
        ('<cbc:EndpointID schemeID="0225">356000000</cbc:EndpointID>', "c@d.fr", "c@d.fr"),
        ('<cbc:EndpointID schemeID="0225">356000000</cbc:EndpointID>', "", None),
        ("", "no_email", None),
    ],
)
def test_writes_to_the_electronic_address_or_to_the_contact(
    electronic: str, contact: str, email: str | None
) -> None:
    """BT-49 counts when its scheme is e-mail, else BT-58, unless that is a remark."""
    person = contact and a_contact(f"<cbc:ElectronicMail>{contact}</cbc:ElectronicMail>")
    buyer = electronic + BUYER + person

    draft = draft_of(ubl.read_file, UBL.with_parts(buyer=buyer))

    assert draft.payer.email == email


def test_reads_the_telephone_and_an_address_of_all_parts() -> None:
    """BG-8 and BT-57; outside France the country is written."""
    address = """
      <cbc:StreetName>rue Haute</cbc:StreetName>
      <cbc:AdditionalStreetName>Bâtiment B</cbc:AdditionalStreetName>
      <cbc:BuildingNumber>12</cbc:BuildingNumber>
      <cbc:CityName>Bruxelles</cbc:CityName>
      <cbc:PostalZone>1000</cbc:PostalZone>
      <cbc:CountrySubentity>Bruxelles-Capitale</cbc:CountrySubentity>
      <cac:AddressLine><cbc:Line>Boîte 4</cbc:Line></cac:AddressLine>
      <cac:Country><cbc:IdentificationCode>BE</cbc:IdentificationCode></cac:Country>
    """
    _, _, rest = BUYER.partition("</cac:PostalAddress>")
    buyer = f"<cac:PostalAddress>{address}</cac:PostalAddress>{rest}"
    buyer += a_contact("<cbc:Telephone>+32 2 123 45 67</cbc:Telephone>")

    payer = draft_of(ubl.read_file, UBL.with_parts(buyer=buyer)).payer

    assert payer.phone == "+32 2 123 45 67"
    assert payer.address == (
        "12 rue Haute",
        "Bâtiment B",
        "Boîte 4",
        "1000 Bruxelles",
        "Bruxelles-Capitale",
        "BE",
    )


@pytest.mark.parametrize(
    ("notes", "subject"),
    [
        ("<cbc:Note>Séjour\n  d’été </cbc:Note>", "Séjour d’été"),
        ("<cbc:Note>#PMD#Pénalités légales</cbc:Note>", "Location de salle"),
        ("<cbc:Note>#REG#SA</cbc:Note><cbc:Note>#AAI#Séjour</cbc:Note>", "Séjour"),
        ("<cbc:Note> </cbc:Note>", "Location de salle"),
        (f"<cbc:Note>{'x' * 300}</cbc:Note>", "x" * 119 + "…"),
    ],
)
def test_takes_the_subject_from_a_note_about_this_invoice(notes: str, subject: str) -> None:
    """A note that begins with a subject code of its own is a legal mention."""
    draft = draft_of(ubl.read_file, UBL.with_parts(notes=notes))

    assert draft.subject == subject


def test_gives_the_treasury_its_debt_reference_and_year() -> None:
    """The remittance information (BT-83) links payment and debt, as PayFiP's refdet does."""
    means = PAYMENT.format("<cbc:PaymentID>ROLE 2026 000017</cbc:PaymentID>")

    draft = draft_of(
        ubl.read_file, UBL.with_parts(means=means), Context("BUDGET", route="treasury")
    )

    assert (draft.route, draft.fiscal_year) == ("treasury", 2026)
    assert draft.debt_reference == "ROLE2026000017"


@pytest.mark.parametrize("regie", [None, ""])
def test_needs_to_be_told_the_regie(regie: str | None) -> None:
    """The format does not name it: the deposit's address does."""
    with pytest.raises(UnreadableDepositError) as caught:
        entry_of(ubl.read_file, UBL.with_parts(), Context(regie))

    assert caught.value.code == "missing_regie"


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        (b"<Invoice/>", ("wrong_root", "")),
        (UBL.with_parts().replace(b"Invoice-2", b"Invoice-3"), ("wrong_root", "")),
        (CII.with_parts(), ("wrong_root", "")),
        (UBL.with_parts(number=""), ("missing_number", "/Invoice/cbc:ID")),
        (UBL.with_parts(issue=""), ("issue_date", "/Invoice/cbc:IssueDate")),
        (UBL.with_parts(currency=""), ("currency", "/Invoice/cbc:DocumentCurrencyCode")),
        (
            UBL.with_parts(buyer=BUYER.replace("Éloïse  Dupont", " ")),
            (
                "missing_buyer_name",
                (
                    "/Invoice/cac:AccountingCustomerParty/cac:Party"
                    "/cac:PartyLegalEntity/cbc:RegistrationName"
                ),
            ),
        ),
        (UBL.with_parts(terms="<cbc:Bonus/>"), ("xsd_invalid", "/*/cbc:Bonus")),
        (
            UBL.with_parts(line=UBL.part("line").replace(">2.0000<", ">two<")),
            ("xsd_invalid", "/*/cac:InvoiceLine/cbc:InvoicedQuantity"),
        ),
    ],
)
def test_says_what_is_wrong_and_where(xml: bytes, expected: tuple[str, str]) -> None:
    """Each fault has its code and a path into the XML."""
    refusal = refusal_of(ubl.read_file, xml)

    assert refusal == expected
