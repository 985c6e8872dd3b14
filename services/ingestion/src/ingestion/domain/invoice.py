"""What an invoice must be to enter, and whether a line is new, known, corrected or a conflict."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import ClassVar, Literal
from uuid import UUID, uuid5

import msgspec

from ingestion.domain.payer_identity import PayerIdentity, identity_problems
from ingestion.domain.texts import (
    Rejection,
    card_problems,
    email_problems,
    identifier_problems,
    refuse,
    text_problems,
)
from shared.errors import ContractError
from shared.money import CURRENCY

Route = Literal["regie", "treasury"]
Kind = Literal["invoice", "credit_note"]
Decision = Literal["created", "unchanged", "superseded", "conflict"]

INVOICE_NAMESPACE = UUID("c9556bd8-3e07-4a81-ac82-409c0dad7d2f")
"""Fixed for ever: changing it would give every known invoice another identity."""

MAXIMUM_INVOICE_CENTS = 999_999_999
"""Ceiling of one invoice, in cents: ten million euros from one citizen is a lost decimal point."""
EARLIEST_ISSUE = date(2000, 1, 1)
MAXIMUM_DAYS_AHEAD = 366
"""An invoice may be prepared at most one year before the date it carries."""
MAXIMUM_TERM_DAYS = 5 * 366
"""Longest time between issue and due date; beyond it the year was mistyped."""
NUMBER_LENGTH = 64
TEXT_LENGTH = 200
"""Longest subject, payer name, line label and PDF part name, as in `invoice.generated`."""
REFERENCE_LENGTH = 100
ADDRESS_LINES = 6
ADDRESS_LINE_LENGTH = 100
"""Six lines as in NF Z10-011; longer than its 38 characters because billers do not fold them."""
INVOICE_LINES = 500

_DEBT_REFERENCE = re.compile(r"[A-Za-z0-9]{6,30}")
_QUANTITY = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,6})?")
_PHONE = re.compile(r"\+?[0-9][0-9 .()\u00a0\u202f-]{3,24}")


class UnreadableDepositError(ContractError):
    """A deposit, or a file in it, cannot be read at all; `code` says which way, in snake case.

    `pointer` is an RFC 6901 pointer in JSON, a path of element names in XML, or empty for the
    whole; `detail` is a French sentence for the biller, which repeats nothing of the input but the
    headings of a table, cleaned and cut.
    """

    slug: ClassVar[str] = "unreadable-deposit"

    def __init__(self, code: str, pointer: str, detail: str) -> None:
        """Keep the three parts as arguments too, so that the error survives pickling."""
        super().__init__(code, pointer, detail)
        self.code = code
        self.pointer = pointer
        self.detail = detail


class Payer(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Who owes, as the billing application knows them."""

    reference: str
    name: str
    email: str | None = None
    phone: str | None = None
    address: tuple[str, ...] | None = None
    identity: PayerIdentity | None = None


