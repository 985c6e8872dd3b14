"""What quittances need from the outside."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol
from uuid import UUID

from reconciliation.domain.receipts import PaidPart, Receipt, ReceiptName
from shared.events import InvoicePublished


class ReceiptBook(Protocol):
    """Quittances and what waits for one, within one transaction."""

    async def keep_words(self, invoices: Sequence[InvoicePublished]) -> None:
        """Keep what a quittance says of each invoice, as its highest version says it."""
        ...

    async def wait(self, names: Sequence[ReceiptName]) -> None:
        """Note that these want a quittance, unless they have one."""
        ...

    async def waiting_for(self, invoice_ids: Sequence[UUID]) -> list[UUID]:
        """Return the payments that wait for one of these invoices."""
        ...

    async def lock_waiting(self, payment_ids: Sequence[UUID]) -> list[ReceiptName]:
        """Return what waits of these payments, locked until the transaction ends."""
        ...

    async def parts(self, payment_ids: Sequence[UUID]) -> list[PaidPart]:
        """Return what the books hold of these payments."""
        ...

    async def give(self, due: Sequence[tuple[PaidPart, ...]], year: int, at: datetime) -> None:
        """Give a quittance for each group of parts, in order, at the next numbers of its régie."""
        ...

    async def stop_waiting(self, names: Sequence[ReceiptName]) -> None:
        """Note that these want no quittance any more."""
        ...


class Receipts(Protocol):
    """Quittances as they are read."""

    async def of_payment(self, payment_id: UUID) -> list[Receipt]:
        """Return the quittances of a payment, with what went back since."""
        ...

    async def of_year(
        self, authority: str, year: int, invoice_ids: Sequence[UUID]
    ) -> list[Receipt]:
        """Return what was paid for some invoices in a year, oldest first."""
        ...


OpenReceipts = Callable[[], AbstractAsyncContextManager[Receipts]]


class Printer(Protocol):
    """Sets quittances as PDF, off the event loop."""

    async def receipt(self, receipt: Receipt, *, is_extract: bool, is_named: bool) -> bytes:
        """Return a quittance; as an extract it tells that the payment was for more than it shows.

        Who owes stands on it only if `is_named`, and the numbers of the invoices, which with their
        sums open them on the portal.
        """
        ...

    async def statement(self, receipts: Sequence[Receipt], year: int, at: datetime) -> bytes:
        """Return an attestation of what was paid to one authority in a year."""
        ...
