"""An invoice can be shown."""

from collections.abc import Sequence

from gateway.ports import ReadModel
from shared.envelope import Message
from shared.events import InvoicePublished


async def on_invoice_published(
    messages: Sequence[Message[InvoicePublished]], portal: ReadModel
) -> None:
    """Show it; a higher version in place of a lower one."""
    await portal.keep_invoices([message.data for message in messages])
