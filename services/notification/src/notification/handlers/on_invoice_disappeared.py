"""An invoice is not to be seen in somebody's account any more."""

from collections.abc import Sequence

from notification.domain import view_ended_by
from notification.ports import Office
from shared.envelope import Message
from shared.events import InvoiceDisappeared


async def on_invoice_disappeared(
    messages: Sequence[Message[InvoiceDisappeared]], office: Office
) -> None:
    """Tell the account no more about it; what waits to be sent is looked at when it leaves."""
    await office.lock_accounts({message.data.account_id for message in messages})
    await office.keep_views([view_ended_by(message.data) for message in messages])
