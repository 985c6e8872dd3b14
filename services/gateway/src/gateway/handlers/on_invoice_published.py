"""An invoice can be shown."""

from collections.abc import Sequence

from gateway.ports import ReadModel
from gateway.ports.links import disappearances
from shared.envelope import Message
from shared.events import InvoiceAppeared, InvoicePublished


async def on_invoice_published(
    messages: Sequence[Message[InvoicePublished]], portal: ReadModel
) -> None:
    """Show it, a higher version in place of a lower one; tell each account that sees it now.

    A version is new once: delivered again, it is told to nobody. Whom a lower version was shown to
    and this one is not, because its payer is another, is told no more about it.
    """
    published = [message.data for message in messages]
    named = sorted({invoice.invoice_id for invoice in published})
    before = await portal.viewers(named)
    shown = await portal.keep_invoices(published)
    if not shown and not before:
        return
    await portal.keep_payer_identities(shown, portal.now())
    await portal.hold_sights()
    after = await portal.viewers(named)
    now = portal.now()
    by_id = {invoice.invoice_id: invoice for invoice in shown}
    await portal.publish(
        *(
            InvoiceAppeared(
                invoice_id=viewer.invoice_id,
                version=by_id[viewer.invoice_id].version,
                account_id=viewer.account_id,
                authority=by_id[viewer.invoice_id].authority,
                regie=by_id[viewer.invoice_id].regie,
                kind=by_id[viewer.invoice_id].kind,
                appeared_at=now,
                until=viewer.until,
            )
            for viewer in after
            if viewer.invoice_id in by_id
        ),
        *disappearances(before, after, now),
    )
