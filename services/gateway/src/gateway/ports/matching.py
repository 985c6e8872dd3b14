"""How likely a payer whom a biller describes is somebody whom the State vouches for.

Six fields are compared, a hundred points in all:

| field | weight | why |
|---|---|---|
| family name | 30 | the birth name in the pivot, often the name in use at the biller's |
| birthdate | 30 | no two people of one name in one town share it by much |
| given names | 20 | tells twins apart |
| birthplace | 10 | tells homonyms born on one day apart |
| gender, country of birth | 5 each | they divide by two at most |

A field that only one side knows earns nothing. A field that both know and that differs ends the
comparison at zero, since it says that these are two people; two exceptions earn less instead: a
family name may be the one in use, and given names may be few or in another order.

`AUTOMATIC` is a hundred: all six are known and equal, with a whole birthdate. From `PROPOSED` on,
the payer is proposed and must be confirmed with the sum of an invoice: seventy is what somebody
reaches whose family name changed and whose other five fields are equal; a name without a day or a
month of birth stays below, and so does a name alone.
"""

import re
import unicodedata
from collections.abc import Sequence

import msgspec

from gateway.ports.identity import Pivot

FAMILY_NAME, FAMILY_NAME_IN_PART = 30, 15
BIRTHDATE, BIRTHDATE_WITHOUT_DAY, BIRTH_YEAR = 30, 15, 5
GIVEN_NAMES, FIRST_GIVEN_NAMES, ONE_GIVEN_NAME = 20, 15, 10
BIRTHPLACE, GENDER, BIRTHCOUNTRY = 10, 5, 5
AUTOMATIC = 100
PROPOSED = 70
PARTICLES = frozenset(
    [
        "d",
        "de",
        "del",
        "della",
        "des",
        "di",
        "du",
        "e",
        "el",
        "l",
        "la",
        "le",
        "les",
        "van",
        "von",
        "y",
    ]
)
"""What administrations write in or out of a name: `DE LA TOUR`, `LA TOUR`, `TOUR`."""
CIVILITIES = frozenset(["m", "mr", "mme", "mlle", "madame", "monsieur", "mademoiselle", "et", "ou"])
FRANCE = "99100"

_LIGATURES = str.maketrans({"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d"})
_GAP = re.compile(r"[\W_]+")


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """Who a payer is, as the biller says; what it does not know is empty."""

    family_name: str
    given_names: tuple[str, ...]
    birthdate: str
    gender: str = ""
    birthplace: str = ""
    birthcountry: str = ""


def words(text: str) -> tuple[str, ...]:
    """Return the words of a name without accents, case, hyphens or apostrophes.

    Hyphens are apart (`Jean-Pierre` is `Jean Pierre`), apostrophes too (`D'Artagnan`).
    """
    plain = unicodedata.normalize("NFKD", text.casefold().translate(_LIGATURES))
    kept = "".join(c for c in plain if not unicodedata.combining(c))
    return tuple(part for part in _GAP.split(kept.casefold()) if part)


def words_of_payer(name: str) -> list[str]:
    """Return what tells the payers of one reference apart: words of the name, no civility."""
    found = [word for word in words(name) if len(word) > 1 and word not in CIVILITIES | PARTICLES]
    return sorted(set(found or words(name)))


def score(pivot: Pivot, payer: Described) -> int:
    """Return how many of a hundred points a payer earns; zero is somebody else."""
    parts = (
        _birthdate(pivot.birthdate, payer.birthdate),
        _given_names(pivot.given_names, payer.given_names),
        _known(GENDER, pivot.gender, payer.gender),
        _known(BIRTHCOUNTRY, pivot.birthcountry, payer.birthcountry),
        _birthplace(pivot, payer),
    )
    if any(part is None for part in parts):
        return 0
    return _family_name(pivot.family_name, payer.family_name) + sum(part or 0 for part in parts)


def _family_name(birth_name: str, told: str) -> int:
    ours, theirs = words(birth_name), words(told)
    if not ours or not theirs:
        return 0
    # Written in one word or in several, with or without its particles, it is one name.
    if "".join(ours) == "".join(theirs) or _core(ours) == _core(theirs):
        return FAMILY_NAME
    shorter, longer = sorted((set(_core(ours)), set(_core(theirs))), key=len)
    # A birth name beside the name in use: `MARTIN DURAND`.
    return FAMILY_NAME_IN_PART if shorter <= longer else 0


def _core(name: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word for word in name if word not in PARTICLES) or name


def _birthdate(ours: str, theirs: str) -> int | None:
    """Return the points of a birthdate; None when what both know differs."""
    pairs = list(zip(ours.split("-"), theirs.split("-"), strict=False))
    if len(pairs) != 3:
        return None
    known = [{"0000", "00"}.isdisjoint(pair) for pair in pairs]
    if any(left != right for (left, right), both in zip(pairs, known, strict=True) if both):
        return None
    year, month, day = known
    if not year:
        return 0
    if month and day:
        return BIRTHDATE
    return BIRTHDATE_WITHOUT_DAY if month else BIRTH_YEAR


def _given_names(ours: Sequence[str], theirs: Sequence[str]) -> int | None:
    """Return the points of given names; None when neither's first is one of the other's."""
    left = [name for name in map(words, ours) if name]
    right = [name for name in map(words, theirs) if name]
    if not left or not right:
        return None
    # Some write all of them in one field.
    if _joined(left) == _joined(right):
        return GIVEN_NAMES
    if left[0] == right[0]:
        shared = min(len(left), len(right))
        return FIRST_GIVEN_NAMES if left[:shared] == right[:shared] else ONE_GIVEN_NAME
    return ONE_GIVEN_NAME if left[0] in right or right[0] in left else None


def _joined(names: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(word for name in names for word in name)


def _birthplace(pivot: Pivot, payer: Described) -> int | None:
    """Return the points of a birthplace: who was born abroad has none, and that is one too."""
    is_abroad = pivot.birthcountry not in ("", FRANCE)
    if is_abroad and pivot.birthcountry == payer.birthcountry:
        return BIRTHPLACE if pivot.birthplace == payer.birthplace else None
    return _known(BIRTHPLACE, pivot.birthplace, payer.birthplace)


def _known(weight: int, ours: str, theirs: str) -> int | None:
    if not ours or not theirs:
        return 0
    return weight if ours == theirs else None
