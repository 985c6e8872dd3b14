"""French is complete by construction; English must know every sentence and keep its values."""

import re
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir

import gateway
from gateway.api.language import catalogue, translations
from tests.unit.gateway.door import TOKEN, Door, an_invoice

PLACE = re.compile(r"%\(\w+\)[sd]|</?\w+>")


def sentences() -> list[str | tuple[str, ...]]:
    """Return every sentence that templates and pages say."""
    folder = Path(gateway.__file__).parent
    found = extract_from_dir(
        folder,
        method_map=[("templates/**.html", "jinja2"), ("api/**.py", "python")],
        options_map={"templates/**.html": {"trimmed": "true"}},
        keywords={"say": (2,), "gettext": None, "ngettext": (1, 2), "_": None},
    )
    return list(dict.fromkeys(message for _, _, message, _, _ in found))


def forms_of(text: str | tuple[str, ...] | list[str]) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text)


def test_english_knows_every_sentence_with_its_values_and_marks() -> None:
    """A sentence that was changed in French must be changed there too."""
    english, known = catalogue("en"), sentences()

    assert len(known) > 150
    for sentence in known:
        message = english.get(forms_of(sentence)[0])
        assert message is not None, sentence
        assert message.string is not None
        for french, said in zip(forms_of(sentence), forms_of(message.string), strict=True):
            assert said
            assert sorted(PLACE.findall(said)) == sorted(PLACE.findall(french)), french


def test_english_keeps_no_sentence_that_nobody_says() -> None:
    """What left the pages leaves the catalogue."""
    known = {forms_of(sentence)[0] for sentence in sentences()}

    kept = {forms_of(message.id)[0] for message in catalogue("en") if message.id}

    assert kept - known == set()


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Deux : trois ; « quatre » !", "Deux\u00a0: trois\u00a0; «\u00a0quatre\u00a0»\u00a0!"),
        ("à 14:05, https://a.fr/?b", "à 14:05, https://a.fr/?b"),
    ],
)
def test_no_french_line_begins_with_a_colon(written: str, shown: str) -> None:
    """Nor ends with an opening guillemet; where there is no space none is made."""
    assert translations("fr").gettext(written) == shown
    assert translations("fr").ngettext("Un", written, 2) == shown


def test_nothing_is_singular_in_french_and_plural_in_english() -> None:
    """0 facture, 0 invoices."""
    forms = ("%(count)s facture à payer", "%(count)s factures à payer")

    assert translations("fr").ngettext(*forms, 0) == "%(count)s facture à payer"
    assert translations("fr").ngettext(*forms, 2) == "%(count)s factures à payer"
    assert translations("en").ngettext(*forms, 0) == "%(count)s invoices to pay"
    assert translations("en").ngettext(*forms, 1) == "%(count)s invoice to pay"


@pytest.mark.enable_socket
async def test_the_chosen_language_is_spoken_from_then_on(door: Door) -> None:
    """Words, sums and dates; and the page says which language it is in."""
    await door.publish(an_invoice())

    chosen = await door.submit("/langue", {"langue": "en", "suite": f"/q/{TOKEN}"})
    page = await door.get(f"/q/{TOKEN}")

    assert (chosen.status, chosen.location) == (303, f"/q/{TOKEN}")
    assert '<html lang="en">' in page.content.decode()
    assert page.headers["Content-Language"] == "en"
    assert "Pay €41.50 by card" in page.text
    assert "To be paid by 14 December 2026" in page.text


@pytest.mark.enable_socket
@pytest.mark.parametrize("asked", ["de", "", "../en", "EN"])
async def test_a_language_that_is_not_spoken_changes_nothing(door: Door, asked: str) -> None:
    """French unless somebody chose otherwise."""
    await door.submit("/langue", {"langue": asked})
    door.set_cookie("language", asked)

    assert '<html lang="fr">' in (await door.get("/")).content.decode()
