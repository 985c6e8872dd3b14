"""What is sent to a biller's address: signed how, tried when, and given up when."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

import msgspec

PREFIX = "whsec_"
SECRET_BYTES = 32
"""Standard Webhooks asks for 24 to 64."""
OVERLAP = timedelta(hours=24)
"""How long a secret that was replaced still signs."""

LADDER = (
    timedelta(seconds=5),
    timedelta(seconds=55),
    timedelta(minutes=4),
    timedelta(minutes=15),
    timedelta(minutes=40),
    timedelta(hours=1),
    timedelta(hours=2),
    timedelta(hours=4),
    timedelta(hours=6),
    timedelta(hours=8),
    timedelta(hours=12),
    timedelta(hours=14),
    timedelta(hours=24),
)
"""The pauses between fourteen tries: 72 hours in all."""
JITTER = 0.1
"""A pause is up to this part longer or shorter, so that what failed together does not come back
together."""

STRUGGLING_AFTER = 3
"""So many failures in a row, and an endpoint no longer shares the lane of those that answer."""
SLOW_AFTER = timedelta(seconds=5)
"""An answer that takes this long counts as struggling too: it holds a place of the lane."""

EventType = Literal["payment.captured", "payment.reversed", "webhook.test"]
TYPES: dict[str, EventType] = {"payment": "payment.captured", "reversal": "payment.reversed"}
"""Kind in the feed to type on the wire: a public name does not follow an internal one."""
TEST: EventType = "webhook.test"


class DeliveryState(StrEnum):
    """Where a delivery stands. A replay makes any of them waiting again."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    PARKED = "parked"


class Outcome(StrEnum):
    """How one call ended."""

    DELIVERED = "delivered"
    """Answered 2xx."""
    REFUSED = "refused"
    """Answered anything else; a redirect is not followed."""
    GONE = "gone"
    """Answered 410: the endpoint wants nothing more."""
    SILENT = "silent"
    """Not answered in time."""
    UNREACHABLE = "unreachable"
    """No connection: name, network or certificate."""
    FORBIDDEN = "forbidden"
    """The name leads to an address that is not called."""


class Verdict(msgspec.Struct, frozen=True):
    """What becomes of a delivery after a call; `due_at` is the next try of one that waits."""

    state: DeliveryState
    due_at: datetime | None


def outcome_of(status: int) -> Outcome:
    """Return what an HTTP status says of a call (Standard Webhooks, "Responding")."""
    if 200 <= status < 300:
        return Outcome.DELIVERED
    return Outcome.GONE if status == 410 else Outcome.REFUSED


def after_call(outcome: Outcome, *, tries: int, now: datetime, chance: float) -> Verdict:
    """Return what becomes of a delivery that was tried `tries` times, this one included.

    `chance`, from 0 to 1, places the next try within the jitter.
    """
    if outcome is Outcome.DELIVERED:
        return Verdict(DeliveryState.DELIVERED, None)
    if tries > len(LADDER):
        return Verdict(DeliveryState.PARKED, None)
    return Verdict(DeliveryState.WAITING, now + LADDER[tries - 1] * (1 + JITTER * (2 * chance - 1)))


def is_struggling(outcome: Outcome, *, failures: int, took: timedelta) -> bool:
    """Tell whether an endpoint that has failed `failures` times in a row leaves the swift lane."""
    if outcome is Outcome.DELIVERED:
        return took >= SLOW_AFTER
    # A call that nobody answered held its place for as long as a call may.
    return failures >= STRUGGLING_AFTER or outcome is Outcome.SILENT


def write_secret(key: bytes) -> str:
    """Return a signing key as the biller gets it."""
    return PREFIX + base64.b64encode(key).decode()


def sign(keys: Sequence[bytes], *, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the `webhook-signature` header: one signature for each key that lives.

    Standard Webhooks 1.0: `v1,` and the base64 of the HMAC-SHA-256 of `id.timestamp.body`.
    """
    signed = f"{message_id}.{timestamp}.".encode() + body
    digests = (hmac.digest(key, signed, hashlib.sha256) for key in keys)
    return " ".join("v1," + base64.b64encode(digest).decode() for digest in digests)
