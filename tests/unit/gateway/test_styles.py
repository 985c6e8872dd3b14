"""The styles: colours that can be read by day and by night, and nothing from elsewhere."""

import gzip
import re
from pathlib import Path

import pytest

import gateway
from gateway.colours import DAY, NIGHT, ratio
from tests.unit.gateway.door import TOKEN, Door, an_invoice

FOLDER = Path(gateway.__file__).parent / "static"
STYLES = ("style.css", "parts.css", "pages.css", "dark.css")
WORDS = ("ink", "soft", "brand", "brand-strong", "good", "warm", "bad")
PAIRS = [
    *((word, ground) for word in WORDS for ground in ("ground", "paper")),
    *((word, "sunk") for word in ("ink", "soft", "brand", "brand-strong")),
    *((word, f"{word}-pale") for word in ("brand", "good", "warm", "bad")),
    *(("ink", f"{word}-pale") for word in ("brand", "good", "warm", "bad")),
    ("brand-strong", "brand-pale"),
    ("on-brand", "brand"),
    ("on-brand", "brand-strong"),
    ("on-night", "night"),
    ("soft-on-night", "night"),
]
"""What is written on what (WCAG 2.2, 1.4.3)."""
PARTS = [
    *(
        (part, ground)
        for part in ("edge", "focus", "brand", "bad")
        for ground in ("ground", "paper")
    ),
    ("focus", "sunk"),
    *((f"series-{number}", "paper") for number in range(1, 7)),
]
"""Edges of fields, the ring of the focus, bars of a chart (WCAG 2.2, 1.4.11)."""
THEMES = ["day", "night"]


def tokens(theme: str) -> dict[str, str]:
    """Return the colours that a theme ends up with."""
    found: dict[str, str] = {}
    for name in ("style.css", *(["dark.css"] if theme == "night" else [])):
        block = re.search(r":root \{(.*?)\n\}", (FOLDER / name).read_text(), re.DOTALL)
        assert block is not None
        found |= dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6});", block[1]))
    return found


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(("word", "ground"), PAIRS)
def test_words_can_be_read(theme: str, word: str, ground: str) -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1, whatever the size."""
    colours = tokens(theme)

    assert ratio(colours[word], colours[ground]) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(("part", "ground"), PARTS)
def test_parts_can_be_seen(theme: str, part: str, ground: str) -> None:
    """WCAG 2.2, 1.4.11: 3 to 1."""
    colours = tokens(theme)

    assert ratio(colours[part], colours[ground]) >= 3


def test_every_colour_of_the_day_has_one_for_the_night() -> None:
    """What is left out would glare, or vanish."""
    block = re.search(r":root \{(.*?)\n\}", (FOLDER / "dark.css").read_text(), re.DOTALL)

    assert block is not None
    assert set(re.findall(r"--([a-z0-9-]+): #", block[1])) == set(tokens("day"))


def test_authorities_colours_are_checked_against_the_surfaces_there_are() -> None:
    """The loader's surfaces are those of the styles."""
    day, night = tokens("day"), tokens("night")

    assert (day["paper"], day["ground"]) == DAY
    assert (night["paper"], night["ground"]) == NIGHT


def test_without_a_colour_of_its_own_an_authority_has_ours() -> None:
    """`.of` repeats the tokens, because a property cannot fall back on itself."""
    for theme, name in (("day", "parts.css"), ("night", "dark.css")):
        line = re.search(r"^\.of \{(.*)\}$", (FOLDER / name).read_text(), re.MULTILINE)
        assert line is not None
        found = dict(re.findall(r"--([a-z-]+): var\(--own[a-z-]*, (#[0-9a-f]{6})\)", line[1]))

        names = ("brand", "brand-strong", "brand-pale", "on-brand")
        assert found == {name: tokens(theme)[name] for name in names}


@pytest.mark.parametrize("name", STYLES)
def test_styles_use_tokens_and_load_nothing(name: str) -> None:
    """No font, picture or sheet is asked of anybody, and rules name no colour but white on white.

    Logos, QR codes and documents stand on white in both themes; the camera's picture on black.
    """
    text = (FOLDER / name).read_text()
    rules = re.sub(r":root \{.*?\n\}|^\.of \{.*?\}$", "", text, flags=re.DOTALL | re.MULTILINE)
    rules = re.sub(r"@media \(prefers-contrast: more\) \{.*?\n\}", "", rules, flags=re.DOTALL)

    assert re.findall(r"url\(|@import|@font-face|expression\(", text) == []
    assert set(re.findall(r"#[0-9a-f]{3,8}\b", rules)) <= {"#ffffff", "#0b1216"}


@pytest.mark.enable_socket
async def test_the_first_view_of_a_paper_is_light(door: Door) -> None:
    """K8: everything that is loaded before it can be read and paid weighs less than 30 kB."""
    await door.publish(an_invoice())

    page = await door.get(f"/q/{TOKEN}")
    addresses = page.elements("//link[@rel='stylesheet']/@href | //script/@src")
    weights = [len(gzip.compress((await door.get(address)).content)) for address in addresses]

    assert len(addresses) >= len(STYLES)
    assert len(gzip.compress(page.content)) + sum(weights) < 30_000
