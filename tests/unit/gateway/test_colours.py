"""Contrast: the formula against known values, and what becomes of any colour of an authority."""

from itertools import product

import pytest

from gateway.colours import (
    LEAST_RATIO,
    NIGHT,
    by_day,
    by_night,
    least_ratio,
    nearest,
    ratio,
)

EVERY_HUE = [
    f"#{red:02x}{green:02x}{blue:02x}"
    for red, green, blue in product((0, 51, 102, 153, 204, 255), repeat=3)
]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#ffffff", "#ffffff", 1.0),
        ("#777777", "#ffffff", 4.478),
        ("#767676", "#ffffff", 4.542),
        ("#ff0000", "#ffffff", 3.998),
        ("#0000FF", "#ffffff", 8.592),
    ],
)
def test_contrast_is_that_of_wcag(one: str, other: str, expected: float) -> None:
    """WCAG 2.2, contrast ratio: the values that every other calculator gives, either way round."""
    assert ratio(one, other) == pytest.approx(expected, abs=0.001)
    assert ratio(other, one) == ratio(one, other)


@pytest.mark.parametrize("is_night", [False, True], ids=["day", "night"])
def test_a_colour_is_always_brought_to_one_that_can_be_read(*, is_night: bool) -> None:
    """Whatever a town chose, the suggestion passes where the colour is used."""
    found = {colour: nearest(colour, by_night=is_night) for colour in EVERY_HUE}

    assert [c for c, to in found.items() if least_ratio(to, by_night=is_night) < LEAST_RATIO] == []


def test_a_colour_that_can_be_read_stays_as_it_is() -> None:
    """Nothing is moved that need not be."""
    assert nearest("#24488F") == "#24488f"
    assert nearest("#9fc0ff", by_night=True) == "#9fc0ff"


def test_a_suggestion_keeps_the_hue_and_moves_no_further_than_needed() -> None:
    """Orange stays orange, and one step less would not do."""
    found = nearest("#ff8800")

    assert found == "#ab5b00"
    assert LEAST_RATIO <= least_ratio(found) < LEAST_RATIO + 0.1


def test_words_on_every_shade_can_be_read() -> None:
    """1.4.3 for the button, pressed and not, and for what stands on its pale ground."""
    for colour in EVERY_HUE:
        day = by_day(nearest(colour))
        night = by_night(nearest(colour, by_night=True))
        for shades in (day, night):
            assert ratio(shades.on, shades.plain) >= LEAST_RATIO, shades
            assert ratio(shades.on, shades.strong) >= LEAST_RATIO, shades
            assert ratio(shades.strong, shades.pale) >= LEAST_RATIO, shades
        assert ratio(night.strong, NIGHT[0]) >= LEAST_RATIO
