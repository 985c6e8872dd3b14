"""Reads an electronic invoice by the terms of EN 16931, wherever an XML syntax has them."""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta

import msgspec

from ingestion.adapters.en16931_amounts import Totals, due_cents, invoice_lines, reversed_line
from ingestion.adapters.en16931_attachment import Attachments, attached_document
from ingestion.adapters.en16931_fields import Paths, shortened
from ingestion.adapters.xml_reader import Element, text_of
from ingestion.domain import InvoiceDraft, Kind, Payer, Rejection, Route, UnreadableDepositError
from ingestion.ports import Entry, ReadingContext
from shared.money import CURRENCY

DEFAULT_TERM_DAYS = 30
"""Due date of an invoice that gives none (BT-9): thirty days after its issue."""

SUBJECT_LENGTH = 120
"""Where a note or a label becomes the subject, it is cut here: it heads a message."""

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

_DERIVED_PREFIX = "CII-"
"""Named for the syntax that was read first; another prefix would make known payers strangers."""


class Syntax(msgspec.Struct, frozen=True, kw_only=True):
    """Where one kind of XML document has each business term (BT); paths start at the root."""

    paths: Paths
    date: Callable[[Element], date | None]
    notes: Callable[[Element], Iterator[tuple[str, str]]]
    """Yields subject code (BT-21) and text (BT-22) of each note."""
    number: str
    """BT-1."""
    type_code: str
    """BT-3."""
    default_type_code: str = ""
    """What a document without BT-3 is; empty where the standard demands it."""
    issue_date: str
    """BT-2."""
    due_dates: tuple[str, ...]
    """BT-9; each is looked for only where the one before it is not."""
    currency: str
    """BT-5."""
    remittance: str
    """BT-83."""
    buyer_names: tuple[str, ...]
    """BT-44, then what may stand in for it."""
    references: tuple[str, ...]
    """BT-46, BT-10, BT-47, BT-48."""
    electronic_address: str
    """BT-49."""
    email: str
    """BT-58."""
    phone: str
    """BT-57."""
    address: str
    """BG-8."""
    address_lines: tuple[tuple[str, ...], ...]
    """BT-50, BT-51, BT-163, BT-53 and BT-52 on one line, BT-54, from the address on."""
    country: str
    """BT-55."""
    totals: Totals
    attachments: Attachments

    @property
    def fields(self) -> Mapping[str, str]:
        """The names that the document has for fields of the draft; see `ports.Entry`."""
        names = {
            "/number": self.number,
            "/issued_on": self.issue_date,
            "/due_on": self.due_dates[0],
            "/amount_cents": self.totals.due,
            "/currency": self.currency,
            "/payer/reference": self.references[0],
            "/payer/name": self.buyer_names[0],
            "/payer/email": self.email,
            "/payer/phone": self.phone,
            "/payer/address": self.address,
            "/debt_reference": self.remittance,
        }
        # The last name only: a whole path would be one long word in the pointer.
        return {pointer: path.rpartition("/")[2] for pointer, path in names.items()}


def read(root: Element, syntax: Syntax, regie: str, route: Route) -> InvoiceDraft:
    """Return the invoice that `root` describes.

    What is owed is the amount due for payment (BT-115): prepayments are deducted. An amount must
    be whole cents; zeros after them change nothing and are accepted. No due date means issue plus
    `DEFAULT_TERM_DAYS`, several mean the last, and one before the issue means the issue itself. A
    payer without any identifier gets one derived from name and address. Lines are carried without
    VAT, followed by allowances, charges, VAT, prepayment and rounding, only when all of it adds up
    to what is owed; else none is. For the treasury, the fiscal year is that of the issue and the
    debt reference is the remittance information (BT-83).

    Raises:
        UnreadableDepositError: `missing_number`, `document_type`, `issue_date`, `due_date`,
            `missing_amount`, `several_amounts`, `amount_format`, `totals_do_not_add_up`,
            `currency`, `missing_buyer_name`. The pointer is a path of prefixed element names.
    """
    paths = syntax.paths
    number = paths.required(
        root, (syntax.number,), "missing_number", "Le numéro de facture manque."
    )
    kind = _kind(root, syntax)
    currency = paths.required(root, (syntax.currency,), "currency", "La devise manque.")
    if currency != CURRENCY:
        raise paths.refusal(syntax.currency, "currency", "Seul l’euro (EUR) est accepté.")
    issued_on = _issue_date(root, syntax)
    amount_cents = due_cents(root, paths, syntax.totals)
    lines = invoice_lines(root, paths, syntax.totals, amount_cents)
    subject = _subject(root, syntax, number, kind)
    # An invoice whose total is negative takes back an earlier one (Peppol BIS Billing 3.0 shows it
    # as an equal of the credit note): the money goes to the payer. The reverse is not done: a
    # credit note below zero may as well be a sign written twice, and would become a claim. The
    # rules of entry refuse it.
    if amount_cents < 0 and kind == "invoice":
        kind, amount_cents = "credit_note", -amount_cents
        lines = tuple(map(reversed_line, lines))
    remittance = paths.text(root, syntax.remittance).replace(" ", "")
    is_treasury = route == "treasury"
    has_reference = is_treasury and _DEBT_REFERENCE.fullmatch(remittance)
    return InvoiceDraft(
        regie=regie,
        number=number,
        issued_on=issued_on,
        due_on=_due_date(root, syntax, issued_on),
        amount_cents=amount_cents,
        currency=currency,
        subject=subject,
        route=route,
        kind=kind,
        payer=_payer(root, syntax),
        lines=lines,
        fiscal_year=issued_on.year if is_treasury else None,
        debt_reference=remittance if has_reference else None,
    )


