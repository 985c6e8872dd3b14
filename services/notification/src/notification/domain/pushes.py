"""What is pushed to whose telephone, what may keep it from leaving, and what a push service says.

A push names no person and no amount: its text is made on the device, from its kind (E4).
"""

import base64
import hashlib
from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal
from uuid import UUID, uuid5

import msgspec

from notification.domain.contacts import Contact, Wishes, is_wanted, silent_until
from notification.domain.facts import Appearance, Invoice, Receipt, Reminder
from notification.domain.letters import MESSAGE_NAMESPACE, RETRY_DELAYS, SkipReason, seen_by

PushKind = Literal["invoice", "reminder", "receipt", "test"]

SECONDS_KEPT: Mapping[PushKind, int] = {
    "invoice": 7 * 86400,
    "reminder": 7 * 86400,
    "receipt": 86400,
    "test": 300,
}
"""How long a push service keeps it for a telephone that is off (TTL, RFC 8030, section 5.2)."""
URGENCIES: Mapping[PushKind, Literal["normal", "high"]] = {
    "invoice": "normal",
    "reminder": "normal",
    "receipt": "normal",
    "test": "high",
}
"""`normal` spares a battery that is low (RFC 8030, section 5.3)."""
TOPIC_CHARACTERS = 32
"""The most that a Topic may have (RFC 8030, section 5.4)."""
PAUSE = timedelta(seconds=30)
"""How long a push service is left alone that says no more than to wait."""
LONGEST_PAUSE = timedelta(hours=24)
"""Whatever a push service asks for: what it says may be a mistake."""


