"""The régie's dunning rule wants a payer reminded."""

from collections.abc import Sequence

from notification.domain import reminder_of
from notification.handlers.joining import tell_or_park
from notification.ports import Office
from shared.envelope import Message
from shared.events import ReminderDue


async def on_reminder_due(messages: Sequence[Message[ReminderDue]], office: Office) -> None:
    """Write the reminders; whether each is still owed is looked at when it leaves."""
    facts = [reminder_of(message.data, message.traceparent) for message in messages]
    await office.lock_invoices({fact.invoice_id for fact in facts})
    await tell_or_park(facts, office)
