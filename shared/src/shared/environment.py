"""Settings from the environment: one frozen struct for each service, every problem told at once."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from shared.errors import SettingsError

S = TypeVar("S", bound=msgspec.Struct)

FILE_SUFFIX = "_FILE"
"""`NAME_FILE` names a file that holds the value of `NAME`: how Kubernetes mounts secrets."""


def read(settings: type[S], environ: Mapping[str, str]) -> S:
    """Return `settings` filled from variables named as its fields, in upper case.

    Raises:
        SettingsError: lists every missing or unusable variable.
    """
    problems: list[str] = []
    values: dict[str, object] = {}
    for field in msgspec.structs.fields(settings):
        name = field.name.upper()
        text = _value(name, environ, problems)
        if text is None:
            if field.required:
                problems.append(f"{name} is missing")
            continue
        try:
            values[field.name] = msgspec.convert(text, field.type, strict=False)
        except msgspec.ValidationError as error:
            problems.append(f"{name}: {error}")
    if problems:
        raise SettingsError("; ".join(problems))
    return settings(**values)


def _value(name: str, environ: Mapping[str, str], problems: list[str]) -> str | None:
    path = environ.get(name + FILE_SUFFIX)
    if path is not None and name not in environ:
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            problems.append(f"{name}{FILE_SUFFIX}: {error}")
            return None
    return environ.get(name) or None


class CommonSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What every service needs to run; a service's own settings extend it."""

    database_url: str
    """PostgreSQL address of this service's own database."""
    database_pool_size: int = 8
    """Largest number of connections this process keeps."""
    kafka_bootstrap_servers: str
    """Comma-separated brokers."""
    kafka_idempotent_producer: bool = True
    """Off only for the embedded broker, which has no idempotent producers."""
    kafka_security: str = "PLAINTEXT"
    """PLAINTEXT, SSL or SASL_SSL."""
    kafka_username: str = ""
    """SCRAM-SHA-512 user, with SASL_SSL."""
    kafka_password: str = ""
    """SCRAM-SHA-512 password, with SASL_SSL."""
    kafka_ca_file: str = ""
    """Certificate authority of the brokers, when it is not a public one."""
    http_host: str = "127.0.0.1"
    """Address to listen on."""
    http_port: int
    """Port to listen on."""
    log_level: str = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""
    log_format: str = "json"
    """`json` for machines, `console` for people."""
