"""Money came in."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from reconciliation.domain.ledger import receive
from reconciliation.domain.receipt_ports import ReceiptBook
from reconciliation.handlers.bookkeeping import Fact, book
from reconciliation.handlers.give_receipts import receipt_payments
from reconciliation.ports import Books, Collection, NamedInvoice, Webhooks
from shared.envelope import Message
from shared.events import PaymentCaptured
from shared.events.payment_captured import Allocation


async def on_payment_captured(
    messages: Sequence[Message[PaymentCaptured]],
    books: Books,
    webhooks: Webhooks,
    receipts: ReceiptBook,
    at: datetime,
) -> None:
    """Book the money, receipt it, add it to the billers' feed and have them told."""
    pairs = {
        f"captured:{payment.payment_id}:{part.invoice_id}": (payment, part)
        for payment in (message.data for message in messages)
        for part in payment.allocations
    }
    facts = [
        Fact(
            name=name,
            kind="payment",
            invoice=_invoice(part),
            apply=partial(receive, cents=part.amount_cents),
            received_cents=part.amount_cents,
            payment_id=payment.payment_id,
        )
        for name, (payment, part) in pairs.items()
    ]
    fresh = await book(facts, books, at)
    fed = await books.feed([_item(fact.name, *pairs[fact.name]) for fact in fresh], at)
    await webhooks.announce(fed, at)
    await receipt_payments([message.data for message in messages], receipts, at)


def _invoice(part: Allocation) -> NamedInvoice:
    return NamedInvoice(
        invoice_id=part.invoice_id,
        authority=part.authority,
        regie=part.regie,
        number=part.number,
    )


def _item(name: str, payment: PaymentCaptured, part: Allocation) -> Collection:
    return Collection(
        fact=name,
        kind="payment",
        payment_id=payment.payment_id,
        invoice_id=part.invoice_id,
        authority=part.authority,
        regie=part.regie,
        number=part.number,
        amount_cents=part.amount_cents,
        means=payment.means,
        provider=payment.provider,
        provider_reference=payment.provider_reference,
        occurred_at=payment.captured_at,
    )
