"""Every lock pins the same versions with hashes, and says nothing of where they come from."""

import re
from pathlib import Path

from checks.files import ROOT, all_files, text_of

FULL_LOCK = Path("requirements/dev.txt")
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)
ADDRESS = re.compile(r"https?://|--index-url|--find-links|--extra-index-url")


def problems() -> str:
    """Return pins that differ from the full lock, pins without hashes, and addresses."""
    full = pins((ROOT / FULL_LOCK).read_text(encoding="utf-8"))
    found: list[str] = []
    for path in all_files():
        if path.name == "requirements.txt" or path.match("requirements/*.txt"):
            text = text_of(path) or ""
            # uv has a lock of its own: it makes the environment and is not in it.
            expected = full if path.name != "uv.txt" else pins(text)
            found += compare(path, text, expected)
    return "\n".join(found)


def pins(text: str) -> dict[str, str]:
    """Return the version of every package that a lock pins."""
    return {match[1]: match[2] for match in PIN.finditer(text)}


def compare(path: Path, text: str, expected: dict[str, str]) -> list[str]:
    """Return what is wrong with one lock, given the versions that it should pin."""
    found = [
        f"{path}: {name} {version}, the full lock has {expected.get(name, 'none')}"
        for name, version in pins(text).items()
        if expected.get(name) != version
    ]
    if ADDRESS.search(text):
        found.append(f"{path}: names an address")
    blocks = re.split(r"(?<!\\)\n", text)
    found += [
        f"{path}: {block.split()[0]} has no hash"
        for block in blocks
        if PIN.match(block) and "--hash=sha256:" not in block
    ]
    return found
