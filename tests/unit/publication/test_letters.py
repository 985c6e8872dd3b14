"""The index says where each letter lies, and what it weighs."""

import random
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from publication.domain import AddressState, Letter, print_run_of, weight_class_grams, weight_grams
from tests.unit.publication.publication_builders import DEPOSIT_ID, a_letter

# The first address loads the names of countries in seven languages.
UNHURRIED = settings(deadline=None)
LETTERS = st.lists(
    st.tuples(
        st.integers(1, 7),
        st.sampled_from(
            [
                ("9 rue A", "59000 LILLE"),
                ("10 rue A", "59000 LILLE"),
                ("X", "1000 Y", "BELGIQUE"),
                ("rue A",),
                (),
            ]
        ),
    ),
    max_size=30,
).map(
    lambda drawn: [
        a_letter(number, pages=pages, address=address)
        for number, (pages, address) in enumerate(drawn, start=1)
    ]
)


@UNHURRIED
@given(LETTERS, st.booleans())
def test_the_letters_fill_the_file_without_gap_or_overlap(
    letters: list[Letter], is_duplex: bool
) -> None:
    """Every page belongs to one letter; in a duplex run each begins on the front of a sheet."""
    run = print_run_of(DEPOSIT_ID, letters, is_duplex=is_duplex)

    pages = [page for x in run.index for page in range(x.first_page, x.last_page + 1)]
    assert pages == list(range(1, run.pages + 1))
    assert sorted(x.invoice_id for x in run.index) == sorted(x.invoice_id for x in run.letters)
    for entry, letter in zip(run.index, run.letters, strict=True):
        assert entry.invoice_id == letter.invoice_id
        assert entry.last_page - entry.first_page + 1 == letter.pages + entry.blank_pages
        if is_duplex:
            assert entry.first_page % 2 == 1
            assert 2 * entry.sheets == letter.pages + entry.blank_pages
        else:
            assert (entry.blank_pages, entry.sheets) == (0, letter.pages)


@UNHURRIED
@given(LETTERS, st.randoms(use_true_random=False))
def test_the_same_letters_are_the_same_file(letters: list[Letter], chance: random.Random) -> None:
    """In whatever order the database gives them; one letter less is another file."""
    shuffled = letters.copy()
    chance.shuffle(shuffled)

    run = print_run_of(DEPOSIT_ID, letters, is_duplex=False)

    assert print_run_of(DEPOSIT_ID, shuffled, is_duplex=False).key == run.key
    assert print_run_of(DEPOSIT_ID, letters, is_duplex=True).key != run.key
    if letters:
        fewer = print_run_of(DEPOSIT_ID, letters[1:], is_duplex=False)
        assert fewer.key != run.key


def test_a_letter_without_address_lies_last_and_says_so() -> None:
    """Who puts letters into envelopes finds those that need a person at the end."""
    missing = a_letter(1, address=())
    incomplete = a_letter(2, address=("12 rue des Lilas",))
    abroad = a_letter(3, address=("X 1", "1000 BRUXELLES", "BELGIQUE"))
    home = a_letter(4)

    run = print_run_of(DEPOSIT_ID, [missing, incomplete, abroad, home], is_duplex=False)

    assert [x.invoice_id.int for x in run.index] == [4, 3, 2, 1]
    assert [x.address_state for x in run.index] == [
        AddressState.COMPLETE,
        AddressState.COMPLETE,
        AddressState.INCOMPLETE,
        AddressState.MISSING,
    ]


def test_neighbours_of_one_name_lie_in_the_order_of_their_numbers() -> None:
    """Two invoices of one family end in one another's company."""
    letters = [a_letter(3), a_letter(2), a_letter(1)]

    run = print_run_of(DEPOSIT_ID, letters, is_duplex=False)

    assert [x.invoice_id for x in run.index] == [UUID(int=1), UUID(int=2), UUID(int=3)]


def test_a_duplex_letter_of_three_pages_takes_two_sheets() -> None:
    """The blank page is counted: the next letter begins on page 5."""
    run = print_run_of(DEPOSIT_ID, [a_letter(1, pages=3), a_letter(2, pages=2)], is_duplex=True)

    first, second = run.index
    assert (first.first_page, first.last_page, first.blank_pages, first.sheets) == (1, 4, 1, 2)
    assert (second.first_page, second.last_page, second.blank_pages, second.sheets) == (5, 6, 0, 1)
    assert (run.pages, run.sheets) == (6, 3)


@pytest.mark.parametrize(
    ("sheets", "grams", "step"),
    [
        (1, 10, 20),
        (3, 20, 20),
        (4, 25, 100),
        (6, 35, 100),
        (7, 52, 100),
        (17, 102, 250),
        (50, 267, 500),
        (100, 517, 1000),
        (200, 1017, 2000),
        (400, 2017, None),
    ],
)
def test_weighs_sheets_and_envelope(sheets: int, grams: int, step: int | None) -> None:
    """80 g/m² A4 is 5 g; La Poste's steps are 20, 100, 250, 500 g, 1 and 2 kg."""
    assert weight_grams(sheets) == grams
    assert weight_class_grams(grams) == step
