"""Cards: input checks, masking, and the test bank's answers."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.card_provider.cards import TEST_CARDS, Card, passes_luhn, read_card

TYPED = {
    "card_number": "4970 1000 0000 0055",
    "expiry_month": "06",
    "expiry_year": "2030",
    "cvv": "123",
}


def test_reads_a_card_typed_with_spaces(now: datetime) -> None:
    """Spaces and hyphens are how people copy a card."""
    card, errors = read_card(TYPED, now)

    assert card == Card(number="4970100000000055", expiry_month=6, expiry_year=2030)
    assert errors == {}


def test_shows_a_merchant_the_masked_number_only() -> None:
    """Six digits, crosses, four digits."""
    card = Card(number="4970100000000055", expiry_month=6, expiry_year=2030)

    assert card.masked_number == "497010XXXXXX0055"


@pytest.mark.parametrize("card", TEST_CARDS, ids=lambda card: card.number)
def test_every_test_card_could_be_typed(card: object, now: datetime) -> None:
    """A test card that failed the check digit could never be used."""
    read, errors = read_card(TYPED | {"card_number": card.number}, now)  # type: ignore[attr-defined]

    assert errors == {}
    assert read is not None
    assert read.ask_bank() == card.auth_result  # type: ignore[attr-defined]


def test_the_bank_does_not_know_a_card_it_did_not_issue() -> None:
    """Any other well-formed card is refused: 14, invalid holder number."""
    card = Card(number="5555555555554444", expiry_month=6, expiry_year=2030)

    assert card.ask_bank() == "14"
    assert card.brand == "MASTERCARD"


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("card_number", "4970100000000056", "card_number"),
        ("card_number", "", "card_number"),
        ("card_number", "497010000000005é", "card_number"),
        ("card_number", "٤٩٧٠١٠٠٠٠٠٠٠٠٠٥٥", "card_number"),
        ("card_number", "0" * 25, "card_number"),
        ("expiry_month", "13", "expiry"),
        ("expiry_month", "0", "expiry"),
        ("expiry_year", "203", "expiry"),
        ("expiry_year", "0000", "expiry"),
        ("expiry_year", "2025", "expiry"),
        ("expiry_year", "2099", "expiry"),
        ("cvv", "12", "cvv"),
        ("cvv", "abc", "cvv"),
    ],
)
def test_says_which_input_is_wrong(field: str, value: str, error: str, now: datetime) -> None:
    """Only the wrong field is named and no card is read."""
    card, errors = read_card(TYPED | {field: value}, now)

    assert card is None
    assert list(errors) == [error]


@pytest.mark.parametrize(("month", "errors"), [("10", ["expiry"]), ("11", [])])
def test_a_card_is_good_until_the_end_of_its_month(
    month: str, errors: list[str], now: datetime
) -> None:
    """In November 2026 a card of 11/26 still pays, one of 10/26 does not."""
    _, found = read_card(TYPED | {"expiry_month": month, "expiry_year": "26"}, now)

    assert list(found) == errors


@given(st.text("0123456789", min_size=11, max_size=18))
def test_each_number_has_exactly_one_check_digit(payload: str) -> None:
    """The law of ISO/IEC 7812-1."""
    good = [digit for digit in "0123456789" if passes_luhn(payload + digit)]

    assert len(good) == 1


@given(st.text("0123456789", min_size=12, max_size=19), st.data())
def test_one_wrong_digit_is_always_seen(number: str, data: st.DataObject) -> None:
    """Luhn catches every single-digit slip."""
    rank = data.draw(st.integers(0, len(number) - 1))
    other = data.draw(st.sampled_from([d for d in "0123456789" if d != number[rank]]))

    slipped = number[:rank] + other + number[rank + 1 :]

    assert not (passes_luhn(number) and passes_luhn(slipped))
