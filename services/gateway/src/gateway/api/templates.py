"""The templates, compiled once for each language, with its sentences already in them."""

import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from aiohttp import web
from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.ext import InternationalizationExtension
from jinja2.parser import Parser
from markupsafe import Markup, escape

from gateway.api.language import LANGUAGES, filters_of, translations

FOLDER = Path(__file__).parents[1] / "templates"
TEMPLATES = {
    language: web.AppKey(f"templates {language}", jinja2.Environment) for language in LANGUAGES
}
"""Where an application keeps the templates of each language."""

_SPECIAL = re.compile("[&<>'\"]")
_VALUE = re.compile(r"%\((\w+)\)s|%%")


class Sentences(InternationalizationExtension):
    """Translates what stands between `trans` and `endtrans` when a template is compiled.

    A page has dozens of sentences: to look each of them up for every reader was the most of what a
    page cost. Plurals alone wait until the page is made, since they depend on its numbers.
    """

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        """Return a sentence as text and values, in the language of the environment."""
        found = super().parse(parser)
        *before, output = found if isinstance(found, list) else [found]
        sentence, values = _sentence(output)
        if sentence is None:
            return found
        translated = translations(self.environment.globals["language"]).gettext(sentence)
        parts = _with_values(translated, values) if values else [nodes.TemplateData(translated)]
        return [*before, nodes.Output(list(parts), lineno=output.lineno)]


class Escaping(CodeGenerator):
    """Escapes what a page shows without wrapping each piece of it: the page is one text at last."""

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:  # noqa: ANN401 - Jinja's own
        if frame.eval_ctx.autoescape and not frame.eval_ctx.volatile:
            self.write("environment.shown(")
        else:
            super()._output_child_pre(node, frame, finalize)


class Environment(jinja2.Environment):
    """Templates in one language."""

    code_generator_class = Escaping

    def __init__(self, language: str, filters: Mapping[str, Callable[..., object]]) -> None:
        """Read the templates of the portal, to be seen in `language`, with filters of the site."""
        super().__init__(
            loader=jinja2.FileSystemLoader(FOLDER),
            extensions=[Sentences],
            autoescape=True,
            # What is in the image stays as it is: no look at the disk for each page.
            auto_reload=False,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.policies["ext.i18n.trimmed"] = True
        self.globals["language"] = language
        self.globals["ngettext"] = translations(language).ngettext
        self.filters.update(filters_of(language), mark=mark, dashed=dashed, **filters)
        # Made once: a page has a dozen of them, and they never differ. As filters of a constant
        # they, and the addresses of our files, are there when the template is compiled.
        for name in ("icon", "badge"):
            self.filters[name] = cache(getattr(self.get_template(f"{name}.html").module, name))

    @staticmethod
    def shown(value: object) -> str:
        """Return a value as HTML shows it."""
        if type(value) is Markup or (type(value) is str and not _SPECIAL.search(value)):
            return value
        return escape(value)

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        """Return what every template knows: a plain dictionary, which is copied for each page.

        Jinja chains two of them, so that one can still change: ours never does.
        """
        return {**self.globals, **d} if d else self.globals


def compile_all(application: web.Application) -> None:
    """Compile every template now, so that no visitor waits for one, or meets a broken one."""
    for key in TEMPLATES.values():
        environment = application[key]
        for name in environment.list_templates():
            environment.get_template(name)


def mark(authority: str) -> str:
    """Return the classes of what belongs to an authority, for its colours."""
    return f"of of-{authority}"


def dashed(status: str) -> str:
    """Return the class of a status."""
    return status.replace("_", "-")


def _sentence(node: nodes.Node) -> tuple[str | None, dict[str, nodes.Expr]]:
    """Return the French sentence of a node and its values; None for one with a plural."""
    match node:
        case nodes.Output(nodes=[nodes.Mod(left=found, right=nodes.Dict(items=pairs))]):
            return _text(found), {pair.key.as_const(): pair.value for pair in pairs}
        case nodes.Output(nodes=[found]):
            return _text(found), {}
        case _:
            return None, {}


def _text(node: nodes.Node) -> str | None:
    match node:
        case nodes.MarkSafeIfAutoescape(
            expr=nodes.Call(node=nodes.Name(name="gettext"), args=[nodes.Const(value=text)])
        ):
            return str(text)
        case _:
            return None


def _with_values(sentence: str, values: dict[str, nodes.Expr]) -> Iterator[nodes.Expr]:
    """Yield a sentence's text, and each value where it stands."""
    end = 0
    for found in _VALUE.finditer(sentence):
        yield nodes.TemplateData(sentence[end : found.start()])
        name = found.group(1)
        yield values[name] if name else nodes.TemplateData("%")
        end = found.end()
    yield nodes.TemplateData(sentence[end:])
