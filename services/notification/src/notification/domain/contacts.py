"""What the holder of an account wants to be told, by what, and when a telephone stays silent."""

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Literal
from uuid import UUID

import msgspec

from shared.clock import PARIS
from shared.events import ContactUpdated
from shared.events.contact_updated import Choice

Event = Literal["invoice", "reminder", "receipt"]
Channel = Literal["email", "push"]


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What an account wants, as it said last."""

    choices: tuple[Choice, ...] = ()
    quiet_from: str | None = None
    quiet_until: str | None = None
    language: str = "fr"

    @classmethod
    def of(cls, event: ContactUpdated) -> "Wishes":
        """Return the wishes that an event tells."""
        return cls(
            choices=event.choices,
            quiet_from=event.quiet_from,
            quiet_until=event.quiet_until,
            language=event.language,
        )


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """An account: its proven address, None once it is closed."""

    account_id: UUID
    email: str | None
    wishes: Wishes


def is_wanted(choices: Sequence[Choice], event: Event, channel: Channel, authority: str) -> bool:
    """Tell whether news of an authority are wanted; nothing said means yes.

    A choice about the authority goes before one about all of them.
    """
    fitting = [choice for choice in choices if (choice.event, choice.channel) == (event, channel)]
    for name in (authority, None):
        for choice in fitting:
            if choice.authority == name:
                return choice.wanted
    return True


def silent_until(wishes: Wishes, now: datetime) -> datetime | None:
    """Return when the quiet hours that `now` falls into end, or None outside of them.

    They are on the clock of Paris and may span midnight; equal ends mean none.
    """
    if wishes.quiet_from is None or wishes.quiet_until is None:
        return None
    begins, ends = time.fromisoformat(wishes.quiet_from), time.fromisoformat(wishes.quiet_until)
    local = now.astimezone(PARIS)
    clock = local.time().replace(second=0, microsecond=0)
    if begins <= ends:
        is_quiet, last_day = begins <= clock < ends, local.date()
    else:
        is_quiet = clock >= begins or clock < ends
        last_day = local.date() + timedelta(days=1 if clock >= begins else 0)
    if not is_quiet:
        return None
    end = datetime.combine(last_day, ends, tzinfo=PARIS)
    # On the night when clocks go back the same hour comes twice: it is over after the first.
    return end if end > now else None
