"""Money that a régie took is receipted, in the very transaction that books it."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from reconciliation.domain.receipt_ports import ReceiptBook
from reconciliation.domain.receipts import ReceiptName, settle
from shared.clock import paris_date
from shared.events import InvoicePublished, PaymentCaptured


async def receipt_payments(
    payments: Sequence[PaymentCaptured], receipts: ReceiptBook, at: datetime
) -> None:
    """Give each payment its quittances; one of which an invoice is not known yet waits for it."""
    names = {
        ReceiptName(payment.payment_id, part.authority, part.regie)
        for payment in payments
        for part in payment.allocations
    }
    await receipts.wait(sorted(names))
    await _give([payment.payment_id for payment in payments], receipts, at)


async def receipt_invoices(
    invoices: Sequence[InvoicePublished], receipts: ReceiptBook, at: datetime
) -> None:
    """Keep the words of invoices, and receipt what was paid before they were known."""
    await receipts.keep_words(invoices)
    waiting = await receipts.waiting_for([invoice.invoice_id for invoice in invoices])
    await _give(waiting, receipts, at)


async def _give(payment_ids: Sequence[UUID], receipts: ReceiptBook, at: datetime) -> None:
    if not payment_ids:
        return
    # Two invoices of one payment may become known side by side: who comes second sees both.
    waiting = await receipts.lock_waiting(payment_ids)
    settled = settle(waiting, await receipts.parts(payment_ids))
    await receipts.give(settled.due, paris_date(at).year, at)
    await receipts.stop_waiting(settled.done)
