"""Money that was taken went back."""

from collections.abc import Sequence

from notification.domain import movements_of, reversal_of
from notification.handlers.joining import tell_or_park
from notification.ports import Office
from shared.envelope import Message
from shared.events import PaymentReversed


async def on_payment_reversed(messages: Sequence[Message[PaymentReversed]], office: Office) -> None:
    """Note what is owed again and tell those concerned."""
    facts = [reversal_of(message.data, message.traceparent) for message in messages]
    await office.lock_invoices({name for fact in facts for name in fact.invoice_ids})
    await office.keep_movements([move for fact in facts for move in movements_of(fact)])
    await tell_or_park(facts, office)
