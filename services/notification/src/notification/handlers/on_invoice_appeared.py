"""An invoice, or a new version of it, appeared in somebody's account."""

from collections.abc import Sequence

from notification.domain import appearance_of, view_begun_by
from notification.handlers.joining import tell_or_park
from notification.ports import Office
from shared.envelope import Message
from shared.events import InvoiceAppeared


async def on_invoice_appeared(messages: Sequence[Message[InvoiceAppeared]], office: Office) -> None:
    """Remember who sees the invoice; tell the account's devices and its address if it is new."""
    events = [message.data for message in messages]
    await office.lock_invoices({event.invoice_id for event in events})
    await office.lock_accounts({event.account_id for event in events})
    await office.keep_views([view_begun_by(event) for event in events])
    await tell_or_park(
        [
            appearance_of(message.data, message.traceparent)
            for message in messages
            if message.data.is_new
        ],
        office,
    )
