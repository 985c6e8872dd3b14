"""An invoice is taken back."""

from collections.abc import Sequence

from publication.domain import must_withdraw
from publication.ports import Folders
from shared.envelope import Message
from shared.events import InvoiceWithdrawn


async def on_invoice_withdrawn(
    messages: Sequence[Message[InvoiceWithdrawn]], folders: Folders
) -> None:
    """Close the folders; one that is not known yet is closed in advance."""
    standings = await folders.lock([message.data.invoice_id for message in messages])
    latest = {message.data.invoice_id: message.data for message in messages}
    await folders.withdraw(
        [
            (invoice_id, withdrawn.authority, withdrawn.regie, withdrawn.version)
            for invoice_id, withdrawn in latest.items()
            if must_withdraw(standings.get(invoice_id), withdrawn.version)
        ]
    )
