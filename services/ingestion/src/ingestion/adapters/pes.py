"""Reads a PES v2 revenue file (ORMC, titres, JVS flavour): what Hélios takes from billers.

The names and rules are those of the DGFiP's dictionary of the PES Aller, as the open-source billing
applications Noethys and Noethysweb write it.
"""

import re
from collections.abc import Iterator
from datetime import date
from typing import BinaryIO

from ingestion.adapters.pes_amounts import cents, day
from ingestion.adapters.pes_attachments import Attachments, read_attachments
from ingestion.adapters.pes_lines import Amounts, total
from ingestion.adapters.pes_piece import FIELDS, Bordereau, read_piece
from ingestion.adapters.pes_stream import (
    BORDEREAU,
    REVENUE,
    elements,
    local_name,
    recognises,
    survey,
    values,
)
from ingestion.adapters.xml_reader import Element
from ingestion.domain import Route, UnreadableDepositError
from ingestion.ports import Entry, ReadingContext

__all__ = ["read_file", "recognises"]

_HEADER = "EnTetePES"
_BLOCK = "BlocBordereau"
_PIECE = "Piece"
_NAMES = frozenset({_HEADER, _BLOCK, _PIECE})
_YEAR = re.compile(r"[0-9]{4}")
_COUNT = re.compile(r"[0-9]{1,7}")


def read_file(file: BinaryIO, context: ReadingContext) -> Iterator[Entry]:
    """Yield one entry for each piece, as `ports.FormatReader` says.

    A bordereau without number (IdBord), which the JVS flavour has for drafts, is read as any other:
    the number is that of the accounts, the invoices themselves are final and carry their own.

    Raises:
        UnreadableDepositError: `missing_regie`, `doctype`, `xml_encoding`, `unreadable_xml`,
            `xml_too_large`, `wrong_root`, `too_many_attachments`, `no_invoices`; for the head of a
            bordereau `missing_field`, `invalid_date`, `invalid_year`, `amount_format`; at its end
            `piece_count` or `totals_do_not_add_up` when it announced other pieces than it has.
    """
    regie = context.regie
    if not regie:
        raise UnreadableDepositError(
            "missing_regie", "", "Ce format ne nomme pas la régie : précisez-la dans l’adresse."
        )
    source = survey(file)
    reader = _Reader(regie, context.route(regie), read_attachments(file, source, context))
    for element in elements(file, source, _NAMES):
        entry = reader.take(element)
        if entry is not None:
            yield entry
    reader.close()


class _Reader:
    """Follows the bordereaux of a file."""

    def __init__(self, regie: str, route: Route, attachments: Attachments) -> None:
        self._regie = regie
        self._route = route
        self._attachments = attachments
        self._header: dict[str, str] = {}
        self._position = 0
        self._element: Element | None = None
        self._open: _OpenBordereau | None = None

    def take(self, element: Element) -> Entry | None:
        """Follow one element further; return an entry if it is a piece."""
        name = local_name(element)
        if name == _PIECE:
            return self._piece(element)
        if name == _BLOCK:
            self._begin(element)
        elif not self._header:
            self._header = values(element)
        return None

    def close(self) -> None:
        """Check the last bordereau, and that there was one.

        Raises:
            UnreadableDepositError: see `read_file`.
        """
        if self._open is not None:
            self._open.close()
        if not self._position:
            raise UnreadableDepositError(
                "no_invoices", f"/{REVENUE}", "Le fichier ne contient aucun bordereau de recettes."
            )

    def _begin(self, block: Element) -> None:
        element = block.getparent()
        if element is None or not _is_revenue(element):
            return
        if self._open is not None:
            self._open.close()
        self._position += 1
        self._element = element
        self._open = _OpenBordereau(self._position, values(block), self._header)

    def _piece(self, piece: Element) -> Entry | None:
        parent = piece.getparent()
        if self._open is None or parent is not self._element:
            if parent is None or not _is_revenue(parent):
                return None
            raise UnreadableDepositError(
                "missing_field",
                f"/{BORDEREAU}[{self._position + 1}]/{_BLOCK}",
                "Le bordereau n’a pas d’en-tête avant ses pièces.",
            )
        read = read_piece(piece, self._open.head, self._regie, self._route, self._attachments)
        place = self._open.add(read.amounts)
        return Entry(place=place, found=read.found, fields=FIELDS)


