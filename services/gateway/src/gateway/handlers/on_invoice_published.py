"""An invoice can be shown."""

from collections.abc import Sequence

from gateway.ports import ReadModel
from shared.envelope import Message
from shared.events import InvoiceAppeared, InvoicePublished


async def on_invoice_published(
    messages: Sequence[Message[InvoicePublished]], portal: ReadModel
) -> None:
    """Show it, a higher version in place of a lower one; tell each account that sees it now.

    A version is new once: delivered again, it is told to nobody.
    """
    shown = await portal.keep_invoices([message.data for message in messages])
    if not shown:
        return
    now = portal.now()
    await portal.keep_payer_identities(shown, now)
    by_id = {invoice.invoice_id: invoice for invoice in shown}
    await portal.publish(
        *(
            InvoiceAppeared(
                invoice_id=invoice_id,
                version=by_id[invoice_id].version,
                account_id=account_id,
                authority=by_id[invoice_id].authority,
                regie=by_id[invoice_id].regie,
                kind=by_id[invoice_id].kind,
                appeared_at=now,
            )
            for invoice_id, account_id in await portal.viewers(list(by_id))
        )
    )
