"""What other software wrote is read as an independent reader of the same files reads it."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from facturx import get_xml_from_pdf
from lxml import etree

from demo.samples import SAMPLES as PDF_SAMPLES
from ingestion.adapters import cii, facturx, ubl
from ingestion.domain import Regie, validate
from ingestion.ports import FormatReader
from tests.unit.ingestion.e_invoices import SAMPLES, draft_of

NAMES = [
    "EN16931_Einfach",
    "EN16931_Gutschrift",
    "EN16931_Miete",
    "EN16931_OEPNV",
    "EN16931_Rabatte",
    "EN16931_SEPA_Prenotification",
]
FILES = (
    sorted((SAMPLES / "cii").glob("EN16931_*.xml"))
    + sorted((SAMPLES / "ubl").glob("EN16931_*.xml"))
    + sorted(PDF_SAMPLES.glob("*.pdf"))
)
READERS: dict[str, FormatReader] = {
    "cii": cii.read_file,
    "ubl": ubl.read_file,
    "facturx": facturx.read_file,
}
PATHS = {
    "CrossIndustryInvoice": {
        "number": "//ExchangedDocument/ID",
        "type": "//ExchangedDocument/TypeCode",
        "issue": "//ExchangedDocument/IssueDateTime/DateTimeString",
        "due": "//SpecifiedTradePaymentTerms/DueDateDateTime/DateTimeString",
        "amount": "//DuePayableAmount",
        "name": "//BuyerTradeParty/Name",
        "street": "//BuyerTradeParty/PostalTradeAddress/LineOne",
        "post_code": "//BuyerTradeParty/PostalTradeAddress/PostcodeCode",
        "city": "//BuyerTradeParty/PostalTradeAddress/CityName",
    },
    "Invoice": {
        "number": "/Invoice/ID",
        "type": "/Invoice/InvoiceTypeCode",
        "issue": "/Invoice/IssueDate",
        "due": "/Invoice/DueDate",
        "amount": "//LegalMonetaryTotal/PayableAmount",
        "name": "//AccountingCustomerParty//RegistrationName",
        "street": "//AccountingCustomerParty//StreetName",
        "post_code": "//AccountingCustomerParty//PostalZone",
        "city": "//AccountingCustomerParty//CityName",
    },
}


def facts_of(path: Path) -> dict[str, str]:
    """Return what plain paths find in a file, whose namespaces are taken away first."""
    content = path.read_bytes()
    if path.suffix == ".pdf":
        _, content = get_xml_from_pdf(content, check_xsd=False, check_schematron=False)
    root = etree.fromstring(content)
    for element in root.iter(etree.Element):
        element.tag = etree.QName(element).localname
    return {
        name: str(root.xpath(f"normalize-space({found})"))
        for name, found in PATHS[root.tag].items()
    }


def day(text: str) -> date:
    return date.fromisoformat(text)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_reads_what_an_independent_reader_reads(path: Path) -> None:
    """Number, kind, dates, what is owed and who owes it; all of it may enter."""
    facts = facts_of(path)

    draft = draft_of(READERS[path.parent.name], path.read_bytes())

    problems = validate(
        draft,
        authority_regies={"SALLES": Regie(code="SALLES", route="regie")},
        today=date(2026, 11, 24),
    )
    assert problems == []
    assert draft.number == facts["number"]
    assert draft.kind == ("credit_note" if facts["type"] == "381" else "invoice")
    assert draft.issued_on == day(facts["issue"])
    assert not facts["due"] or draft.due_on == day(facts["due"])
    assert Decimal(draft.amount_cents) == Decimal(facts["amount"]) * 100
    assert draft.payer.name == facts["name"]
    assert draft.payer.address is not None
    assert draft.payer.address[0] == facts["street"]
    assert f"{facts['post_code']} {facts['city']}" in draft.payer.address


def test_no_sample_is_left_out() -> None:
    """Six examples in each of three forms, and two of France's as PDF."""
    assert len(FILES) == 20


@pytest.mark.parametrize("name", NAMES)
def test_three_forms_of_an_invoice_give_one_draft(name: str) -> None:
    """Whether a biller sends UBL, CII or a PDF with it inside changes nothing but the PDF."""
    from_ubl = draft_of(ubl.read_file, (SAMPLES / "ubl" / f"{name}.ubl.xml").read_bytes())
    from_cii = draft_of(cii.read_file, (SAMPLES / "cii" / f"{name}.cii.xml").read_bytes())
    from_pdf = draft_of(facturx.read_file, (PDF_SAMPLES / f"{name}.pdf").read_bytes())

    assert from_ubl == from_cii
    assert msgspec.structs.replace(from_pdf, pdf=None) == from_cii
    assert from_pdf.pdf is not None
