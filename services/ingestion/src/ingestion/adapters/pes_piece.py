"""Reads one piece of a PES revenue file into a draft, or says why it cannot be one."""

import re
from datetime import date, timedelta

import msgspec

from ingestion.adapters.pes_amounts import day
from ingestion.adapters.pes_attachments import Attachments
from ingestion.adapters.pes_fields import RefusedPieceError, words
from ingestion.adapters.pes_keys import (
    debt_reference,
    invoice_number,
    is_first_key,
    padded_debt,
    periods,
    second_key,
)
from ingestion.adapters.pes_lines import Amounts, Line, drawn_lines, negated, read_line, total
from ingestion.adapters.pes_payer import principal, read_payer
from ingestion.adapters.pes_stream import local_name, values
from ingestion.adapters.xml_reader import Element
from ingestion.domain import InvoiceDraft, Payer, Rejection, Route
from shared.money import CURRENCY

TERM = timedelta(days=30)
"""How long a debtor has: the avis des sommes à payer itself carries no date in PES, and thirty days
are what the rest of Quittance gives where a format names none."""

_ORMC_BORDEREAU = "06"
_ORMC_PIECE = "15"
_REDUCTIONS = frozenset({"06", "10"})
"""NatPce of annulation or réduction, and of the annulation of a titre de rattachement. 09 annuls an
expense instead: its third party owes what they were paid."""
_NOT_TO_BE_PAID = frozenset({"03", "05", "06", "07", "11", "14"})
"""TypPce that no citizen may be asked to pay: ordre budgétaire, émis après paiement, récapitulatif
with or without role (a sum over many debtors), rattachement, produits constatés d’avance."""
_DEBIT = "/LigneDePiece/BlocLignePiece/InfoPrelevementSEPA"
_DEBT = re.compile(r"[0-9]{1,15}")

FIELDS = {
    "/number": "NumeroFacture",
    "/issued_on": "DteBordEm",
    "/due_on": "DteAsp",
    "/amount_cents": "MtHT",
    "/subject": "ObjPce",
    "/fiscal_year": "Exer",
    "/debt_reference": "NumDette",
    "/payer/reference": "RefTiers",
    "/payer/name": "Nom",
    "/payer/address": "Adresse",
    "/lines": "LigneDePiece",
    "/pdf": "PJRef",
}
"""What PES calls the fields of a draft."""


class Bordereau(msgspec.Struct, frozen=True, kw_only=True):
    """What the head of a bordereau says of each of its pieces."""

    collectivity: str
    year: str
    number: str
    kind: str
    issued_on: date
    sent_on: date | None
    subject: str

    @property
    def is_reduction(self) -> bool:
        """Say whether it takes debts back instead of claiming them."""
        return self.kind == "02"


class ReadPiece(msgspec.Struct, frozen=True):
    """A piece, and what it adds to its bordereau; None when its amounts cannot be read."""

    found: InvoiceDraft | Rejection
    amounts: Amounts | None


def read_piece(
    piece: Element, bordereau: Bordereau, regie: str, route: Route, attachments: Attachments
) -> ReadPiece:
    """Return the invoice that a piece is.

    What is owed is the sum of its lines, MtHT and MtTVA: MtHT holds the VAT where there is no
    MtTVA. A reduction or annulment is a credit note of a positive amount. Who is debited by SEPA
    owes until the day of the debit (DtePrel); others thirty days from the day on which the avis
    is sent (DteAsp), or else issued. The debt reference is NumDette for an ORMC, the number of the
    titre (IdPce, as the avis des sommes à payer prints it after the year) for a titre, and that of
    the invoice in the JVS flavour, whose titres get their number only later.
    """
    try:
        block, lines = _parts(piece)
        amounts = total(line.amounts for line in lines)
    except RefusedPieceError as error:
        return ReadPiece(error.rejection, None)
    found: InvoiceDraft | Rejection
    try:
        found = _draft(block, lines, bordereau, regie, route)
        document = attachments.document_of(piece)
        if isinstance(document, Rejection):
            found = document
        elif document is not None:
            found = msgspec.structs.replace(found, pdf=document)
    except RefusedPieceError as error:
        found = error.rejection
    return ReadPiece(found, amounts)


def _draft(
    block: dict[str, str], lines: list[Line], bordereau: Bordereau, regie: str, route: Route
) -> InvoiceDraft:
    if block.get("TypPce") in _NOT_TO_BE_PAID:
        raise RefusedPieceError(
            "not_to_be_paid",
            "/BlocPiece/TypPce",
            "Ce type de titre n’est pas à payer par un usager.",
        )
    debt = _debt(block, bordereau)
    is_credit = bordereau.is_reduction or block.get("NatPce") in _REDUCTIONS
    number = _number(block, lines, bordereau, debt)
    subject = words(block.get("ObjPce") or bordereau.subject) or f"Facture {number}"
    drawn = drawn_lines(lines, subject)
    amount_cents = sum(line.amount_cents for line in drawn)
    if is_credit and amount_cents < 0:
        # Some write what is given back as negative; a credit note carries it as positive.
        amount_cents = -amount_cents
        drawn = tuple(negated(line) for line in drawn)
    return InvoiceDraft(
        regie=regie,
        number=number,
        issued_on=bordereau.issued_on,
        due_on=_due_on(block, lines, bordereau),
        amount_cents=amount_cents,
        currency=CURRENCY,
        subject=subject,
        route=route,
        kind="credit_note" if is_credit else "invoice",
        payer=_payer(lines),
        lines=drawn,
        fiscal_year=int(bordereau.year),
        debt_reference=debt_reference(debt or _titre(block, lines, bordereau)),
    )


