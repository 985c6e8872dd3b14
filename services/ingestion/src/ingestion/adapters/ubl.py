"""Reads a UBL 2.1 invoice or credit note into a draft, EN 16931 or plain."""

import re
from collections.abc import Iterator
from datetime import date
from functools import partial
from typing import BinaryIO

from ingestion.adapters import en16931
from ingestion.adapters.en16931 import Syntax
from ingestion.adapters.en16931_amounts import Lines, Totals
from ingestion.adapters.en16931_attachment import Attachments
from ingestion.adapters.en16931_fields import Paths, check_schema
from ingestion.adapters.xml_reader import MAXIMUM_XML_BYTES, Element, parse, text_of
from ingestion.domain import UnreadableDepositError
from ingestion.ports import Entry, ReadingContext

_STANDARD = "urn:oasis:names:specification:ubl:schema:xsd"
_BUYER = "cac:AccountingCustomerParty/cac:Party"
_SUMS = "cac:LegalMonetaryTotal"
_NAMESPACES = {
    "cac": f"{_STANDARD}:CommonAggregateComponents-2",
    "cbc": f"{_STANDARD}:CommonBasicComponents-2",
}
_ADDRESS_LINES = (
    ("cbc:BuildingNumber", "cbc:StreetName"),
    ("cbc:AdditionalStreetName",),
    ("cac:AddressLine/cbc:Line",),
    ("cbc:PostalZone", "cbc:CityName"),
    ("cbc:CountrySubentity",),
)
_ATTACHMENTS = Attachments(
    path="cac:AdditionalDocumentReference",
    reference="cbc:ID",
    type_code="cbc:DocumentTypeCode",
    descriptions=("cbc:DocumentDescription", "cbc:DocumentType"),
    content="cac:Attachment/cbc:EmbeddedDocumentBinaryObject",
)
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:Z|[+-][0-9]{2}:[0-9]{2})?")
_CODED_NOTE = re.compile(r"#([A-Z]{3})#(.*)", re.DOTALL)
"""How EN 16931 writes the subject code of a note (BT-21) where UBL has no element for it."""


def read_file(file: BinaryIO, context: ReadingContext) -> Iterator[Entry]:
    """Yield the one invoice of a UBL document; see `ports.FormatReader`.

    What is understood and which fault is that of the line: `en16931.read`.

    Raises:
        UnreadableDepositError: `missing_regie`, `wrong_root`, `xsd_invalid`, and what
            `xml_reader.parse` refuses.
    """
    en16931.require_regie(context.regie)
    root = parse(file.read(MAXIMUM_XML_BYTES + 1))
    for syntax, schema in _SYNTAXES:
        if root.tag == syntax.paths.root_tag:
            yield en16931.entry(root, syntax, partial(check_schema, names=(schema,)), context)
            return
    raise UnreadableDepositError(
        code="wrong_root",
        pointer="",
        detail="Le fichier XML n’est ni une facture ni un avoir UBL 2.",
    )


def _date(element: Element) -> date | None:
    """Return an `xsd:date`, whose time zone changes nothing for a day, or None."""
    written = _DATE.fullmatch(text_of(element))
    if written is None:
        return None
    try:
        return date(*map(int, written.groups()))
    except ValueError:
        return None


def _notes(root: Element) -> Iterator[tuple[str, str]]:
    for note in root.iterfind("cbc:Note", _NAMESPACES):
        text = text_of(note)
        coded = _CODED_NOTE.fullmatch(text)
        yield (coded.group(1), coded.group(2)) if coded else ("", text)


def _ubl(name: str, *, type_code: str, due_dates: tuple[str, ...], quantity: str) -> Syntax:
    """Return the terms of the document `name`, which is `type_code` when it does not say."""
    return Syntax(
        paths=Paths(root=name, root_tag=f"{{{_STANDARD}:{name}-2}}{name}", namespaces=_NAMESPACES),
        date=_date,
        notes=_notes,
        number="cbc:ID",
        type_code=f"cbc:{name}TypeCode",
        default_type_code=type_code,
        issue_date="cbc:IssueDate",
        due_dates=due_dates,
        currency="cbc:DocumentCurrencyCode",
        remittance="cac:PaymentMeans/cbc:PaymentID",
        buyer_names=(
            f"{_BUYER}/cac:PartyLegalEntity/cbc:RegistrationName",
            f"{_BUYER}/cac:PartyName/cbc:Name",
            f"{_BUYER}/cac:Contact/cbc:Name",
        ),
        references=(
            f"{_BUYER}/cac:PartyIdentification/cbc:ID",
            "cac:AccountingCustomerParty/cbc:SupplierAssignedAccountID",
            "cbc:BuyerReference",
            f"{_BUYER}/cac:PartyLegalEntity/cbc:CompanyID",
            f"{_BUYER}/cac:PartyTaxScheme/cbc:CompanyID",
        ),
        electronic_address=f"{_BUYER}/cbc:EndpointID",
        email=f"{_BUYER}/cac:Contact/cbc:ElectronicMail",
        phone=f"{_BUYER}/cac:Contact/cbc:Telephone",
        address=f"{_BUYER}/cac:PostalAddress",
        address_lines=_ADDRESS_LINES,
        country="cac:Country/cbc:IdentificationCode",
        totals=_totals(name, quantity),
        attachments=_ATTACHMENTS,
    )


def _totals(name: str, quantity: str) -> Totals:
    return Totals(
        due=f"{_SUMS}/cbc:PayableAmount",
        line_total=f"{_SUMS}/cbc:LineExtensionAmount",
        tax_basis=f"{_SUMS}/cbc:TaxExclusiveAmount",
        grand_total=f"{_SUMS}/cbc:TaxInclusiveAmount",
        prepaid=f"{_SUMS}/cbc:PrepaidAmount",
        rounding=f"{_SUMS}/cbc:PayableRoundingAmount",
        allowance_total=f"{_SUMS}/cbc:AllowanceTotalAmount",
        charge_total=f"{_SUMS}/cbc:ChargeTotalAmount",
        tax_total="cac:TaxTotal/cbc:TaxAmount",
        tax_parts="cac:TaxTotal/cac:TaxSubtotal/cbc:TaxAmount",
        adjustments=("cac:AllowanceCharge",),
        third_party="cac:PrepaidPayment/cbc:PaidAmount",
        profile="cbc:CustomizationID",
        lines=Lines(
            path=f"cac:{name}Line",
            labels=("cac:Item/cbc:Name", "cac:Item/cbc:Description", "cbc:Note"),
            amount="cbc:LineExtensionAmount",
            quantity=f"cbc:{quantity}",
            price="cac:Price/cbc:PriceAmount",
            base_quantity="cac:Price/cbc:BaseQuantity",
        ),
    )


_LATER_DUE_DATES = ("cac:PaymentMeans/cbc:PaymentDueDate", "cac:PaymentTerms/cbc:PaymentDueDate")
_SYNTAXES = (
    (
        _ubl(
            "Invoice",
            type_code="380",
            due_dates=("cbc:DueDate", *_LATER_DUE_DATES),
            quantity="InvoicedQuantity",
        ),
        "ubl-2.1/maindoc/UBL-Invoice-2.1.xsd",
    ),
    (
        # EN 16931 has BT-9 of a credit note with the means of payment.
        _ubl(
            "CreditNote",
            type_code="381",
            due_dates=_LATER_DUE_DATES,
            quantity="CreditedQuantity",
        ),
        "ubl-2.1/maindoc/UBL-CreditNote-2.1.xsd",
    ),
)
