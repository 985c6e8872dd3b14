"""Reads a ROLMRE file, the fixed-width list of debts that PES ORMC replaced in 2014."""

import codecs
import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import BinaryIO

from ingestion.adapters.pes_amounts import day
from ingestion.adapters.pes_fields import words
from ingestion.adapters.pes_keys import (
    debt_reference,
    invoice_number,
    is_first_key,
    second_key,
)
from ingestion.adapters.pes_payer import derived_reference
from ingestion.adapters.rolmre_records import RECORD_LENGTH, field_of, records, split
from ingestion.domain import (
    InvoiceDraft,
    InvoiceLine,
    Payer,
    Rejection,
    Route,
    UnreadableDepositError,
)
from ingestion.ports import Entry, ReadingContext
from shared.money import CURRENCY

TERM = timedelta(days=30)
"""How long a debtor has, as for PES: the record has no due date."""

_RECORD = "1"
_EURO = "E"
_BEGINNING = re.compile(
    rb"1[0-9A-Z]{2}[0-9A-Z]{2}(?:19|20)[0-9]{2}[0-9 ][0-9]{13}[0-9]0[A-HJ-NP-Y]"
    rb"[0-9A-Z ]{2}(?:19|20)[0-9]{6}[0-9A-Z ]{2}[0-9]{60}"
)
"""The first fields of a record, up to its total: what no table and no other text begins with."""
_HEAD_BYTES = 4 * RECORD_LENGTH
_NUMBER = re.compile(r"[0-9]+")
_YEAR = re.compile(r"[0-9]{4}")
_DAY = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})")

_PARTS = (
    ("ROLEAU", "Eau"),
    ("ROLASS", "Assainissement"),
    ("ROLTVE", "TVA sur l’eau"),
    ("ROLTVA", "TVA sur l’assainissement"),
)
"""What a debt is made of; the format was made for water and is used for everything."""

FIELDS = {
    "/number": "ROLDET",
    "/issued_on": "ROLDAT",
    "/amount_cents": "ROLTOT",
    "/subject": "ROLORU",
    "/fiscal_year": "ROLEX",
    "/debt_reference": "ROLDET",
    "/payer/reference": "ROLCLI",
    "/payer/name": "ROLNOM",
    "/payer/address": "ROLADR",
}
"""What the format calls the fields of a draft."""


def recognises(head: bytes) -> bool:
    """Say whether a file that begins with `head` has a first record of ROLMRE."""
    first = head.removeprefix(codecs.BOM_UTF8).lstrip(b"\r\n")[:_HEAD_BYTES]
    if not _BEGINNING.match(first):
        return False
    # Accents take two bytes in UTF-8; without line ends, records follow each other.
    length = len(first.partition(b"\n")[0].partition(b"\r")[0])
    return length >= RECORD_LENGTH


def read_file(file: BinaryIO, context: ReadingContext) -> Iterator[Entry]:
    """Yield one entry for each record, as `ports.FormatReader` says.

    The number is that of the debt after its year, and its period where it has one: debt numbers
    begin anew. Direct debits are only said to be so (ROLPRE), without their day.

    Raises:
        UnreadableDepositError: `missing_regie`, `encoding`, `record_length`, `no_invoices`.
    """
    regie = context.regie
    if not regie:
        raise UnreadableDepositError(
            "missing_regie", "", "Ce format ne nomme pas la régie : précisez-la dans l’adresse."
        )
    route = context.route(regie)
    position = 0
    for position, record in enumerate(records(file), start=1):
        place = f"/records/{position}"
        yield Entry(place=place, found=_read(record, regie, route), fields=FIELDS)
    if not position:
        raise UnreadableDepositError("no_invoices", "", "Le fichier ne contient aucun titre.")


