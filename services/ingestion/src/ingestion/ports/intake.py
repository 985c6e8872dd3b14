"""A deposit on its way in: what came, from whom, under which conditions."""

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Protocol

import msgspec

from ingestion.domain import PublishMode
from ingestion.ports.reading import Part
from shared.errors import DomainError

LEASE = timedelta(seconds=60)
"""How long a deposit whose reader fell silent is left to it."""


class LostClaimError(DomainError):
    """Another process reads this deposit now."""

    slug = "lost-claim"


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """Who deposits, and what they asked for beside the invoices themselves."""

    authority: str
    client: str
    regies: tuple[str, ...]
    idempotency_key: str | None = None
    regie: str | None = None
    version: int | None = None
    publish: PublishMode = PublishMode.AUTO
    publish_on: date | None = None
    is_dry_run: bool = False


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """What came, as it lies on this machine: `body` if there is one, `documents` by SHA-256."""

    body: Path | None
    parts: Mapping[str, Part]
    documents: Mapping[str, Path]
    size_bytes: int
    sha256: str


class Incoming(Protocol):
    """What came, on this machine."""

    @property
    def folder(self) -> Path:
        """Where it is."""
        ...

    @property
    def declared(self) -> str:
        """The media type of the body."""
        ...

    @property
    def received(self) -> Received:
        """What came."""
        ...

    async def discard(self) -> None:
        """Remove it from this machine."""
        ...
