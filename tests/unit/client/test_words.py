"""What is said to people: both languages say the same, and everything that is said can be said."""

import re
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import quittance_client
from quittance_client.arguments import HELP, parser_for
from quittance_client.screen import plain
from quittance_client.words import CATALOGUE, COLUMNS, Words, language_of

SOURCES = Path(quittance_client.__file__).parent
SAID = re.compile(r'(?:Error|say|note|words|ask)\(\s*"([a-z-]+)"')
PUT_TOGETHER = {"refused", "ask-deposits-url", "ask-collections-url", "ask-token-url"}
"""Named where no pattern finds them: by an error's own class, or after a setting."""


def _fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_are_filled_in_with_the_same_values() -> None:
    """A sentence that names more in one language would fail in it alone."""
    different = [
        slug for slug, (french, english) in CATALOGUE.items() if _fields(french) != _fields(english)
    ]

    assert different == []


def test_every_sentence_is_said_and_every_sentence_said_exists() -> None:
    """The catalogue and the sources agree, both ways."""
    sources = "".join(
        path.read_text("utf-8") for path in SOURCES.glob("*.py") if path.name != "words.py"
    )
    said = set(SAID.findall(sources))

    assert said | PUT_TOGETHER == set(CATALOGUE)


def test_every_text_stands_in_two_languages() -> None:
    """None is left empty."""
    texts = [
        text for table in (CATALOGUE, COLUMNS, HELP) for pair in table.values() for text in pair
    ]

    assert all(text.strip() for text in texts)


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "fr"),
        ({"LANG": "C.UTF-8"}, "fr"),
        ({"LANG": "en_US.UTF-8"}, "en"),
        ({"LANG": "fr_FR.UTF-8", "LC_ALL": "en_GB"}, "en"),
        ({"LANG": "en_US", "LC_MESSAGES": "fr_FR"}, "fr"),
        ({"LANG": "de_DE.UTF-8"}, "fr"),
    ],
)
def test_the_environment_chooses_the_language(environment: dict[str, str], language: str) -> None:
    """LC_ALL over LC_MESSAGES over LANG (POSIX, 8.2); French unless it is English."""
    assert language_of(environment) == language


@pytest.mark.parametrize(
    ("cents", "french", "english"),
    [
        (0, "0,00\xa0€", "€0.00"),
        (5, "0,05\xa0€", "€0.05"),
        (123_456_789, "1\xa0234\xa0567,89\xa0€", "€1,234,567.89"),
        (-4_000, "-40,00\xa0€", "-€40.00"),
    ],
)
def test_amounts_are_written_as_each_language_writes_them(
    cents: int, french: str, english: str
) -> None:
    """Cents in, euros out."""
    assert (Words("fr").euros(cents), Words("en").euros(cents)) == (french, english)


@pytest.mark.parametrize("language", ["fr", "en"])
def test_every_command_explains_itself(language: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--help leaves with 0 and names every command."""
    words = Words("fr" if language == "fr" else "en")

    with pytest.raises(SystemExit) as left:
        parser_for(words).parse_args(["--help"])

    told = capsys.readouterr().out
    assert left.value.code == 0
    assert ("Dépose des factures" in told) == (language == "fr")
    assert "print-run" in told


@given(st.text())
def test_no_text_moves_a_cursor(text: str) -> None:
    """No control character, no escape, no change of direction survives; length stays."""
    shown = plain(text)

    assert len(shown) == len(text)
    assert all(mark.isprintable() or mark == "\xa0" for mark in shown)
