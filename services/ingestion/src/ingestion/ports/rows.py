"""What ingestion keeps, as it is read and written."""

from collections.abc import Mapping
from datetime import date, datetime
from uuid import UUID

import msgspec

from ingestion.domain import DepositStatus, PublishMode, Rejection, Release, Route
from ingestion.ports.reading import Document, Part
from shared.events import InvoiceGenerated


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
    """A deposit as it was received: who sent what, under which conditions.

    `attempts` counts the processes that took it over from one that fell silent.
    """

    deposit_id: UUID
    authority: str
    client: str
    regies: tuple[str, ...]
    idempotency_key: str | None
    body_sha256: str
    regie: str | None
    version: int | None
    publish: PublishMode
    publish_on: date | None
    is_dry_run: bool
    has_body: bool
    parts: Mapping[str, Part]
    size_bytes: int
    received_at: datetime
    attempts: int = 0


def body_key(deposit: DepositRow) -> str:
    """Return where the store keeps the body of a deposit until it is read."""
    return f"deposits/{deposit.deposit_id}/body"


def document_key(deposit: DepositRow, document: Document) -> str:
    """Return where the store keeps a file of a deposit."""
    return f"deposits/{deposit.deposit_id}/{document.sha256}.pdf"


class Totals(msgspec.Struct, kw_only=True):
    """What became of the lines of a deposit; `amount_cents` is what is new in them."""

    total: int = 0
    created: int = 0
    unchanged: int = 0
    superseded: int = 0
    rejected: int = 0
    amount_cents: int = 0


class DepositProgress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a deposit is, as its owner sees it."""

    deposit_id: UUID
    authority: str
    regies: tuple[str, ...]
    status: DepositStatus
    format: str
    received_at: datetime
    is_dry_run: bool
    size_bytes: int
    read_bytes: int
    totals: Totals
    publish: PublishMode
    publish_on: date | None
    release: Release
    mapping: Mapping[str, str]
    problem: Rejection | None


class InvoiceRow(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice as ingestion holds it."""

    invoice_id: UUID
    authority: str
    regie: str
    number: str
    version: int
    fingerprint: str
    state: str
    kind: str
    amount_cents: int
    deposit_id: UUID | None
    position: int | None
    reason: str | None
    changed_at: datetime


class HeldInvoice(msgspec.Struct, frozen=True, kw_only=True):
    """An accepted invoice that waits to be released, and the row that it replaced."""

    position: int
    event: InvoiceGenerated
    earlier: InvoiceRow | None


class RegieTotal(msgspec.Struct, frozen=True, kw_only=True):
    """What a deposit holds for one régie, in cents."""

    regie: str
    count: int
    amount_cents: int


class PublicationState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far publication is with an invoice, in its own words."""

    state: str
    published_version: int | None = None
    published_at: datetime | None = None
    readable_until: date | None = None
    public_url: str | None = None
    refusal_code: str | None = None
    refusal_detail: str | None = None
