"""Codes of an application, new every half minute (RFC 6238, with what every application can do)."""

from datetime import datetime
from io import BytesIO

import pyotp
import qrcode
from pyotp.utils import strings_equal
from qrcode.image.svg import SvgPathFillImage

PERIOD_SECONDS = 30
DRIFT = (0, -1, 1)
"""RFC 6238 5.2: one period before and after, for clocks that differ and fingers that are slow."""
ISSUER = "Quittance"
GROUP = 4
QUIET_ZONE = 4


def new_secret() -> str:
    """Return a secret of 160 random bits (RFC 4226, section 4, R6), as applications take it."""
    return pyotp.random_base32()


def grouped(secret: str) -> str:
    """Return a secret as people copy it: in groups."""
    return " ".join(secret[start : start + GROUP] for start in range(0, len(secret), GROUP))


def period_of(secret: str, code: str, now: datetime, after: int = 0) -> int | None:
    """Return the period whose code this is, later than `after`; None when it is of none.

    A code is good once (RFC 6238, 5.2): what was used, and what came before it, is `after`.
    """
    application = pyotp.TOTP(secret)
    present = int(now.timestamp()) // PERIOD_SECONDS
    found = None
    for drift in DRIFT:
        # Each is compared, right or not, so that the time tells nothing.
        is_right = strings_equal(application.generate_otp(present + drift), code)
        if is_right and present + drift > after and found is None:
            found = present + drift
    return found


def is_secret(text: str) -> bool:
    """Tell whether a text is a secret that applications take, of 128 bits or more."""
    try:
        return len(pyotp.TOTP(text).byte_secret()) >= 16
    except ValueError:
        return False


def code_svg(secret: str, name: str) -> bytes:
    """Return the picture by which an application takes the secret of `name`, on white."""
    address = pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=ISSUER)
    image = qrcode.make(address, image_factory=SvgPathFillImage, border=QUIET_ZONE)
    written = BytesIO()
    image.save(written)
    return written.getvalue()
