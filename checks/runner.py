"""Runs the checks side by side and tells what each found: one line each, then the failures."""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from checks import generated, locks, manifests, publiccode, settings, sizes, sources, tools

WORKERS = 2

Check = Callable[[], str]
"""Returns what is wrong, empty when nothing is."""

CHECKS: dict[str, Check] = {
    # The longest first, so that the two workers end together.
    "types": tools.types,
    "manifests": manifests.problems,
    "lint": tools.lint,
    "imports": tools.imports,
    "format": tools.formatting,
    "dependencies": tools.dependencies,
    "generated": generated.problems,
    "migrations": tools.migrations,
    "spelling": tools.spelling,
    "settings": settings.problems,
    "sizes": sizes.problems,
    "sources": sources.problems,
    "publiccode": publiccode.problems,
    "locks": locks.problems,
}


def run(names: Sequence[str] = ()) -> int:
    """Run the named checks, or all, and return the exit code: 1 when one failed."""
    unknown = sorted(set(names) - set(CHECKS))
    if unknown:
        print(f"no such check: {', '.join(unknown)}; there are {', '.join(CHECKS)}")
        return 1
    started = time.monotonic()
    chosen = [name for name in CHECKS if name in names or not names]
    with ThreadPoolExecutor(WORKERS) as workers:
        found = dict(_told(workers.map(_run, chosen)))
    failures = {name: problems for name, problems in found.items() if problems}
    for name, problems in failures.items():
        print(f"\n== {name}\n{problems.rstrip()}")
    verdict = f"{len(failures)} failed" if failures else "all passed"
    print(f"\n{len(chosen)} checks in {time.monotonic() - started:.1f} s: {verdict}")
    return 1 if failures else 0


def _told(results: Iterable[tuple[str, str, float]]) -> Iterable[tuple[str, str]]:
    for name, problems, seconds in results:
        print(f"{name:<14}{'FAILED' if problems else 'ok':<8}{seconds:5.1f} s", flush=True)
        yield name, problems


def _run(name: str) -> tuple[str, str, float]:
    started = time.monotonic()
    try:
        problems = CHECKS[name]()
    except Exception as error:  # noqa: BLE001 - a check that breaks is a check that failed
        problems = f"{type(error).__name__}: {error}"
    return name, problems, time.monotonic() - started
