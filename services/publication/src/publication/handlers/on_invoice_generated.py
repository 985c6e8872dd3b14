"""An invoice is to be published."""

from collections.abc import Sequence
from uuid import UUID

from publication.domain import FolderState, Standing, must_publish
from publication.ports import Folders
from shared.envelope import Message
from shared.events import InvoiceGenerated


async def on_invoice_generated(
    messages: Sequence[Message[InvoiceGenerated]], folders: Folders
) -> None:
    """Put each new version in its folder; the workers do the rest once this is committed."""
    standings = await folders.lock([message.data.invoice_id for message in messages])
    # Of several versions met in one batch only the last is worth making.
    requests: dict[UUID, Message[InvoiceGenerated]] = {}
    for message in messages:
        invoice = message.data
        if must_publish(standings.get(invoice.invoice_id), invoice.version):
            standings[invoice.invoice_id] = Standing(
                version=invoice.version, state=FolderState.WAITING
            )
            requests[invoice.invoice_id] = message
    await folders.keep_requests(list(requests.values()))
    # All that came, also what is no news: so a deposit is known to be complete.
    await folders.count_arrived([message.data for message in messages])
