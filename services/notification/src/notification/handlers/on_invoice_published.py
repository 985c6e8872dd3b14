"""An invoice can be read, and if it is owed paid."""

from collections.abc import Sequence

from notification.domain import Invoice, Parked, Publication, newest
from notification.handlers.joining import tell_or_park, tell_parked
from notification.ports import Office
from shared.envelope import Message
from shared.events import InvoicePublished


async def on_invoice_published(
    messages: Sequence[Message[InvoicePublished]], office: Office
) -> None:
    """Tell the payer of each new version, and whatever waited for it."""
    highest = newest([Invoice.of(message.data) for message in messages])
    known = await office.lock_invoices(highest)
    fresh = [
        invoice
        for name, invoice in highest.items()
        if name not in known or known[name].version < invoice.version
    ]
    traces = {(m.data.invoice_id, m.data.version): m.traceparent for m in messages}
    facts: list[Parked] = [
        Publication(
            traceparent=traces[invoice.invoice_id, invoice.version],
            invoice_id=invoice.invoice_id,
            version=invoice.version,
        )
        for invoice in fresh
    ]
    await office.keep_invoices(fresh)
    await tell_or_park(facts, office)
    await tell_parked([invoice.invoice_id for invoice in fresh], office)
