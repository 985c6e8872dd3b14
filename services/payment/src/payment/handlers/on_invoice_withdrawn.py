"""An invoice is not owed any more."""

from collections.abc import Sequence

from payment.ports import Invoices
from shared.envelope import Message
from shared.events import InvoiceWithdrawn


async def on_invoice_withdrawn(
    messages: Sequence[Message[InvoiceWithdrawn]], invoices: Invoices
) -> None:
    """Refuse new attempts; an open one may still end, and is then booked."""
    await invoices.withdraw([message.data for message in messages])
