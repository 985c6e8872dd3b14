"""The id by which a biller knows a movement of money, whichever way it hears of it."""

from uuid import UUID, uuid5

EVENTS = UUID("3647da82-21ec-55aa-bbc3-e14b5a1dc8fa")
"""Namespace of all event ids, the UUIDv5 of `urn:quittance:event`. It never changes."""


def event_id(fact: str) -> UUID:
    """Return the id of a fact of the feed, such as `captured:<payment>:<invoice>`; always the same.

    Feed, webhooks and files carry it, so that a biller that reads two of them books once.
    """
    return uuid5(EVENTS, fact)
