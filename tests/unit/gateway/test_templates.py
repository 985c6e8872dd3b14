"""Templates hold the sentences of their language, and whatever a page shows is escaped once."""

import pytest
from aiohttp import web
from jinja2 import TemplateAssertionError, UndefinedError
from markupsafe import Markup, escape

from gateway.api.templates import TEMPLATES, Environment, compile_all

HOSTILE = """<b onclick='x' title="y">&amp; Ligne</b>"""


def no_filter(value: object) -> object:
    """Stand for a filter of the site."""
    return value


def rendered(source: str, language: str = "fr", **context: object) -> str:
    return Environment(language, {}).from_string(source).render(context)


@pytest.mark.parametrize(("language", "sentence"), [("fr", "Se connecter"), ("en", "Log in")])
def test_a_sentence_is_in_the_language_of_the_templates(language: str, sentence: str) -> None:
    """No table is asked when a page is made."""
    source = "{% trans %}Se connecter{% endtrans %}"

    assert rendered(source, language) == sentence


def test_values_stand_where_the_language_puts_them() -> None:
    """And a sentence that no catalogue knows is shown as it was written."""
    source = "{% trans due=due | upper, sum=sum %}{{ sum }} à 5 % avant {{ due }}{% endtrans %}"

    assert rendered(source, due="mai", sum=12) == "12 à 5 % avant MAI"


def test_a_value_that_is_asked_for_is_asked_once() -> None:
    """Jinja gives a name of its own to the result of a call."""
    asked = []

    def ask() -> str:
        asked.append(1)
        return "mai"

    assert rendered("{% trans due=ask() %}avant {{ due }}{% endtrans %}", ask=ask) == "avant mai"
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("language", "count", "sentence"),
    [
        ("fr", 0, "0 facture à payer"),
        ("fr", 2, "2 factures à payer"),
        ("en", 0, "0 invoices to pay"),
        ("en", 1, "1 invoice to pay"),
    ],
)
def test_the_plural_is_chosen_by_the_number(language: str, count: int, sentence: str) -> None:
    """Each language counts in its own way."""
    source = (
        "{% trans count=count %}{{ count }} facture à payer"
        "{% pluralize %}{{ count }} factures à payer{% endtrans %}"
    )

    assert rendered(source, language, count=count) == sentence


@pytest.mark.parametrize(
    "source",
    [
        "{{ text }}",
        "{% trans text=text %}{{ text }}{% endtrans %}",
        "{% macro show(text) %}{{ text }}{% endmacro %}{{ show(text) }}",
        "{% set shown %}{{ text }}{% endset %}{{ shown }}",
        "{% filter trim %}{{ text }}{% endfilter %}",
    ],
)
def test_what_a_page_shows_is_escaped_once(source: str) -> None:
    """Whatever way it takes into the page."""
    assert rendered(source, text=HOSTILE) == escape(HOSTILE)


@pytest.mark.parametrize(
    "value", ["", "plain", "é œ €", "&", "<", ">", "'", '"', HOSTILE, 12, None, Markup("<b>")]
)
def test_values_are_escaped_as_markupsafe_does(value: object) -> None:
    """What has nothing to escape is not wrapped: that is all the difference."""
    assert Environment.shown(value) == escape(value)


def test_what_escapes_by_itself_is_believed() -> None:
    """Through `__html__`, as everywhere."""

    class Drawn(str):
        __slots__ = ()

        def __html__(self) -> str:
            return "<svg>"

    assert rendered("{{ drawn }}", drawn=Drawn("text")) == "<svg>"


def test_what_a_page_was_not_given_is_an_error() -> None:
    """A page with a hole is never shown."""
    with pytest.raises(UndefinedError):
        rendered("{{ nothing }}")


def test_every_template_is_compiled_at_the_start() -> None:
    """A broken one stops the service before anybody sees it."""
    application = web.Application()
    for language, key in TEMPLATES.items():
        application[key] = Environment(language, {"asset": no_filter, "look": no_filter})

    compile_all(application)

    for key in TEMPLATES.values():
        known = application[key]
        assert known.cache is not None
        assert len(known.cache) == len(known.list_templates()) > 60


def test_a_broken_template_is_an_error_at_the_start() -> None:
    """And not a page with an apology."""
    application = web.Application()
    for language, key in TEMPLATES.items():
        application[key] = Environment(language, {})

    with pytest.raises(TemplateAssertionError, match="asset"):
        compile_all(application)
