"""A reminder leaves."""

from collections.abc import Sequence

from gateway.ports import ReadModel
from shared.envelope import Message
from shared.events import ReminderDue


async def on_reminder_due(messages: Sequence[Message[ReminderDue]], portal: ReadModel) -> None:
    """Show that the payer was reminded."""
    await portal.keep_reminders([message.data for message in messages])
