"""Who a payer is for the State, where the billing application knows it: FranceConnect's pivot."""

import re
from collections.abc import Iterator
from datetime import date
from typing import Literal

import msgspec

from ingestion.domain.texts import Rejection, card_problems, refuse, text_problems

NAME_LENGTH = 100
GIVEN_NAMES = 20
EARLIEST_BIRTH = 1850

_BIRTHDATE = re.compile(r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})")
_COMMUNE = re.compile(r"[0-9][0-9AB][0-9]{3}")
_COUNTRY = re.compile(r"[0-9]{5}")


class PayerIdentity(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """The pivot identity as deposited, not yet checked; see `shared.events` for what each is."""

    family_name: str
    given_names: tuple[str, ...]
    birthdate: str
    gender: Literal["male", "female"] | None = None
    birthplace: str | None = None
    birthcountry: str | None = None


def identity_problems(identity: PayerIdentity, today: date) -> Iterator[Rejection]:
    """Return every reason to refuse an identity, with pointers relative to the invoice.

    A wrong identity would link nobody or, worse, somebody else: what is not exact is refused.
    """
    family, given = "/payer/identity/family_name", "/payer/identity/given_names"
    yield from text_problems(family, identity.family_name, NAME_LENGTH)
    yield from card_problems(family, identity.family_name)
    if not 0 < len(identity.given_names) <= GIVEN_NAMES:
        yield refuse("given_names_count", given, "Une identité compte de un à vingt prénoms.")
    for index, name in enumerate(identity.given_names[:GIVEN_NAMES]):
        yield from text_problems(f"{given}/{index}", name, NAME_LENGTH)
        yield from card_problems(f"{given}/{index}", name)
    if not _is_birthdate(identity.birthdate, today):
        yield refuse(
            "birthdate_format",
            "/payer/identity/birthdate",
            "La date de naissance est de la forme AAAA-MM-JJ, avec 00 pour ce qui est inconnu.",
        )
    if identity.birthplace and not _COMMUNE.fullmatch(identity.birthplace):
        yield refuse(
            "birthplace_format",
            "/payer/identity/birthplace",
            "Le lieu de naissance est le code INSEE de la commune, vide à l’étranger.",
        )
    if identity.birthcountry is not None and not _COUNTRY.fullmatch(identity.birthcountry):
        yield refuse(
            "birthcountry_format",
            "/payer/identity/birthcountry",
            "Le pays de naissance est son code INSEE : 99100 pour la France.",
        )


def _is_birthdate(text: str, today: date) -> bool:
    """Tell whether it is a day that was, or a part of one: a month is unknown before its day is."""
    match = _BIRTHDATE.fullmatch(text)
    if match is None:
        return False
    year, month, day = (int(match[part]) for part in ("year", "month", "day"))
    if month == 0 and day != 0:
        return False
    try:
        born = date(year, month or 1, day or 1)
    except ValueError:
        return False
    return year >= EARLIEST_BIRTH and born <= today
