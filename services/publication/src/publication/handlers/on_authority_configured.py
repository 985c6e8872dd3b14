"""A régie says where the QR code goes on its paper."""

from collections.abc import Sequence

from publication.ports import Folders
from shared.envelope import Message
from shared.events import AuthorityConfigured


async def on_authority_configured(
    messages: Sequence[Message[AuthorityConfigured]], folders: Folders
) -> None:
    """Remember the stamp places of each authority."""
    for message in messages:
        await folders.keep_places(message.data)
