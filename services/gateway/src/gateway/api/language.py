"""The portal's languages: written in French, read in English through a gettext catalogue."""

import gettext
from collections.abc import Callable
from datetime import date, datetime
from functools import cache, lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

from aiohttp import web
from babel.dates import format_date, format_datetime
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_currency
from jinja2 import pass_context
from jinja2.runtime import Context

from gateway.api.site import site_of
from gateway.api.typed import as_typed
from shared.clock import PARIS
from shared.money import CURRENCY, format_euros

LANGUAGES = ("fr", "en")
LOCALES = {"fr": "fr_FR", "en": "en_GB"}
FOLDER = Path(__file__).parents[1] / "locale"


class French(gettext.NullTranslations):
    """The language in which the pages are written."""

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        """Return the plural from two on: nothing and one are singular in French."""
        return msgid1 if n < 2 else msgid2


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


def spoken(language: str) -> dict[str, Any]:
    """Return what templates need to speak a language."""
    texts = translations(language)
    return {
        "language": language,
        "gettext": texts.gettext,
        "ngettext": texts.ngettext,
        "_": texts.gettext,
    }


def _locale(context: Context) -> str:
    return LOCALES[str(context.get("language", "fr"))]


@pass_context
def euros(context: Context, cents: int) -> str:
    """Return an amount as the reader writes it."""
    return _euros(_locale(context), cents)


def euros_for(request: web.Request, cents: int) -> str:
    """Return an amount as the visitor writes it."""
    return _euros(LOCALES[language_of(request)], cents)


def _euros(locale: str, cents: int) -> str:
    if locale == "fr_FR":
        return format_euros(cents)
    # Whole cents divided by a hundred are exact to the cent at any amount of ours.
    return format_currency(cents / 100, CURRENCY, locale=locale)


@pass_context
def day(context: Context, value: date) -> str:
    """Return `24 novembre 2026`."""
    return _day(_locale(context), value)


def day_in(language: str, value: date) -> str:
    """Return the day, in a language of ours."""
    return _day(LOCALES[language], value)


# A list has few different days and asks for them on every line; Babel reads its pattern each time.
@lru_cache(maxsize=4096)
def _day(locale: str, value: date) -> str:
    return _unbroken(format_date(value, "d MMMM y", locale=locale))


@pass_context
def month(context: Context, value: date) -> str:
    """Return `novembre 2026`."""
    return _unbroken(format_date(value, "MMMM y", locale=_locale(context)))


@pass_context
def moment(context: Context, instant: datetime) -> str:
    """Return the day and the hour in France."""
    return moment_in(str(context.get("language", "fr")), instant)


def moment_in(language: str, instant: datetime) -> str:
    """Return the day and the hour in France, in a language of ours."""
    form = "d MMMM y 'at' HH:mm" if language == "en" else "d MMMM y 'à' HH 'h' mm"
    return _unbroken(format_datetime(instant.astimezone(PARIS), form, locale=LOCALES[language]))


def _unbroken(text: str) -> str:
    """Return a date that no line breaks in two."""
    return text.replace(" ", "\u00a0")


FILTERS: dict[str, Callable[..., str]] = {
    "euros": euros,
    "jour": day,
    "moment": moment,
    "mois": month,
    "saisie": as_typed,
}
