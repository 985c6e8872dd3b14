"""Reads who owes from the `Tiers` of a PES piece."""

import hashlib
import re
from itertools import chain

from ingestion.adapters.pes_fields import words
from ingestion.adapters.pes_stream import local_name, values
from ingestion.adapters.xml_reader import Element
from ingestion.domain import Payer

PRINCIPAL_DEBTOR = "01"
"""TypTiers of who owes; the others are liable beside them, employed them or were treated."""

_PERSON = "InfoTiers"
_PLACE = "Adresse"
_ACCOUNT = "CpteBancaire"
_CIVILITIES = {"M": "M.", "MR": "M.", "MME": "Mme", "MLE": "Mme", "MLLE": "Mme"}
_SOCIAL_SECURITY_NUMBER = "04"
_SOCIAL_SECURITY_SHAPE = re.compile(r"[12][0-9]{12}(?:[0-9]{2})?")
_ABROAD = "99999"
"""Postal code of who lives abroad: the real one then stands before the town."""
_EMAIL = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>]+")

Tiers = dict[str, dict[str, str]]
"""The sections of a `Tiers`, and their values."""


def read_tiers(element: Element) -> Tiers:
    """Return what a `Tiers` says, but for the bank account: nothing here has a use for it."""
    return {
        name: values(section) for section in element if (name := local_name(section)) != _ACCOUNT
    }


def principal(tiers: list[Tiers]) -> Tiers | None:
    """Return who owes among those named for a line, or None."""
    for one in tiers:
        if one.get(_PERSON, {}).get("TypTiers", PRINCIPAL_DEBTOR) == PRINCIPAL_DEBTOR:
            return one
    return tiers[0] if tiers else None


def read_payer(tiers: Tiers) -> Payer | None:
    """Return who owes, or None when they have no name.

    The reference is that of the billing application (RefTiers, or Numo in the JVS flavour), else a
    national identifier. A social security number is never taken for one: it may not travel.
    """
    person = tiers.get(_PERSON, {})
    surname = words(person.get("Nom", ""))
    if not surname:
        return None
    civility = person.get("Civilite", "").strip()
    civility = _CIVILITIES.get(civility.upper().rstrip("."), civility)
    name = words(f"{civility} {person.get('Prenom', '')} {surname}")
    address = _address(tiers.get(_PLACE, {}), person.get("ComplNom", ""))
    return Payer(
        reference=_reference(person) or derived_reference("PES", name, address),
        name=name,
        email=_email(tiers),
        address=address or None,
    )


def derived_reference(source: str, name: str, address: tuple[str, ...]) -> str:
    """Return the same reference each time the same person at the same place is billed."""
    person = "\n".join((name, *address)).casefold()
    return f"{source}-{hashlib.sha256(person.encode()).hexdigest()[:16]}"


def _address(place: dict[str, str], complement: str) -> tuple[str, ...]:
    postcode = place.get("CP", "")
    lines = (
        complement,
        place.get("Adr1", ""),
        place.get("Adr2", ""),
        place.get("Adr3", ""),
        f"{'' if postcode == _ABROAD else postcode} {place.get('Ville', '')}",
    )
    return tuple([words(line) for line in lines if line and not line.isspace()])


def _reference(person: dict[str, str]) -> str:
    for name in ("RefTiers", "Numo"):
        reference = words(person.get(name, ""))
        if reference.strip("0"):
            return reference
    identifier = words(person.get("IdTiers", ""))
    kind = person.get("NatIdTiers")
    is_secret = kind == _SOCIAL_SECURITY_NUMBER or (
        kind is None and _SOCIAL_SECURITY_SHAPE.fullmatch(identifier.replace(" ", ""))
    )
    return identifier if identifier.strip("0") and not is_secret else ""


def _email(tiers: Tiers) -> str | None:
    """Return the e-mail address in any field: PES has no fixed one, and some producers add it."""
    for value in chain.from_iterable(section.values() for section in tiers.values()):
        if "@" in value and _EMAIL.fullmatch(value.strip()):
            return value.strip()
    return None
