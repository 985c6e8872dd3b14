"""An invoice can be paid."""

from collections.abc import Sequence

from payment.ports import Invoices
from shared.envelope import Message
from shared.events import InvoicePublished


async def on_invoice_published(
    messages: Sequence[Message[InvoicePublished]], invoices: Invoices
) -> None:
    """Remember what is owed: amounts are computed from here, never taken from a browser."""
    await invoices.keep([message.data for message in messages])
