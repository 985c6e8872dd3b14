"""Amounts are cents: exact in, exact out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.money import AmountError, format_euros, parse_euros


@given(st.integers(min_value=-(10**11), max_value=10**11))
def test_every_amount_survives_the_trip_through_text(cents: int) -> None:
    """Two decimals hold every amount in cents exactly."""
    sign = "-" if cents < 0 else ""

    assert cents == parse_euros(f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}")


@pytest.mark.parametrize(
    "text", ["", "1,50", "1.005", "NaN", "Infinity", "1e400x", "douze", "0x10"]
)
def test_refuses_what_is_not_an_amount_in_cents(text: str) -> None:
    """No rounding, no guessing."""
    with pytest.raises(AmountError):
        parse_euros(text)


@pytest.mark.parametrize(
    ("cents", "text"),
    [
        (0, "0,00\u00a0€"),
        (5, "0,05\u00a0€"),
        (123_456, "1\u202f234,56\u00a0€"),
        (-4100, "-41,00\u00a0€"),
    ],
)
def test_writes_amounts_as_the_french_do(cents: int, text: str) -> None:
    """Comma, thin no-break spaces between thousands, the sign € behind."""
    assert text == format_euros(cents)
