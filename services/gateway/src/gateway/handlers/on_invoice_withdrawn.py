"""An invoice was taken back."""

from collections.abc import Sequence

from gateway.ports import ReadModel
from shared.envelope import Message
from shared.events import InvoiceWithdrawn


async def on_invoice_withdrawn(
    messages: Sequence[Message[InvoiceWithdrawn]], portal: ReadModel
) -> None:
    """Answer from now on that it is gone."""
    await portal.withdraw([message.data for message in messages])
