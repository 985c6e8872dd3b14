"""Writes mails: French text and HTML from templates, headers that nobody's name can break.

Templates are files of this package and are never built from what others sent; in HTML every value
is escaped. Headers are parsed, encoded and folded by `email.policy.SMTP`, which refuses line
breaks; the parts are put together here, because `email.message.EmailMessage` took half of a mail's
time.
"""

import binascii
from collections.abc import Mapping
from email.headerregistry import Address
from email.policy import SMTP
from email.utils import format_datetime
from functools import lru_cache
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from notification.adapters.french import MEANS, french_date, french_instant
from notification.domain import (
    AddressError,
    Circumstances,
    Fact,
    Invoice,
    Publication,
    Receipt,
    Reminder,
    fingerprint,
    one_line,
    parse_address,
)
from notification.ports import Due, Mail, UnwritableError
from shared.money import format_euros

NAME_CHARACTERS = 150
"""Longest display name; some mail servers refuse very long header lines."""

FIXED_HEADERS = b"MIME-Version: 1.0\r\nAuto-Submitted: auto-generated\r\n"
"""`Auto-Submitted` (RFC 3834) asks answering machines to stay silent."""


class MailWriter:
    """Writes the mails of one portal; see `ports.Writer`."""

    def __init__(self, *, public_url: str, sender_address: str, sender_name: str) -> None:
        """Link to `public_url`; sign with `sender_name`, or the authority's name when empty."""
        self._public_url = public_url.rstrip("/")
        self._sender_address = sender_address
        self._sender_name = sender_name
        self._environment = Environment(
            loader=PackageLoader("notification"),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            auto_reload=False,
        )
        self._environment.filters |= {
            "euros": format_euros,
            "french_date": french_date,
            "french_instant": french_instant,
            "means": MEANS.__getitem__,
        }
        self._environment.globals |= {
            "public_url": self._public_url,
            "public_host": urlsplit(self._public_url).netloc,
        }

    def write(self, due: Due, circumstances: Circumstances) -> Mail:
        """Return the mail of a letter, the same bytes for the same circumstances.

        Raises:
            UnwritableError: no valid mail can be made of it.
        """
        fact = due.letter.fact
        invoice = circumstances.invoices[fact.invoice_ids[0]]
        view = self._view(due, circumstances)
        name = self._sender_name or invoice.authority_name
        try:
            sender = Address(name[:NAME_CHARACTERS], addr_spec=self._sender_address)
            subject = one_line(self._render(f"{fact.kind}.subject.txt", view))
            boundary = f"=_{due.letter.message_id.hex}"
            head = (
                _lasting_header("From", str(sender)),
                _header("To", parse_address(due.letter.address)),
                _header("Subject", subject),
                _header("Date", format_datetime(due.written_at)),
                _header("Message-ID", message_id_header(due, self._sender_address)),
                FIXED_HEADERS,
                f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"\r\n'.encode(),
            )
        except (AddressError, ValueError, IndexError) as error:
            # The last two are what `email` raises for a header that it cannot write.
            raise UnwritableError(str(error)) from error
        text = _part("plain", self._render(f"{fact.kind}.txt", view))
        page = _part("html", self._render(f"{fact.kind}.html", view))
        line = f"\r\n--{boundary}".encode()
        body = (line, b"\r\n", text, line, b"\r\n", page, line, b"--\r\n")
        content = b"".join((*head, *body))
        return Mail(sender=self._sender_address, recipient=due.letter.address, content=content)

    def _render(self, template: str, view: Mapping[str, object]) -> str:
        return self._environment.get_template(template).render(view)

    def _view(self, due: Due, circumstances: Circumstances) -> dict[str, object]:
        fact = due.letter.fact
        invoice = circumstances.invoices[fact.invoice_ids[0]]
        payer = invoice.payer_email
        is_payer = payer is not None and fingerprint(payer) == due.letter.address_hash
        view: dict[str, object] = {
            "fact": fact,
            "invoice": invoice,
            "link": self._link(invoice),
            # Whoever pays for another is not greeted by the other's name.
            "greeting_name": invoice.payer_name if is_payer else "",
            "owed_cents": _owed_cents(fact, invoice, circumstances),
            "is_account_holder": is_payer,
        }
        if not isinstance(fact, Publication | Reminder):
            view["total_cents"] = sum(part.amount_cents for part in fact.parts)
            view["happened_at"] = (
                fact.captured_at if isinstance(fact, Receipt) else fact.reversed_at
            )
            view["rows"] = [
                {
                    "invoice": circumstances.invoices[part.invoice_id],
                    "amount_cents": part.amount_cents,
                    "owed_cents": circumstances.outstanding_cents(part.invoice_id),
                    "link": self._link(circumstances.invoices[part.invoice_id]),
                }
                for part in fact.parts
            ]
        return view

    def _link(self, invoice: Invoice) -> str:
        return f"{self._public_url}/q/{invoice.token}"


def message_id_header(due: Due, sender_address: str) -> str:
    """Return the Message-ID of a letter, always the same: a repeated mail can be recognised."""
    return f"<{due.letter.message_id}@{sender_address.rpartition('@')[2]}>"


def _owed_cents(fact: Fact, invoice: Invoice, circumstances: Circumstances) -> int:
    owed = circumstances.outstanding_cents(invoice.invoice_id)
    # The books may know of a payment that has not reached us, and the other way round.
    return min(owed, fact.outstanding_cents) if isinstance(fact, Reminder) else owed


def _header(name: str, value: str) -> bytes:
    """Return a header, encoded and folded; a line break in `value` is a ValueError."""
    stored_name, header = SMTP.header_store_parse(name, value)
    return SMTP.fold_binary(stored_name, header)


_lasting_header = lru_cache(maxsize=1024)(_header)
"""For what many mails share: parsing a header costs as much as rendering a page."""


def _part(subtype: str, text: str) -> bytes:
    # Quoted-printable keeps every line short and in ASCII, so no server has to change it.
    encoded = binascii.b2a_qp(text.replace("\r\n", "\n").encode(), istext=True)
    head = (
        f'Content-Type: text/{subtype}; charset="utf-8"\r\n'
        "Content-Transfer-Encoding: quoted-printable\r\n"
        "Content-Language: fr\r\n\r\n"
    )
    return head.encode() + encoded.replace(b"\n", b"\r\n")