def _parts(piece: Element) -> tuple[dict[str, str], list[Line]]:
    block: dict[str, str] = {}
    lines: list[Line] = []
    for part in piece:
        name = local_name(part)
        if name == "LigneDePiece":
            lines.append(read_line(part))
        elif name == "BlocPiece":
            block = values(part)
    if not lines:
        raise RefusedPieceError("missing_field", "/LigneDePiece", "La pièce n’a pas de ligne.")
    return block, lines


def _debt(block: dict[str, str], bordereau: Bordereau) -> str:
    """Return the debt number, checked with its keys; empty if there is none."""
    debt = block.get("NumDette", "").strip()
    if not debt:
        return ""
    if not _DEBT.fullmatch(debt):
        raise RefusedPieceError(
            "debt_reference_format",
            "/BlocPiece/NumDette",
            "Le numéro de dette compte 15 chiffres au plus.",
        )
    first, second = block.get("Cle1"), block.get("Cle2")
    if first is None and second is None:
        return debt
    period = block.get("Per", "")
    if not (period.isascii() and period.isdecimal()) or len(period) > len("12"):
        raise _wrong_key("Per")
    wrong = ""
    year, padded = bordereau.year[-2:], padded_debt(debt)
    for one in periods(period):
        number = f"{bordereau.collectivity}{bordereau.number}{year}{one}{padded}"
        if first is not None and not is_first_key(first, number):
            wrong = wrong or "Cle1"
        elif second is not None and second != second_key(f"{year}{one}00{padded}"):
            wrong = wrong or "Cle2"
        else:
            return debt
    raise _wrong_key(wrong)


def _wrong_key(name: str) -> RefusedPieceError:
    return RefusedPieceError(
        "wrong_key",
        f"/BlocPiece/{name}",
        "La clé de contrôle ne correspond pas au numéro de dette.",
    )


def _number(block: dict[str, str], lines: list[Line], bordereau: Bordereau, debt: str) -> str:
    """Return the number of the invoice.

    Where no invoice number is written, the year stands before what is: titres and debts are
    numbered anew each year, and the same number would be another invoice.
    """
    written = words(block.get("NumeroFacture") or lines[0].info.get("JVS_FAC_NumeroFacture", ""))
    if written:
        return written
    if debt:
        return invoice_number(bordereau.year, block.get("Per", ""), debt)
    titre = block.get("IdPce", "").strip()
    if not titre:
        raise RefusedPieceError(
            "missing_field", "/BlocPiece/IdPce", "La pièce n’a ni numéro de facture ni numéro."
        )
    return invoice_number(bordereau.year, "", titre)


def _titre(block: dict[str, str], lines: list[Line], bordereau: Bordereau) -> str:
    """Return the number under which a piece without a debt number is paid."""
    if bordereau.kind == _ORMC_BORDEREAU or block.get("TypPce") == _ORMC_PIECE:
        return ""
    return lines[0].info.get("JVS_FAC_NumeroFacture") or block.get("IdPce", "")


def _due_on(block: dict[str, str], lines: list[Line], bordereau: Bordereau) -> date:
    debits = [
        _required_day(line.debited_on, f"{_DEBIT}/DtePrel")
        for line in lines
        if line.debited_on is not None
    ]
    sent_on = bordereau.sent_on
    if "DteAsp" in block:
        sent_on = _required_day(block["DteAsp"], "/BlocPiece/DteAsp")
    issued_on = bordereau.issued_on
    if debits:
        return max(issued_on, *debits)
    start = max(issued_on, sent_on or issued_on)
    return min(start, date.max - TERM) + TERM


def _required_day(text: str, pointer: str) -> date:
    found = day(text)
    if found is None:
        raise RefusedPieceError(
            "invalid_date", pointer, "La date n’existe pas ou n’est pas de la forme AAAA-MM-JJ."
        )
    return found


def _payer(lines: list[Line]) -> Payer:
    found: Payer | None = None
    for line in lines:
        tiers = principal(line.tiers)
        payer = None if tiers is None else read_payer(tiers)
        if payer is None:
            continue
        if found is not None and found != payer:
            raise RefusedPieceError(
                "several_payers",
                "/LigneDePiece/Tiers",
                "La pièce a plusieurs débiteurs : une facture n’en a qu’un.",
            )
        found = payer
    if found is None:
        raise RefusedPieceError(
            "missing_field", "/LigneDePiece/Tiers/InfoTiers/Nom", "Le nom du débiteur manque."
        )
    return found