class _OpenBordereau:
    """A bordereau being read, and what its pieces come to."""

    def __init__(self, position: int, block: dict[str, str], header: dict[str, str]) -> None:
        self._place = f"/{BORDEREAU}[{position}]"
        self._block = block
        self._pieces = 0
        self._amounts: Amounts | None = Amounts(0, 0)
        self._announced_pieces = int(self._matching("NbrPce", _COUNT, "invalid_number"))
        self._announced = {"MtBordHt": self._amount("MtBordHt")}
        if "MtBordTVA" in block:
            self._announced["MtBordTVA"] = self._amount("MtBordTVA")
        self.head = Bordereau(
            collectivity=header.get("CodCol", ""),
            year=self._matching("Exer", _YEAR, "invalid_year"),
            number=block.get("IdBord", ""),
            kind=block.get("TypBord", ""),
            issued_on=self._issued_on(header),
            sent_on=self._day("DteAsp") if "DteAsp" in block else None,
            subject=block.get("Objet", ""),
        )

    def add(self, amounts: Amounts | None) -> str:
        """Count a piece; return its place."""
        self._pieces += 1
        if self._amounts is not None:
            self._amounts = None if amounts is None else total((self._amounts, amounts))
        return f"{self._place}/{_PIECE}[{self._pieces}]"

    def close(self) -> None:
        """Compare with what the head announced."""
        if self._pieces != self._announced_pieces:
            raise self._refuse(
                "piece_count", "NbrPce", "Le bordereau n’a pas le nombre de pièces qu’il annonce."
            )
        # One piece whose amount cannot be read is refused alone, and leaves nothing to compare.
        if self._amounts is None:
            return
        found = {"MtBordHt": self._amounts.net_cents, "MtBordTVA": self._amounts.vat_cents}
        for name, announced_cents in self._announced.items():
            # A reduction may be written with or without its sign.
            if abs(found[name]) != abs(announced_cents):
                raise self._refuse(
                    "totals_do_not_add_up",
                    name,
                    "Le total des pièces n’est pas égal au montant du bordereau.",
                )

    def _issued_on(self, header: dict[str, str]) -> date:
        """Return the day of the bordereau; the JVS flavour may leave it to the header."""
        if "DteBordEm" not in self._block and (issued_on := day(header.get("DteStr"))):
            return issued_on
        return self._day("DteBordEm")

    def _day(self, name: str) -> date:
        found = day(self._required(name))
        if found is None:
            raise self._refuse(
                "invalid_date", name, "La date n’existe pas ou n’est pas de la forme AAAA-MM-JJ."
            )
        return found

    def _amount(self, name: str) -> int:
        amount_cents = cents(self._required(name))
        if amount_cents is None:
            raise self._refuse(
                "amount_format",
                name,
                "Le montant n’est pas un nombre entier de centimes, écrit avec un point.",
            )
        return amount_cents

    def _matching(self, name: str, pattern: re.Pattern[str], code: str) -> str:
        text = self._required(name)
        if not pattern.fullmatch(text):
            raise self._refuse(code, name, "Ce nombre du bordereau est mal écrit.")
        return text

    def _required(self, name: str) -> str:
        text = self._block.get(name)
        if text is None:
            raise self._refuse("missing_field", name, "Il manque une valeur au bordereau.")
        return text.strip()

    def _refuse(self, code: str, name: str, detail: str) -> UnreadableDepositError:
        return UnreadableDepositError(code, f"{self._place}/{_BLOCK}/{name}", detail)


def _is_revenue(bordereau: Element) -> bool:
    domain = bordereau.getparent()
    return (
        local_name(bordereau) == BORDEREAU and domain is not None and local_name(domain) == REVENUE
    )
