"""What the gateway asks about documents: their pages, and the receipts of payments."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec


class PageSize(msgspec.Struct, frozen=True, kw_only=True):
    """A page, from 1, and how large its widest picture is, in pixels."""

    number: int
    width: int
    height: int


class DocumentPages(msgspec.Struct, frozen=True, kw_only=True):
    """The pages of a published PDF, and the text of each."""

    pages: tuple[PageSize, ...]
    text: tuple[str, ...]


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """A page as a WebP picture, and the name under which a browser may know it (RFC 9110, 8.8.3).

    `content` is None when that is the name that the browser showed: it has the picture.
    """

    etag: str
    content: bytes | None = None


class ReceiptView(msgspec.Struct, frozen=True, kw_only=True):
    """A quittance, as far as pages tell of it."""

    payment_id: UUID
    number: str
    amount_cents: int
    returned_cents: int
    issued_at: datetime


class Receipts(msgspec.Struct, frozen=True, kw_only=True):
    """The quittances of a payment: one for each régie, none on the treasury's route."""

    items: tuple[ReceiptView, ...] = ()


class StatementDemand(msgspec.Struct, frozen=True, kw_only=True):
    """What an attestation is to list: payments of a year, of one authority, for some invoices."""

    authority: str
    year: int
    invoice_ids: tuple[UUID, ...]


class PaidYear(msgspec.Struct, frozen=True, kw_only=True):
    """An authority to which an account's invoices were paid in a year."""

    authority: str
    authority_name: str
    year: int


class DocumentServices(Protocol):
    """Calls to publication and reconciliation; they raise what those of `OtherServices` do."""

    async def pages(self, invoice_id: UUID) -> DocumentPages:
        """Return the pages of a published PDF."""
        ...

    async def picture(self, invoice_id: UUID, number: int, width: int, known: str) -> Picture:
        """Return the picture of a page, unless `known` is its name."""
        ...

    async def receipts(self, payment_id: UUID) -> Receipts:
        """Return the quittances of a payment."""
        ...

    async def receipt(
        self, payment_id: UUID, invoice_ids: Sequence[UUID], *, is_named: bool
    ) -> bytes:
        """Return the quittance of a payment as PDF, of these invoices alone.

        Who owes and the numbers of the invoices stand on it only if `is_named`.
        """
        ...

    async def statement(self, demand: StatementDemand) -> bytes:
        """Return an attestation of what was paid, as PDF."""
        ...


class DocumentRows(Protocol):
    """What is read of payments for documents, within one transaction."""

    async def own_parts(self, account_id: UUID, payment_id: UUID) -> dict[UUID, bool]:
        """Return which invoices of a payment an account sees, and whether it may read each."""
        ...

    async def paid_years(self, invoice_ids: Sequence[UUID]) -> list[PaidYear]:
        """Return to which authorities and in which years some invoices were paid, newest first."""
        ...

    async def is_sealed(
        self, authority: str, invoice_id: UUID, browser: str, now: datetime
    ) -> bool:
        """Tell whether an authority asks for more than the code, which this browser did not give.

        An authority that is not set here asks for nothing.
        """
        ...