def entry(
    root: Element,
    syntax: Syntax,
    check: Callable[[Element], None],
    context: ReadingContext,
    document: bytes | None = None,
) -> Entry:
    """Return the one line of a document that holds one invoice: the invoice, or its refusal.

    `check` refuses what does not follow the schema. It comes after the reading, because an amount
    that is missing is clearer said than an element that was not expected. The invoice's document is
    `document`, else the attached PDF that is marked as the invoice itself, if there is one.

    Raises:
        UnreadableDepositError: `missing_regie`, and what `check` refuses.
    """
    regie = require_regie(context.regie)
    place = f"/{syntax.paths.root}"
    try:
        draft = read(root, syntax, regie, context.route(regie))
    except UnreadableDepositError as error:
        pointer = error.pointer.removeprefix(place)
        refused = Rejection(code=error.code, pointer=pointer, message=error.detail)
        return Entry(place=place, found=refused)
    check(root)
    if document is None:
        type_code = syntax.paths.text(root, syntax.type_code) or syntax.default_type_code
        document = attached_document(
            root, syntax.paths, syntax.attachments, number=draft.number, type_code=type_code
        )
    if document is not None:
        kept = context.keep_document(document)
        if isinstance(kept, Rejection):
            return Entry(place=place, found=kept)
        draft = msgspec.structs.replace(draft, pdf=kept)
    return Entry(place=place, found=draft, fields=syntax.fields)


def require_regie(regie: str | None) -> str:
    """Return the régie that the deposit's address names.

    Raises:
        UnreadableDepositError: `missing_regie`.
    """
    if not regie:
        raise UnreadableDepositError(
            code="missing_regie",
            pointer="",
            detail="Ce format ne nomme pas la régie : précisez-la dans l’adresse.",
        )
    return regie


def _kind(root: Element, syntax: Syntax) -> Kind:
    code = syntax.paths.text(root, syntax.type_code) or syntax.default_type_code
    if code in _CREDIT_NOTES:
        return "credit_note"
    if code in _INVOICES:
        return "invoice"
    raise syntax.paths.refusal(
        syntax.type_code, "document_type", "Ce type de document n’est pas une facture."
    )


def _issue_date(root: Element, syntax: Syntax) -> date:
    element = syntax.paths.first(root, syntax.issue_date)
    issued_on = None if element is None else syntax.date(element)
    if issued_on is None:
        raise syntax.paths.refusal(
            syntax.issue_date, "issue_date", "La date d’émission manque ou est illisible."
        )
    return issued_on


def _due_date(root: Element, syntax: Syntax, issued_on: date) -> date:
    known: list[date] = []
    for path in syntax.due_dates:
        for element in syntax.paths.every(root, path):
            due_on = syntax.date(element)
            if due_on is None:
                raise syntax.paths.refusal(path, "due_date", "La date d’échéance est illisible.")
            known.append(due_on)
        if known:
            break
    if not known:
        term = timedelta(days=DEFAULT_TERM_DAYS)
        known = [min(issued_on, date.max - term) + term]
    return max(issued_on, *known)


def _subject(root: Element, syntax: Syntax, number: str, kind: Kind) -> str:
    for code, text in syntax.notes(root):
        content = shortened(text, SUBJECT_LENGTH) if code in _GENERAL_NOTES else ""
        if content:
            return content
    lines = syntax.totals.lines
    first = syntax.paths.first(root, lines.path)
    label = "" if first is None else syntax.paths.text(first, *lines.labels)
    return (
        shortened(label, SUBJECT_LENGTH)
        or f"{'Avoir' if kind == 'credit_note' else 'Facture'} {number}"
    )


def _payer(root: Element, syntax: Syntax) -> Payer:
    paths = syntax.paths
    name = paths.required(
        root, syntax.buyer_names, "missing_buyer_name", "Le nom du client manque."
    )
    name = " ".join(name.split())
    address = _address(root, syntax)
    phone = " ".join(paths.text(root, syntax.phone).split())
    return Payer(
        reference=paths.text(root, *syntax.references) or _derived_reference(name, address),
        name=name,
        email=_email(root, syntax),
        phone=phone if _PHONE.fullmatch(phone) else None,
        address=address or None,
    )


def _derived_reference(name: str, address: tuple[str, ...]) -> str:
    """Return the same reference each time the same person at the same place is billed."""
    person = "\n".join((name, *address)).casefold()
    return f"{_DERIVED_PREFIX}{hashlib.sha256(person.encode()).hexdigest()[:16]}"


def _email(root: Element, syntax: Syntax) -> str | None:
    """Return the buyer's electronic address (BT-49) if it is an e-mail, else the contact's.

    The contact's is free text in the standard: a remark in its place is no address, while one that
    is mistyped is left for the rules of entry to refuse.
    """
    element = syntax.paths.first(root, syntax.electronic_address)
    if element is not None and element.get("schemeID") == "EM" and text_of(element):
        return text_of(element)
    email = syntax.paths.text(root, syntax.email)
    return email if "@" in email else None


def _address(root: Element, syntax: Syntax) -> tuple[str, ...]:
    place = syntax.paths.first(root, syntax.address)
    if place is None:
        return ()
    lines = (
        " ".join(" ".join(syntax.paths.text(place, path) for path in parts).split())
        for parts in syntax.address_lines
    )
    address = tuple(line for line in lines if line)
    country = syntax.paths.text(place, syntax.country)
    return (*address, country) if address and country not in {"", "FR"} else address
