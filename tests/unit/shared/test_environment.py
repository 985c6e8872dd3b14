"""Settings come from the environment, and every problem is told at once."""

from pathlib import Path

import msgspec
import pytest

from shared import environment
from shared.errors import SettingsError


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    port: int
    ratio: float = 0.5
    enabled: bool = True


def test_reads_each_field_from_the_variable_of_its_name() -> None:
    """Values are converted to the type of their field."""
    environ = {"NAME": "x", "PORT": "8080", "ENABLED": "false"}

    settings = environment.read(Settings, environ)

    assert settings == Settings(name="x", port=8080, ratio=0.5, enabled=False)


def test_tells_every_problem_at_once() -> None:
    """One start shows all that is missing or wrong."""
    with pytest.raises(SettingsError) as raised:
        environment.read(Settings, {"PORT": "many", "RATIO": "half"})

    assert "NAME is missing" in str(raised.value)
    assert "PORT" in str(raised.value)
    assert "RATIO" in str(raised.value)


def test_reads_a_secret_from_the_file_that_names_it(tmp_path: Path) -> None:
    """`NAME_FILE` is how a platform mounts secrets; the end of line is not part of them."""
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n", encoding="utf-8")

    settings = environment.read(Settings, {"NAME_FILE": str(secret), "PORT": "1"})

    assert settings.name == "s3cret"


def test_says_when_a_secret_file_cannot_be_read(tmp_path: Path) -> None:
    """A missing mount is a problem of its own, not a missing variable only."""
    with pytest.raises(SettingsError, match="NAME_FILE"):
        environment.read(Settings, {"NAME_FILE": str(tmp_path / "none"), "PORT": "1"})


def test_an_empty_variable_counts_as_missing() -> None:
    """A template that left a hole must not give an empty name."""
    with pytest.raises(SettingsError, match="NAME is missing"):
        environment.read(Settings, {"NAME": "", "PORT": "1"})
