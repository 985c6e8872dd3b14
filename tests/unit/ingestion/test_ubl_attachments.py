"""A PDF inside an invoice is its document when it is marked as the invoice itself."""

import base64
import hashlib

import pytest

from ingestion.adapters import cii, ubl
from ingestion.adapters.en16931_attachment import attached_document
from ingestion.adapters.xml_reader import parse
from ingestion.domain import Rejection
from tests.unit.ingestion.e_invoices import CII, UBL, Context, draft_of, entry_of, refusal_of

PDF = b"%PDF-1.7 the invoice"
SHA256 = hashlib.sha256(PDF).hexdigest()


def attached(
    reference: str = "ANNEXE-1",
    *,
    code: str = "",
    description: str = "",
    content: bytes = PDF,
    mime_code: str = "application/pdf",
    filename: str = "annexe.pdf",
) -> str:
    """Return a document that a UBL invoice refers to."""
    type_code = f"<cbc:DocumentTypeCode>{code}</cbc:DocumentTypeCode>" if code else ""
    text = f"<cbc:DocumentDescription>{description}</cbc:DocumentDescription>"
    return (
        f"<cac:AdditionalDocumentReference><cbc:ID>{reference}</cbc:ID>{type_code}"
        f"{text if description else ''}<cac:Attachment><cbc:EmbeddedDocumentBinaryObject"
        f' mimeCode="{mime_code}" filename="{filename}">'
        f"{base64.encodebytes(content).decode()}"
        "</cbc:EmbeddedDocumentBinaryObject></cac:Attachment></cac:AdditionalDocumentReference>"
    )


@pytest.mark.parametrize(
    "attachment",
    [
        attached(description="LISIBLE"),
        attached(description="CommercialInvoice"),
        attached(description="PrimaryImage"),
        attached(code="380"),
        attached(reference="2026-001"),
        attached(reference="2026/001.pdf"),
        attached(filename="2026_001.PDF"),
        attached(description="RIB", content=b"%PDF-1.7 bank") + attached(description="LISIBLE"),
        attached(description="LISIBLE") + attached(reference="2026-001"),
    ],
)
def test_keeps_the_pdf_that_is_marked_as_the_invoice(attachment: str) -> None:
    """By France's code, by what Belgian and Dutch programs write, by type, by number."""
    context = Context()

    draft = draft_of(ubl.read_file, UBL.with_parts(attachments=attachment), context)

    assert draft.pdf == SHA256
    assert context.documents == [PDF]


@pytest.mark.parametrize(
    "attachment",
    [
        "",
        attached(),
        attached(description="Timesheet"),
        attached(reference="2026-001", code="130"),
        attached(reference="2026-001", code="50"),
        attached(code="381"),
        attached(description="LISIBLE", mime_code="image/png", content=b"PNG"),
        attached(description="LISIBLE", content=b""),
        attached(description="LISIBLE") + attached(code="380", content=b"%PDF-1.7 other"),
        (
            "<cac:AdditionalDocumentReference><cbc:ID>2026-001</cbc:ID><cac:Attachment>"
            "<cac:ExternalReference><cbc:URI>http://127.0.0.1:9/a.pdf</cbc:URI>"
            "</cac:ExternalReference></cac:Attachment></cac:AdditionalDocumentReference>"
        ),
    ],
)
def test_takes_no_other_file_for_the_invoice(attachment: str) -> None:
    """A meter, a time sheet, a picture are not the invoice, two are a doubt, links stay links."""
    context = Context()

    draft = draft_of(ubl.read_file, UBL.with_parts(attachments=attachment), context)

    assert draft.pdf is None
    assert context.documents == []


def test_refuses_a_marked_file_that_cannot_be_kept() -> None:
    """What the biller meant to be shown is not replaced in silence."""
    attachment = attached(description="LISIBLE", content=b"<html>")
    context = Context()

    entry = entry_of(ubl.read_file, UBL.with_parts(attachments=attachment), context)

    assert entry.found == Rejection(
        code="not_a_pdf", pointer="/pdf", message="Ce n’est pas un PDF."
    )
    assert context.documents == []


def test_refuses_content_that_is_no_base64() -> None:
    """The official schema says so before anything is kept."""
    attachment = attached(description="LISIBLE").replace("=\n", "$\n")
    assert "$" in attachment

    code, _ = refusal_of(ubl.read_file, UBL.with_parts(attachments=attachment))

    assert code == "xsd_invalid"


def test_hands_on_what_is_no_base64_as_it_is() -> None:
    """Whoever reads without the schema still keeps nothing that is no PDF."""
    xml = UBL.with_parts(attachments=attached(description="LISIBLE").replace("=\n", "$\n"))
    syntax, _ = ubl._SYNTAXES[0]

    found = attached_document(
        parse(xml), syntax.paths, syntax.attachments, number="2026-001", type_code="380"
    )

    assert found is not None
    assert not found.startswith(b"%PDF-")


def test_a_number_without_letters_or_digits_names_no_file() -> None:
    """Nothing is left of it to compare with a name that is missing too."""
    xml = UBL.with_parts(
        number="<cbc:ID>//</cbc:ID>", attachments=attached(reference="-", filename="")
    )

    draft = draft_of(ubl.read_file, xml)

    assert draft.pdf is None


def test_keeps_the_document_of_a_cii_alike() -> None:
    """BG-24 is the same group in both syntaxes."""
    content = base64.b64encode(PDF).decode()
    line = (
        "</ram:BuyerTradeParty><ram:AdditionalReferencedDocument>"
        "<ram:IssuerAssignedID>A-1</ram:IssuerAssignedID><ram:TypeCode>916</ram:TypeCode>"
        "<ram:Name>LISIBLE</ram:Name>"
        f'<ram:AttachmentBinaryObject mimeCode="application/pdf" filename="a.pdf">{content}'
        "</ram:AttachmentBinaryObject></ram:AdditionalReferencedDocument>"
    )
    xml = CII.with_parts().replace(b"</ram:BuyerTradeParty>", line.encode())

    draft = draft_of(cii.read_file, xml)

    assert draft.pdf == SHA256
