"""A Cross Industry Invoice becomes a draft that says by whom, until when and what for."""

from datetime import date

import pytest

from ingestion.domain import Regie, UnreadableDepositError, validate
from tests.unit.ingestion.e_invoices import CII, read_cii

TERMS = (
    "<ram:SpecifiedTradePaymentTerms><ram:DueDateDateTime>"
    '<udt:DateTimeString format="102">{date}</udt:DateTimeString>'
    "</ram:DueDateDateTime></ram:SpecifiedTradePaymentTerms>"
)
EXTENDED = "urn:cen.eu:en16931:2017#conformant#urn:factur-x.eu:1p0:extended"
TOTALS_PATH = (
    "/rsm:CrossIndustryInvoice/rsm:SupplyChainTradeTransaction"
    "/ram:ApplicableHeaderTradeSettlement/ram:SpecifiedTradeSettlementHeaderMonetarySummation"
)


BUYER = CII.part("buyer")
TOTALS = CII.part("totals")


def refusal_of(xml: bytes) -> tuple[str, str]:
    """Return code and pointer of the refusal of `xml`."""
    with pytest.raises(UnreadableDepositError) as caught:
        read_cii(xml, "SALLES")
    return caught.value.code, caught.value.pointer


def test_reads_what_is_owed_by_whom_until_when() -> None:
    """Each field comes from its business term, and the draft passes the rules of entry."""
    draft = read_cii(CII.with_parts(), "SALLES")

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
    assert draft.payer.email is None
    assert draft.subject == "Location de salle"


@pytest.mark.parametrize(
    ("type_code", "kind"),
    [
        ("380", "invoice"),
        ("384", "invoice"),
        ("386", "invoice"),
        ("389", "invoice"),
        ("381", "credit_note"),
        ("261", "credit_note"),
        ("503", "credit_note"),
    ],
)
def test_tells_invoices_from_credit_notes(type_code: str, kind: str) -> None:
    """UNTDID 1001 as EN 16931 restricts it."""
    draft = read_cii(CII.with_parts(type_code=type_code), "SALLES")

    assert draft.kind == kind


@pytest.mark.parametrize("type_code", ["325", "310", "999", "", "0380"])
def test_refuses_a_document_that_claims_no_money(type_code: str) -> None:
    """A pro forma or a quotation is not an invoice."""
    refusal = refusal_of(CII.with_parts(type_code=type_code))

    assert refusal == (
        "document_type",
        "/rsm:CrossIndustryInvoice/rsm:ExchangedDocument/ram:TypeCode",
    )


@pytest.mark.parametrize(
    ("terms", "due_on"),
    [
        ("", date(2026, 12, 1)),
        (
            (
                "<ram:SpecifiedTradePaymentTerms><ram:Description>Comptant</ram:Description>"
                "</ram:SpecifiedTradePaymentTerms>"
            ),
            date(2026, 12, 1),
        ),
        (TERMS.format(date="20261115"), date(2026, 11, 15)),
        (TERMS.format(date="20261015"), date(2026, 11, 1)),
    ],
)
def test_finds_a_due_date_never_before_the_issue(terms: str, due_on: date) -> None:
    """None given means thirty days; one before the issue is the issue itself."""
    draft = read_cii(CII.with_parts(terms=terms), "SALLES")

    assert draft.due_on == due_on


def test_the_last_of_several_due_dates_counts() -> None:
    """In EXTENDED an invoice may be due in parts: the whole is due at the last date."""
    terms = TERMS.format(date="20261130") + TERMS.format(date="20261231")

    draft = read_cii(CII.with_parts(profile=EXTENDED, terms=terms), "SALLES")

    assert draft.due_on == date(2026, 12, 31)


@pytest.mark.parametrize("written", ["20260230", "2026-12-01", "202612", "00000101", "²0261201"])
def test_refuses_a_due_date_that_does_not_exist(written: str) -> None:
    """Format 102 is eight digits of a real day."""
    code, pointer = refusal_of(CII.with_parts(terms=TERMS.format(date=written)))

    assert code == "due_date"
    assert pointer.endswith("/ram:SpecifiedTradePaymentTerms/ram:DueDateDateTime")


@pytest.mark.parametrize(
    ("form", "written"), [("102", "20261102"), ("203", "202611022359"), ("204", "20261102235959")]
)
def test_reads_the_day_of_a_date_with_a_time(form: str, written: str) -> None:
    """UNTDID 2379: what comes after the day changes nothing."""
    xml = CII.with_parts(profile=EXTENDED).replace(
        b'format="102">20261101', f'format="{form}">{written}'.encode()
    )

    draft = read_cii(xml, "SALLES")

    assert draft.issued_on == date(2026, 11, 2)


