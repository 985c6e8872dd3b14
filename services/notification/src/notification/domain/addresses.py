"""E-mail addresses and other people's text, made safe for headers, links and pages."""

import hashlib
import re
import unicodedata

from shared.errors import DomainError

ADDRESS_LENGTH = 254
LOCAL_PART_LENGTH = 64
DOMAIN_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")


class AddressError(DomainError):
    """The text is not one plain e-mail address (RFC 5321, section 4.1.2, dot-string form)."""

    slug = "invalid-address"


def parse_address(text: str) -> str:
    """Return a plain address fit for a header and for the SMTP dialogue, its domain in ASCII.

    Raises:
        AddressError: several addresses, a display name, a line break, a quoted or non-ASCII name.
    """
    local, at, domain = text.strip().rpartition("@")
    try:
        labels = domain.lower().encode("idna").decode("ascii").split(".")
    except UnicodeError as error:
        raise AddressError from error
    address = f"{local}@{'.'.join(labels)}"
    is_valid = (
        at == "@"
        and len(address) <= ADDRESS_LENGTH
        and len(local) <= LOCAL_PART_LENGTH
        and LOCAL_PART.fullmatch(local) is not None
        and len(labels) > 1
        and all(DOMAIN_LABEL.fullmatch(label) for label in labels)
    )
    if not is_valid:
        raise AddressError
    return address


def fingerprint(text: str) -> bytes:
    """Return the SHA-256 by which an address is compared; letter case makes no difference."""
    try:
        address = parse_address(text)
    except AddressError:
        # An address that cannot be used still has to be the same as itself.
        address = text.strip()
    return hashlib.sha256(address.lower().encode()).digest()


def one_line(text: str) -> str:
    """Return `text` without line breaks, control or direction characters: it forges nothing."""
    kept = (" " if unicodedata.category(char)[0] in "CZ" else char for char in text)
    return " ".join("".join(kept).split())
