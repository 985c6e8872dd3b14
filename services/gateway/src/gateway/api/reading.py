"""Reading a document in the page: its pages as pictures, with the text that stands on them."""

from datetime import date
from uuid import UUID

import msgspec
from aiohttp import web

from gateway.api.language import say
from gateway.api.site import today
from gateway.ports import (
    DocumentPages,
    DocumentServices,
    InvoiceView,
    RefusedError,
    ServiceUnavailableError,
)
from shared.problem import ProblemError

WIDTHS = (800, 1200)
"""Widths in which publication draws a page."""
DOCUMENTS_KNOWN = 1000
"""Documents whose sizes and texts are kept in memory: a few kilobytes each."""


class ShownPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page: its number, the size of its widest picture, and what stands on it."""

    number: int
    width: int
    height: int
    text: str


class DocumentView(msgspec.Struct, frozen=True, kw_only=True):
    """What a page shows of an invoice's document.

    `base` is the address below which the document and its pages lie. There are no `pages` where
    publication could not tell them now: the PDF can be opened all the same.
    """

    base: str
    is_readable: bool
    until: date
    pages: tuple[ShownPage, ...] = ()

    @property
    def has_text(self) -> bool:
        """Whether there is anything to read aloud: a scan has none."""
        return any(page.text for page in self.pages)


class Reader:
    """Asks publication what a document looks like."""

    def __init__(self, services: DocumentServices) -> None:
        """Ask through `services`."""
        self._services = services
        # A version's pages never change. The oldest answers make room for new ones.
        self._known: dict[tuple[UUID, int], tuple[ShownPage, ...]] = {}

    async def view(self, request: web.Request, invoice: InvoiceView, base: str) -> DocumentView:
        """Return what to show of an invoice's document; never waits long, never fails."""
        found = DocumentView(
            base=base,
            is_readable=is_readable(request, invoice) and may_read(invoice),
            until=invoice.readable_until,
        )
        if not found.is_readable:
            return found
        name = (invoice.invoice_id, invoice.version)
        pages = self._known.get(name)
        if pages is None:
            try:
                pages = _shown(await self._services.pages(invoice.invoice_id))
            except (RefusedError, ServiceUnavailableError):
                # Withdrawn or purged a moment ago, or nobody answers: the buttons say the rest.
                return found
            while len(self._known) >= DOCUMENTS_KNOWN:
                del self._known[next(iter(self._known))]
            self._known[name] = pages
        return msgspec.structs.replace(found, pages=pages)


def _shown(told: DocumentPages) -> tuple[ShownPage, ...]:
    texts = (*told.text, *[""] * len(told.pages))
    return tuple(
        ShownPage(number=one.number, width=one.width, height=one.height, text=text)
        for one, text in zip(told.pages, texts, strict=False)
    )


def may_read(invoice: InvoiceView) -> bool:
    """Tell whether whoever asks may see the document, and not the debt alone.

    A delegate may have the right to pay only; who holds a paper may have to prove more (K9).
    """
    return invoice.can_read and not invoice.is_sealed


def is_readable(request: web.Request, invoice: InvoiceView) -> bool:
    """Tell whether a document may be read today: 90 days, to the end of the last in France.

    Who was given the right to pay it and not to read it never may.
    """
    return (
        invoice.can_read and not invoice.is_withdrawn and today(request) <= invoice.readable_until
    )


def expired(request: web.Request, invoice: InvoiceView) -> ProblemError:
    """Return the answer after the 90 days: why, and what remains."""
    if not invoice.can_read:
        sentence = say(
            request, "La délégation reçue permet de payer cette facture, pas de la lire."
        )
        return ProblemError(403, "not-delegated", sentence)
    sentence = say(
        request,
        "Le document n’est plus consultable en ligne : les 90 jours sont passés. Vous pouvez le"
        " demander à %(authority)s. L’historique de vos factures et de vos paiements, lui, reste.",
        authority=invoice.authority_name,
    )
    return ProblemError(410, "document-expired", sentence)
