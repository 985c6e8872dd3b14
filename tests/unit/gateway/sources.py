"""What the portal's sources say, read from them."""

import ast
from pathlib import Path

import gateway

NOTING = {"note": 1, "note_others": 2, "tell": 3}
"""Functions that note what happened to an account, and the place of its kind."""
NOTED = 5
"""The place, in `tell`, of a kind that is not the letter's."""


def kinds_noted() -> set[str]:
    """Return every kind of event that pages note of accounts."""
    found = set()
    for path in sorted((Path(gateway.__file__).parent / "api").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                found.add(_kind(node))
    return found - {""}


def _kind(call: ast.Call) -> str:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    name = call.func.id if isinstance(call.func, ast.Name) else name
    if name not in NOTING:
        return ""
    named = [keyword.value for keyword in call.keywords if keyword.arg == "noted"]
    given = [*named, *call.args[NOTED : NOTED + 1], *call.args[NOTING[name] : NOTING[name] + 1]]
    texts = [node.value for node in given if isinstance(node, ast.Constant)]
    return str(texts[0]) if texts else ""
