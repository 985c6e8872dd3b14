"""What the handlers need from the outside."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date, datetime, timedelta
from typing import Protocol
from uuid import UUID

import msgspec

from publication.domain import FolderState, Standing
from shared.envelope import Message
from shared.events import Event, InvoiceGenerated, InvoicePublished
from shared.events.authority_configured import AuthorityConfigured
from shared.events.invoice_generated import StoredFile


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """One invoice to publish, held for this replica."""

    request: InvoiceGenerated
    cause: Message[InvoiceGenerated]
    token: str
    attempts: int


class Folder(msgspec.Struct, frozen=True, kw_only=True):
    """A folder as the doors show it."""

    invoice_id: UUID
    authority: str
    regie: str
    version: int
    state: FolderState
    token: str
    refusal_code: str | None
    refusal_detail: str | None
    published_version: int | None
    published_at: datetime | None
    readable_until: date | None
    document_key: str | None
    document_size_bytes: int | None
    document_sha256: str | None
    print_key: str | None


class Folders(Protocol):
    """The folders, within one transaction."""

    async def lock(self, invoice_ids: Sequence[UUID]) -> dict[UUID, Standing]:
        """Return the standing of those that exist, locked until the transaction ends."""
        ...

    async def keep_requests(self, requests: Sequence[Message[InvoiceGenerated]]) -> None:
        """Put each request in its folder, waiting for a worker; an older one is replaced."""
        ...

    async def withdraw(self, withdrawals: Sequence[tuple[UUID, str, str, int]]) -> None:
        """Close folders (invoice, authority, régie, version) and let go of their files."""
        ...

    async def keep_places(self, configured: AuthorityConfigured) -> None:
        """Remember where each régie wants its stamp, unless a newer revision is known."""
        ...

    async def find(self, invoice_id: UUID) -> Folder | None:
        """Return a folder, or None."""
        ...


Reading = Callable[[], AbstractAsyncContextManager[Folders]]


class Paper(msgspec.Struct, frozen=True, kw_only=True):
    """The documents made for a claim, or why there are none.

    `print_file` is None when the document itself is printed.
    """

    document: bytes = b""
    print_file: bytes | None = None
    refusal_code: str = ""
    refusal_detail: str = ""


class PaperMaker(Protocol):
    """Makes paper, off the event loop."""

    async def make(
        self, claims: Sequence[Claim], originals: Sequence[bytes | None]
    ) -> list[Paper | None]:
        """Return the paper of each claim, in order; None for one that is to be tried again."""
        ...


class Shelf(Protocol):
    """The object store."""

    async def put(self, key: str, content: bytes) -> StoredFile:
        """Store a file and return its description."""
        ...

    async def get_checked(self, file: StoredFile) -> bytes:
        """Return a file as it was announced, or raise MissingObjectError, CorruptObjectError."""
        ...


class PublishingFolders(Protocol):
    """The folders as the workers need them."""

    async def claim(
        self, *, instance: str, now: datetime, lease: timedelta, limit: int
    ) -> list[Claim]:
        """Hold at most `limit` waiting invoices for `instance` until the lease ends."""
        ...

    async def publish(self, published: Sequence[tuple[InvoicePublished, str]]) -> set[UUID]:
        """Make documents public, each with its print key; return those still wanted."""
        ...

    async def refuse(self, invoice_id: UUID, version: int, code: str, detail: str) -> bool:
        """Close the folder with a reason; False when it was not waited for any more."""
        ...

    async def discard(self, keys: Sequence[str]) -> None:
        """Let go of objects: they are removed from the store later."""
        ...

    async def postpone(self, invoice_ids: Sequence[UUID], until: datetime) -> None:
        """Leave invoices alone until then."""
        ...


class PublishingUnit(Protocol):
    """One transaction: folders and outbox commit together."""

    @property
    def folders(self) -> PublishingFolders:
        """The folders within this transaction."""
        ...

    async def publish(self, events: Sequence[tuple[Event, Message[InvoiceGenerated]]]) -> None:
        """Add events, each with the message that caused it, to the outbox."""
        ...
