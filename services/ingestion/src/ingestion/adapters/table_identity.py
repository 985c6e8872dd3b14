"""Reads who a payer is for the State from the columns of a table that say so by name.

A table of a school has the children's names and birthdates too: only headings that name the payer
are read, and only a row with family name, given names and birthdate says who somebody is.
"""

import re
from typing import Any, Literal

from ingestion.adapters.table_cells import Cell, CellError, day, shown, text
from ingestion.domain import PayerIdentity

_PARTIAL = re.compile(r"[0-9]{4}-[0-9]{2}-00")
_GENDERS: dict[str, Literal["male", "female"]] = {
    "m": "male",
    "h": "male",
    "homme": "male",
    "masculin": "male",
    "male": "male",
    "f": "female",
    "femme": "female",
    "féminin": "female",
    "feminin": "female",
    "female": "female",
}
_BETWEEN = re.compile(r"[\s,;]+")


def birthdate(cell: Cell) -> str | None:
    """Return a birthdate as `YYYY-MM-DD`; one whose day nobody knows is written `1984-05-00`.

    Raises:
        CellError: `invalid_date`, `date_format`.
    """
    written = shown(cell)
    if _PARTIAL.fullmatch(written):
        return written
    found = day(cell)
    return found.isoformat() if found else None


def given_names(cell: Cell) -> tuple[str, ...] | None:
    """Return given names, apart by spaces or commas.

    Raises:
        CellError: as `text`.
    """
    found = text(cell)
    return tuple(name for name in _BETWEEN.split(found) if name) or None if found else None


def gender(cell: Cell) -> str | None:
    """Return `male` or `female`, or None when the cell is blank.

    Raises:
        CellError: `invalid_value`.
    """
    written = shown(cell).casefold()
    if not written:
        return None
    if written not in _GENDERS:
        raise CellError("invalid_value", "Le sexe est « M » ou « F ».")
    return _GENDERS[written]


def commune(cell: Cell) -> str | None:
    """Return an INSEE code, with the zero that spreadsheets take from its front."""
    found = shown(cell)
    return f"0{found}" if len(found) == 4 and found.isdecimal() else found or None


def identity_of(found: dict[str, Any]) -> PayerIdentity | None:
    """Return who the payer of a row is; None where the row does not say all that is needed."""
    if not found.keys() >= {"payer_family_name", "payer_given_names", "payer_birthdate"}:
        return None
    return PayerIdentity(
        family_name=found["payer_family_name"],
        given_names=found["payer_given_names"],
        birthdate=found["payer_birthdate"],
        gender=found.get("payer_gender"),
        birthplace=found.get("payer_birthplace"),
        birthcountry=found.get("payer_birthcountry"),
    )
