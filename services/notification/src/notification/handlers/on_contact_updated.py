"""A citizen proved or changed an address, or a wish about e-mail."""

from collections.abc import Sequence

from notification.ports import Office
from shared.envelope import Message
from shared.events import ContactUpdated


async def on_contact_updated(messages: Sequence[Message[ContactUpdated]], office: Office) -> None:
    """Remember each wish; it is honoured when a letter leaves."""
    for message in messages:
        await office.keep_wish(message.data)
