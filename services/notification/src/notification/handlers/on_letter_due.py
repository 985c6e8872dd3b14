"""Somebody must be told, or must prove an address, about their own account."""

from collections.abc import Sequence

from notification.domain import Letter, State, letter_to, news_of, without_secrets
from notification.ports import Office
from shared.envelope import Message
from shared.events import LetterDue


async def on_letter_due(messages: Sequence[Message[LetterDue]], office: Office) -> None:
    """Write each letter, once for each `letter_id`; preferences have no say in it."""
    await office.add_letters([_letter(message) for message in messages])


def _letter(message: Message[LetterDue]) -> Letter:
    news = news_of(message.data, message.traceparent)
    letter = letter_to(message.data.email, news)
    # One that goes nowhere keeps nothing that opens anything.
    return letter if letter.state is State.WAITING else without_secrets(letter, news)
