"""A document turned out not to be publishable."""

from collections.abc import Sequence

from ingestion.ports import Deposits
from shared.envelope import Message
from shared.events import InvoiceRefused


async def on_invoice_refused(
    messages: Sequence[Message[InvoiceRefused]], deposits: Deposits
) -> None:
    """Reject the line after all, with the code that the biller needs."""
    await deposits.refuse([message.data for message in messages])
