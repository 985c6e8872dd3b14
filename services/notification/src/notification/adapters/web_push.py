"""Push services, as browsers name them: encrypted for the device, signed with our key.

RFC 8030 is the dialogue, RFC 8291 (`aes128gcm`) the encryption, RFC 8292 (VAPID) who we are.
"""

import base64
import binascii
import time
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import aiohttp
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
)
from py_vapid import Vapid02, VapidException
from pywebpush import WebPusher, WebPushException

from notification.domain import SECONDS_KEPT, URGENCIES, Device, Push, content_of
from notification.ports import PushAnswer, SilentError, UnwritableError
from shared.addresses import ForbiddenUrlError, Rule, read_url
from shared.clock import Clock
from shared.errors import SettingsError
from shared.outgoing import Lookup, WayOut, beginning, look_up, printable

TIMEOUT_SECONDS = 10.0
"""For everything: name, connection, request, answer."""
KEPT_BYTES = 1024
"""How much of an answer is read."""
KEPT_WORDS = 300
LONGEST_WAIT = timedelta(seconds=10**8)
"""No answer asks for more; how much of it is granted is not decided here."""
SIGNED_FOR_SECONDS = 12 * 3600
"""At most 24 hours (RFC 8292, section 2)."""
SIGNED_AGAIN_SECONDS = 11 * 3600
SCALAR_BYTES = 32


class VapidKey:
    """The key by which push services know us; browsers subscribe with its public half."""

    def __init__(self, text: str, contact: str) -> None:
        """Read a private key: PEM, or base64url of its 32 bytes or of its DER.

        Raises:
            SettingsError: it is no EC P-256 private key, or the contact is no address.
        """
        self._vapid = Vapid02(_read_key(text))
        self._contact = contact
        self._signed: dict[str, tuple[float, str]] = {}
        self.public = _encode(
            self._vapid.private_key.public_key().public_bytes(
                Encoding.X962, PublicFormat.UncompressedPoint
            )
        )
        # Signing once shows at the start whether the contact is one that the library accepts.
        try:
            self.authorization("https://push.example")
        except VapidException as error:
            message = "VAPID_CONTACT must be a mailto: or https: address"
            raise SettingsError(message) from error

    def authorization(self, audience: str) -> str:
        """Return the header for a push service, signed anew every few hours."""
        now = time.time()
        signed_at, header = self._signed.get(audience, (0.0, ""))
        if now - signed_at > SIGNED_AGAIN_SECONDS:
            expires = int(now) + SIGNED_FOR_SECONDS
            claims = {"aud": audience, "exp": expires, "sub": self._contact}
            header = str(self._vapid.sign(claims)["Authorization"])
            self._signed[audience] = (now, header)
        return header


class WebPushService:
    """Takes pushes to the push services; see `ports.PushService`. Make it in a running loop."""

    def __init__(
        self,
        key: VapidKey,
        rule: Rule,
        clock: Clock,
        *,
        calls: int,
        lookup: Lookup = look_up,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        """Call what `rule` allows; `calls` is how many there are at a time."""
        self._key = key
        self._rule = rule
        self._clock = clock
        self._timeout_seconds = timeout_seconds
        self._way = WayOut(
            rule,
            name="Quittance-Push",
            calls=calls,
            timeout_seconds=timeout_seconds,
            lookup=lookup,
            keeps_connections=True,
        )

    async def close(self) -> None:
        """Close what is open."""
        await self._way.close()

    async def send(self, push: Push, device: Device) -> PushAnswer:
        """Return the answer, whatever it is, within seconds; no redirect is followed.

        Raises:
            SilentError: there was none, so the push may or may not have been taken.
            UnwritableError: the device's keys or endpoint cannot be used.
        """
        body = _encrypt(content_of(push, device), device)
        headers = {
            "Authorization": self._key.authorization(_audience(device.endpoint)),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(SECONDS_KEPT[push.kind]),
            "Urgency": URGENCIES[push.kind],
            "Topic": push.topic,
        }
        try:
            # Judged at every call: the list may have changed since the device was registered.
            read_url(device.endpoint, self._rule)
            async with self._way.session.post(
                device.endpoint, data=body, headers=headers, allow_redirects=False
            ) as answer:
                words = (await beginning(answer, KEPT_BYTES)).decode("utf-8", "replace")
                return PushAnswer(
                    status=answer.status,
                    words=printable(words, KEPT_WORDS),
                    retry_after=self._retry_after(answer),
                )
        except ForbiddenUrlError as error:
            raise UnwritableError(str(error)) from error
        except TimeoutError as error:
            message = f"no answer in {self._timeout_seconds:g} s"
            raise SilentError(message) from error
        except aiohttp.ClientConnectorError as error:
            raise SilentError(printable(str(error.os_error), KEPT_WORDS)) from error
        except (aiohttp.ClientError, OSError, UnicodeError, ValueError) as error:
            raise SilentError(printable(repr(error), KEPT_WORDS)) from error

    def _retry_after(self, answer: aiohttp.ClientResponse) -> timedelta | None:
        """Return what `Retry-After` asks: seconds or a date (RFC 9110, section 10.2.3)."""
        text = answer.headers.get("Retry-After", "").strip()
        if text.isascii() and text.isdigit():
            return min(timedelta(seconds=int(text[:9])), LONGEST_WAIT)
        try:
            until = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            # The latter for an offset from UTC that no number holds.
            return None
        until = until if until.tzinfo else until.replace(tzinfo=UTC)
        return min(until - self._clock.now(), LONGEST_WAIT)


def _encrypt(content: bytes, device: Device) -> bytes:
    subscription = {
        "endpoint": device.endpoint,
        "keys": {"p256dh": _encode(device.p256dh), "auth": _encode(device.auth)},
    }
    try:
        return bytes(WebPusher(subscription).encode(content)["body"])
    except (WebPushException, ValueError) as error:
        message = "the device's keys cannot be used"
        raise UnwritableError(message) from error


def _audience(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc}"


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _read_key(text: str) -> ec.EllipticCurvePrivateKey:
    message = "VAPID_PRIVATE_KEY must be an EC P-256 private key, PEM or base64url"
    try:
        if "-----BEGIN" in text:
            key = load_pem_private_key(text.encode(), password=None)
        else:
            content = base64.urlsafe_b64decode(text.strip() + "=" * (-len(text.strip()) % 4))
            if len(content) == SCALAR_BYTES:
                key = ec.derive_private_key(int.from_bytes(content), ec.SECP256R1())
            else:
                key = load_der_private_key(content, password=None)
    except (ValueError, TypeError, binascii.Error, UnsupportedAlgorithm) as error:
        raise SettingsError(message) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise SettingsError(message)
    return key
