"""No module and no function grows past what is read in one go; tests may be longer."""

import ast
from pathlib import Path

from checks.files import all_files, text_of

MODULE_LINES = 400
FUNCTION_LINES = 60


def problems() -> str:
    """Return the modules and functions that ask to be split."""
    found: list[str] = []
    for path in all_files():
        if path.suffix == ".py" and path.parts[0] != "tests":
            found += measure(path, text_of(path) or "")
    return "\n".join(found)


def measure(path: Path, source: str) -> list[str]:
    """Return what is too long in one module."""
    length = len(source.splitlines())
    found = [f"{path}: {length} lines, {MODULE_LINES} at most"] if length > MODULE_LINES else []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                found.append(
                    f"{path}:{node.lineno}: {node.name} has {lines} lines, {FUNCTION_LINES} at most"
                )
    return found
