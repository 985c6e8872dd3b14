"""Control keys and references of local debts follow their published rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.adapters.pes_keys import (
    debt_reference,
    invoice_number,
    is_first_key,
    padded_debt,
    second_key,
)
from tests.samples import pes_builder


def test_the_keys_of_a_known_debt() -> None:
    """Year 26, period 9, debt 4711, collectivity 123, bordereau 42: keys 5 and H."""
    debt = padded_debt("4711")

    assert debt == "0000000004711"
    assert is_first_key("5", f"1230000042269{debt}")
    assert second_key(f"26900{debt}") == "H"


@pytest.mark.parametrize(
    ("number", "keys"),
    [("0", "01"), ("453267", "8"), ("11", "6"), ("6", "1"), ("A6", "1"), ("", "01")],
)
def test_a_remainder_of_nought_has_two_keys(number: str, keys: str) -> None:
    """Noethys and Noethysweb differ there, and only there; a letter counts as nothing."""
    accepted = "".join(key for key in "0123456789" if is_first_key(key, number))

    assert accepted == keys


@given(st.text(alphabet="0123456789", min_size=1, max_size=40))
def test_the_first_key_is_that_of_its_description(number: str) -> None:
    """An independent computation, digit by digit, agrees."""
    assert is_first_key(pes_builder.first_key(number), number)


@given(st.text())
def test_a_debt_reference_is_one_that_payfip_takes(number: str) -> None:
    """Six to thirty letters and digits, or none."""
    reference = debt_reference(number)

    if reference is not None:
        assert 6 <= len(reference) <= 30
        assert reference.isascii()
        assert reference.isalnum()


@pytest.mark.parametrize(
    ("number", "reference"),
    [("F-17", "000F17"), ("2026-000017", "2026000017"), ("", None), ("1" * 31, None)],
)
def test_a_debt_reference_has_no_punctuation(number: str, reference: str | None) -> None:
    """What joins the parts of an invoice number is dropped."""
    assert debt_reference(number) == reference


@pytest.mark.parametrize(
    ("parts", "number"),
    [
        (("2026", "9", "4711"), "2026-9-4711"),
        (("2026", "0", "4711"), "2026-4711"),
        (("2026", "", "130"), "2026-130"),
    ],
)
def test_a_debt_is_named_by_year_period_and_number(
    parts: tuple[str, str, str], number: str
) -> None:
    """The same meter is billed under the same debt number in each period."""
    assert invoice_number(*parts) == number