def test_reads_a_date_of_xml_schema() -> None:
    """The full CII may have an `xsd:dateTime` where its profiles have a string."""
    xml = CII.with_parts(profile="urn:example:unknown").replace(
        b'<udt:DateTimeString format="102">20261101</udt:DateTimeString>',
        b"<udt:DateTime>2026-11-02T23:59:00</udt:DateTime>",
    )

    draft = read_cii(xml, "SALLES")

    assert draft.issued_on == date(2026, 11, 2)


def test_refuses_an_issue_date_in_another_format() -> None:
    """A date that names another format is not guessed."""
    xml = CII.with_parts(profile=EXTENDED).replace(b'format="102">20261101', b'format="610">202611')

    code, _ = refusal_of(xml)

    assert code == "issue_date"


@pytest.mark.parametrize(
    "profile",
    [
        "urn:factur-x.eu:1p0:basicwl",
        "urn:cen.eu:en16931:2017#compliant#urn:factur-x.eu:1p0:basic",
        EXTENDED,
        "urn:cen.eu:en16931:2017#conformant#urn:zugferd.de:2p0:extended",
        "urn:cen.eu:en16931:2017#compliant#urn:xoev-de:kosit:standard:xrechnung_2.2",
        "urn:cen.eu:en16931:2017#conformant#urn:xeinkauf.de:kosit:extension:xrechnung_3.0",
        "urn:cen.eu:en16931:2017#conformant#urn.cpro.gouv.fr:1p0:extended-ctc-fr",
        "urn:example:unknown",
    ],
)
def test_reads_every_profile(profile: str) -> None:
    """A profile that Factur-X does not define is checked against the whole standard."""
    draft = read_cii(CII.with_parts(profile=profile), "SALLES")

    assert draft.amount_cents == 12000


@pytest.mark.parametrize(
    ("changes", "reference"),
    [
        ({}, "F-17"),
        (
            {
                "buyer": BUYER.replace("<ram:ID>F-17</ram:ID>", ""),
                "reference": "<ram:BuyerReference>SERVICE-4</ram:BuyerReference>",
            },
            "SERVICE-4",
        ),
        (
            {
                "buyer": BUYER.replace("<ram:ID>F-17</ram:ID>", "").replace(
                    "<ram:PostalTradeAddress>",
                    "<ram:SpecifiedLegalOrganization><ram:ID>35600000000048</ram:ID>"
                    "</ram:SpecifiedLegalOrganization><ram:PostalTradeAddress>",
                )
            },
            "35600000000048",
        ),
    ],
)
def test_knows_the_payer_by_the_best_identifier(changes: dict[str, str], reference: str) -> None:
    """BT-46, then BT-10, then the legal identifier BT-47."""
    draft = read_cii(CII.with_parts(**changes), "SALLES")

    assert draft.payer.reference == reference


def test_derives_the_same_reference_for_the_same_person() -> None:
    """Without any identifier, name and address tell who it is, in whatever case."""
    nameless = BUYER.replace("<ram:ID>F-17</ram:ID>", "")

    first = read_cii(CII.with_parts(buyer=nameless), "SALLES").payer.reference
    second = read_cii(
        CII.with_parts(buyer=nameless.replace("Dupont", "DUPONT")), "SALLES"
    ).payer.reference
    other = read_cii(
        CII.with_parts(buyer=nameless.replace("12 rue", "14 rue")), "SALLES"
    ).payer.reference

    assert first == second
    assert first != other
    assert first.startswith("CII-")


@pytest.mark.parametrize(
    ("electronic", "contact", "email"),
    [
        ('<ram:URIID schemeID="EM">a@b.fr</ram:URIID>', "", "a@b.fr"),
        ('<ram:URIID schemeID="EM">a@b.fr</ram:URIID>', "c@d.fr", "a@b.fr"),
        ('<ram:URIID schemeID="0225">356000000</ram:URIID>', "c@d.fr", "c@d.fr"),
        ('<ram:URIID schemeID="0225">356000000</ram:URIID>', "", None),
        ("", "c@d.fr", "c@d.fr"),
    ],
)
def test_writes_to_the_electronic_address_or_to_the_contact(
    electronic: str, contact: str, email: str | None
) -> None:
    """BT-49 counts when its scheme is e-mail, else BT-58; a routing number is no address."""
    uri = electronic and (
        f"<ram:URIUniversalCommunication>{electronic}</ram:URIUniversalCommunication>"
    )
    person = contact and (
        "<ram:DefinedTradeContact><ram:EmailURIUniversalCommunication>"
        f'<ram:URIID schemeID="SMTP">{contact}</ram:URIID>'
        "</ram:EmailURIUniversalCommunication></ram:DefinedTradeContact>"
    )
    buyer = BUYER.replace("<ram:PostalTradeAddress>", f"{person}<ram:PostalTradeAddress>") + uri

    draft = read_cii(CII.with_parts(buyer=buyer), "SALLES")

    assert draft.payer.email == email


