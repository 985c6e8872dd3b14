"""How likely a payer whom a biller describes is somebody whom the State vouches for."""

import unicodedata

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ports.identity import Pivot
from gateway.ports.matching import (
    AUTOMATIC,
    PROPOSED,
    Described,
    score,
    words,
    words_of_payer,
)
from tests.unit.gateway.payers import PIVOT

SAME = Described(
    family_name="Martin",
    given_names=("Camille", "Dominique"),
    birthdate="1984-05-12",
    gender="female",
    birthplace="75056",
    birthcountry="99100",
)

names = st.text(alphabet="abcdefghijéèçïœ '-", min_size=1, max_size=20).filter(words)
birthdates = st.dates().map(lambda day: f"{day.year:04d}-{day.month:02d}-{day.day:02d}")
pivots = st.builds(
    Pivot,
    family_name=names,
    given_names=st.lists(names, min_size=1, max_size=4).map(tuple),
    birthdate=birthdates,
    gender=st.sampled_from(["male", "female"]),
    birthplace=st.sampled_from(["75056", "2A004", "69123"]),
    birthcountry=st.just("99100"),
)
described = st.builds(
    Described,
    family_name=names,
    given_names=st.lists(names, min_size=1, max_size=4).map(tuple),
    birthdate=birthdates,
    gender=st.sampled_from(["", "male", "female"]),
    birthplace=st.sampled_from(["", "75056", "2A004"]),
    birthcountry=st.sampled_from(["", "99100", "99109"]),
)


def the_same(pivot: Pivot) -> Described:
    return Described(**msgspec.structs.asdict(pivot))


@pytest.mark.parametrize(
    ("changes", "points"),
    [
        ({}, 100),
        ({"family_name": "MARTÍN"}, 100),
        ({"given_names": ("CAMILLE  DOMINIQUE",)}, 100),
        ({"given_names": ("Camille",)}, 95),
        ({"given_names": ("Camille", "Anne")}, 90),
        ({"given_names": ("Dominique",)}, 90),
        ({"given_names": ("Anne",)}, 0),
        ({"family_name": "Martin-Durand"}, 85),
        ({"family_name": "Durand"}, 70),
        ({"birthdate": "1984-05-00"}, 85),
        ({"birthdate": "1984-00-00"}, 75),
        ({"birthdate": "1984-05-13"}, 0),
        ({"birthdate": "12/05/1984"}, 0),
        ({"gender": ""}, 95),
        ({"gender": "male"}, 0),
        ({"birthplace": "69123"}, 0),
        ({"birthcountry": "99109"}, 0),
        ({"gender": "", "birthplace": "", "birthcountry": ""}, 80),
        ({"birthdate": "1984-00-00", "birthplace": ""}, 65),
        ({"family_name": "Durand", "birthplace": ""}, 60),
    ],
)
def test_a_payer_earns_what_the_weights_say(changes: dict[str, str], points: int) -> None:
    """C5: each row is one rule of the module's table."""
    assert score(PIVOT, msgspec.structs.replace(SAME, **changes)) == points


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("D'ARTAGNAN", "d’Artagnan"),
        ("DE LA TOUR", "La Tour"),
        ("DELATOUR", "de la Tour"),
        ("LE GOFF", "LEGOFF"),
        ("LEFÈVRE-PÉCOT", "Lefevre Pecot"),
        ("LEBŒUF", "LEBOEUF"),
        ("ÑUÑEZ", "Nunez"),
        ("LE", "le"),
    ],
)
def test_one_name_is_written_in_several_ways(ours: str, theirs: str) -> None:
    """Accents, case, hyphens, apostrophes, ligatures and particles tell nobody apart."""
    pivot = msgspec.structs.replace(PIVOT, family_name=ours)

    assert score(pivot, msgspec.structs.replace(SAME, family_name=theirs)) == AUTOMATIC


