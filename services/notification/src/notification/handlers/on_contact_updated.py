"""A citizen proved or changed an address, or a wish about what they are told."""

from collections.abc import Sequence

from notification.handlers.joining import tell_parked
from notification.ports import Office
from shared.envelope import Message
from shared.events import ContactUpdated


async def on_contact_updated(messages: Sequence[Message[ContactUpdated]], office: Office) -> None:
    """Remember each account's address and wishes; they are honoured when a message leaves."""
    accounts = {message.data.account_id for message in messages}
    await office.lock_accounts(accounts)
    for message in messages:
        await office.keep_wish(message.data)
        await office.keep_contact(message.data)
    # An invoice that appeared in the account before its address was known is told now.
    await tell_parked(accounts, office)
