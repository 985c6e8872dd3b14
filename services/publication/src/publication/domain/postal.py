"""Where a letter goes, read from its address lines, and the order in which a run is posted.

The shape of French addresses is NF Z10-011: from the person to the place, at most six lines, the
last of them postcode and locality, or CEDEX postcode and distribution office; a seventh names the
country of a letter that goes abroad (laposte.fr, Service national de l'adresse, article 148).
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import cache
from typing import TypeAlias

import msgspec
from babel import Locale

Key: TypeAlias = "tuple[tuple[int, int, str], ...]"

HOME = "FRANCE"
LANGUAGES = ("fr", "en", "de", "es", "it", "nl", "pt")
"""In which a sender may have written the country: the UPU's French and English, or its own."""
OTHER_NAMES = frozenset(
    {"GRANDE BRETAGNE", "ANGLETERRE", "ECOSSE", "PAYS DE GALLES", "ENGLAND", "SCOTLAND", "WALES"}
    | {"HOLLANDE", "UK", "USA", "REPUBLIQUE TCHEQUE", "GB"}
)
"""Countries as people write them, beside the names that CLDR knows."""
OVERSEAS = frozenset(
    {"FRANCE METROPOLITAINE", "GUADELOUPE", "MARTINIQUE", "GUYANE", "GUYANE FRANCAISE", "MAYOTTE"}
    | {"LA REUNION", "REUNION", "SAINT PIERRE ET MIQUELON", "SAINT BARTHELEMY", "SAINT MARTIN"}
    | {"NOUVELLE CALEDONIE", "POLYNESIE FRANCAISE", "WALLIS ET FUTUNA"}
)
"""Written where a country would be, but carried by La Poste under a French postcode (97, 98)."""

_FRENCH_CITY = re.compile(r"(?:F(?:R)?[ -]+)?([0-9]{2}) ?([0-9]{3}) +([^0-9 ].*)")
_AFTER_COMMA = re.compile(r"(.+?), *((?:F(?:R)?[ -]+)?[0-9]{2} ?[0-9]{3} +[^0-9 ].*)")
_STREET = re.compile(
    r"([0-9]+) ?(BIS|TER|QUATER|[A-Z])?(?: ?(?:ET|A|/|-) ?[0-9]+)? +(?=[^0-9 ])(.*)"
)
_CODE = re.compile(r"[A-Z0-9-]*[0-9][A-Z0-9-]*")
_ABBREVIATIONS = {"ST": "SAINT", "STE": "SAINTE", "AV": "AVENUE", "BD": "BOULEVARD"}
_ABBREVIATIONS |= {"BLD": "BOULEVARD", "BVD": "BOULEVARD", "CHE": "CHEMIN", "CH": "CHEMIN"}
_ABBREVIATIONS |= {"PL": "PLACE", "RTE": "ROUTE", "ALL": "ALLEE", "IMP": "IMPASSE", "SQ": "SQUARE"}


class AddressState(StrEnum):
    """Whether a letter can be posted: with an address, with a part of one, or without any."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    MISSING = "missing"


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """What the post sorts by; `country` is empty for France, `street` has no number."""

    state: AddressState
    country: str = ""
    postcode: str = ""
    city: str = ""
    street: str = ""
    number: str = ""


def destination_of(lines: Iterable[str]) -> Destination:
    """Return where a letter with these address lines (without the name) goes.

    A line that names no country and no locality is never taken for one: such an address is
    incomplete, and its letter is left to a person.
    """
    cleaned = [" ".join(line.split()) for line in lines]
    cleaned = [line for line in cleaned if line]
    if not cleaned:
        return Destination(state=AddressState.MISSING)
    last = _folded(cleaned[-1])
    if last in (HOME, *OVERSEAS):
        return _french(cleaned[:-1])
    if last in _countries() and len(cleaned) > 1:
        return _foreign(cleaned[:-1], last)
    return _french(cleaned)


def postal_order(name: str, destination: Destination, lines: Iterable[str]) -> tuple[object, ...]:
    """Return what to sort letters by: those that can be posted first, France before the rest.

    Then postcode, locality, street whatever its number, number, the other lines, and the name.
    """
    state = list(AddressState).index(destination.state)
    return (
        state,
        destination.country != "",
        destination.country,
        _natural(destination.postcode),
        _natural(destination.city),
        _natural(destination.street),
        _natural(destination.number),
        tuple(_natural(_folded(line)) for line in lines),
        _natural(_folded(name)),
    )


def _french(lines: Sequence[str]) -> Destination:
    # The locality is the last line in principle; a telephone or a door code may follow it.
    for position in range(len(lines) - 1, -1, -1):
        found = _FRENCH_CITY.fullmatch(_upper(lines[position]))
        if found:
            return _at(found, lines[:position] or lines[position + 1 :])
    for position in range(len(lines) - 1, -1, -1):
        joined = _AFTER_COMMA.fullmatch(_upper(lines[position]))
        found = _FRENCH_CITY.fullmatch(joined[2]) if joined else None
        if joined and found:
            return _at(found, [*lines[:position], joined[1]])
    return Destination(state=AddressState.INCOMPLETE)


def _at(city: re.Match[str], before: Sequence[str]) -> Destination:
    street, number = _street(before)
    return Destination(
        state=AddressState.COMPLETE,
        postcode=city[1] + city[2],
        city=_folded(city[3]),
        street=street,
        number=number,
    )


def _foreign(lines: Sequence[str], country: str) -> Destination:
    # Every country has an order of its own; what has a digit in the last line is its postcode.
    words = _upper(lines[-1]).replace(",", " ").split()
    street, number = _street(lines[:-1])
    return Destination(
        state=AddressState.COMPLETE,
        country=country,
        postcode=" ".join(word for word in words if _CODE.fullmatch(word)),
        city=_folded(" ".join(word for word in words if not _CODE.fullmatch(word))),
        street=street,
        number=number,
    )


def _street(lines: Sequence[str]) -> tuple[str, str]:
    """Return the street and the number in it: of the last line that has one, else the last line."""
    for line in reversed(lines):
        found = _STREET.fullmatch(_folded(line))
        if found:
            return _spelt(found[3]), " ".join(part for part in found.groups()[:2] if part)
    return (_spelt(_folded(lines[-1])), "") if lines else ("", "")


def _spelt(street: str) -> str:
    return " ".join(_ABBREVIATIONS.get(word, word) for word in street.split())


def _upper(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.replace("œ", "oe").replace("Œ", "OE"))
    return "".join(sign for sign in decomposed if not unicodedata.combining(sign)).upper()


def _folded(text: str) -> str:
    """Return letters and digits only, in capitals, without accents: what sorting machines read."""
    return " ".join(re.sub(r"[^A-Z0-9]+", " ", _upper(text)).split())


def _natural(text: str) -> Key:
    """Return a key in which 9 comes before 10; numbers are compared as text, however long."""
    parts = []
    for part in re.findall(r"[0-9]+|[^0-9]+", text):
        digits = part.lstrip("0") or "0"
        parts.append((0, len(digits), digits) if part[0] in "0123456789" else (1, 0, part))
    return tuple(parts)


@cache
def _countries() -> frozenset[str]:
    names = {
        _folded(name)
        for language in LANGUAGES
        for code, name in Locale(language).territories.items()
        # Regions of the world have numbers for codes.
        if len(code) == 2
    }
    return frozenset(names | OTHER_NAMES) - {HOME, ""} - OVERSEAS