def test_who_was_born_abroad_has_no_commune_and_can_be_equal_all_the_same() -> None:
    """The pivot leaves the birthplace empty there: an empty one is then a known one."""
    pivot = msgspec.structs.replace(PIVOT, birthplace="", birthcountry="99109")
    payer = msgspec.structs.replace(SAME, birthplace="", birthcountry="99109")

    assert score(pivot, payer) == AUTOMATIC
    assert score(pivot, msgspec.structs.replace(payer, birthcountry="")) < AUTOMATIC


def test_the_words_of_a_payer_leave_out_what_anybody_is_called() -> None:
    """Two people of one reference must not be taken for one because both are « Mme »."""
    assert words_of_payer("Mme MARTIN de la Tour Camille") == ["camille", "martin", "tour"]
    assert words_of_payer("M.") == ["m"]


@given(pivots)
def test_who_is_described_as_the_state_does_earns_all_points(pivot: Pivot) -> None:
    """Six equal fields are a hundred, whatever they are."""
    assert score(pivot, the_same(pivot)) == AUTOMATIC


@given(pivots, described)
def test_points_stay_within_their_bounds_and_only_equality_earns_all(
    pivot: Pivot, payer: Described
) -> None:
    """Nothing links by itself but six fields that both know and that are equal."""
    found = score(pivot, payer)

    assert 0 <= found <= AUTOMATIC
    if found == AUTOMATIC:
        assert pivot.birthdate == payer.birthdate
        assert (pivot.gender, pivot.birthplace) == (payer.gender, payer.birthplace)
        assert pivot.birthcountry == payer.birthcountry
        assert [w for n in pivot.given_names for w in words(n)] == [
            w for n in payer.given_names for w in words(n)
        ]


@given(pivots, st.sampled_from(["gender", "birthplace", "birthcountry"]))
def test_knowing_less_never_earns_more(pivot: Pivot, name: str) -> None:
    """A field that the biller leaves out cannot help."""
    payer = the_same(pivot)

    assert score(pivot, msgspec.structs.replace(payer, **{name: ""})) < score(pivot, payer)


@given(pivots, described)
def test_a_name_alone_never_gets_proposed(pivot: Pivot, payer: Described) -> None:
    """A homonym whose day and month of birth nobody knows, nor the place, is not shown."""
    homonym = msgspec.structs.replace(
        payer,
        family_name=pivot.family_name,
        given_names=pivot.given_names,
        birthdate=f"{pivot.birthdate[:4]}-00-00",
        birthplace="",
    )

    assert score(pivot, homonym) < PROPOSED


@given(pivots, described)
def test_another_birthdate_is_another_person(pivot: Pivot, payer: Described) -> None:
    """Father and son, or two homonyms, whatever else is equal."""
    other = msgspec.structs.replace(the_same(pivot), birthdate=payer.birthdate)

    assert pivot.birthdate == payer.birthdate or score(pivot, other) == 0


@given(pivots, names)
def test_twins_are_two_people(pivot: Pivot, other: str) -> None:
    """One name, one day, one place: the given names tell them apart."""
    twin = msgspec.structs.replace(the_same(pivot), given_names=(other,))
    is_one_of_theirs = words(other) in [words(name) for name in pivot.given_names]
    is_all_of_them = words(other) == tuple(w for n in pivot.given_names for w in words(n))

    assert is_one_of_theirs or is_all_of_them or score(pivot, twin) == 0


@given(pivots, described, st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_how_a_text_is_encoded_changes_nothing(
    pivot: Pivot, payer: Described, form: "unicodedata._NormalizationForm"
) -> None:
    """Composed and decomposed accents, capitals and small letters are one name."""
    written = msgspec.structs.replace(
        payer,
        family_name=unicodedata.normalize(form, payer.family_name).upper(),
        given_names=tuple(unicodedata.normalize(form, n).upper() for n in payer.given_names),
    )

    assert score(pivot, written) == score(pivot, payer)
