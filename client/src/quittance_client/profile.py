"""Where the doors are and who calls: from the environment, a file of profiles, or the demo.

The secret is read only when a token is needed, is never an argument of the command line, and is
never printed.
"""

import contextlib
import json
import os
import shlex
import stat
import subprocess
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import platformdirs
import tomli_w

from quittance_client.errors import SettingsError

DEFAULT_PROFILE = "default"
SECRET_COMMAND_SECONDS = 60.0
FIELDS = (
    "url",
    "deposits_url",
    "collections_url",
    "token_url",
    "client_id",
    "client_secret",
    "secret_command",
    "ca_file",
)
URLS = ("deposits_url", "collections_url", "token_url")
REQUIRED = (*URLS, "client_id")
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

Settings = dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One biller at one authority's doors."""

    deposits_url: str
    collections_url: str
    token_url: str
    client_id: str
    read_secret: Callable[[], str] = field(repr=False)
    ca_file: str | None = None


def config_path(environment: Mapping[str, str]) -> Path:
    """Return the file of profiles: QUITTANCE_CONFIG, or in the platform's own place."""
    chosen = environment.get("QUITTANCE_CONFIG")
    return Path(chosen) if chosen else platformdirs.user_config_path("quittance") / "config.toml"


def load(
    environment: Mapping[str, str],
    *,
    profile: str | None = None,
    url: str | None = None,
    endpoints: Path | None = None,
) -> Profile:
    """Return the profile to use: options over variables over the file; `endpoints` over all.

    Raises:
        SettingsError: something is missing, unreadable, open to others, or not encrypted.
    """
    named = environment.get("QUITTANCE_ENDPOINTS")
    if endpoints is not None or named:
        settings = _from_endpoints(endpoints or Path(named or ""))
    else:
        settings = {}
        for layer in (
            _from_file(config_path(environment), profile or environment.get("QUITTANCE_PROFILE")),
            _from_environment(environment),
            {"url": url} if url else {},
        ):
            settings = _over(settings, layer)
    return _profile(settings)


def _profile(settings: Settings) -> Profile:
    has_secret = "client_secret" in settings or "secret_command" in settings
    missing = [name for name in REQUIRED if not settings.get(name)]
    if set(URLS) <= set(missing):
        # Most towns have one address for everything: three names would hide that.
        missing = ["url", *missing[len(URLS) :]]
    missing += [] if has_secret else ["client_secret"]
    if missing:
        variables = ", ".join(f"QUITTANCE_{name.upper()}" for name in missing)
        raise SettingsError("setting-missing", names=", ".join(missing), variables=variables)
    for name in URLS:
        check_url(settings[name])
    return Profile(
        deposits_url=settings["deposits_url"].rstrip("/"),
        collections_url=settings["collections_url"].rstrip("/"),
        token_url=settings["token_url"],
        client_id=settings["client_id"],
        ca_file=settings.get("ca_file"),
        read_secret=lambda: _secret(settings),
    )


def check_url(url: str) -> None:
    """Accept https, and http to this very machine: a secret never travels in the clear.

    Raises:
        SettingsError: another address.
    """
    try:
        parts = urlsplit(url)
        is_fit = parts.scheme == "https" and bool(parts.hostname)
        is_fit = is_fit or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    except ValueError as error:
        raise SettingsError("not-tls", url=url) from error
    if not is_fit or parts.username or parts.password:
        raise SettingsError("not-tls", url=parts._replace(netloc=parts.hostname or "").geturl())


def _secret(settings: Settings) -> str:
    command = settings.get("secret_command")
    if not command:
        return settings["client_secret"]
    try:
        ended = subprocess.run(  # noqa: S603 - the user's own command, split as a shell would, no shell
            shlex.split(command),
            stdout=subprocess.PIPE,
            timeout=SECRET_COMMAND_SECONDS,
            check=True,
            text=True,
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        # Not the error's own text: it would repeat what the command wrote.
        raise SettingsError("secret-command-failed", reason=type(error).__name__) from error
    return ended.stdout.rstrip("\r\n")


def _over(lower: Settings, upper: Settings) -> Settings:
    """Return both layers; what the upper says in its own way hides the lower's other way."""
    kept = dict(lower)
    if "client_secret" in upper or "secret_command" in upper:
        kept.pop("client_secret", None)
        kept.pop("secret_command", None)
    url = upper.get("url", "").rstrip("/")
    spread = (
        {"deposits_url": url, "collections_url": url, "token_url": f"{url}/oauth/token"}
        if url
        else {}
    )
    return kept | spread | {name: value for name, value in upper.items() if name != "url"}


def _from_environment(environment: Mapping[str, str]) -> Settings:
    found: Settings = {}
    for name in FIELDS:
        variable = f"QUITTANCE_{name.upper()}"
        file = environment.get(f"{variable}_FILE")
        if environment.get(variable):
            found[name] = environment[variable]
        elif file:
            found[name] = _read(Path(file)).decode().rstrip("\r\n")
    return found


def _from_file(path: Path, profile: str | None) -> Settings:
    if not path.exists():
        if profile:
            raise SettingsError("profile-unknown", profile=profile, path=path)
        return {}
    profiles = _read_profiles(path)
    chosen = profiles.get(profile or DEFAULT_PROFILE)
    if chosen is None:
        if profile:
            raise SettingsError("profile-unknown", profile=profile, path=path)
        return {}
    if "client_secret" in chosen and _is_open_to_others(path):
        raise SettingsError("file-open-to-all", path=path)
    return _over({}, {name: str(chosen[name]) for name in FIELDS if name in chosen})


def _is_open_to_others(path: Path) -> bool:
    # Elsewhere the mode bits say nothing of who may read.
    return os.name == "posix" and bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def _read_profiles(path: Path) -> dict[str, dict[str, Any]]:
    try:
        document = tomllib.loads(_read(path).decode())
    except ValueError as error:
        raise SettingsError("file-unreadable", path=path, reason=error) from error
    return {name: value for name, value in document.items() if isinstance(value, dict)}


def _from_endpoints(path: Path) -> Settings:
    """Return what the demo's `endpoints.json` tells."""
    try:
        document = json.loads(_read(path))
        biller = document["biller"]
        return {
            "deposits_url": str(document["deposits"]),
            "collections_url": str(document["collections"]),
            "token_url": str(document["token"]),
            "client_id": str(biller["client_id"]),
            "client_secret": str(biller["client_secret"]),
        }
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError("file-unreadable", path=path, reason=repr(error)) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError("file-unreadable", path=path, reason=error.strerror) from error


def keep(path: Path, profile: str, settings: Settings) -> None:
    """Write a profile into the file, which only its owner can read; the other profiles stay.

    Raises:
        SettingsError: the file cannot be read or written.
    """
    for name in ("url", *URLS):
        if name in settings:
            check_url(settings[name])
    profiles = _read_profiles(path) if path.exists() else {}
    profiles[profile] = dict(settings)
    write_secret(path, tomli_w.dumps(profiles).encode())


def write_secret(path: Path, content: bytes) -> None:
    """Put a file in place whole, readable by its owner alone.

    Raises:
        SettingsError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made with its mode, not given it later: nobody can open it in between.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        # Where nothing could be written there may be nothing to remove either.
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise SettingsError("file-unwritable", path=path, reason=error.strerror) from error
