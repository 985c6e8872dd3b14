"""What both doors of PayFiP say about their fields."""

import re
import unicodedata

DEBT_REFERENCE = re.compile("[A-Za-z0-9]{6,30}")
"""`refdet`: the web service is said to take shorter ones, and refuses one of four with R3."""
EMAIL_LENGTH = range(6, 81)


def is_email(text: str | None) -> bool:
    """Say whether PayFiP takes this address."""
    return text is not None and "@" in text and len(text) in EMAIL_LENGTH


def plain(text: str) -> str:
    """Return a text in the letters, digits and spaces that PayFiP takes as an object."""
    letters = unicodedata.normalize("NFKD", text.replace("’", " "))
    ascii_only = letters.encode("ascii", "ignore").decode()
    return " ".join(re.sub("[^A-Za-z0-9]", " ", ascii_only).split())
