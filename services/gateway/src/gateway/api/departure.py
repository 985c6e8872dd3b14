"""What the browser remembers of a payment that it left for."""

import base64
import hmac
import re
from hashlib import sha256
from uuid import UUID

import msgspec
from aiohttp import web

from gateway.api.invoices import TOKEN
from gateway.api.site import site_of

KEY = re.compile(r"[A-Za-z0-9_-]{22,64}")
SECONDS = 3600
_ENCODER = msgspec.msgpack.Encoder(uuid_format="bytes")


class Departure(msgspec.Struct, frozen=True, kw_only=True):
    """A payment that the browser left for, as it was told here: nobody else can have written it.

    `amount_cents` is the part that the payer chose, and `email` the address that they typed.
    """

    payment_id: UUID
    key: str
    token: str = ""
    invoice_ids: tuple[UUID, ...] = ()
    amount_cents: int | None = None
    email: str = ""


def encode(form_key: bytes, departure: Departure) -> str:
    """Return the cookie's value, signed: fifty invoices fit in what browsers keep (4096 bytes)."""
    content = _text(_ENCODER.encode(departure))
    return f"{content}.{_signature(form_key, content)}"


def remember(request: web.Request, response: web.Response, departure: Departure) -> None:
    """Have the browser remember where it leaves for."""
    site = site_of(request)
    site.keep(response, site.payment_cookie, encode(site.form_key, departure), SECONDS)


def remembered(request: web.Request) -> Departure | None:
    """Return what the browser remembers, or None: also for what was not signed here."""
    site = site_of(request)
    content, _, signature = request.cookies.get(site.payment_cookie, "").partition(".")
    expected = _signature(site.form_key, content)
    if not hmac.compare_digest(_bytes(signature), expected.encode()):
        return None
    try:
        packed = base64.urlsafe_b64decode(content + "=" * (-len(content) % 4))
        departure = msgspec.msgpack.decode(packed, type=Departure)
    except (ValueError, msgspec.DecodeError):
        return None
    is_ours = KEY.fullmatch(departure.key) and (
        TOKEN.fullmatch(departure.token) if departure.token else departure.invoice_ids
    )
    return departure if is_ours else None


def _signature(form_key: bytes, content: str) -> str:
    # What a form's seal signs always has a dot, and this never: neither stands for the other.
    return _text(hmac.digest(form_key, _bytes(f"payment:{content}"), sha256))


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    # A cookie may hold bytes that are no text.
    return text.encode(errors="surrogatepass")
