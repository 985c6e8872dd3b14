"""A citizen proved or changed the address at which they want to be told."""

from typing import Annotated, ClassVar, Literal
from uuid import UUID

import msgspec

from shared.events.event import Event, Instant, NonEmpty

TimeOfDay = Annotated[str, msgspec.Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")]
"""`HH:MM` on the clock of Paris."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Whether one sort of news is wanted by one channel; of all authorities when none is named.

    A choice about an authority goes before the one about all of them; what no choice is about is
    wanted.
    """

    event: Literal["invoice", "reminder", "receipt"]
    channel: Literal["email", "push"]
    authority: Annotated[str, NonEmpty] | None = None
    wanted: bool


class ContactUpdated(Event, frozen=True, kw_only=True):
    """The account's verified address and wishes; `email` is None once the account is closed.

    `choices` are all that hold now. Between `quiet_from` and `quiet_until`, which may span
    midnight, telephones stay silent.
    """

    TOPIC: ClassVar[str] = "contact.updated"
    TYPE: ClassVar[str] = "contact.updated.v1"
    PRODUCER: ClassVar[str] = "gateway"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("notification",)

    account_id: UUID
    email: Annotated[str, NonEmpty] | None
    wants_email: bool = True
    language: Annotated[str, msgspec.Meta(pattern="^(fr|en)$")] = "fr"
    choices: tuple[Choice, ...] = ()
    quiet_from: TimeOfDay | None = None
    quiet_until: TimeOfDay | None = None
    updated_at: Instant

    @property
    def key(self) -> str:
        """Order is kept for each account."""
        return str(self.account_id)
