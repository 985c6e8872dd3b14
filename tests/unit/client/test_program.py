"""The program as it is started: signals, pipes, exit codes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.client.conftest import Console
from tests.unit.client.stand_in import StandIn, an_item, invoices

pytestmark = pytest.mark.enable_socket


def start(console: Console, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "quittance_client", *arguments],
        env={**os.environ, **console.environment, "LANG": "fr_FR.UTF-8", "PYTHONUTF8": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_followed_feed_ends_well_when_it_is_told_to(
    number: signal.Signals, quittance: Console, doors: StandIn
) -> None:
    """Ctrl-C, or a service manager's SIGTERM: exit code 0, what was printed stays printed."""
    doors.items = [an_item(1)]
    with start(quittance, "collections", "--follow", "--format", "csv") as program:
        assert program.stdout is not None
        heading, row = program.stdout.readline(), program.stdout.readline()
        program.send_signal(number)
        rest, errors = program.communicate(timeout=20)

    assert heading.startswith(b"event_id,position,kind")
    assert row.startswith(b"e-1,1,captured")
    assert (program.returncode, rest, errors) == (0, b"", b"")


def test_a_reader_that_leaves_ends_the_run_without_a_traceback(
    quittance: Console, doors: StandIn
) -> None:
    """`quittance collections | head`: the place is not moved past what nobody read."""
    doors.items = [an_item(position) for position in range(1, 5000)]
    doors.items_per_page = 5000
    with start(quittance, "collections", "--json") as program:
        assert program.stdout is not None
        program.stdout.readline()
        program.stdout.close()
        assert program.stderr is not None
        errors = program.stderr.read()
        program.wait(20)

    assert (program.returncode, errors) == (2, b"")
    assert list((quittance.folder / "state").glob("cursor-*.json")) == []


def test_an_exit_code_says_what_became_of_a_deposit(quittance: Console, tmp_path: Path) -> None:
    """0 all accepted, 1 some rejected, 2 refused: for scripts, which read nothing else."""
    (tmp_path / "good.json").write_bytes(invoices(100))
    (tmp_path / "poor.json").write_bytes(invoices(100, 0))
    codes = []

    for name in ("good.json", "poor.json", "none.json"):
        with start(quittance, "deposit", str(tmp_path / name)) as program:
            program.communicate(timeout=20)
        codes.append(program.returncode)

    assert codes == [0, 1, 2]
