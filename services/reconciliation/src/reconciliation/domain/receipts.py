"""Quittances: which payments get one, and what it says.

A régie gives one for all money that it takes; its numbers have no gap within a year. Money of the
treasury's route is the DGFiP's to receipt, never ours.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

import msgspec


class ReceiptName(NamedTuple):
    """What one quittance is for: a payment, as far as it is one régie's."""

    payment_id: UUID
    authority: str
    regie: str


class PaidPart(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a payment that is in the books, with what is known of its invoice.

    `version` is 0 while the invoice is not known: then its route is not known either.
    """

    payment_id: UUID
    authority: str
    regie: str
    invoice_id: UUID
    invoice_number: str
    amount_cents: int
    means: str
    provider_reference: str
    paid_at: datetime
    version: int
    route: str
    authority_name: str
    regie_label: str
    subject: str
    payer_name: str

    @property
    def name(self) -> ReceiptName:
        """The quittance that it belongs to."""
        return ReceiptName(self.payment_id, self.authority, self.regie)


class ReceiptPart(msgspec.Struct, frozen=True, kw_only=True):
    """What was paid for one invoice, in cents, and what of it went back since."""

    invoice_id: UUID
    invoice_number: str
    subject: str
    payer_name: str
    amount_cents: int
    returned_cents: int = 0


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """A quittance as it stands in the books: its number never changes, nor what it says."""

    authority: str
    regie: str
    year: int
    number: int
    payment_id: UUID
    authority_name: str
    regie_label: str
    means: str
    provider_reference: str
    paid_at: datetime
    issued_at: datetime
    parts: tuple[ReceiptPart, ...]

    @property
    def reference(self) -> str:
        """The number as people write it."""
        return f"{self.regie}-{self.year}-{self.number:06d}"

    @property
    def amount_cents(self) -> int:
        """What was taken."""
        return sum(part.amount_cents for part in self.parts)

    @property
    def returned_cents(self) -> int:
        """What went back since: all of it makes the quittance void."""
        return sum(part.returned_cents for part in self.parts)

    def about(self, invoice_ids: frozenset[UUID]) -> "Receipt | None":
        """Return what it says of some invoices, or None: who may see one may not see all."""
        parts = tuple(part for part in self.parts if part.invoice_id in invoice_ids)
        return msgspec.structs.replace(self, parts=parts) if parts else None


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of payments that wait: parts to receipt together, and names that are done."""

    due: tuple[tuple[PaidPart, ...], ...]
    done: tuple[ReceiptName, ...]


def settle(waiting: Sequence[ReceiptName], parts: Sequence[PaidPart]) -> Settled:
    """Return which of the waiting get a quittance now, in the order in which they were paid.

    One waits on while any of its invoices is not known; one that is the treasury's alone is done
    without.
    """
    due, done = [], []
    ordered = sorted(parts, key=lambda part: (part.paid_at, part.name, part.invoice_id))
    wanted = set(waiting)
    for name, group in groupby(ordered, key=lambda part: part.name):
        members = tuple(group)
        if name not in wanted or any(part.version == 0 for part in members):
            continue
        done.append(name)
        own = tuple(part for part in members if part.route == "regie")
        if own:
            due.append(own)
    return Settled(due=tuple(due), done=tuple(done))
