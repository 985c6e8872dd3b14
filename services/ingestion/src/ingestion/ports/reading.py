"""What a format reader is given and yields, and what the rest of the service sees of it."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import BinaryIO, Protocol
from uuid import UUID

import msgspec

from ingestion.domain import InvoiceDraft, Regie, Rejection, Route


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a deposit as a format reader found it.

    `place` says where it stands, in the file's own words and as a path: `/invoices/3`, `/rows/12`,
    `/Bordereau[1]/Piece[4]`. The pointer of a rejection is relative to it. `fields` gives the names
    that the file itself has for fields of the draft, by pointer: `{"/due_on": "Échéance"}`; what
    `domain.validate` finds is shown to the biller under these names.
    """

    place: str
    found: InvoiceDraft | Rejection
    fields: Mapping[str, str] = {}


class ReadingContext(Protocol):
    """What a format reader may know and do beside reading its bytes."""

    @property
    def regie(self) -> str | None:
        """Code of the régie that the address names, for formats that name none themselves."""
        ...

    @property
    def mapping(self) -> Mapping[str, str]:
        """Column of each field in a table, as remembered for the régie; empty if nothing is."""
        ...

    def route(self, regie: str) -> Route:
        """Return how a régie is paid; `regie` for one that the authority does not have."""
        ...

    def keep_document(self, content: bytes) -> str | Rejection:
        """Keep a PDF found inside the file; return its SHA-256, for `InvoiceDraft.pdf`.

        A file that is no PDF, is encrypted or is too large is not kept: the refusal is returned,
        its pointer being `/pdf`.
        """
        ...

    def remember_mapping(self, mapping: Mapping[str, str]) -> None:
        """Say which column each field of a table was read from."""
        ...


FormatReader = Callable[[BinaryIO, ReadingContext], Iterator[Entry]]
"""Reads one format as a stream, in bounded memory, from a seekable file at its beginning.

One line's fault is that line's `Rejection`; only what makes the whole file unusable raises
`UnreadableDepositError`, at any time: nothing of the deposit is kept then. Runs in a process of its
own, which may be ended when it takes too much memory or time.
"""


SMALL_BYTES = 4_194_304
"""Deposits up to this size are read beside the larger ones and never wait for them."""


class Document(msgspec.Struct, frozen=True, array_like=True):
    """A PDF that came with a deposit: its SHA-256 in hexadecimal and its size in bytes."""

    sha256: str
    size_bytes: int


Part = Document | Rejection
"""A file beside the body of a deposit, or why it cannot be used."""


def usable_documents(parts: Mapping[str, Part]) -> dict[str, Document]:
    """Return the usable files among parts, by SHA-256."""
    return {part.sha256: part for part in parts.values() if isinstance(part, Document)}


class CheckedLine(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One line once read and checked by the rules: a draft to record, or why there is none.

    `place` is where it stands; the pointer of a rejection is relative to it. `regie` and `number`
    are what a refused line said of itself.
    """

    place: str
    draft: InvoiceDraft | None = None
    rejection: Rejection | None = None
    invoice_id: UUID | None = None
    fingerprint: str = ""
    document: Document | None = None
    regie: str | None = None
    number: str | None = None


class ReadingJob(msgspec.Struct, frozen=True, kw_only=True):
    """A deposit to read: its files in `folder`, and all that reading and checking need to know.

    `declared` is the media type that its body came with.
    """

    folder: Path
    has_body: bool
    size_bytes: int
    declared: str
    parts: Mapping[str, Part]
    authority: str
    regie: str | None
    version: int | None
    regies: Mapping[str, Regie]
    mapping: Mapping[str, str]
    today: date
    document_maximum_bytes: int
    seconds: int


class ReadingResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of reading: `problem` says why nothing did."""

    format: str
    total: int = 0
    mapping: Mapping[str, str] = {}
    problem: Rejection | None = None


class Reader(Protocol):
    """Reads deposits in other processes."""

    async def read(
        self, job: ReadingJob, progress: Callable[[int, int], Awaitable[None]]
    ) -> ReadingResult:
        """Read a deposit; `progress` is told bytes and lines read from time to time."""
        ...

    def lines(self, folder: Path) -> Iterator[Sequence[CheckedLine]]:
        """Yield the lines of a deposit that was read in `folder`, in order, in batches."""
        ...
