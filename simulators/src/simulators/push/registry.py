"""Subscriptions and what came for them, in memory."""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from simulators.push.opening import Receiver, UnopenedError
from simulators.push.sender import Sender

PUSHES_KEPT = 20_000


@dataclass(frozen=True, kw_only=True)
class Push:
    """One push as it was taken; `content` is None when it cannot be opened here."""

    number: int
    subscription: str
    received_at: datetime
    expires_at: datetime
    urgency: str
    ttl_seconds: int
    topic: str
    sender: Sender
    size_bytes: int
    content: bytes | None
    problem: str


@dataclass(kw_only=True)
class Subscription:
    """One browser's, with the secrets that the browser would keep, unless it has its own."""

    name: str
    server_key: str
    receiver: Receiver | None
    is_removed: bool = False
    waiting: list[Push] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)


class Registry:
    """All subscriptions, and the newest pushes."""

    def __init__(self, clock: Callable[[], datetime], kept: int = PUSHES_KEPT) -> None:
        """Keep `kept` pushes at most, dated by `clock`."""
        self._clock = clock
        self._kept = kept
        self._subscriptions: dict[str, Subscription] = {}
        self._pushes: OrderedDict[int, Push] = OrderedDict()
        self._taken = 0

    def subscribe(self, server_key: str, receiver: Receiver | None) -> Subscription:
        """Make an endpoint that `server_key` may push to."""
        subscription = Subscription(
            name=secrets.token_urlsafe(24), server_key=server_key, receiver=receiver
        )
        self._subscriptions[subscription.name] = subscription
        return subscription

    def find(self, name: str) -> Subscription | None:
        """Return a subscription, removed ones too."""
        return self._subscriptions.get(name)

    def take(
        self,
        subscription: Subscription,
        sender: Sender,
        body: bytes,
        *,
        ttl_seconds: int,
        urgency: str,
        topic: str,
    ) -> Push:
        """Keep a push; one that waits with the same topic is replaced (RFC 8030, 5.4)."""
        content, problem = _open(subscription.receiver, body)
        self._taken += 1
        now = self._clock()
        push = Push(
            number=self._taken,
            subscription=subscription.name,
            received_at=now,
            expires_at=now + timedelta(seconds=ttl_seconds),
            urgency=urgency,
            ttl_seconds=ttl_seconds,
            topic=topic,
            sender=sender,
            size_bytes=len(body),
            content=content,
            problem=problem,
        )
        self._pushes[push.number] = push
        while len(self._pushes) > self._kept:
            self._pushes.popitem(last=False)
        subscription.waiting = [
            other for other in subscription.waiting if not topic or other.topic != topic
        ]
        subscription.waiting.append(push)
        subscription.arrived.set()
        return push

    async def deliver(self, subscription: Subscription, wait_seconds: float) -> list[Push]:
        """Hand over what waits, as soon as something does; what is too old is dropped."""
        try:
            async with asyncio.timeout(wait_seconds):
                await subscription.arrived.wait()
        except TimeoutError:
            # Nothing came in that time: an empty answer says so.
            return []
        subscription.arrived.clear()
        waiting, subscription.waiting = subscription.waiting, []
        now = self._clock()
        # A push of no lifetime is for whoever listens now.
        return [push for push in waiting if push.expires_at >= now]

    def newest_first(self, subscription: str | None = None) -> list[Push]:
        """Return the pushes kept, of one subscription if named."""
        return [
            push
            for push in reversed(self._pushes.values())
            if subscription is None or push.subscription == subscription
        ]

    def empty(self) -> int:
        """Forget the pushes and return how many there were; numbers go on."""
        count = len(self._pushes)
        self._pushes.clear()
        return count


def _open(receiver: Receiver | None, body: bytes) -> tuple[bytes | None, str]:
    if receiver is None:
        return None, "the browser has the keys"
    try:
        return receiver.open(body), ""
    except UnopenedError as error:
        # A push service would not notice: it is the browser that cannot open it.
        return None, str(error)
