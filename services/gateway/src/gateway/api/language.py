"""The portal's languages: written in French, read in English through a gettext catalogue."""

import gettext
import re
from collections.abc import Callable
from datetime import date, datetime
from functools import cache, lru_cache, partial
from io import BytesIO
from pathlib import Path

from aiohttp import web
from babel.dates import format_date, format_datetime
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_currency

from gateway.api.site import site_of
from gateway.api.typed import as_typed
from shared.clock import PARIS
from shared.money import CURRENCY, format_euros

LANGUAGES = ("fr", "en")
LOCALES = {"fr": "fr_FR", "en": "en_GB"}
FOLDER = Path(__file__).parents[1] / "locale"

_SPACE = re.compile(r" (?=[:;?!»])|(?<=«) ")


class French(gettext.NullTranslations):
    """The language in which the pages are written."""

    def gettext(self, message: str) -> str:
        """Return the sentence, with no line that begins with a colon or ends with a guillemet."""
        return _spaced(message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        """Return the plural from two on: nothing and one are singular in French."""
        return _spaced(msgid1 if n < 2 else msgid2)


@lru_cache(maxsize=4096)
def _spaced(sentence: str) -> str:
    """Return a sentence whose spaces before `: ; ? ! »` and after `«` break no line."""
    return _SPACE.sub("\u00a0", sentence)


@cache
def translations(language: str) -> gettext.NullTranslations:
    """Return the texts of a language; what a catalogue lacks is shown in French."""
    if language == "fr":
        return French()
    compiled = BytesIO()
    write_mo(compiled, catalogue(language))
    compiled.seek(0)
    found = gettext.GNUTranslations(compiled)
    found.add_fallback(French())
    return found


def catalogue(language: str) -> Catalog:
    """Return all texts of a language: one file for each room of the portal."""
    whole = Catalog(locale=language)
    for path in sorted((FOLDER / language).glob("*.po")):
        with path.open("rb") as file:
            for message in read_po(file, locale=language):
                if message.id:
                    whole[message.id] = message
    return whole


def language_of(request: web.Request) -> str:
    """Return the language that the visitor chose; French unless they did."""
    chosen = request.cookies.get(site_of(request).language_cookie, "")
    return chosen if chosen in LANGUAGES else "fr"


def say(request: web.Request, text: str, **values: object) -> str:
    """Return a French sentence in the visitor's language, with its values filled in."""
    found = translations(language_of(request)).gettext(text)
    return found % values if values else found


def euros_for(request: web.Request, cents: int) -> str:
    """Return an amount as the visitor writes it."""
    return _euros_in(language_of(request), cents)


def _euros_in(language: str, cents: int) -> str:
    if language == "fr":
        return format_euros(cents)
    # Whole cents divided by a hundred are exact to the cent at any amount of ours.
    return format_currency(cents / 100, CURRENCY, locale=LOCALES[language])


# A list has few different days and asks for them on every line; Babel reads its pattern each time.
@lru_cache(maxsize=4096)
def day_in(language: str, value: date) -> str:
    """Return `24 novembre 2026`, in a language of ours."""
    return _unbroken(format_date(value, "d MMMM y", locale=LOCALES[language]))


def _month_in(language: str, value: date) -> str:
    """Return `novembre 2026`."""
    return _unbroken(format_date(value, "MMMM y", locale=LOCALES[language]))


def moment_in(language: str, instant: datetime) -> str:
    """Return the day and the hour in France, in a language of ours."""
    form = "d MMMM y 'at' HH:mm" if language == "en" else "d MMMM y 'à' HH 'h' mm"
    return _unbroken(format_datetime(instant.astimezone(PARIS), form, locale=LOCALES[language]))


def _unbroken(text: str) -> str:
    """Return a date that no line breaks in two."""
    return text.replace(" ", "\u00a0")


def filters_of(language: str) -> dict[str, Callable[..., str]]:
    """Return how templates write amounts and dates in a language."""
    return {
        "euros": partial(_euros_in, language),
        "jour": partial(day_in, language),
        "moment": partial(moment_in, language),
        "mois": partial(_month_in, language),
        "saisie": as_typed,
    }
