"""An invoice is not owed any more."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from reconciliation.domain.ledger import withdraw
from reconciliation.handlers.bookkeeping import Fact, book
from reconciliation.ports import Books, NamedInvoice
from shared.envelope import Message
from shared.events import InvoiceWithdrawn


async def on_invoice_withdrawn(
    messages: Sequence[Message[InvoiceWithdrawn]], books: Books, at: datetime
) -> None:
    """Take the claim back; what was paid on it is owed to the payer."""
    await book([_fact(message.data) for message in messages], books, at)


def _fact(withdrawn: InvoiceWithdrawn) -> Fact:
    return Fact(
        name=f"withdrawn:{withdrawn.invoice_id}:{withdrawn.version}",
        kind="withdrawal",
        invoice=NamedInvoice(
            invoice_id=withdrawn.invoice_id,
            authority=withdrawn.authority,
            regie=withdrawn.regie,
            number=withdrawn.number,
        ),
        apply=partial(withdraw, version=withdrawn.version),
    )
