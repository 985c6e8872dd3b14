"""Who sends: the VAPID header (RFC 8292), checked as a strict push service does."""

import re
from dataclasses import dataclass

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from simulators.push.opening import decode

HEADER = re.compile(r"vapid\s+(?P<fields>.+)", re.IGNORECASE)
LONGEST_LIFE_SECONDS = 24 * 3600
LEEWAY_SECONDS = 60


class UnknownSenderError(Exception):
    """The header proves nothing; `status` is what a push service answers."""

    def __init__(self, status: int, detail: str) -> None:
        """Answer `status`, for the reason `detail`."""
        super().__init__(detail)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Sender:
    """Who signed."""

    key: str
    audience: str
    subject: str
    expires_at: int


def read_sender(header: str, *, origin: str, subscribed_key: str, now: float) -> Sender:
    """Return who signed a push to `origin`, for a subscription made with `subscribed_key`.

    Raises:
        UnknownSenderError: 401 no or a bad signature, audience, contact or time; 403 another key
            than the one that the browser subscribed with.
    """
    match = HEADER.fullmatch(header.strip())
    if match is None:
        raise UnknownSenderError(401, "no vapid authorization")
    fields = dict(part.strip().partition("=")[::2] for part in match["fields"].split(","))
    token, key = fields.get("t", ""), fields.get("k", "")
    try:
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), decode(key))
        claims = jwt.decode(
            token,
            public,
            algorithms=["ES256"],
            audience=origin,
            # Times are judged below, by the clock that tests move.
            options={"require": ["aud", "exp", "sub"], "verify_exp": False},
        )
    except (ValueError, jwt.PyJWTError) as error:
        raise UnknownSenderError(401, f"the signature is worth nothing: {error}") from error
    expires_at, subject = int(claims["exp"]), str(claims["sub"])
    if not now - LEEWAY_SECONDS < expires_at <= now + LONGEST_LIFE_SECONDS + LEEWAY_SECONDS:
        raise UnknownSenderError(401, "exp is past or more than 24 hours ahead")
    if not subject.startswith(("mailto:", "https:")):
        raise UnknownSenderError(401, "sub is neither mailto: nor https:")
    if key.rstrip("=") != subscribed_key.rstrip("="):
        raise UnknownSenderError(403, "the browser subscribed with another key")
    return Sender(key=key, audience=origin, subject=subject, expires_at=expires_at)
