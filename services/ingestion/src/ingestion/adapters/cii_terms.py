"""Where a Cross Industry Invoice has the terms of EN 16931; so too ZUGFeRD 1.0, its forerunner."""

import re
from collections.abc import Iterator
from datetime import date

import msgspec

from ingestion.adapters.en16931 import Syntax
from ingestion.adapters.en16931_amounts import Lines, Totals
from ingestion.adapters.en16931_attachment import Attachments
from ingestion.adapters.en16931_fields import Paths
from ingestion.adapters.xml_reader import Element, text_of

_DATE_DIGITS = {"102": 8, "203": 12, "204": 14}
"""UNTDID 2379: a day, a day and minutes, a day and seconds. The day comes first in each."""


def _date(element: Element) -> date | None:
    """Return the day of a `DateTimeType`, or None; a format that names no day is not guessed."""
    for written in element.iterchildren("{*}DateTimeString", "{*}DateTime"):
        text = text_of(written)
        if written.tag.endswith("}DateTime"):
            text, digits = text[:10].replace("-", ""), 8
        else:
            digits = _DATE_DIGITS.get(written.get("format", "102"), 0)
        if len(text) != digits or not re.fullmatch("[0-9]+", text):
            return None
        try:
            return date(int(text[:4]), int(text[4:6]), int(text[6:8]))
        except ValueError:
            return None
    return None


_ADDRESS_LINES = (
    ("ram:LineOne",),
    ("ram:LineTwo",),
    ("ram:LineThree",),
    ("ram:PostcodeCode", "ram:CityName"),
    ("ram:CountrySubDivisionName",),
)


class _Edition(msgspec.Struct, frozen=True, kw_only=True):
    """The names of the groups, which the first edition had otherwise."""

    profile: str
    document: str
    agreement: str
    settlement: str
    sums: str
    line: str
    line_agreement: str
    line_delivery: str
    line_settlement: str
    line_sums: str
    is_first: bool = False


def _syntax(paths: Paths, edition: _Edition) -> Syntax:
    document, agreement, settlement = edition.document, edition.agreement, edition.settlement
    buyer = f"{agreement}/ram:BuyerTradeParty"
    contact = f"{buyer}/ram:DefinedTradeContact"

    def notes(root: Element) -> Iterator[tuple[str, str]]:
        for note in paths.every(root, f"{document}/ram:IncludedNote"):
            yield paths.text(note, "ram:SubjectCode"), paths.text(note, "ram:Content")

    return Syntax(
        paths=paths,
        date=_date,
        notes=notes,
        number=f"{document}/ram:ID",
        type_code=f"{document}/ram:TypeCode",
        issue_date=f"{document}/ram:IssueDateTime",
        due_dates=(f"{settlement}/ram:SpecifiedTradePaymentTerms/ram:DueDateDateTime",),
        currency=f"{settlement}/ram:InvoiceCurrencyCode",
        remittance=f"{settlement}/ram:PaymentReference",
        buyer_names=(
            f"{buyer}/ram:Name",
            f"{buyer}/ram:SpecifiedLegalOrganization/ram:TradingBusinessName",
            f"{contact}/ram:PersonName",
        ),
        references=(
            f"{buyer}/ram:ID",
            f"{buyer}/ram:GlobalID",
            f"{agreement}/ram:BuyerReference",
            f"{buyer}/ram:SpecifiedLegalOrganization/ram:ID",
            f"{buyer}/ram:SpecifiedTaxRegistration/ram:ID",
        ),
        electronic_address=f"{buyer}/ram:URIUniversalCommunication/ram:URIID",
        email=f"{contact}/ram:EmailURIUniversalCommunication/ram:URIID",
        phone=f"{contact}/ram:TelephoneUniversalCommunication/ram:CompleteNumber",
        address=f"{buyer}/ram:PostalTradeAddress",
        address_lines=_ADDRESS_LINES,
        country="ram:CountryID",
        totals=_totals(edition),
        attachments=Attachments(
            path=f"{agreement}/ram:AdditionalReferencedDocument",
            reference="ram:IssuerAssignedID",
            type_code="ram:TypeCode",
            descriptions=("ram:Name",),
            content="ram:AttachmentBinaryObject",
        ),
    )