class InvoiceLine(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One line of the invoice; `quantity` is a decimal number as text, with a point."""

    label: str
    quantity: str = "1"
    unit_amount_cents: int | None = None
    amount_cents: int


class InvoiceDraft(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """An invoice as deposited, well formed but not yet checked by `validate`.

    `amount_cents` is what is owed (positive in a credit note too: what is given back); `pdf` is
    the name of a part of the same deposit or the SHA-256 of a file.
    """

    regie: str
    number: str
    issued_on: date
    due_on: date
    amount_cents: int
    currency: str
    subject: str
    route: Route
    kind: Kind = "invoice"
    payer: Payer
    lines: tuple[InvoiceLine, ...] = ()
    pdf: str | None = None
    fiscal_year: int | None = None
    debt_reference: str | None = None
    version: int = 1


class DepositBody(msgspec.Struct, frozen=True, kw_only=True):
    """The lines of a readable deposit, in its order: a draft, or why there is none."""

    lines: tuple[InvoiceDraft | Rejection, ...]


class Regie(msgspec.Struct, frozen=True, kw_only=True):
    """A régie of the authority, and whether the biller's token may deposit for it."""

    code: str
    route: Route
    is_allowed: bool = True


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """The version of an invoice that is held already."""

    version: int
    fingerprint: str


CONFLICT = Rejection(
    code="conflict",
    pointer="/version",
    message="Ce numéro est déjà déposé avec un autre contenu : indiquez une version supérieure.",
)
"""The refusal of a line for which `decide` says `conflict`."""

DUPLICATE = Rejection(
    code="duplicate_number",
    pointer="/number",
    message="Ce numéro figure déjà plus haut dans le même dépôt, avec un autre contenu.",
)
"""The same, when what it conflicts with came in the same deposit."""


def validate(
    draft: InvoiceDraft, *, authority_regies: Mapping[str, Regie], today: date
) -> list[Rejection]:
    """Return every reason to refuse `draft`, with pointers relative to the invoice; none: accept.

    `authority_regies` holds the authority's own régies by code; `today` is the date in Paris.
    """
    return [
        *_regie_problems(draft, authority_regies.get(draft.regie)),
        *_treasury_problems(draft, today),
        *_money_problems(draft),
        *_date_problems(draft, today),
        *_identity_problems(draft),
        *_payer_problems(draft.payer, today),
        *_line_problems(draft),
    ]


def fingerprint(draft: InvoiceDraft, pdf_sha256: str | None) -> str:
    """Return the SHA-256, in hexadecimal, of what the invoice says and of its PDF.

    The version and the name of the PDF part are left out: they may change while the content does
    not. Fields at their default are left out too, so that an optional field added later does not
    turn every invoice already held into a conflict.
    """
    content = msgspec.structs.replace(draft, pdf=pdf_sha256, version=1)
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()


def decide(existing: Known | None, draft: InvoiceDraft, content: str) -> Decision:
    """Return what a valid line does to the invoice of the same authority, régie and number.

    `content` is the line's `fingerprint`. The same content is unchanged whatever its version.
    """
    if existing is None:
        return "created"
    if existing.fingerprint == content:
        return "unchanged"
    if draft.version > existing.version:
        return "superseded"
    return "conflict"


def invoice_id(authority: str, regie: str, number: str) -> UUID:
    """Return the identity shared by all versions of the invoice with this natural key."""
    # The separator is a control character, which no code and no accepted number contains.
    return uuid5(INVOICE_NAMESPACE, f"{authority}\x1f{regie}\x1f{number}")


def _regie_problems(draft: InvoiceDraft, regie: Regie | None) -> Iterator[Rejection]:
    if regie is None:
        yield refuse("unknown_regie", "/regie", "Cette régie n’existe pas dans la collectivité.")
        return
    if not regie.is_allowed:
        yield refuse(
            "regie_not_allowed", "/regie", "Votre accès ne permet pas de déposer pour cette régie."
        )
    if draft.route != regie.route:
        yield refuse(
            "wrong_route", "/route", "Le circuit de paiement n’est pas celui de cette régie."
        )


def _treasury_problems(draft: InvoiceDraft, today: date) -> Iterator[Rejection]:
    if draft.route == "treasury" and draft.fiscal_year is None:
        yield refuse(
            "missing_field", "/fiscal_year", "L’exercice est obligatoire pour la trésorerie."
        )
    if draft.fiscal_year is not None and not (
        EARLIEST_ISSUE.year <= draft.fiscal_year <= today.year + 1
    ):
        yield refuse("fiscal_year_out_of_range", "/fiscal_year", "L’exercice est invraisemblable.")
    if draft.route == "treasury" and draft.debt_reference is None:
        yield refuse(
            "missing_field",
            "/debt_reference",
            "La référence de la dette est obligatoire pour la trésorerie.",
        )
    # PayFiP form mode takes refdet of 6 to 30 letters and digits; shorter ones get code R3.
    if draft.debt_reference is not None and not _DEBT_REFERENCE.fullmatch(draft.debt_reference):
        yield refuse(
            "debt_reference_format",
            "/debt_reference",
            "La référence de la dette compte de 6 à 30 lettres ou chiffres, sans espace.",
        )


def _money_problems(draft: InvoiceDraft) -> Iterator[Rejection]:
    if draft.currency != CURRENCY:
        yield refuse("currency", "/currency", "Seul l’euro (EUR) est accepté.")
    if draft.amount_cents <= 0:
        yield refuse(
            "amount_not_positive",
            "/amount_cents",
            "Le montant doit être supérieur à zéro ; un avoir porte un montant positif.",
        )
    elif draft.amount_cents > MAXIMUM_INVOICE_CENTS:
        yield refuse(
            "amount_too_large", "/amount_cents", "Le montant dépasse le plafond d’une facture."
        )


def _date_problems(draft: InvoiceDraft, today: date) -> Iterator[Rejection]:
    if draft.issued_on < EARLIEST_ISSUE:
        yield refuse("issued_too_early", "/issued_on", "La date d’émission est trop ancienne.")
    if draft.issued_on > today + timedelta(days=MAXIMUM_DAYS_AHEAD):
        yield refuse(
            "issued_too_late", "/issued_on", "La date d’émission est à plus d’un an d’ici."
        )
    if draft.due_on < draft.issued_on:
        yield refuse(
            "due_before_issue", "/due_on", "L’échéance précède la date d’émission de la facture."
        )
    elif (draft.due_on - draft.issued_on).days > MAXIMUM_TERM_DAYS:
        yield refuse("due_too_late", "/due_on", "L’échéance est à plus de cinq ans de l’émission.")


def _identity_problems(draft: InvoiceDraft) -> Iterator[Rejection]:
    yield from identifier_problems("/number", draft.number, NUMBER_LENGTH)
    yield from text_problems("/subject", draft.subject, TEXT_LENGTH)
    yield from card_problems("/subject", draft.subject)
    if draft.pdf is not None:
        yield from text_problems("/pdf", draft.pdf, TEXT_LENGTH)
    if draft.version < 1:
        yield refuse("version_too_low", "/version", "La version commence à 1.")
    elif draft.version > MAXIMUM_INVOICE_CENTS:
        yield refuse("version_too_high", "/version", "La version est invraisemblable.")


def _payer_problems(payer: Payer, today: date) -> Iterator[Rejection]:
    yield from identifier_problems("/payer/reference", payer.reference, REFERENCE_LENGTH)
    yield from text_problems("/payer/name", payer.name, TEXT_LENGTH)
    yield from card_problems("/payer/name", payer.name)
    if payer.email is not None:
        yield from email_problems(payer.email)
    if payer.phone is not None and not _PHONE.fullmatch(payer.phone):
        yield refuse(
            "phone_format", "/payer/phone", "Le téléphone n’a que des chiffres, espaces et points."
        )
    address = payer.address or ()
    if len(address) > ADDRESS_LINES:
        yield refuse(
            "too_many_address_lines", "/payer/address", "L’adresse compte six lignes au plus."
        )
    for index, line in enumerate(address[:ADDRESS_LINES]):
        yield from text_problems(f"/payer/address/{index}", line, ADDRESS_LINE_LENGTH)
    if payer.identity is not None:
        yield from identity_problems(payer.identity, today)


def _line_problems(draft: InvoiceDraft) -> Iterator[Rejection]:
    if len(draft.lines) > INVOICE_LINES:
        yield refuse("too_many_lines", "/lines", "Une facture compte 500 lignes au plus.")
        return
    for index, line in enumerate(draft.lines):
        pointer = f"/lines/{index}"
        yield from text_problems(f"{pointer}/label", line.label, TEXT_LENGTH)
        yield from card_problems(f"{pointer}/label", line.label)
        if not _QUANTITY.fullmatch(line.quantity):
            yield refuse(
                "quantity_format",
                f"{pointer}/quantity",
                "La quantité est un nombre décimal écrit avec un point.",
            )
        for name, cents in (
            ("amount_cents", line.amount_cents),
            ("unit_amount_cents", line.unit_amount_cents),
        ):
            if cents is not None and abs(cents) > MAXIMUM_INVOICE_CENTS:
                yield refuse(
                    "amount_too_large", f"{pointer}/{name}", "Le montant dépasse le plafond."
                )
    if draft.lines and sum(line.amount_cents for line in draft.lines) != draft.amount_cents:
        yield refuse(
            "lines_do_not_add_up",
            "/lines",
            "Le total des lignes n’est pas égal au montant de la facture.",
        )
