"""What every event declares about itself."""

from datetime import datetime
from typing import Annotated, ClassVar

import msgspec

NonEmpty = msgspec.Meta(min_length=1, max_length=200)
Cents = msgspec.Meta(ge=-99_999_999_99, le=99_999_999_99)


Instant = Annotated[datetime, msgspec.Meta(tz=True)]
"""A moment with its offset: one without would mean another moment elsewhere."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A past fact; subclasses are the only things that travel on Kafka."""

    TOPIC: ClassVar[str]
    """Name of the Kafka topic."""
    TYPE: ClassVar[str]
    """CloudEvents type, with its version: changing meaning makes a new one."""
    PRODUCER: ClassVar[str]
    """The one service that may publish it."""
    CONSUMERS: ClassVar[tuple[str, ...]]
    """The services that act on it."""

    @property
    def key(self) -> str:
        """Kafka key: events with the same key keep their order."""
        raise AttributeError(type(self).__name__ + " declares no key")
