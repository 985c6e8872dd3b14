"""Which files the checks read: those of the repository, tracked or about to be."""

import functools
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SERVICES = ("gateway", "ingestion", "notification", "payment", "publication", "reconciliation")
PROJECTS = ("shared", "simulators", "client", *(f"services/{name}" for name in SERVICES))
PYTHON_FOLDERS = (
    *(f"{project}/src" for project in PROJECTS),
    "checks",
    "demo",
    "bench",
    "docs/samples",
    "tests",
)


@functools.cache
def all_files() -> tuple[Path, ...]:
    """Return every file that git tracks or would add, relative to the root."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    names = sorted(set(listed.split("\0")) - {""})
    return tuple(Path(name) for name in names if (ROOT / name).is_file())


def python_folders() -> list[str]:
    """Return the folders of Python sources that exist."""
    return [folder for folder in PYTHON_FOLDERS if (ROOT / folder).is_dir()]


def text_of(path: Path) -> str | None:
    """Return the text of a file by its path from the root, or None when it is not text."""
    try:
        return (ROOT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None
