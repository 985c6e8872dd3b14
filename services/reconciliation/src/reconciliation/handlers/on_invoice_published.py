"""An invoice is owed."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from reconciliation.domain.ledger import InvoiceFacts, publish
from reconciliation.domain.receipt_ports import ReceiptBook
from reconciliation.handlers.bookkeeping import Fact, book
from reconciliation.handlers.give_receipts import receipt_invoices
from reconciliation.ports import Books, NamedInvoice
from shared.envelope import Message
from shared.events import InvoicePublished


async def on_invoice_published(
    messages: Sequence[Message[InvoicePublished]],
    books: Books,
    receipts: ReceiptBook,
    at: datetime,
) -> None:
    """Book the claim; of a higher version, what it changes; receipt what was paid before."""
    await book([_fact(message.data) for message in messages], books, at)
    await receipt_invoices([message.data for message in messages], receipts, at)


def _fact(invoice: InvoicePublished) -> Fact:
    facts = InvoiceFacts(
        regie=invoice.regie,
        number=invoice.number,
        kind=invoice.kind,
        route=invoice.route,
        amount_cents=invoice.amount_cents,
        due_on=invoice.due_on,
    )
    return Fact(
        name=f"published:{invoice.invoice_id}:{invoice.version}",
        kind="invoice",
        invoice=NamedInvoice(
            invoice_id=invoice.invoice_id,
            authority=invoice.authority,
            regie=invoice.regie,
            number=invoice.number,
        ),
        apply=partial(publish, version=invoice.version, facts=facts),
    )
