"""The checks that tools of others do: format, lint, types, imports, dependencies, SQL, spelling."""

import os
import subprocess
import sys
from pathlib import Path

from checks.files import PROJECTS, ROOT, all_files, python_folders
from shared.postgres import MigrationError, read_migrations

BIN = Path(sys.executable).parent
MIGRATION_RULES_LEFT_OUT = (
    "prefer-bigint-over-int",  # versions, levels and counts of tries stay small
    "prefer-bigint-over-smallint",
    "require-lock-timeout",  # the runner decides how long a migration may wait
    "require-statement-timeout",
)


def formatting() -> str:
    """Return the files that ruff would format otherwise."""
    return _run("ruff", "format", "--check", "--quiet", "--diff", ".")


def lint() -> str:
    """Return what ruff finds."""
    return _run("ruff", "check", "--quiet", "--output-format", "concise", ".")


def types() -> str:
    """Return what mypy finds, strict, in one run over all sources."""
    return _run("mypy", "--no-error-summary", "--hide-error-context", *python_folders())


def imports() -> str:
    """Return which import contracts are broken."""
    return _run("lint-imports")


def dependencies() -> str:
    """Return what each project imports without declaring it, or declares without importing it."""
    found: list[str] = []
    for project in PROJECTS:
        problems = _run(
            "deptry",
            "--no-ansi",
            "--package-module-name-map",
            "quittance-shared=shared",
            "src",
            folder=ROOT / project,
        )
        lines = [line for line in problems.splitlines() if " DEP" in line]
        found += [f"{project}/{line}" for line in lines or problems.splitlines()]
    return "\n".join(found)


def migrations() -> str:
    """Return migrations that would lock or lose, and numbers used twice or left out."""
    found = []
    paths = [path for path in all_files() if path.suffix == ".sql" and "migrations" in path.parts]
    for folder in sorted({path.parent for path in paths}):
        try:
            read_migrations(str(folder), ROOT / folder)
        except MigrationError as error:
            found.append(str(error))
    found.append(
        _run(
            "squawk",
            "--assume-in-transaction",
            "--pg-version",
            "15.0",
            "--reporter",
            "gcc",
            "--exclude",
            ",".join(MIGRATION_RULES_LEFT_OUT),
            *map(str, paths),
        )
    )
    return "\n".join(problem for problem in found if problem)


def spelling() -> str:
    """Return the misspelt English words."""
    return _run("codespell", *map(str, all_files()))


def _run(tool: str, *arguments: str, folder: Path = ROOT) -> str:
    ended = subprocess.run(
        [BIN / tool, *arguments],
        cwd=folder,
        capture_output=True,
        check=False,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
    )
    if ended.returncode == 0:
        return ""
    return (ended.stdout + ended.stderr).strip() or f"{tool} exited with {ended.returncode}"
