"""Reads amounts and dates as PES writes them."""

import re
from datetime import date
from decimal import Decimal
from functools import lru_cache

DATE_LENGTH = 10

_AMOUNT = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,40}))?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_RESIDUE = Decimal("0.000001")
"""What a division leaves, far below any part of a cent that somebody could mean."""


def cents(text: str | None) -> int | None:
    """Return the cents of an amount in euros with a point, or None when it is no such amount.

    The JVS flavour multiplies a quantity by a unit price that was divided before, and writes
    `9.999999999999999999999999999`: what is that close to whole cents is read as such.
    """
    match = _AMOUNT.fullmatch(text.strip()) if text else None
    if match is None:
        return None
    sign, whole, fraction = match.groups("")
    if len(fraction) <= 2:
        amount = int(whole) * 100 + int(f"{fraction:0<2}")
    else:
        exact = Decimal(f"{whole}.{fraction}") * 100
        amount = int(exact.to_integral_value())
        if abs(exact - amount) > _RESIDUE:
            return None
    return -amount if sign else amount


def day(text: str | None) -> date | None:
    """Return the date in a text of the form 2026-03-05, or None when there is no such day."""
    if text is None or len(text) != DATE_LENGTH:
        return None
    return _day(text)


@lru_cache(maxsize=1024)
def _day(text: str) -> date | None:
    # The standard library would also take the weeks of ISO 8601.
    if not _DATE.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