def _totals(edition: _Edition) -> Totals:
    settlement = edition.settlement
    sums = f"{settlement}/{edition.sums}"
    price = f"{edition.line_agreement}/ram:NetPriceProductTradePrice"
    return Totals(
        due=f"{sums}/ram:DuePayableAmount",
        line_total=f"{sums}/ram:LineTotalAmount",
        tax_basis=f"{sums}/ram:TaxBasisTotalAmount",
        grand_total=f"{sums}/ram:GrandTotalAmount",
        prepaid=f"{sums}/ram:TotalPrepaidAmount",
        rounding=f"{sums}/ram:RoundingAmount",
        allowance_total=f"{sums}/ram:AllowanceTotalAmount",
        charge_total=f"{sums}/ram:ChargeTotalAmount",
        tax_total=f"{sums}/ram:TaxTotalAmount",
        tax_parts=f"{settlement}/ram:ApplicableTradeTax/ram:CalculatedAmount",
        adjustments=(
            f"{settlement}/ram:SpecifiedTradeAllowanceCharge",
            f"{settlement}/ram:SpecifiedLogisticsServiceCharge",
        ),
        third_party=f"{settlement}/ram:SpecifiedFinancialAdjustment/ram:ActualAmount",
        profile=edition.profile,
        # The MINIMUM profile has neither the sum of the lines nor what was prepaid.
        may_hide_prepaid=True,
        # The BASIC profile of ZUGFeRD 1.0 ends at the grand total.
        is_due_optional=edition.is_first,
        # It does not say whether the VAT is in a line, and programs wrote both.
        may_have_gross_lines=edition.is_first,
        lines=Lines(
            path=edition.line,
            labels=("ram:SpecifiedTradeProduct/ram:Name",),
            amount=f"{edition.line_settlement}/{edition.line_sums}/ram:LineTotalAmount",
            quantity=f"{edition.line_delivery}/ram:BilledQuantity",
            price=f"{price}/ram:ChargeAmount",
            base_quantity=f"{price}/ram:BasisQuantity",
            role="ram:AssociatedDocumentLineDocument/ram:LineStatusReasonCode",
        ),
    )


CII = _syntax(
    Paths(
        root="rsm:CrossIndustryInvoice",
        root_tag=(
            "{urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100}CrossIndustryInvoice"
        ),
        namespaces={
            "rsm": "urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100",
            "ram": (
                "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100"
            ),
            "udt": "urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100",
        },
    ),
    _Edition(
        profile=(
            "rsm:ExchangedDocumentContext/ram:GuidelineSpecifiedDocumentContextParameter/ram:ID"
        ),
        document="rsm:ExchangedDocument",
        agreement="rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeAgreement",
        settlement="rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeSettlement",
        sums="ram:SpecifiedTradeSettlementHeaderMonetarySummation",
        line="rsm:SupplyChainTradeTransaction/ram:IncludedSupplyChainTradeLineItem",
        line_agreement="ram:SpecifiedLineTradeAgreement",
        line_delivery="ram:SpecifiedLineTradeDelivery",
        line_settlement="ram:SpecifiedLineTradeSettlement",
        line_sums="ram:SpecifiedTradeSettlementLineMonetarySummation",
    ),
)

ZUGFERD_1 = _syntax(
    Paths(
        root="rsm:CrossIndustryDocument",
        root_tag="{urn:ferd:CrossIndustryDocument:invoice:1p0}CrossIndustryDocument",
        namespaces={
            "rsm": "urn:ferd:CrossIndustryDocument:invoice:1p0",
            "ram": (
                "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:12"
            ),
            "udt": "urn:un:unece:uncefact:data:standard:UnqualifiedDataType:15",
        },
    ),
    _Edition(
        profile=(
            "rsm:SpecifiedExchangedDocumentContext"
            "/ram:GuidelineSpecifiedDocumentContextParameter/ram:ID"
        ),
        document="rsm:HeaderExchangedDocument",
        agreement=(
            "rsm:SpecifiedSupplyChainTradeTransaction/ram:ApplicableSupplyChainTradeAgreement"
        ),
        settlement=(
            "rsm:SpecifiedSupplyChainTradeTransaction/ram:ApplicableSupplyChainTradeSettlement"
        ),
        sums="ram:SpecifiedTradeSettlementMonetarySummation",
        line="rsm:SpecifiedSupplyChainTradeTransaction/ram:IncludedSupplyChainTradeLineItem",
        line_agreement="ram:SpecifiedSupplyChainTradeAgreement",
        line_delivery="ram:SpecifiedSupplyChainTradeDelivery",
        line_settlement="ram:SpecifiedSupplyChainTradeSettlement",
        line_sums="ram:SpecifiedTradeSettlementMonetarySummation",
        is_first=True,
    ),
)
