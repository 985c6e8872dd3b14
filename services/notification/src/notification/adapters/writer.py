"""Writes mails: text and HTML from templates, in French, or in English about an account.

Templates are files of this package and are never built from what others sent; in HTML every value
is escaped.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from notification.adapters.account_words import account_words
from notification.adapters.french import MEANS, french_date, french_instant
from notification.adapters.mime import Words, assemble
from notification.domain import (
    AccountNews,
    Circumstances,
    Invoice,
    InvoiceFact,
    Publication,
    Receipt,
    Reminder,
    is_asked_for,
)
from notification.ports import Due, Mail
from shared.money import format_euros


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
        if isinstance(fact, AccountNews):
            words = account_words(self._environment, fact, self._public_url, self._sender_name)
        else:
            words = self._words(due, fact, circumstances)
        return assemble(due, words, self._sender_address)

    def _words(self, due: Due, fact: InvoiceFact, circumstances: Circumstances) -> Words:
        view = self._view(due, fact, circumstances)
        return Words(
            sender_name=self._sender_name
            or circumstances.invoices[fact.invoice_ids[0]].authority_name,
            subject=self._render(f"{fact.kind}.subject.txt", view),
            text=self._render(f"{fact.kind}.txt", view),
            html=self._render(f"{fact.kind}.html", view),
            language="fr",
        )

    def _render(self, template: str, view: Mapping[str, object]) -> str:
        return self._environment.get_template(template).render(view)

    def _view(self, due: Due, fact: InvoiceFact, circumstances: Circumstances) -> dict[str, object]:
        invoice = circumstances.invoices[fact.invoice_ids[0]]
        reader = due.letter.address_hash
        is_payer = circumstances.is_payer(reader, invoice.invoice_id)
        view: dict[str, object] = {
            "fact": fact,
            "invoice": invoice,
            "link": self._link(invoice, reader, circumstances),
            # Whoever pays for another is not greeted by the other's name.
            "greeting_name": invoice.payer_name if is_payer else "",
            "owed_cents": _owed_cents(fact, invoice, circumstances),
            "is_account_holder": is_payer,
            "is_viewer": not is_payer and _is_from_an_account(due, fact),
        }
        if not isinstance(fact, Publication | Reminder):
            view["total_cents"] = sum(part.amount_cents for part in fact.parts)
            view["happened_at"] = (
                fact.captured_at if isinstance(fact, Receipt) else fact.reversed_at
            )
            rows = [
                {
                    "invoice": circumstances.invoices[part.invoice_id],
                    "amount_cents": part.amount_cents,
                    "owed_cents": circumstances.outstanding_cents(part.invoice_id),
                    "link": self._link(
                        circumstances.invoices[part.invoice_id], reader, circumstances
                    ),
                }
                for part in fact.parts
            ]
            view["rows"] = rows
            is_all_open = all(row["link"] for row in rows)
            view["account_link"] = (
                f"{self._public_url}/factures"
                if circumstances.has_account(reader) and not is_all_open
                else ""
            )
        return view

    def _link(self, invoice: Invoice, reader: bytes, circumstances: Circumstances) -> str:
        """Return the link that opens an invoice to its reader, or nothing: then no number either.

        Whoever only paid it may not be allowed to see it, and its number helps to open it.
        """
        if circumstances.is_payer(reader, invoice.invoice_id):
            return f"{self._public_url}/q/{invoice.token}"
        # Whoever sees an invoice in an account opens it there: a link that opens it without one
        # would outlive the right to see it.
        if circumstances.is_seen(reader, invoice.invoice_id):
            return f"{self._public_url}/factures/{invoice.invoice_id}"
        return ""


def _is_from_an_account(due: Due, fact: InvoiceFact) -> bool:
    """Tell whether a letter that is not the payer's goes to an account that sees the invoice."""
    if isinstance(fact, Receipt):
        return not is_asked_for(due.letter)
    return isinstance(fact, Publication | Reminder)


def _owed_cents(fact: InvoiceFact, invoice: Invoice, circumstances: Circumstances) -> int:
    owed = circumstances.outstanding_cents(invoice.invoice_id)
    # The books may know of a payment that has not reached us, and the other way round.
    return min(owed, fact.outstanding_cents) if isinstance(fact, Reminder) else owed
