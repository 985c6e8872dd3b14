"""Where ingestion keeps things: deposits and invoices within a transaction, files in the store."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Protocol
from uuid import UUID

from ingestion.domain import Rejection, Release
from ingestion.ports.reading import ReadingResult
from ingestion.ports.rows import (
    AuthorityRow,
    DepositProgress,
    DepositRow,
    HeldInvoice,
    InvoiceRow,
    LineRow,
    RegieTotal,
    Totals,
)
from shared.events import Event, InvoiceRefused
from shared.events.authority_configured import AuthorityConfigured
from shared.events.invoice_generated import StoredFile


class Deposits(Protocol):
    """Deposits, within one transaction."""

    async def keep_authority(self, configured: AuthorityConfigured) -> None:
        """Replace what is known of an authority, unless a newer revision is known."""
        ...

    async def authority(self, authority: str) -> AuthorityRow | None:
        """Return an authority with its régies, or None while it is not configured."""
        ...

    async def kafka_biller(self, client_id: str) -> tuple[str, tuple[str, ...]] | None:
        """Return authority and régies of a client that deposits on a topic, or None."""
        ...

    async def earlier(
        self, authority: str, client: str, idempotency_key: str
    ) -> tuple[UUID, str] | None:
        """Return the deposit made under that key and the SHA-256 of its body."""
        ...

    async def open(self, deposit: DepositRow, *, instance: str, until: datetime) -> bool:
        """Record a deposit, held by `instance`; False when another one has its key."""
        ...

    async def claim(
        self, *, instance: str, own: Sequence[UUID], now: datetime, lease: timedelta, limit: int
    ) -> list[DepositRow]:
        """Hold deposits that nobody reads any more; `own` are those that this process reads."""
        ...

    async def report(self, deposit_id: UUID, *, read_bytes: int, total: int) -> None:
        """Say how far the reading is."""
        ...

    async def hold_claims(self, deposit_ids: Sequence[UUID], until: datetime) -> None:
        """Hold deposits that are being read until then."""
        ...

    async def add_lines(self, deposit_id: UUID, lines: Sequence[LineRow]) -> None:
        """Record what became of lines."""
        ...

    async def finish(
        self,
        deposit_id: UUID,
        *,
        instance: str,
        result: ReadingResult,
        totals: Totals,
        release: Release,
    ) -> bool:
        """Close the reading of a deposit; False when another process holds it now."""
        ...

    async def fail(self, deposit_id: UUID, *, instance: str, form: str, why: Rejection) -> bool:
        """Close a deposit of which nothing is kept, and let its idempotency key be used again."""
        ...

    async def refuse(self, refusals: Sequence[InvoiceRefused]) -> None:
        """Turn created lines into rejected ones, and let the same version be sent again."""
        ...

    async def progress(self, deposit_id: UUID, *, lock: bool = False) -> DepositProgress | None:
        """Return how far a deposit is, or None."""
        ...

    async def lines(
        self, deposit_id: UUID, status: str | None, after: int, limit: int
    ) -> list[LineRow]:
        """Return at most `limit` lines beyond position `after`, in order."""
        ...

    async def mapping(self, authority: str, regie: str) -> Mapping[str, str]:
        """Return the columns remembered for the tables of a régie."""
        ...

    async def keep_mapping(
        self, authority: str, regie: str, mapping: Mapping[str, str], now: datetime
    ) -> None:
        """Remember the columns of the tables of a régie."""
        ...

    async def release(self, deposit_id: UUID, release: Release) -> None:
        """Keep the new state of a held deposit."""
        ...

    async def due(self, today: date, limit: int) -> list[UUID]:
        """Return held deposits whose day has come, locked; another replica has the others."""
        ...


class Invoices(Protocol):
    """The invoices that are held, within one transaction."""

    async def lock(self, invoice_ids: Sequence[UUID]) -> dict[UUID, InvoiceRow]:
        """Return those that exist, locked until the transaction ends."""
        ...

    async def add(self, rows: Sequence[InvoiceRow]) -> int:
        """Add invoices; return how many were not there."""
        ...

    async def replace(self, rows: Sequence[InvoiceRow]) -> None:
        """Replace invoices by id."""
        ...

    async def remove(self, invoice_ids: Sequence[UUID]) -> None:
        """Remove invoices that were never published."""
        ...

    async def find(self, invoice_id: UUID, *, lock: bool = False) -> InvoiceRow | None:
        """Return an invoice, locked until the transaction ends if asked, or None."""
        ...

    async def hold(self, deposit_id: UUID, held: Sequence[HeldInvoice]) -> None:
        """Keep accepted invoices until they are released or dropped."""
        ...

    async def held(self, deposit_id: UUID, after: int, limit: int) -> list[HeldInvoice]:
        """Return held invoices beyond position `after`, in order."""
        ...

    async def held_backwards(
        self, deposit_id: UUID, before: int | None, limit: int
    ) -> list[HeldInvoice]:
        """Return held invoices ahead of position `before`, the last first."""
        ...

    async def held_sample(self, deposit_id: UUID, count: int) -> list[HeldInvoice]:
        """Return some held invoices, drawn at random."""
        ...

    async def drop_held(self, deposit_id: UUID) -> None:
        """Forget the held invoices of a deposit."""
        ...

    async def totals(self, deposit_id: UUID) -> list[RegieTotal]:
        """Return count and sum of what is held, by régie."""
        ...


class Unit(Protocol):
    """One transaction: what is done to the deposits and what is published commit together."""

    @property
    def deposits(self) -> Deposits:
        """Deposits within this transaction."""
        ...

    @property
    def invoices(self) -> Invoices:
        """Invoices within this transaction."""
        ...

    async def publish(self, events: Sequence[Event]) -> None:
        """Add events to the outbox."""
        ...


OpenUnit = Callable[[], AbstractAsyncContextManager[Unit]]


class Files(Protocol):
    """The object store."""

    async def put_file(self, key: str, path: Path, *, sha256: str, size_bytes: int) -> StoredFile:
        """Store a local file and return its description."""
        ...

    async def fetch_file(self, key: str, path: Path) -> None:
        """Write what is stored under `key` to a local file; raise MissingObjectError if nothing."""
        ...

    async def delete(self, key: str) -> None:
        """Remove a file; nothing there is fine."""
        ...
