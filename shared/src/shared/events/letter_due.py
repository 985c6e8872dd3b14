"""Somebody must be told, or must prove an address, about their own account."""

from typing import Annotated, ClassVar, Literal
from uuid import UUID

import msgspec

from shared.events.event import Event, Instant, NonEmpty

LetterKind = Literal[
    "confirm-address",
    "account-exists",
    "reset-password",
    "no-account",
    "password-changed",
    "address-changed",
    "factor-changed",
    "new-device",
    "delegate-invited",
    "payer-invited",
    "link-added",
    "account-closed",
]
"""What a letter is about; who writes it has its words."""
SmallName = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z_]{0,39}$")]
SmallValue = Annotated[str, msgspec.Meta(max_length=300)]


class LetterDue(Event, frozen=True, kw_only=True):
    """A letter about an account: `link` and `code` carry a secret, good once and for a short time.

    `link` is a whole address of the portal. `details` are small named values for the text, such as
    `device`, `moment`, `authority`, `inviter`; they come from people and are to be escaped.
    """

    TOPIC: ClassVar[str] = "letter.due"
    TYPE: ClassVar[str] = "letter.due.v1"
    PRODUCER: ClassVar[str] = "gateway"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("notification",)

    letter_id: UUID
    kind: LetterKind
    email: Annotated[str, NonEmpty]
    language: Annotated[str, msgspec.Meta(pattern="^(fr|en)$")]
    link: Annotated[str, msgspec.Meta(pattern="^https?://", max_length=2000)] | None = None
    code: Annotated[str, NonEmpty] | None = None
    expires_at: Instant | None = None
    details: Annotated[dict[SmallName, SmallValue], msgspec.Meta(max_length=20)] = msgspec.field(
        default_factory=dict
    )
    due_at: Instant

    @property
    def key(self) -> str:
        """A letter is alone of its key: letters need no order."""
        return str(self.letter_id)
