"""A biller wants to see an invoice as it would be published; nothing of it is kept."""

from publication.ports import Claim, Paper, PreviewMaker, Shelf, UnpublishableError
from shared.clock import Clock
from shared.envelope import Message
from shared.errors import PermanentError
from shared.events import InvoiceGenerated
from shared.storage import CorruptObjectError, MissingObjectError

TOKEN = "apercu"  # noqa: S105 - an address that opens nothing: no folder has it
TRIES = 99
"""Somebody waits for the answer: a document that ends its process is refused at once."""


async def preview_invoice(
    invoice: InvoiceGenerated, *, shelf: Shelf, press: PreviewMaker, clock: Clock
) -> bytes:
    """Return the PDF of an invoice with a code that leads nowhere, each page marked as a preview.

    Raises:
        UnpublishableError: it would be refused.
    """
    original = None
    if invoice.document is not None:
        try:
            original = await shelf.get_checked(invoice.document)
        except (MissingObjectError, CorruptObjectError) as error:
            raise _lost(error) from error
    cause = Message(
        id="preview",
        source="preview",
        type=invoice.TYPE,
        subject=invoice.key,
        time=clock.now(),
        traceparent="",
        causation_id=None,
        data=invoice,
    )
    claim = Claim(request=invoice, cause=cause, token=TOKEN, attempts=TRIES)
    paper: Paper = await press.preview(claim, original)
    if paper.refusal_code:
        raise UnpublishableError(paper.refusal_code, paper.refusal_detail)
    return paper.document


def _lost(error: PermanentError) -> UnpublishableError:
    return UnpublishableError(
        error.slug.replace("-", "_"),
        "Le PDF déposé n’est plus disponible : déposez la facture à nouveau.",
    )
