"""An authority says when it reminds."""

from collections.abc import Sequence

from reconciliation.ports import Books
from shared.envelope import Message
from shared.events import AuthorityConfigured


async def on_authority_configured(
    messages: Sequence[Message[AuthorityConfigured]], books: Books
) -> None:
    """Remember the days of each régie."""
    for message in messages:
        await books.keep_policies(message.data)
