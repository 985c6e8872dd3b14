"""Addresses and other people's text."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notification.domain import AddressError, fingerprint, one_line, parse_address


def test_keeps_a_plain_address_and_writes_its_domain_in_ascii() -> None:
    """Domains with accents travel in their ASCII form (IDNA)."""
    assert parse_address(" camille@exemple.test ") == "camille@exemple.test"
    assert parse_address("camille@Mairie-Évry.test") == "camille@xn--mairie-vry-h7a.test"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "camille",
        "@exemple.test",
        "camille@",
        "camille@exemple",
        "camille@exemple.test, autre@exemple.test",
        "autre@exemple.test camille@exemple.test",
        "Camille <camille@exemple.test>",
        "camille@exemple.test\r\nBcc: autre@exemple.test",
        "cam\nille@exemple.test",
        '"camille martin"@exemple.test',
        "camille..martin@exemple.test",
        ".camille@exemple.test",
        "élodie@exemple.test",
        "camille@-exemple.test",
        "camille@exemple..test",
        "camille@[192.0.2.1]",
        "c" * 65 + "@exemple.test",
        "camille@" + "e" * 64 + ".test",
        "camille@" + "exemple." * 40 + "test",
    ],
)
def test_refuses_what_is_not_one_plain_address(text: str) -> None:
    """Several addresses, display names and line breaks never reach a header."""
    with pytest.raises(AddressError):
        parse_address(text)


def test_compares_addresses_without_regard_to_letter_case() -> None:
    """A wish holds however the address is spelt."""
    assert fingerprint("Camille@Exemple.test ") == fingerprint("camille@exemple.test")
    assert fingerprint("camille@Évry.test") == fingerprint("camille@xn--vry-9la.test")
    assert fingerprint("camille@exemple.test") != fingerprint("camile@exemple.test")


def test_puts_text_on_one_line_without_direction_characters() -> None:
    """Line breaks and right-to-left overrides could forge another line or another amount."""
    assert one_line("Zoé\r\n\tMartin\u202e\u2028 \x00fin") == "Zoé Martin fin"


@given(st.text())
def test_never_leaves_a_control_character_in_a_line(text: str) -> None:
    """Whatever comes in, only visible characters and single spaces go out."""
    line = one_line(text)

    assert {unicodedata.category(char)[0] for char in line if char != " "}.isdisjoint("CZ")
    assert "  " not in line


@given(st.text(max_size=30).map(lambda text: text + "@exemple.test"))
def test_only_lets_ascii_without_spaces_through(text: str) -> None:
    """An address that is accepted is safe in the SMTP dialogue."""
    try:
        address = parse_address(text)
    except AddressError:
        return

    assert address.isascii()
    assert address.isprintable()
    assert not set(address) & set(' ,;:<>()[]"\\')
