"""Money was taken for one or several invoices."""

from collections.abc import Sequence

from notification.domain import movements_of, receipt_of
from notification.handlers.joining import tell_or_park, tell_parked
from notification.ports import Office
from shared.envelope import Message
from shared.events import PaymentCaptured


async def on_payment_captured(messages: Sequence[Message[PaymentCaptured]], office: Office) -> None:
    """Note what is paid and write the receipts, one for each payment and address."""
    facts = [receipt_of(message.data, message.traceparent) for message in messages]
    await office.lock_invoices({name for fact in facts for name in fact.invoice_ids})
    await office.keep_movements([move for fact in facts for move in movements_of(fact)])
    await tell_or_park(facts, office)
    # A reversal that came first knows now to whom the money goes back.
    await tell_parked([fact.payment_id for fact in facts], office)
