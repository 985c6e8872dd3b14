"""What every event declares about itself."""

from typing import ClassVar

import msgspec

NonEmpty = msgspec.Meta(min_length=1, max_length=200)
Cents = msgspec.Meta(ge=-99_999_999_99, le=99_999_999_99)


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
