"""How a batch of facts becomes entries: lock the accounts, apply each fact, post the difference."""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from reconciliation.domain.ledger import AccountState, settle
from reconciliation.ports import Books, Entry, NamedInvoice
from shared.clock import paris_date


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to one invoice: its name, and what it does to the account."""

    name: str
    kind: str
    invoice: NamedInvoice
    apply: Callable[[AccountState], AccountState]
    received_cents: int = 0
    payment_id: UUID | None = None


async def book(facts: Sequence[Fact], books: Books, at: datetime) -> list[Fact]:
    """Apply facts in order and post what they change; return those that were not known.

    A fact that was booked before is left alone, also when its message comes under another id.
    """
    states = await books.lock([fact.invoice for fact in facts])
    known = await books.posted([fact.name for fact in facts])
    entries = []
    fresh = []
    for fact in facts:
        if fact.name in known:
            continue
        known.add(fact.name)
        fresh.append(fact)
        state, postings = settle(
            fact.apply(states[fact.invoice.invoice_id]), received_cents=fact.received_cents
        )
        states[fact.invoice.invoice_id] = state
        if postings:
            entries.append(
                Entry(
                    fact=fact.name,
                    kind=fact.kind,
                    authority=state.authority,
                    regie=state.regie,
                    invoice_id=state.invoice_id,
                    payment_id=fact.payment_id,
                    accounting_date=paris_date(at),
                    postings=tuple(postings),
                )
            )
    await books.keep([states[key] for key in {fact.invoice.invoice_id for fact in fresh}])
    await books.post(entries, at)
    return fresh
