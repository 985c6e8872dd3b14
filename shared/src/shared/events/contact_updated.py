"""A citizen proved or changed the address at which they want to be told."""

from typing import Annotated, ClassVar
from uuid import UUID

import msgspec

from shared.events.event import Event, Instant, NonEmpty


class ContactUpdated(Event, frozen=True, kw_only=True):
    """The account's verified address and wishes; `email` is None once the account is closed."""

    TOPIC: ClassVar[str] = "contact.updated"
    TYPE: ClassVar[str] = "contact.updated.v1"
    PRODUCER: ClassVar[str] = "gateway"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("notification",)

    account_id: UUID
    email: Annotated[str, NonEmpty] | None
    wants_email: bool = True
    language: Annotated[str, msgspec.Meta(pattern="^(fr|en)$")] = "fr"
    updated_at: Instant

    @property
    def key(self) -> str:
        """Order is kept for each account."""
        return str(self.account_id)
