"""What people type or bring in an address: sums of money, e-mail addresses, ids."""

import re
from uuid import UUID

from shared.money import parse_euros

SUM = re.compile(r"(?:[0-9]{1,7}|[0-9]{1,3}(?:[ \u00a0\u202f][0-9]{3}){1,2})(?:[.,][0-9]{1,2})?")
"""Digits, thousands apart or not, and cents after a comma or a point; no sign, no exponent."""
EMAIL = re.compile(r"[^\s@<>]+@[^\s@<>]+\.[^\s@<>]+")
NOBODY = UUID(int=0)
"""What an id that is none stands for: nothing has it."""
EMAIL_LENGTHS = range(6, 81)
"""What providers take (PayFiP)."""


def cents_of(typed: str) -> int | None:
    """Return the cents of a sum as people write it, `12,50` or `12.50 €`; None if it is none."""
    text = typed.strip().removesuffix("€").rstrip()
    if not SUM.fullmatch(text):
        return None
    for gap in " \u00a0\u202f":
        text = text.replace(gap, "")
    return parse_euros(text.replace(",", "."))


def as_typed(cents: int) -> str:
    """Return a sum as people type it: `12,50`."""
    return f"{cents // 100},{cents % 100:02d}"


def email_of(typed: str) -> str | None:
    """Return an e-mail address without what surrounds it; None if it is none."""
    text = typed.strip()
    is_one = len(text) in EMAIL_LENGTHS and text.isascii() and EMAIL.fullmatch(text)
    return text if is_one else None


def id_of(text: str) -> UUID:
    """Return an id; for what is none, one that nothing has."""
    try:
        return UUID(text)
    except ValueError:
        return NOBODY
