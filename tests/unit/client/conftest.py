"""A command to run against a stand-in of the doors, with time that does not pass."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from quittance_client.command import Surroundings, run
from quittance_client.pace import Pace
from tests.unit.client.stand_in import StandIn

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


@dataclass
class Console:
    """One user's machine: what commands printed, what they waited, where they keep their state."""

    folder: Path
    environment: dict[str, str]
    waits: list[float] = field(default_factory=list)
    on_wait: Callable[[float], None] = lambda _seconds: None
    out: str = ""
    err: str = ""
    typed: str = ""

    def __call__(self, *arguments: str, language: str = "fr_FR.UTF-8") -> int:
        """Run a command and return its exit code."""
        return self.run_into(io.StringIO(), *arguments, language=language)

    def run_into(self, out: io.StringIO, *arguments: str, language: str = "fr_FR.UTF-8") -> int:
        err = io.StringIO()
        try:
            return run(
                arguments,
                Surroundings(
                    environment={**self.environment, "LANG": language},
                    out=out,
                    err=err,
                    input=io.StringIO(self.typed),
                    pace=self.pace(),
                    read_secret=lambda _prompt: "asked-for",
                ),
            )
        finally:
            self.out, self.err = out.getvalue(), err.getvalue()

    def pace(self) -> Pace:
        """Return a clock on which only waiting takes time."""

        def sleep(seconds: float) -> None:
            self.waits.append(seconds)
            self.on_wait(seconds)

        return Pace(
            sleep=sleep,
            monotonic=lambda: sum(self.waits),
            now=lambda: NOW,
            chance=lambda: 0.5,
        )

    def file(self, name: str, content: bytes) -> Path:
        """Return a file with that content."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path


@pytest.fixture
def doors() -> Iterator[StandIn]:
    """Return the doors, open until the test ends."""
    with StandIn() as found:
        yield found


@pytest.fixture
def quittance(doors: StandIn, tmp_path: Path) -> Console:
    """Return a console of a biller who is known at the doors."""
    return a_console(tmp_path, doors.environment())


def a_console(folder: Path, environment: dict[str, str]) -> Console:
    """Return a console whose files all stay in `folder`."""
    own = {
        "QUITTANCE_STATE": str(folder / "state"),
        "QUITTANCE_CONFIG": str(folder / "config" / "config.toml"),
    }
    return Console(folder=folder, environment=own | environment)
