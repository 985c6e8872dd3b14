"""Migrations are numbered without a gap and read in order."""

from pathlib import Path

import pytest

from shared.postgres import MigrationError, read_migrations


def write(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).write_text(f"SELECT '{name}';", encoding="utf-8")
    return folder


def test_reads_the_steps_in_order(tmp_path: Path) -> None:
    """The number in the name decides."""
    write(tmp_path, "0002_add_b.sql", "0001_create_a.sql")

    steps = read_migrations("test", tmp_path)

    assert [step.name for step in steps] == ["0001_create_a", "0002_add_b"]


@pytest.mark.parametrize(
    "names",
    [("0001_a.sql", "0001_b.sql"), ("0001_a.sql", "0003_b.sql"), ("1_a.sql",), ("0001_A.sql",)],
)
def test_refuses_numbers_that_collide_or_leave_a_gap(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    """Two branches that took the same number are told before anything is applied."""
    write(tmp_path, *names)

    with pytest.raises(MigrationError):
        read_migrations("test", tmp_path)
