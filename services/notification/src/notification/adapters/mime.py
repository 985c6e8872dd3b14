"""Puts mails together: headers that nobody's name can break, a text part and an HTML part.

Headers are parsed, encoded and folded by `email.policy.SMTP`, which refuses line breaks; the parts
are put together here, because `email.message.EmailMessage` took half of a mail's time.
"""

import binascii
from email.headerregistry import Address
from email.policy import SMTP
from email.utils import format_datetime
from functools import lru_cache

import msgspec

from notification.domain import AddressError, one_line, parse_address
from notification.ports import Due, Mail, UnwritableError

NAME_CHARACTERS = 150
"""Longest display name; some mail servers refuse very long header lines."""

FIXED_HEADERS = b"MIME-Version: 1.0\r\nAuto-Submitted: auto-generated\r\n"
"""`Auto-Submitted` (RFC 3834) asks answering machines to stay silent."""


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """What a mail says, in one language."""

    sender_name: str
    subject: str
    text: str
    html: str
    language: str


def assemble(due: Due, words: Words, sender_address: str) -> Mail:
    """Return the mail of a letter, the same bytes for the same words.

    Raises:
        UnwritableError: a header cannot be made of what it should hold.
    """
    try:
        sender = Address(words.sender_name[:NAME_CHARACTERS], addr_spec=sender_address)
        boundary = f"=_{due.letter.message_id.hex}"
        head = (
            _lasting_header("From", str(sender)),
            _header("To", parse_address(due.letter.address)),
            _header("Subject", one_line(words.subject)),
            _header("Date", format_datetime(due.written_at)),
            _header("Message-ID", message_id_header(due, sender_address)),
            FIXED_HEADERS,
            f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"\r\n'.encode(),
        )
    except (AddressError, ValueError, IndexError) as error:
        # The last two are what `email` raises for a header that it cannot write.
        raise UnwritableError(str(error)) from error
    text = _part("plain", words.text, words.language)
    page = _part("html", words.html, words.language)
    line = f"\r\n--{boundary}".encode()
    body = (line, b"\r\n", text, line, b"\r\n", page, line, b"--\r\n")
    content = b"".join((*head, *body))
    return Mail(sender=sender_address, recipient=due.letter.address, content=content)


def message_id_header(due: Due, sender_address: str) -> str:
    """Return the Message-ID of a letter, always the same: a repeated mail can be recognised."""
    return f"<{due.letter.message_id}@{sender_address.rpartition('@')[2]}>"


def _header(name: str, value: str) -> bytes:
    """Return a header, encoded and folded; a line break in `value` is a ValueError."""
    stored_name, header = SMTP.header_store_parse(name, value)
    return SMTP.fold_binary(stored_name, header)


_lasting_header = lru_cache(maxsize=1024)(_header)
"""For what many mails share: parsing a header costs as much as rendering a page."""


def _part(subtype: str, text: str, language: str) -> bytes:
    # Quoted-printable keeps every line short and in ASCII, so no server has to change it.
    encoded = binascii.b2a_qp(text.replace("\r\n", "\n").encode(), istext=True)
    head = (
        f'Content-Type: text/{subtype}; charset="utf-8"\r\n'
        "Content-Transfer-Encoding: quoted-printable\r\n"
        f"Content-Language: {language}\r\n\r\n"
    )
    return head.encode() + encoded.replace(b"\n", b"\r\n")
