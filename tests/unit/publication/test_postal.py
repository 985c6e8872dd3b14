"""Where a letter goes is read from its lines, and a run lies in the order of the post."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from publication.domain import AddressState, Destination, destination_of, postal_order


def a_destination(**changes: object) -> Destination:
    content = {"state": AddressState.COMPLETE, "postcode": "59000", "city": "LILLE"}
    return Destination(**(content | changes))  # type: ignore[arg-type]


FRENCH = {
    "plain": (
        ("12 rue des Lilas", "59000 Lille"),
        a_destination(street="RUE DES LILAS", number="12"),
    ),
    "bis, accents, apostrophe": (
        ("12 bis, rue de l’Été", "59000 LILLE"),
        a_destination(street="RUE DE L ETE", number="12 BIS"),
    ),
    "CEDEX with a post-office box": (
        ("3 AV ST JEAN", "BP 90432", "59019 LILLE CEDEX 9"),
        a_destination(
            postcode="59019", city="LILLE CEDEX 9", street="AVENUE SAINT JEAN", number="3"
        ),
    ),
    "postcode in two parts": (
        ("1 quai d’Orsay", "75 007 PARIS"),
        a_destination(postcode="75007", city="PARIS", street="QUAI D ORSAY", number="1"),
    ),
    "country written out": (
        ("1 place Kléber", "F-67000 Strasbourg", "France"),
        a_destination(postcode="67000", city="STRASBOURG", street="PLACE KLEBER", number="1"),
    ),
    "overseas": (
        ("2 rue de Paris", "97400 ST-DENIS", "La Réunion"),
        a_destination(postcode="97400", city="ST DENIS", street="RUE DE PARIS", number="2"),
    ),
    "no number": (
        ("Le Bourg", "15000 AURILLAC"),
        a_destination(postcode="15000", city="AURILLAC", street="LE BOURG"),
    ),
    "all on one line": (
        ("12 rue des Lilas, 59000 Lille",),
        a_destination(street="RUE DES LILAS", number="12"),
    ),
    "door code after the locality": (
        ("12 rue des Lilas", "59000 Lille", "Code 12B45"),
        a_destination(street="RUE DES LILAS", number="12"),
    ),
    "army": (
        ("SP 85123", "00853 ARMEES"),
        a_destination(postcode="00853", city="ARMEES", street="SP 85123"),
    ),
}


@pytest.mark.parametrize("name", FRENCH)
def test_reads_french_addresses(name: str) -> None:
    """NF Z10-011: postcode and locality end the address, the street stands above."""
    lines, expected = FRENCH[name]

    assert destination_of(lines) == expected


FOREIGN = {
    "Germany in French": (("Hauptstr. 5", "10115 Berlin", "Allemagne"), "ALLEMAGNE", "10115"),
    "Germany in German": (("Hauptstr. 5", "10115 Berlin", "DEUTSCHLAND"), "DEUTSCHLAND", "10115"),
    "United Kingdom": (
        ("1 High Street", "LONDON SW1A 1AA", "ROYAUME-UNI"),
        "ROYAUME UNI",
        "SW1A 1AA",
    ),
    "Belgium": (("Rue Neuve 1", "B-1000 Bruxelles", "Belgique"), "BELGIQUE", "B-1000"),
    "Monaco": (("1 avenue de la Costa", "98000 MONACO", "MONACO"), "MONACO", "98000"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_reads_foreign_addresses(name: str) -> None:
    """The last line names the country; what has a digit above it is the postcode."""
    lines, country, postcode = FOREIGN[name]

    destination = destination_of(lines)

    assert destination.state is AddressState.COMPLETE
    assert destination.country == country
    assert destination.postcode == postcode


@pytest.mark.parametrize("lines", [(), ("",), ("  ", "\t")])
def test_knows_a_missing_address(lines: tuple[str, ...]) -> None:
    """Blank lines are no address."""
    assert destination_of(lines) == Destination(state=AddressState.MISSING)


@pytest.mark.parametrize(
    "lines", [("12 rue des Lilas",), ("chez Mme Martin", "Lille"), ("59000",), ("BELGIQUE",)]
)
def test_guesses_no_locality(lines: tuple[str, ...]) -> None:
    """What names neither a postcode with its locality nor a country is left to a person."""
    assert destination_of(lines) == Destination(state=AddressState.INCOMPLETE)


IN_ORDER = [
    ("B", ("9 rue A", "06000 NICE")),
    ("B", ("1 rue Basse", "59000 LILLE")),
    ("A", ("9 rue des Lilas", "59000 LILLE")),
    ("B", ("9 RUE DES LILAS", "59000 LILLE")),
    ("A", ("10 rue des Lilas", "59000 LILLE")),
    ("A", ("10 bis rue des Lilas", "59000 LILLE")),
    ("A", ("1 rue du 8 mai", "59000 LILLE")),
    ("A", ("1 rue du 11 novembre", "59000 LILLE")),
    ("A", ("1 rue X", "59019 LILLE CEDEX")),
    ("A", ("1 rue X", "97400 SAINT DENIS", "FRANCE")),
    ("A", ("X 1", "10115 BERLIN", "ALLEMAGNE")),
    ("A", ("X 1", "1000 BRUXELLES", "BELGIQUE")),
    ("A", ("1 rue sans ville",)),
    ("A", ()),
]


def order(entry: tuple[str, tuple[str, ...]]) -> tuple[object, ...]:
    name, lines = entry
    return postal_order(name, destination_of(lines), lines)


def test_a_run_lies_in_the_order_of_the_post() -> None:
    """France first; postcode, locality, street, number; then abroad; then what cannot go."""
    shuffled = IN_ORDER.copy()
    random.Random(1).shuffle(shuffled)

    assert sorted(shuffled, key=order) == IN_ORDER


# The first address loads the names of countries in seven languages.
UNHURRIED = settings(deadline=None)
LINES = st.lists(
    st.one_of(
        st.text(max_size=20),
        st.sampled_from(["59000 LILLE", "12 rue A", "9 rue A", "FRANCE", "BELGIQUE", "B-1000 X"]),
        st.from_regex(r"[0-9]{1,3} (bis )?rue [A-C]{1,3}", fullmatch=True),
        st.from_regex(r"[0-9]{5} [A-Z]{1,4}( CEDEX [0-9])?", fullmatch=True),
    ),
    max_size=6,
).map(tuple)
ENTRIES = st.tuples(st.text(max_size=10), LINES)


@UNHURRIED
@given(ENTRIES, ENTRIES, ENTRIES)
def test_any_two_addresses_can_be_compared(
    one: tuple[str, tuple[str, ...]],
    two: tuple[str, tuple[str, ...]],
    three: tuple[str, tuple[str, ...]],
) -> None:
    """A total order: of two keys exactly one relation holds, and it carries over."""
    a, b, c = order(one), order(two), order(three)

    assert (a < b) + (a == b) + (a > b) == 1
    if a <= b <= c:
        assert a <= c


@UNHURRIED
@given(st.lists(ENTRIES, max_size=20), st.randoms(use_true_random=False))
def test_the_order_does_not_depend_on_how_the_letters_came(
    entries: list[tuple[str, tuple[str, ...]]], chance: random.Random
) -> None:
    """Whatever their first order, they end in the same one, and sorting again changes nothing."""
    shuffled = entries.copy()
    chance.shuffle(shuffled)

    ordered = sorted(shuffled, key=order)

    assert [order(entry) for entry in ordered] == sorted(order(entry) for entry in entries)
    assert sorted(ordered, key=order) == ordered
