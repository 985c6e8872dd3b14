"""What the handlers need from the outside."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID

import msgspec

from publication.domain import FolderState, Letter, Pages, Standing
from shared.envelope import Message
from shared.errors import DomainError, PermanentError, TransientError
from shared.events import Event, InvoiceGenerated, InvoicePublished
from shared.events.authority_configured import AuthorityConfigured
from shared.events.invoice_generated import StoredFile


class BindingError(PermanentError):
    """A file cannot go into a print run; the message is a stable code."""

    slug = "binding"


class UnpublishableError(DomainError):
    """The invoice would be refused; `code` is that of `invoice.refused`."""

    slug = "unpublishable"

    def __init__(self, code: str, sentence: str) -> None:
        """Refuse with the code and the French sentence that the biller would get."""
        super().__init__(code, sentence)
        self.code = code
        self.sentence = sentence


class UndrawableError(DomainError):
    """A document, or a page of it, cannot be shown as a picture; the message is a stable code."""

    slug = "undrawable"


class PressAwayError(TransientError):
    """No process can open a document now, or too many wait for one."""

    slug = "press-away"


class UnknownDepositError(DomainError):
    """No invoice of that deposit came for a régie of the caller."""

    slug = "unknown-deposit"


class NotReadyError(DomainError):
    """Invoices of the deposit are still being made."""

    slug = "not-ready"

    def __init__(self, progress: "Progress") -> None:
        """Say how far it is."""
        super().__init__(f"{progress.waiting} waiting")
        self.progress = progress


class PrintRunFailedError(TransientError):
    """The merged file could not be made; asking again tries again."""

    slug = "print-run-failed"


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

    async def count_arrived(self, invoices: Sequence[InvoiceGenerated]) -> None:
        """Remember of which deposit and régie these are, whatever becomes of each."""
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

    `print_file` is None when the document itself is printed; `pages` counts what is printed.
    """

    document: bytes = b""
    print_file: bytes | None = None
    pages: int = 0
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


class PublishedPaper(msgspec.Struct, frozen=True, kw_only=True):
    """What was made and stored for a claim: the fact, and the file that is printed."""

    event: InvoicePublished
    deposit_id: UUID
    printed: StoredFile
    pages: int


class PublishingFolders(Protocol):
    """The folders as the workers need them."""

    async def claim(
        self, *, instance: str, now: datetime, lease: timedelta, limit: int
    ) -> list[Claim]:
        """Hold at most `limit` waiting invoices for `instance` until the lease ends."""
        ...

    async def publish(self, published: Sequence[PublishedPaper]) -> set[UUID]:
        """Make documents public; return those still wanted."""
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


class PreviewMaker(Protocol):
    """Makes paper that is shown and never kept."""

    async def preview(self, claim: Claim, original: bytes | None) -> Paper:
        """Return the paper of a claim, each page marked as one that was not published."""
        ...


class PageMaker(Protocol):
    """Looks at the pages of a published document and draws them, off the event loop.

    Both raise:
        UndrawableError: it cannot be read within the limits.
        PressAwayError: nobody can look now.
    """

    async def look(self, pdf: bytes, widest: int) -> Pages:
        """Return its pages, drawn `widest` pixels wide."""
        ...

    async def draw(self, pdf: bytes, number: int, width: int) -> bytes:
        """Return the picture of a page, from 1."""
        ...


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """Which print run is asked for.

    `expected` is how many invoices the deposit has, 0 when the caller cannot tell.
    """

    deposit_id: UUID
    expected: int = 0
    is_duplex: bool = False


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How many invoices of a deposit are still to be made, were published, were refused."""

    waiting: int
    published: int
    refused: int


class PrintFile(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A file that goes into a print run, and what it must hold."""

    key: str
    pages: int
    size_bytes: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a merged file is made of, in order."""

    is_duplex: bool
    files: tuple[PrintFile, ...]


class PrintRunState(StrEnum):
    """Where a merged file stands."""

    WANTED = "wanted"
    MADE = "made"
    FAILED = "failed"


class PrintRunStanding(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a merged file that was asked for."""

    state: PrintRunState
    size_bytes: int = 0
    failure: str = ""


class PrintRunClaim(msgspec.Struct, frozen=True, kw_only=True):
    """A merged file to make, held for this replica."""

    key: str
    manifest: Manifest
    attempts: int


class PrintRuns(Protocol):
    """The print runs, within one transaction."""

    async def parts(self, deposit_id: UUID) -> dict[tuple[str, str], int]:
        """Return how many invoices of a deposit arrived, by authority and régie."""
        ...

    async def progress(self, deposit_id: UUID, regies: Sequence[str]) -> Progress:
        """Return how far the publication of a deposit is, for these régies."""
        ...

    async def letters(self, deposit_id: UUID, regies: Sequence[str]) -> list[Letter]:
        """Return what is to be posted of a deposit, for these régies, in no useful order."""
        ...

    async def find(self, key: str) -> PrintRunStanding | None:
        """Return what became of a merged file, or None when nobody asked for it."""
        ...

    async def ask(self, key: str, deposit_id: UUID, manifest: Manifest) -> None:
        """Want a merged file, unless it is wanted or there already."""
        ...

    async def forget(self, key: str, state: PrintRunState) -> None:
        """Forget a merged file that stands so: it may be asked for again."""
        ...

    async def claim(
        self, *, instance: str, now: datetime, lease: timedelta, limit: int
    ) -> list[PrintRunClaim]:
        """Hold at most `limit` wanted files for `instance` until the lease ends."""
        ...

    async def renew(self, key: str, instance: str, until: datetime) -> bool:
        """Hold a file longer; False when it is not wanted from `instance` any more."""
        ...

    async def made(self, key: str, instance: str, size_bytes: int) -> bool:
        """Record that a file is stored; False when it is not wanted any more."""
        ...

    async def failed(self, key: str, instance: str, failure: str) -> None:
        """Record that a file cannot be made as it was asked for."""
        ...


OpenPrintRuns = Callable[[], AbstractAsyncContextManager[PrintRuns]]
Fetch = Callable[[str], Awaitable[bytes]]


class Binder(Protocol):
    """Merges files, off the event loop and in bounded memory."""

    def bind(self, manifest: Manifest, fetch: Fetch) -> AsyncIterator[bytes]:
        """Yield the merged file piece by piece.

        Raises:
            BindingError: one of the files cannot be merged.
        """
        ...


class Archive(Protocol):
    """The object store, for files too large to be held in memory."""

    async def get(self, key: str) -> bytes:
        """Return the content of `key`, or raise MissingObjectError."""
        ...

    async def put_pieces(self, key: str, pieces: AsyncIterator[bytes]) -> int:
        """Store what comes piece by piece and return its size in bytes."""
        ...

    async def delete(self, key: str) -> None:
        """Remove `key`."""
        ...
