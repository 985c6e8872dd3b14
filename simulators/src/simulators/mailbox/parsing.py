"""Reads a MIME message into what people and tests look at: subject, text, HTML, date, headers.

Broken messages are read as far as they go: a mailbox shows what came, it does not refuse it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message as MimePart
from email.utils import parseaddr, parsedate_to_datetime

MAX_PARTS = 200


@dataclass(frozen=True, kw_only=True)
class Header:
    """One header, decoded."""

    name: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """What is known of an attached file; its bytes are not kept."""

    name: str
    content_type: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message as received."""

    id: str
    received_at: datetime
    recipients: Sequence[str]
    """The addresses of the SMTP envelope, so blind copies too."""
    sender: str
    subject: str
    text: str
    html: str
    date: datetime
    """The `Date` header in UTC; the time of receipt when it is absent or unreadable."""
    message_id: str
    headers: Sequence[Header]
    attachments: Sequence[Attachment]

    @property
    def to(self) -> str:
        """The recipients' bare addresses, separated by a comma and a space."""
        return ", ".join(self.recipients)

    def is_for(self, address: str) -> bool:
        """Say whether `address` is a recipient; letter case makes no difference."""
        wanted = address.strip().lower()
        return any(recipient.lower() == wanted for recipient in self.recipients)

    def header(self, name: str) -> str:
        """Return the first header of that name, or an empty text."""
        for header in self.headers:
            if header.name.lower() == name.lower():
                return header.value
        return ""


def read_message(
    raw: bytes,
    *,
    message_id: str,
    recipients: Sequence[str],
    mail_from: str,
    received_at: datetime,
) -> Message:
    """Read `raw`; `message_id` is the mailbox's own, the rest comes from the SMTP dialogue."""
    parsed = message_from_bytes(raw)
    headers = [
        Header(name=_clean(name), value=decode_words(value)) for name, value in parsed.items()
    ]
    text, html, attachments = _read_parts(parsed)
    named = {header.name.lower(): header.value for header in reversed(headers)}
    return Message(
        id=message_id,
        received_at=received_at,
        recipients=tuple(_clean(recipient) for recipient in recipients),
        sender=parseaddr(named.get("from", ""))[1] or _clean(mail_from),
        subject=named.get("subject", ""),
        text=text,
        html=html,
        date=_read_date(named.get("date", ""), received_at),
        message_id=named.get("message-id", "").strip(),
        headers=headers,
        attachments=attachments,
    )


def decode_words(value: object) -> str:
    """Decode the encoded words (RFC 2047) of a header and unfold its lines."""
    try:
        pieces = decode_header(str(value))
    except (HeaderParseError, ValueError):
        # Bad base64 inside an encoded word: the header is shown as it came.
        pieces = [(str(value), None)]
    decoded = "".join(
        piece if isinstance(piece, str) else _decode(piece, charset) for piece, charset in pieces
    )
    return _clean(re.sub(r"\r?\n[ \t]?", " ", decoded)).strip()


def _read_parts(parsed: MimePart) -> tuple[str, str, list[Attachment]]:
    """Return the first plain text, the first HTML and everything else."""
    texts: dict[str, str] = {}
    attachments: list[Attachment] = []
    for part in _leaves(parsed):
        content_type = part.get_content_type()
        payload = part.get_payload(decode=True)
        content = payload if isinstance(payload, bytes) else b""
        is_body = content_type in {"text/plain", "text/html"} and content_type not in texts
        if is_body and part.get_content_disposition() != "attachment":
            charset = part.get_content_charset()
            texts[content_type] = _clean(_decode(content, charset)).replace("\r\n", "\n")
        else:
            name = decode_words(part.get_filename() or "")
            attachments.append(
                Attachment(name=name, content_type=content_type, size_bytes=len(content))
            )
    return texts.get("text/plain", ""), texts.get("text/html", ""), attachments


def _leaves(parsed: MimePart) -> Iterator[MimePart]:
    for rank, part in enumerate(parsed.walk()):
        if rank >= MAX_PARTS:
            return
        if not part.is_multipart():
            yield part


def _decode(content: bytes, charset: str | None) -> str:
    try:
        return content.decode(charset or "utf-8", "replace")
    except (LookupError, ValueError):
        # A charset nobody knows, or one that is not for text.
        return content.decode("utf-8", "replace")


def _clean(text: str) -> str:
    """Replace what no encoding can carry: lone surrogates left by bytes that were not ASCII."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _read_date(text: str, received_at: datetime) -> datetime:
    try:
        date = parsedate_to_datetime(text)
        # A date with no zone ("-0000") is in UTC by RFC 5322.
        aware = date if date.tzinfo else date.replace(tzinfo=UTC)
        return aware.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return received_at
