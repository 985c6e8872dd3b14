"""What closed days and their files need from the outside."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date, datetime, timedelta
from typing import Protocol

import msgspec

from reconciliation.domain.closing import Movement, Progress, Total
from reconciliation.domain.collection_files import FileState, Layout, Row
from reconciliation.domain.destinations import Destination
from shared.errors import DomainError
from shared.events.invoice_generated import StoredFile


class FileSetting(msgspec.Struct, frozen=True, kw_only=True):
    """How a biller wants the file of a régie; `secrets` are sealed, `destination` has none."""

    authority: str
    regie: str
    layout: Layout
    destination: Destination
    secrets: bytes
    set_at: datetime


class CollectionFile(msgspec.Struct, frozen=True, kw_only=True):
    """The file of one régie's closed day."""

    authority: str
    regie: str
    day: date
    sequence: int
    name: str
    layout: Layout
    state: FileState
    storage_key: str
    size_bytes: int = 0
    sha256: str = ""
    control_sha256: str = ""
    attempts: int = 0
    next_at: datetime
    problem_code: str = ""
    problem_detail: str = ""
    planned_at: datetime
    made_at: datetime | None = None
    dropped_at: datetime | None = None


class UnknownDayError(DomainError):
    """The day of a régie is not closed, or was never one of its days: there is no file of it."""

    slug = "day-not-closed"


class NoDestinationError(DomainError):
    """Files of the régie are left nowhere."""

    slug = "no-destination"


class CollectionFiles(Protocol):
    """Closed days, settings and files, within one transaction."""

    async def authorities_to_close(self, last: date) -> list[str]:
        """Return the authorities that have a day up to `last` to close."""
        ...

    async def lock_days(self, authority: str) -> Progress:
        """Return how far an authority's days are closed; nothing enters its feed until the end."""
        ...

    async def progress(self, authority: str) -> Progress:
        """Return the same without a lock."""
        ...

    async def known_regies(self, authority: str, day: date) -> set[str]:
        """Return the régies that a day of the authority is closed for, whether money moved or not.

        They are those that were configured, had a row the day before, or have a file set.
        """
        ...

    async def movements(
        self, authority: str, regies: Sequence[str] | None, first: date, last: date
    ) -> list[Movement]:
        """Return what these régies, or all, recorded between two days, in feed order."""
        ...

    async def close(self, authority: str, day: date, totals: Sequence[Total], at: datetime) -> None:
        """Write a day's totals, for ever, and let nothing be recorded on it any more.

        The days of the authority must be locked, and this must be the next.
        """
        ...

    async def closed(
        self, authority: str, regies: Sequence[str], first: date, last: date
    ) -> list[Total]:
        """Return the totals of closed days, as they were written."""
        ...

    async def rows(self, authority: str, regie: str, day: date) -> list[Row]:
        """Return what one régie recorded on a day, in feed order."""
        ...

    async def settings(self, authority: str, regies: Sequence[str] | None) -> list[FileSetting]:
        """Return what is set for these régies, or for all of the authority."""
        ...

    async def keep_setting(self, setting: FileSetting) -> None:
        """Set what a régie's files look like from the next on, and try those that wait at once."""
        ...

    async def forget_setting(self, authority: str, regie: str) -> bool:
        """Make no file for a régie any more; tell whether any was made."""
        ...

    async def last_sequence(self, authority: str, regie: str) -> int:
        """Return the number of a régie's last file, or 0."""
        ...

    async def add(self, file: CollectionFile) -> None:
        """Plan a file; one for each régie and day."""
        ...

    async def find(self, authority: str, regie: str, day: date) -> CollectionFile | None:
        """Return a day's file, or None."""
        ...

    async def files(
        self,
        authority: str,
        regies: Sequence[str],
        *,
        day: date | None = None,
        before: date | None = None,
        limit: int,
    ) -> list[CollectionFile]:
        """Return files of a day, or of all those before one, the last days first."""
        ...

    async def claim(self, now: datetime, lease: timedelta, limit: int) -> list[CollectionFile]:
        """Hold files that are due until their lease ends; those that others hold are left out."""
        ...

    async def keep(self, file: CollectionFile) -> None:
        """Keep what became of a file."""
        ...


OpenFiles = Callable[[], AbstractAsyncContextManager[CollectionFiles]]


class Shelf(Protocol):
    """The object store."""

    async def put(self, key: str, content: bytes) -> StoredFile:
        """Store content under a key, replacing what was there."""
        ...

    async def get_checked(self, file: StoredFile) -> bytes:
        """Return the content of a file, whose SHA-256 is the one given.

        Raises:
            MissingObjectError: nothing there.
            CorruptObjectError: something else is.
        """
        ...


class Drops(Protocol):
    """Other people's servers, where files are left."""

    def check(self, destination: Destination) -> None:
        """Return when the destination is one that may be tried.

        Raises:
            DestinationError: a key that is none, an address that is not public, no secret.
        """
        ...

    async def leave(self, destination: Destination, files: Sequence[tuple[str, bytes]]) -> None:
        """Leave files in this order, each whole under its name or not at all.

        Leaving the same files again does no harm.

        Raises:
            DropError: not now; says why.
        """
        ...


class FileDesk(Protocol):
    """What billers ask for about their files."""

    async def set_up(
        self, authority: str, regie: str, layout: Layout, destination: Destination
    ) -> FileSetting:
        """Set what a régie's files look like and where they are left, from the next on.

        A destination that comes without its secrets keeps those it had, if it is the same place.

        Raises:
            LayoutError: the layout cannot be followed.
            DestinationError: the destination cannot be used.
        """
        ...

    async def order(self, authority: str, regie: str, day: date) -> CollectionFile:
        """Have a day's file left once more, as if it had never been tried; make it if need be.

        Raises:
            UnknownDayError: there is no file of that day, and none can be made.
            NoDestinationError: it is made, and there is nowhere to leave it.
        """
        ...


ReadFile = Callable[[CollectionFile], Awaitable[tuple[bytes, bytes]]]
"""Gives a file that was made, and what goes beside it."""