def test_names_a_foreign_country_after_the_address() -> None:
    """Within France the country is not written."""
    draft = read_cii(CII.with_parts(buyer=BUYER.replace(">FR<", ">BE<")), "SALLES")

    assert draft.payer.address == ("12 rue de l’Église", "76000 Rouen", "BE")


@pytest.mark.parametrize(
    ("notes", "subject"),
    [
        ("<ram:Content>Séjour\n  d’été </ram:Content>", "Séjour d’été"),
        (
            "<ram:Content>Pénalités légales</ram:Content><ram:SubjectCode>PMD</ram:SubjectCode>",
            "Location de salle",
        ),
        ("<ram:Content>Séjour</ram:Content><ram:SubjectCode>AAI</ram:SubjectCode>", "Séjour"),
        ("<ram:Content> </ram:Content>", "Location de salle"),
        (f"<ram:Content>{'x' * 300}</ram:Content>", "x" * 119 + "…"),
    ],
)
def test_takes_the_subject_from_a_note_about_this_invoice(notes: str, subject: str) -> None:
    """Legal mentions are notes too, but no subject; the first line's label is the next choice."""
    draft = read_cii(
        CII.with_parts(notes=f"<ram:IncludedNote>{notes}</ram:IncludedNote>"), "SALLES"
    )

    assert draft.subject == subject


def test_gives_the_treasury_its_debt_reference_and_year() -> None:
    """The remittance information (BT-83) links payment and debt, as PayFiP's refdet does."""
    settlement = "<ram:PaymentReference>ROLE 2026 000017</ram:PaymentReference>"

    draft = read_cii(CII.with_parts(settlement=settlement), "BUDGET", route="treasury")

    assert (draft.route, draft.fiscal_year) == ("treasury", 2026)
    assert draft.debt_reference == "ROLE2026000017"


def test_invents_no_debt_reference() -> None:
    """A remittance text that PayFiP would refuse is not one: the rules of entry will say so."""
    settlement = "<ram:PaymentReference>Merci d’indiquer 17</ram:PaymentReference>"

    draft = read_cii(CII.with_parts(settlement=settlement), "BUDGET", route="treasury")

    assert draft.debt_reference is None


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        (b"<Invoice/>", ("wrong_root", "")),
        (b'<CrossIndustryInvoice xmlns="urn:other"/>', ("wrong_root", "")),
        (b'<!DOCTYPE a [<!ENTITY x "y">]>' + CII.with_parts().partition(b"?>")[2], ("doctype", "")),
        (CII.with_parts()[:-10], ("unreadable_xml", "")),
        (
            CII.with_parts().replace(b"<ram:ID>2026-001</ram:ID>", b"<ram:ID> </ram:ID>"),
            ("missing_number", "/rsm:CrossIndustryInvoice/rsm:ExchangedDocument/ram:ID"),
        ),
        (
            CII.with_parts(buyer=BUYER.replace("Éloïse  Dupont", " ")),
            (
                "missing_buyer_name",
                (
                    "/rsm:CrossIndustryInvoice/rsm:SupplyChainTradeTransaction"
                    "/ram:ApplicableHeaderTradeAgreement/ram:BuyerTradeParty/ram:Name"
                ),
            ),
        ),
        (
            CII.with_parts(
                profile="urn:example:unknown",
                totals=TOTALS.replace("<ram:DuePayableAmount>120.00</ram:DuePayableAmount>", ""),
            ),
            ("missing_amount", f"{TOTALS_PATH}/ram:DuePayableAmount"),
        ),
        (
            CII.with_parts(
                profile="urn:example:unknown",
                totals=TOTALS + "<ram:DuePayableAmount>1.00</ram:DuePayableAmount>",
            ),
            ("several_amounts", f"{TOTALS_PATH}/ram:DuePayableAmount"),
        ),
        (
            CII.with_parts(profile=" "),
            (
                "missing_profile",
                (
                    "/rsm:CrossIndustryInvoice/rsm:ExchangedDocumentContext"
                    "/ram:GuidelineSpecifiedDocumentContextParameter/ram:ID"
                ),
            ),
        ),
        (
            CII.with_parts(settlement="<ram:Bonus/>"),
            (
                "xsd_invalid",
                (
                    "/rsm:CrossIndustryInvoice/rsm:SupplyChainTradeTransaction"
                    "/ram:ApplicableHeaderTradeSettlement/ram:Bonus"
                ),
            ),
        ),
    ],
)
def test_says_what_is_wrong_and_where(xml: bytes, expected: tuple[str, str]) -> None:
    """Each fault has its code and a path into the XML."""
    refusal = refusal_of(xml)

    assert refusal == expected


@pytest.mark.parametrize("regie", [None, ""])
def test_needs_to_be_told_the_regie(regie: str | None) -> None:
    """The format does not name it: the deposit's address does."""
    with pytest.raises(UnreadableDepositError) as caught:
        read_cii(CII.with_parts(), regie)

    assert caught.value.code == "missing_regie"
