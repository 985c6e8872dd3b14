"""Every variable that a service reads stands in its README, and every field says what it is for."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import msgspec

from checks.files import ROOT, SERVICES
from shared.environment import CommonSettings


def problems() -> str:
    """Return the settings that are not documented, by service."""
    found: list[str] = []
    for service in SERVICES:
        readme = ROOT / "services" / service / "README.md"
        if not readme.exists():
            found.append(f"{readme.relative_to(ROOT)} is missing")
            continue
        text = readme.read_text(encoding="utf-8")
        for settings in _settings_of(service):
            found += [
                f"{readme.relative_to(ROOT)}: {name} is not in the table of settings"
                for name in _variables(settings)
                if not re.search(rf"\b{name}\b", text)
            ]
            found += _fields_without_text(settings)
    return "\n".join(sorted(set(found)))


def _settings_of(service: str) -> list[type[CommonSettings]]:
    """Return every kind of settings of a service; its extra processes may have their own."""
    source = ROOT / "services" / service / "src"
    modules = [
        ".".join(path.relative_to(source).with_suffix("").parts)
        for path in sorted(source.rglob("settings.py"))
    ]
    kinds = [
        kind
        for name in modules
        for _, kind in inspect.getmembers(importlib.import_module(name), inspect.isclass)
        if issubclass(kind, CommonSettings) and kind.__module__ == name
    ]
    if not kinds:
        message = f"{service} has no settings.py with settings in it"
        raise LookupError(message)
    return kinds


def _variables(settings: type[CommonSettings]) -> list[str]:
    return [field.name.upper() for field in msgspec.structs.fields(settings)]


def _fields_without_text(settings: type[CommonSettings]) -> list[str]:
    path = Path(inspect.getfile(settings))
    tree = ast.parse(inspect.getsource(settings)).body[0]
    if not isinstance(tree, ast.ClassDef):
        return []
    return [
        f"{path.relative_to(ROOT)}: {ast.unparse(statement.target)} has no text under it"
        for statement, following in zip(tree.body, [*tree.body[1:], ast.Pass()], strict=True)
        if isinstance(statement, ast.AnnAssign)
        and not (isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant))
    ]
