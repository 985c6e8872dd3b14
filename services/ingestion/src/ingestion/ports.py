"""What the rest of ingestion needs from the outside, and in which shapes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date, datetime
from typing import BinaryIO, Protocol
from uuid import UUID

import msgspec

from ingestion.domain import InvoiceDraft, Known, Rejection, Route
from shared.events import Event, InvoiceRefused
from shared.events.authority_configured import AuthorityConfigured
from shared.events.invoice_generated import StoredFile


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


class RegieRow(msgspec.Struct, frozen=True, kw_only=True):
    """A régie as the authority configured it."""

    code: str
    label: str
    route: Route


class AuthorityRow(msgspec.Struct, frozen=True, kw_only=True):
    """An authority and its régies, by code."""

    name: str
    regies: Mapping[str, RegieRow]


class LineRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a deposit and what became of it."""

    position: int
    regie: str | None = None
    number: str | None = None
    invoice_id: UUID | None = None
    version: int | None = None
    status: str
    code: str | None = None
    pointer: str | None = None
    message: str | None = None


class DepositRow(msgspec.Struct, frozen=True, kw_only=True):
    """A deposit and the totals of its lines."""

    deposit_id: UUID
    authority: str
    format: str
    received_at: datetime
    total: int
    created: int
    unchanged: int
    superseded: int
    rejected: int


class InvoiceRow(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice as ingestion holds it."""

    invoice_id: UUID
    authority: str
    regie: str
    number: str
    version: int
    state: str
    kind: str
    amount_cents: int
    deposit_id: UUID | None
    reason: str | None
    changed_at: datetime


class KeptInvoice(msgspec.Struct, frozen=True, kw_only=True):
    """A version that a deposit brings."""

    invoice_id: UUID
    version: int
    fingerprint: str
    kind: str
    amount_cents: int


class OpenedDeposit(msgspec.Struct, frozen=True, kw_only=True):
    """A deposit as it is received."""

    deposit_id: UUID
    authority: str
    client: str
    idempotency_key: str | None
    body_sha256: str
    format: str
    received_at: datetime


class ReceivedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A PDF that came with a deposit, under the name of its part."""

    name: str
    sha256: str
    content: bytes


class ReceivedDeposit(msgspec.Struct, frozen=True, kw_only=True):
    """A deposit once read: drafts and refusals in order, and the files by part name.

    `refused_files` says why a part cannot be used, by its name.
    """

    authority: str
    client: str
    regies: tuple[str, ...] | None
    idempotency_key: str | None
    body_sha256: str
    format: str
    lines: tuple[InvoiceDraft | Rejection, ...]
    files: Mapping[str, ReceivedFile]
    refused_files: Mapping[str, Rejection]


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a deposit."""

    deposit_id: UUID
    total: int
    created: int
    unchanged: int
    superseded: int
    rejected: int


class PublicationState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far publication is with an invoice, in its own words."""

    state: str
    published_version: int | None = None
    published_at: datetime | None = None
    readable_until: date | None = None
    public_url: str | None = None
    refusal_code: str | None = None
    refusal_detail: str | None = None


class Deposits(Protocol):
    """Deposits and invoices, within one transaction."""

    async def keep_authority(self, configured: AuthorityConfigured) -> None:
        """Replace what is known of an authority, unless a newer revision is known."""
        ...

    async def authority(self, authority: str) -> AuthorityRow | None:
        """Return an authority with its régies, or None while it is not configured."""
        ...

    async def earlier_deposit(
        self, authority: str, client: str, idempotency_key: str
    ) -> tuple[UUID, str] | None:
        """Return the deposit made under that key and the SHA-256 of its body."""
        ...

    async def open_deposit(self, deposit: OpenedDeposit) -> bool:
        """Record a deposit; False when another one has the same idempotency key."""
        ...

    async def lock_invoices(
        self, authority: str, places: Mapping[UUID, tuple[str, str]], now: datetime
    ) -> dict[UUID, Known]:
        """Hold the invoices (régie, number) by id; return those of which a version is held."""
        ...

    async def keep_invoices(
        self, deposit_id: UUID, invoices: Sequence[KeptInvoice], now: datetime
    ) -> None:
        """Replace the held versions by these."""
        ...

    async def remove_unused_places(self, invoice_ids: Sequence[UUID]) -> None:
        """Give back places that no version came to take."""
        ...

    async def add_lines(self, deposit_id: UUID, lines: Sequence[LineRow]) -> None:
        """Record what became of each line."""
        ...

    async def refuse(self, refusals: Sequence[InvoiceRefused]) -> None:
        """Turn created lines into rejected ones, and let the same version be sent again."""
        ...

    async def withdraw(self, invoice_id: UUID, reason: str, now: datetime) -> None:
        """Mark an invoice as taken back."""
        ...

    async def find_deposit(self, deposit_id: UUID) -> DepositRow | None:
        """Return a deposit with its totals, or None."""
        ...

    async def find_lines(
        self, deposit_id: UUID, status: str | None, after: int, limit: int
    ) -> list[LineRow]:
        """Return at most `limit` lines beyond position `after`, in order."""
        ...

    async def find_invoice(self, invoice_id: UUID, *, lock: bool = False) -> InvoiceRow | None:
        """Return an invoice, locked until the transaction ends if asked, or None."""
        ...


class Unit(Protocol):
    """One transaction: what is done to the deposits and what is published commit together."""

    @property
    def deposits(self) -> Deposits:
        """Deposits and invoices within this transaction."""
        ...

    async def publish(self, events: Sequence[Event]) -> None:
        """Add events to the outbox."""
        ...


OpenUnit = Callable[[], AbstractAsyncContextManager[Unit]]


class Files(Protocol):
    """The object store."""

    async def put(self, key: str, content: bytes) -> StoredFile:
        """Store a file and return its description."""
        ...

    async def delete(self, key: str) -> None:
        """Remove a file; nothing there is fine."""
        ...
