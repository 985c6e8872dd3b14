"""What payers type: sums of money and addresses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.typed import as_typed, cents_of, email_of


@pytest.mark.parametrize(
    ("typed", "cents"),
    [
        ("12,50", 1250),
        ("12.50", 1250),
        ("12,5", 1250),
        ("12", 1200),
        (" 12,50 € ", 1250),
        ("12€", 1200),
        ("0,01", 1),
        ("0", 0),
        ("1 234,56", 123456),
        ("1\u202f234,56\u00a0€", 123456),
        ("9999999,99", 999999999),
    ],
)
def test_a_sum_is_read_as_people_write_it(typed: str, cents: int) -> None:
    """With a comma or a point, with a space between thousands, with the sign or without."""
    assert cents_of(typed) == cents


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "-12,50",
        "+12",
        "12,505",
        "12,",
        ",50",
        "12 50",
        "1.234,56",
        "1,234.56",
        "1e3",
        "0x10",
        "NaN",
        "Infinity",
        "99999999",
        "douze",
        "12;50",
        "12,50 $",
        "€",
        "1_000",
        "\u0661\u0662",
        "12\x0050",
        "12\n50",
    ],
)
def test_what_is_no_sum_is_not_guessed(typed: str) -> None:
    """Neither a sign nor an exponent, neither a third decimal nor figures of other scripts."""
    assert cents_of(typed) is None


@given(st.integers(min_value=0, max_value=999_999_999))
def test_what_we_write_into_a_field_is_read_back_exactly(cents: int) -> None:
    """The sum that a page shows is the sum that its form sends."""
    assert cents_of(as_typed(cents)) == cents


@given(st.text(max_size=30))
def test_no_text_at_all_makes_reading_a_sum_fail(typed: str) -> None:
    """It is a sum within its limits, or none."""
    cents = cents_of(typed)

    assert cents is None or 0 <= cents <= 999_999_999


@pytest.mark.parametrize(
    ("typed", "email"),
    [
        (" camille@example.org ", "camille@example.org"),
        ("a.b+c@sous.domaine.example", "a.b+c@sous.domaine.example"),
        ("", None),
        ("camille", None),
        ("camille@", None),
        ("camille@example", None),
        ("a@b.c", None),
        ("camille@example.org\r\nBcc: x@example.org", None),
        ("camille martin@example.org", None),
        ("<camille@example.org>", None),
        ("camille@éxample.org", None),
        ("c" * 69 + "@example.org", None),
        ("c" * 68 + "@example.org", "c" * 68 + "@example.org"),
    ],
)
def test_an_address_is_one_or_none(typed: str, email: str | None) -> None:
    """Within what providers take: 6 to 80 characters of ASCII (PayFiP)."""
    assert email_of(typed) == email
