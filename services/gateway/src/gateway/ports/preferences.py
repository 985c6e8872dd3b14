"""What people want to be told and on which devices: kept here, and asked of notification."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol, get_args
from uuid import UUID

import msgspec

from shared.events import ContactUpdated
from shared.events.contact_updated import Choice

EventName = Literal["invoice", "reminder", "receipt"]
ChannelName = Literal["email", "push"]
Wish = tuple[EventName, ChannelName]

WISHES: tuple[Wish, ...] = tuple(
    (event, channel) for event in get_args(EventName) for channel in get_args(ChannelName)
)
"""Every sort of news by every channel, as the page shows them."""


class QuietHours(msgspec.Struct, frozen=True, kw_only=True):
    """When telephones stay silent, `HH:MM` on the clock of Paris; it may span midnight."""

    quiet_from: str
    quiet_until: str


class Preferences(msgspec.Struct, frozen=True, kw_only=True):
    """What a person chose; what they said nothing about is wanted."""

    choices: tuple[Choice, ...] = ()
    quiet: QuietHours | None = None

    @property
    def authorities(self) -> frozenset[str]:
        """The authorities about which there is a choice of their own."""
        return frozenset(c.authority for c in self.choices if c.authority is not None)

    def wanted(self, authority: str | None = None) -> frozenset[Wish]:
        """Return what is wanted of an authority, or by default.

        A choice about the authority goes before the one about all of them.
        """
        unwanted: set[Wish] = set()
        for about in (None, authority):
            for choice in self.choices:
                if choice.authority == about:
                    wish: Wish = (choice.event, choice.channel)
                    (unwanted.discard if choice.wanted else unwanted.add)(wish)
        return frozenset(WISHES) - unwanted


class PreferenceRows(Protocol):
    """Preferences as pages keep them; whose they are is part of every question."""

    async def preferences(self, account_id: UUID) -> Preferences:
        """Return what a person chose."""
        ...

    async def keep_choices(self, account_id: UUID, choices: Sequence[Choice]) -> None:
        """Keep choices in place of those about the same authority; all are about one."""
        ...

    async def forget_choices(self, account_id: UUID, authority: str) -> None:
        """Let an authority follow the default again; doing it twice is the same as once."""
        ...

    async def keep_quiet_hours(self, account_id: UUID, quiet: QuietHours | None) -> None:
        """Keep the hours in which telephones stay silent, or none."""
        ...

    async def contact(self, account_id: UUID, now: datetime) -> ContactUpdated | None:
        """Return all that notification must know of an account; None before its address is proved.

        Whoever tells `contact.updated` tells this: the event replaces what was told before.
        """
        ...


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A browser that receives notifications, as notification tells it."""

    device_id: UUID
    label: str
    created_at: datetime
    last_sent_at: datetime | None = None


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """Where a browser is reached, and the keys that only it opens (RFC 8030, RFC 8291)."""

    endpoint: str
    p256dh: str
    auth: str
    label: str
    language: str


class Notifications(Protocol):
    """Calls to notification, which keeps the devices.

    All of them raise:
        RefusedError: it refused, and says why; 404 for a device that is not this account's.
        ServiceUnavailableError: it did not answer.
    """

    async def push_key(self) -> str:
        """Return the public key with which browsers subscribe (RFC 8292)."""
        ...

    async def devices(self, account_id: UUID) -> list[Device]:
        """Return the devices of an account."""
        ...

    async def keep_device(
        self, account_id: UUID, device_id: UUID, subscription: Subscription
    ) -> None:
        """Keep a device, in place of what was known of it."""
        ...

    async def remove_device(self, account_id: UUID, device_id: UUID) -> None:
        """Forget a device."""
        ...

    async def test_device(self, account_id: UUID, device_id: UUID) -> None:
        """Send a device something to show."""
        ...
