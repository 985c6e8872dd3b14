"""An authority says which régies it has."""

from collections.abc import Sequence

from ingestion.ports import Deposits
from shared.envelope import Message
from shared.events import AuthorityConfigured


async def on_authority_configured(
    messages: Sequence[Message[AuthorityConfigured]], deposits: Deposits
) -> None:
    """Remember the régies: a line for another one is rejected."""
    for message in messages:
        await deposits.keep_authority(message.data)
