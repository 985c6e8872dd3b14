"""Reads the lines of a PES piece: what each costs, who owes it, how it is paid."""

import re
from collections.abc import Iterable

import msgspec

from ingestion.adapters.pes_amounts import cents
from ingestion.adapters.pes_fields import RefusedPieceError, words
from ingestion.adapters.pes_payer import Tiers, read_tiers
from ingestion.adapters.pes_stream import local_name, values
from ingestion.adapters.xml_reader import Element
from ingestion.domain import InvoiceLine

_INFO = "/LigneDePiece/BlocLignePiece/InfoLignePiece"
_QUANTITY = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?")
_RATE = re.compile(r"([0-9]{1,2})(?:\.([0-9]{1,4}))?")


class Amounts(msgspec.Struct, frozen=True):
    """What a line or a piece comes to, without VAT where the VAT is written apart."""

    net_cents: int
    vat_cents: int


class Line(msgspec.Struct):
    """A line as written; `debited_on` is None when it is not paid by direct debit."""

    info: dict[str, str]
    debited_on: str | None
    tiers: list[Tiers]
    amounts: Amounts


def read_line(element: Element) -> Line:
    """Return a `LigneDePiece`.

    Raises:
        RefusedPieceError: `amount_format`.
    """
    info: dict[str, str] = {}
    debited_on: str | None = None
    tiers: list[Tiers] = []
    for part in element:
        name = local_name(part)
        if name == "Tiers":
            tiers.append(read_tiers(part))
        elif name == "BlocLignePiece":
            for section in part:
                name = local_name(section)
                if name == "InfoLignePiece":
                    info = values(section)
                elif name in {"InfoPrelevementSEPA", "InfoPrelevement"}:
                    debited_on = _debit_day(section)
    return Line(info, debited_on, tiers, _amounts(info))


def _debit_day(section: Element) -> str:
    for child in section:
        if child.tag.endswith("DtePrel"):
            return child.get("V", "")
    return ""


def total(amounts: Iterable[Amounts]) -> Amounts:
    """Return the sum of amounts."""
    net_cents = vat_cents = 0
    for one in amounts:
        net_cents += one.net_cents
        vat_cents += one.vat_cents
    return Amounts(net_cents, vat_cents)


def drawn_lines(lines: list[Line], subject: str) -> tuple[InvoiceLine, ...]:
    """Return the lines without VAT, followed by one line for the VAT of each rate."""
    drawn = [_drawn_line(line, subject) for line in lines]
    taxes: dict[str, int] = {}
    for line in lines:
        if line.amounts.vat_cents:
            rate = _vat_label(line.info.get("TxTva", ""))
            taxes[rate] = taxes.get(rate, 0) + line.amounts.vat_cents
    drawn += [InvoiceLine(label=rate, amount_cents=amount) for rate, amount in taxes.items()]
    return tuple(drawn)


def _drawn_line(line: Line, subject: str) -> InvoiceLine:
    info = line.info
    label = words(info.get("JVS_LFAC_Libelle") or info.get("ObjLignePce", "")) or subject
    quantity = info.get("JVS_LFAC_Quantite", "")
    if not _QUANTITY.fullmatch(quantity):
        return InvoiceLine(label=label, amount_cents=line.amounts.net_cents)
    return InvoiceLine(
        label=label,
        quantity=quantity,
        unit_amount_cents=cents(info.get("JVS_LFAC_MtUnitaire")),
        amount_cents=line.amounts.net_cents,
    )


def negated(line: InvoiceLine) -> InvoiceLine:
    """Return the line with its amounts of the other sign."""
    unit = line.unit_amount_cents
    return msgspec.structs.replace(
        line,
        amount_cents=-line.amount_cents,
        unit_amount_cents=None if unit is None else -unit,
    )


def _vat_label(rate: str) -> str:
    match = _RATE.fullmatch(rate)
    if match is None:
        return "TVA"
    whole, fraction = match.group(1), (match.group(2) or "").rstrip("0")
    return f"TVA {whole}{',' if fraction else ''}{fraction}\u00a0%"


def _amounts(info: dict[str, str]) -> Amounts:
    net_cents = cents(info.get("MtHT"))
    vat_cents = cents(info.get("MtTVA", "0"))
    if net_cents is None or vat_cents is None:
        raise RefusedPieceError(
            "amount_format",
            f"{_INFO}/{'MtHT' if net_cents is None else 'MtTVA'}",
            "Le montant manque ou n’est pas un nombre entier de centimes, écrit avec un point.",
        )
    return Amounts(net_cents, vat_cents)
