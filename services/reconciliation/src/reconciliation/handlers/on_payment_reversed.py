"""Money went back."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from reconciliation.domain.ledger import receive
from reconciliation.handlers.bookkeeping import Fact, book
from reconciliation.ports import Books, Collection, NamedInvoice, Webhooks
from shared.envelope import Message
from shared.events import PaymentReversed
from shared.events.payment_captured import Allocation


async def on_payment_reversed(
    messages: Sequence[Message[PaymentReversed]], books: Books, webhooks: Webhooks, at: datetime
) -> None:
    """Book what went back: the invoices are owed again; billers see it and are told."""
    pairs = {
        f"reversed:{reversal.reversal_id}:{part.invoice_id}": (reversal, part)
        for reversal in (message.data for message in messages)
        for part in reversal.allocations
    }
    facts = [
        Fact(
            name=name,
            kind="reversal",
            invoice=NamedInvoice(
                invoice_id=part.invoice_id,
                authority=part.authority,
                regie=part.regie,
                number=part.number,
            ),
            apply=partial(receive, cents=-part.amount_cents),
            received_cents=-part.amount_cents,
            payment_id=reversal.payment_id,
        )
        for name, (reversal, part) in pairs.items()
    ]
    fresh = await book(facts, books, at)
    fed = await books.feed([_item(fact.name, *pairs[fact.name]) for fact in fresh], at)
    await webhooks.announce(fed, at)


def _item(name: str, reversal: PaymentReversed, part: Allocation) -> Collection:
    return Collection(
        fact=name,
        kind="reversal",
        payment_id=reversal.payment_id,
        invoice_id=part.invoice_id,
        authority=part.authority,
        regie=part.regie,
        number=part.number,
        amount_cents=part.amount_cents,
        means=reversal.means,
        provider=reversal.provider,
        provider_reference=reversal.provider_reference,
        occurred_at=reversal.reversed_at,
    )
