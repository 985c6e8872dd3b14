"""The JSON documents that the doors answer with, read with care."""

import json
from collections.abc import Iterator
from typing import Any, TypeAlias

from quittance_client.errors import RefusedError

Document: TypeAlias = dict[str, Any]


def read(content: bytes) -> Document:
    """Return a JSON object.

    Raises:
        RefusedError: `unreadable-answer`, it is none.
    """
    try:
        document = json.loads(content)
    except ValueError as error:
        raise _unreadable(content[:80].decode(errors="replace")) from error
    if not isinstance(document, dict):
        raise _unreadable(type(document).__name__)
    return document


def text(document: Document, name: str) -> str:
    """Return a text that the contract promises.

    Raises:
        RefusedError: `unreadable-answer`, it is not there.
    """
    found = document.get(name)
    if not isinstance(found, str):
        raise _unreadable(name)
    return found


def number(document: Document, name: str) -> int:
    """Return a count that the contract promises, 0 while it is not known yet."""
    found = document.get(name)
    return found if isinstance(found, int) else 0


def rows(document: Document, name: str) -> list[Document]:
    """Return a list of objects that the contract promises.

    Raises:
        RefusedError: `unreadable-answer`, it is not there.
    """
    found = document.get(name)
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise _unreadable(name)
    return found


def tables(document: Document) -> Iterator[tuple[str, list[Document]]]:
    """Yield every list of objects in a document, by its name."""
    for name, value in document.items():
        if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
            yield name, value


def _unreadable(what: str) -> RefusedError:
    return RefusedError(200, "unreadable-answer", what)