def _read(record: str, regie: str, route: Route) -> InvoiceDraft | Rejection:
    if len(record) != RECORD_LENGTH:
        return _refuse("record_length", "", "L’enregistrement n’a pas 500 caractères.")
    fields = split(record)
    refusal = _refusal(fields)
    if refusal is not None:
        return refusal
    issued_on = _day(fields["ROLDAT"])
    if issued_on is None:
        return _refuse(
            "invalid_date", "ROLDAT", "La date n’existe pas ou n’est pas de la forme AAAAMMJJ."
        )
    year, debt = fields["ROLEX"], fields["ROLDET"].lstrip("0")
    number = invoice_number(year, fields["ROLPER"], debt)
    subject = words(field_of(record, "ROLORU") + field_of(record, "ROLOVI"))
    subject = subject or f"Facture {number}"
    return InvoiceDraft(
        regie=regie,
        number=number,
        issued_on=issued_on,
        due_on=min(issued_on, date.max - TERM) + TERM,
        amount_cents=int(fields["ROLTOT"]),
        currency=CURRENCY,
        subject=subject,
        route=route,
        payer=_payer(fields),
        lines=_lines(fields, subject),
        fiscal_year=int(year),
        debt_reference=debt_reference(debt),
    )


def _refusal(fields: dict[str, str]) -> Rejection | None:
    """Return why a record is no invoice, as far as its codes, keys and amounts tell."""
    if fields["ROLMVT"] != _RECORD:
        return _refuse("record_type", "ROLMVT", "Ce type d’enregistrement n’est pas une facture.")
    if fields["ROLMONNAIE"] != _EURO:
        return _refuse("currency", "ROLMONNAIE", "Seul l’euro (E) est accepté.")
    if not _YEAR.fullmatch(fields["ROLEX"]):
        return _refuse("invalid_year", "ROLEX", "L’exercice compte quatre chiffres.")
    if not _NUMBER.fullmatch(fields["ROLDET"]) or not fields["ROLDET"].strip("0"):
        return _refuse("missing_field", "ROLDET", "Le numéro de dette manque ou est mal écrit.")
    if not fields["ROLNOM"]:
        return _refuse("missing_field", "ROLNOM", "Le nom du débiteur manque.")
    return _key_refusal(fields) or _amount_refusal(fields)


def _key_refusal(fields: dict[str, str]) -> Rejection | None:
    year, period = fields["ROLEX"][-2:], fields["ROLPER"] or "0"
    debt = fields["ROLDET"].zfill(13)
    number = f"{fields['ROLCOL']}{fields['ROLNAT']}{year}{period}{debt}"
    if not is_first_key(fields["ROLCLE1"], number):
        return _wrong_key("ROLCLE1")
    rest = f"{year}{period}00{debt}"
    if not _NUMBER.fullmatch(rest) or fields["ROLCLE2"] != second_key(rest):
        return _wrong_key("ROLCLE2")
    return None


def _wrong_key(name: str) -> Rejection:
    return _refuse("wrong_key", name, "La clé de contrôle ne correspond pas au numéro de dette.")


def _amount_refusal(fields: dict[str, str]) -> Rejection | None:
    for name in (*(part for part, _ in _PARTS), "ROLTOT"):
        if not _NUMBER.fullmatch(fields[name]):
            return _refuse(
                "amount_format", name, "Le montant est écrit en centimes, sur douze chiffres."
            )
    if sum(int(fields[name]) for name, _ in _PARTS) != int(fields["ROLTOT"]):
        return _refuse(
            "totals_do_not_add_up", "ROLTOT", "Le total n’est pas la somme des montants."
        )
    return None


def _day(text: str) -> date | None:
    match = _DAY.fullmatch(text)
    return day("-".join(match.groups())) if match else None


def _payer(fields: dict[str, str]) -> Payer:
    name = words(fields["ROLNOM"])
    lines = (
        fields["ROLCNM"],
        fields["ROLDIS"],
        fields["ROLADR"],
        fields["ROLCVI"],
        f"{fields['ROLCP']} {fields['ROLLOC']}",
    )
    address = tuple(line for line in map(words, lines) if line)
    return Payer(
        reference=words(fields["ROLCLI"]) or derived_reference("ROLMRE", name, address),
        name=name,
        address=address or None,
    )


def _lines(fields: dict[str, str], subject: str) -> tuple[InvoiceLine, ...]:
    """Return a line for each part that is not zero; a debt of one part is its subject."""
    parts = [(label, int(fields[name])) for name, label in _PARTS if fields[name].strip("0")]
    if len(parts) == 1:
        parts = [(subject, parts[0][1])]
    return tuple(InvoiceLine(label=label, amount_cents=cents) for label, cents in parts)


def _refuse(code: str, name: str, message: str) -> Rejection:
    return Rejection(code=code, pointer=f"/{name}" if name else "", message=message)
