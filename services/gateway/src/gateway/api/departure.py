"""What the browser remembers of a payment that it left for."""

import base64
import re
from uuid import UUID

import msgspec
from aiohttp import web

from gateway.api.invoices import TOKEN
from gateway.api.site import site_of

KEY = re.compile(r"[A-Za-z0-9_-]{22,64}")
SECONDS = 3600
_ENCODER = msgspec.msgpack.Encoder(uuid_format="bytes")


class Departure(msgspec.Struct, frozen=True, kw_only=True):
    """A payment that the browser left for; nothing in it is believed blindly.

    `amount_cents` is the part that the payer chose, and `email` the address that they typed.
    """

    payment_id: UUID
    key: str
    token: str = ""
    invoice_ids: tuple[UUID, ...] = ()
    amount_cents: int | None = None
    email: str = ""


def encode(departure: Departure) -> str:
    """Return the cookie's value: fifty invoices fit in what browsers keep (4096 bytes)."""
    return base64.urlsafe_b64encode(_ENCODER.encode(departure)).decode().rstrip("=")


def remember(request: web.Request, response: web.Response, departure: Departure) -> None:
    """Have the browser remember where it leaves for."""
    site = site_of(request)
    site.keep(response, site.payment_cookie, encode(departure), SECONDS)


def remembered(request: web.Request) -> Departure | None:
    """Return what the browser remembers, or None."""
    held = request.cookies.get(site_of(request).payment_cookie, "")
    try:
        content = base64.urlsafe_b64decode(held + "=" * (-len(held) % 4))
        departure = msgspec.msgpack.decode(content, type=Departure)
    except (ValueError, msgspec.DecodeError):
        return None
    is_ours = KEY.fullmatch(departure.key) and (
        TOKEN.fullmatch(departure.token) if departure.token else departure.invoice_ids
    )
    return departure if is_ours else None
