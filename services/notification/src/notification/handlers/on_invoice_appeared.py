"""An invoice, or a new version of it, appeared in somebody's account."""

from collections.abc import Sequence

from notification.domain import appearance_of
from notification.handlers.joining import tell_or_park
from notification.ports import Office
from shared.envelope import Message
from shared.events import InvoiceAppeared


async def on_invoice_appeared(messages: Sequence[Message[InvoiceAppeared]], office: Office) -> None:
    """Tell the account's devices and its address, and remember who sees the invoice."""
    facts = [appearance_of(message.data, message.traceparent) for message in messages]
    await office.lock_invoices({fact.invoice_id for fact in facts})
    await office.lock_accounts({fact.account_id for fact in facts})
    await office.keep_viewers({(fact.invoice_id, fact.account_id) for fact in facts})
    await tell_or_park(facts, office)
