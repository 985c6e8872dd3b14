"""Keeps the newest messages in memory."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime

from simulators.mailbox.parsing import Message, read_message

MESSAGES_KEPT = 2_000


class Letterbox:
    """The messages received, up to a limit; the oldest give way."""

    def __init__(self, messages_kept: int, clock: Callable[[], datetime]) -> None:
        """Keep `messages_kept` messages at most, dated by `clock`."""
        self._messages_kept = messages_kept
        self._clock = clock
        self._messages: OrderedDict[str, Message] = OrderedDict()
        self._received = 0

    def receive(self, raw: bytes, recipients: Sequence[str], mail_from: str) -> Message:
        """Read and keep one message."""
        self._received += 1
        message = read_message(
            raw,
            message_id=str(self._received),
            recipients=recipients,
            mail_from=mail_from,
            received_at=self._clock(),
        )
        self._messages[message.id] = message
        while len(self._messages) > self._messages_kept:
            self._messages.popitem(last=False)
        return message

    def find(self, message_id: str) -> Message | None:
        """Return the message of that identifier, if still kept."""
        return self._messages.get(message_id)

    def newest_first(self) -> list[Message]:
        """Return every message kept, the newest first."""
        return list(reversed(self._messages.values()))

    def empty(self) -> int:
        """Throw every message away and return how many there were; identifiers go on."""
        count = len(self._messages)
        self._messages.clear()
        return count
