"""Money is integer cents of euro; decimals exist only at the edges."""

from decimal import Decimal, InvalidOperation

CURRENCY = "EUR"
MAXIMUM_CENTS = 99_999_999_99
"""Largest amount of one invoice or payment: beyond it a decimal point was lost."""


class AmountError(ValueError):
    """The text is not an amount in euros with at most two decimals."""


def parse_euros(text: str) -> int:
    """Return the cents of a decimal amount such as `123.45`, exactly.

    Raises:
        AmountError: not a plain decimal number, or a fraction of a cent.
    """
    try:
        euros = Decimal(text.strip())
    except InvalidOperation as error:
        raise AmountError(text) from error
    if not euros.is_finite():
        raise AmountError(text)
    cents = euros * 100
    if cents != cents.to_integral_value():
        raise AmountError(text)
    return int(cents)


def format_euros(cents: int) -> str:
    """Return the amount as the French write it: `1 234,56 €`, with no-break spaces."""
    sign = "-" if cents < 0 else ""
    whole, rest = divmod(abs(cents), 100)
    return f"{sign}{whole:,}".replace(",", "\u202f") + f",{rest:02d}\u00a0€"