class News(msgspec.Struct, frozen=True, kw_only=True):
    """What a push tells: of which invoice, and for a reminder or a version which one."""

    traceparent: str
    invoice_id: UUID | None = None
    version: int = 0
    authority: str = ""


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A browser that may be pushed to, with its keys (RFC 8291)."""

    account_id: UUID
    device_id: UUID
    endpoint: str
    host: str
    p256dh: bytes
    auth: bytes
    label: str
    language: str
    registered_at: datetime
    last_sent_at: datetime | None = None

    @property
    def name(self) -> "DeviceName":
        """What names a device among all."""
        return (self.account_id, self.device_id)


DeviceName = tuple[UUID, UUID]


class Push(msgspec.Struct, frozen=True, kw_only=True):
    """One push to one device about one fact."""

    push_id: UUID
    kind: PushKind
    fact_key: str
    account_id: UUID
    device_id: UUID
    host: str
    news: News

    @property
    def device_name(self) -> DeviceName:
        """The device it goes to."""
        return (self.account_id, self.device_id)

    @property
    def topic(self) -> str:
        """What a later push about the same invoice replaces; it tells nobody which invoice."""
        subject = self.news.invoice_id or self.fact_key
        digest = hashlib.sha256(f"{self.kind}|{subject}".encode()).digest()
        return base64.urlsafe_b64encode(digest).decode()[:TOPIC_CHARACTERS]

    @property
    def path(self) -> str:
        """Where a touch leads, on the portal."""
        return f"/factures/{self.news.invoice_id}" if self.news.invoice_id else "/factures"


class PushCircumstances(msgspec.Struct, frozen=True, kw_only=True):
    """What is known at the moment a push is about to leave."""

    invoices: Mapping[UUID, Invoice]
    paid_cents: Mapping[UUID, int]
    devices: Mapping[DeviceName, Device]
    contacts: Mapping[UUID, Contact]
    seen: AbstractSet[tuple[UUID, UUID]] = frozenset()
    """Which invoices are seen now in which account."""

    def wishes_of(self, account_id: UUID) -> Wishes:
        """Return what an account wants; one that said nothing wants everything."""
        contact = self.contacts.get(account_id)
        return contact.wishes if contact else Wishes()


class PushOutcome(StrEnum):
    """What the status of a push service means for a push."""

    SENT = "sent"
    GONE = "gone"
    """The device gave its consent back, or is no more."""
    REFUSED = "refused"
    PUT_OFF = "put-off"
    """Not this one now; others may leave."""
    BUSY = "busy"
    """The whole service wants to be left alone."""


def outcome_of(status: int) -> PushOutcome:
    """Return what a status means (RFC 8030, sections 5 and 7.3).

    401 and 403 are about our key, so they are our settings' fault and only put the push off.
    """
    if 200 <= status < 300:
        return PushOutcome.SENT
    if status in {404, 410}:
        return PushOutcome.GONE
    if status in {408, 429} or status >= 500:
        return PushOutcome.BUSY
    return PushOutcome.PUT_OFF if status in {401, 403} else PushOutcome.REFUSED


def pushes_for(
    fact: Receipt | Reminder | Appearance,
    invoices: Mapping[UUID, Invoice],
    viewers: Mapping[UUID, Collection[UUID]],
    devices: Iterable[Device],
) -> list[Push]:
    """Return one push for each device of each account that sees an invoice of the fact."""
    pushes: list[Push] = []
    if isinstance(fact, Appearance):
        seen = {fact.account_id: [fact.invoice_id]}
        kind: PushKind = "invoice"
        key = fact.publication.key
    else:
        seen = seen_by(fact, viewers)
        kind = "reminder" if isinstance(fact, Reminder) else "receipt"
        key = fact.key
    version = 0 if isinstance(fact, Receipt) else fact.version
    for device in devices:
        if device.account_id not in seen:
            continue
        invoice_id = seen[device.account_id][0]
        news = News(
            traceparent=fact.traceparent,
            invoice_id=invoice_id,
            version=version,
            authority=invoices[invoice_id].authority,
        )
        pushes.append(_push(kind, key, device, news))
    return pushes


def trial_push(device: Device, key: str, traceparent: str) -> Push:
    """Return the push by which somebody tries a device; `key` tells one trial from another."""
    return _push("test", key, device, News(traceparent=traceparent))


def _push(kind: PushKind, key: str, device: Device, news: News) -> Push:
    name = f"push|{kind}|{key}|{device.account_id}|{device.device_id}"
    return Push(
        push_id=uuid5(MESSAGE_NAMESPACE, name),
        kind=kind,
        fact_key=key,
        account_id=device.account_id,
        device_id=device.device_id,
        host=device.host,
        news=news,
    )


def reason_to_skip_push(push: Push, known: PushCircumstances) -> SkipReason | None:
    """Return why a push must not leave at all, or None."""
    if push.device_name not in known.devices:
        return SkipReason.NO_DEVICE
    if push.kind == "test":
        return None
    if (push.news.invoice_id, push.account_id) not in known.seen:
        return SkipReason.DISAPPEARED
    wishes = known.wishes_of(push.account_id)
    if not is_wanted(wishes.choices, push.kind, "push", push.news.authority):
        return SkipReason.UNWANTED
    invoice = known.invoices.get(push.news.invoice_id) if push.news.invoice_id else None
    if invoice is None or push.kind == "receipt":
        return None
    if invoice.version > push.news.version:
        return SkipReason.SUPERSEDED
    owed = invoice.amount_cents - known.paid_cents.get(invoice.invoice_id, 0)
    return SkipReason.PAID if push.kind == "reminder" and owed <= 0 else None


def held_until(push: Push, known: PushCircumstances, now: datetime) -> datetime | None:
    """Return when the quiet hours of the push's reader end; a trial is wanted now."""
    return None if push.kind == "test" else silent_until(known.wishes_of(push.account_id), now)


def content_of(push: Push, device: Device) -> bytes:
    """Return what the service worker of the portal is handed, encrypted on its way."""
    return msgspec.json.encode(
        {
            "kind": push.kind,
            "url": push.path,
            "tag": push.topic,
            "language": device.language,
        }
    )


def pause_of(retry_after: timedelta | None) -> timedelta:
    """Return how long to leave a push service alone that asked for `retry_after`."""
    if retry_after is None:
        return PAUSE
    return min(max(retry_after, timedelta(seconds=1)), LONGEST_PAUSE)


def next_push_attempt(
    failed_attempts: int, at: datetime, retry_after: timedelta | None
) -> datetime | None:
    """Return when to try again: as the push service asked, else by the ladder; None at its top."""
    if failed_attempts > len(RETRY_DELAYS):
        return None
    if retry_after is not None:
        return at + pause_of(retry_after)
    return at + RETRY_DELAYS[failed_attempts - 1]
