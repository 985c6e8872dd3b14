"""What a browser hands over when it subscribes: an endpoint and two keys, taken with suspicion."""

import base64
import binascii
from datetime import datetime

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from notification.domain.addresses import one_line
from notification.domain.pushes import Device, DeviceName
from shared.addresses import ForbiddenUrlError, Rule, read_url
from shared.errors import DomainError

DEVICES_AT_MOST = 20
"""Devices of one account."""
LABEL_CHARACTERS = 100
ENDPOINT_CHARACTERS = 1000
POINT_BYTES = 65
SECRET_BYTES = 16


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """What a browser gave the portal (Push API, `PushSubscription`)."""

    endpoint: str
    p256dh: str
    auth: str
    label: str = ""
    language: str = "fr"


class UnusableSubscriptionError(DomainError):
    """The subscription is none that could ever be pushed to; `pointer` says which part."""

    slug = "unusable-subscription"

    def __init__(self, pointer: str, detail: str) -> None:
        """Keep the part that is wrong, and a sentence."""
        super().__init__(detail)
        self.pointer = pointer


def device_of(name: DeviceName, subscription: Subscription, rule: Rule, now: datetime) -> Device:
    """Return the device that a subscription makes.

    Raises:
        UnusableSubscriptionError: its endpoint is of no push service of `rule` (ASVS 1.3.6), or a
            key is not a point of P-256 or not 16 bytes (RFC 8291, section 2).
    """
    if len(subscription.endpoint) > ENDPOINT_CHARACTERS:
        raise UnusableSubscriptionError("/endpoint", "L’adresse est trop longue.")
    try:
        target = read_url(subscription.endpoint, rule)
    except ForbiddenUrlError as error:
        raise UnusableSubscriptionError("/endpoint", str(error)) from error
    p256dh = _bytes_of("/p256dh", subscription.p256dh, POINT_BYTES)
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), p256dh)
    except ValueError as error:
        detail = "La clé n’est pas un point de la courbe P-256."
        raise UnusableSubscriptionError("/p256dh", detail) from error
    if subscription.language not in {"fr", "en"}:
        raise UnusableSubscriptionError("/language", "La langue est « fr » ou « en ».")
    return Device(
        account_id=name[0],
        device_id=name[1],
        endpoint=subscription.endpoint,
        host=target.host,
        p256dh=p256dh,
        auth=_bytes_of("/auth", subscription.auth, SECRET_BYTES),
        label=one_line(subscription.label)[:LABEL_CHARACTERS],
        language=subscription.language,
        registered_at=now,
    )


def _bytes_of(pointer: str, text: str, length: int) -> bytes:
    """Return what base64url text stands for, with or without its padding."""
    bare = text.rstrip("=")
    try:
        content = base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        detail = "La clé n’est pas du base64url."
        raise UnusableSubscriptionError(pointer, detail) from error
    if len(content) != length:
        raise UnusableSubscriptionError(pointer, f"La clé a {length} octets.")
    return content
