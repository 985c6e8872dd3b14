"""Events, letters and stand-ins that the tests of notification share."""

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime
from typing import TypeVar
from uuid import UUID, uuid4

import msgspec

from notification.domain import (
    Circumstances,
    Fact,
    Invoice,
    Letter,
    Movement,
    Publication,
    awaited_ids,
    fingerprint,
    letters_for,
)
from notification.ports import Due
from shared.envelope import Message
from shared.events import (
    ContactUpdated,
    Event,
    InvoicePublished,
    PaymentCaptured,
    PaymentReversed,
    ReminderDue,
)
from shared.events.invoice_generated import Payer, StoredFile
from shared.events.payment_captured import Allocation

E = TypeVar("E", bound=Event)

NOW = datetime(2026, 11, 24, 13, 5, tzinfo=UTC)
INVOICE_ID = UUID("00000000-0000-5000-8000-000000000001")
OTHER_INVOICE_ID = UUID("00000000-0000-5000-8000-000000000002")
PAYMENT_ID = UUID("00000000-0000-4000-8000-0000000000aa")
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TOKEN = "abcdefghijklmnopqrstuv"


def a_message(event: E) -> Message[E]:
    """Return `event` as it is read from its topic."""
    return Message(
        id=str(uuid4()),
        source=f"/quittance/{event.PRODUCER}",
        type=event.TYPE,
        subject=event.key,
        time=NOW,
        traceparent=TRACE,
        causation_id=None,
        data=event,
    )


def a_published_invoice(
    *,
    email: str | None = "camille.martin@exemple.test",
    payer_name: str = "Camille Martin",
    **changes: object,
) -> InvoicePublished:
    """Return a canteen invoice of 42,50 €."""
    event = InvoicePublished(
        invoice_id=INVOICE_ID,
        version=1,
        authority="saint-aubin",
        authority_name="Commune de Saint-Aubin",
        regie="CANTINE",
        regie_label="Restaurant scolaire",
        number="2026-0042",
        kind="invoice",
        route="regie",
        subject="Repas d’octobre",
        issued_on=date(2026, 11, 1),
        due_on=date(2026, 12, 15),
        amount_cents=42_50,
        currency="EUR",
        payer=Payer(reference="F-7", name=payer_name, email=email),
        token=TOKEN,
        document=StoredFile(key="published/1.pdf", size_bytes=10, sha256="0" * 64),
        generated_at=NOW,
        published_at=NOW,
        readable_until=date(2027, 2, 22),
    )
    return msgspec.structs.replace(event, **changes)


def an_allocation(invoice_id: UUID = INVOICE_ID, amount_cents: int = 42_50) -> Allocation:
    """Return money for one invoice."""
    return Allocation(
        invoice_id=invoice_id,
        authority="saint-aubin",
        regie="CANTINE",
        number="2026-0042",
        amount_cents=amount_cents,
    )


def a_captured_payment(
    *allocations: Allocation, receipt_email: str | None = None, **changes: object
) -> PaymentCaptured:
    """Return a card payment of the whole canteen invoice."""
    parts = allocations or (an_allocation(),)
    event = PaymentCaptured(
        payment_id=PAYMENT_ID,
        authority="saint-aubin",
        means="card",
        provider="payzen",
        provider_reference="TX-900123",
        amount_cents=sum(part.amount_cents for part in parts),
        currency="EUR",
        allocations=parts,
        receipt_email=receipt_email,
        captured_at=NOW,
    )
    return msgspec.structs.replace(event, **changes)


def a_reversed_payment(*allocations: Allocation, **changes: object) -> PaymentReversed:
    """Return the refund of the whole card payment."""
    parts = allocations or (an_allocation(),)
    event = PaymentReversed(
        reversal_id=UUID("00000000-0000-4000-8000-0000000000bb"),
        payment_id=PAYMENT_ID,
        authority="saint-aubin",
        means="card",
        provider="payzen",
        provider_reference="TX-900124",
        cause="refund",
        amount_cents=sum(part.amount_cents for part in parts),
        currency="EUR",
        allocations=parts,
        reversed_at=NOW,
    )
    return msgspec.structs.replace(event, **changes)


def a_reminder(**changes: object) -> ReminderDue:
    """Return the first reminder of the canteen invoice."""
    event = ReminderDue(
        invoice_id=INVOICE_ID,
        version=1,
        level=1,
        authority="saint-aubin",
        regie="CANTINE",
        number="2026-0042",
        due_on=date(2026, 12, 15),
        outstanding_cents=42_50,
        currency="EUR",
        decided_at=NOW,
    )
    return msgspec.structs.replace(event, **changes)


def a_contact(email: str | None, **changes: object) -> ContactUpdated:
    """Return an account that wants no e-mail."""
    event = ContactUpdated(
        account_id=UUID("00000000-0000-4000-8000-0000000000cc"),
        email=email,
        wants_email=False,
        updated_at=NOW,
    )
    return msgspec.structs.replace(event, **changes)


def circumstances_of(
    *events: InvoicePublished,
    paid_cents: dict[UUID, int] | None = None,
    unwanted: Collection[str] = (),
) -> Circumstances:
    """Return what is known when only these invoices were published."""
    return Circumstances(
        invoices={event.invoice_id: Invoice.of(event) for event in events},
        paid_cents=paid_cents or {},
        unwanted=frozenset(fingerprint(address) for address in unwanted),
    )


def a_publication(version: int = 1) -> Publication:
    """Return the fact that the canteen invoice is public."""
    return Publication(traceparent=TRACE, invoice_id=INVOICE_ID, version=version)


def a_due_letter(
    fact: Fact, *events: InvoicePublished, attempts: int = 0, asked: str | None = None
) -> Due:
    """Return the only letter about `fact`, claimed."""
    invoices = {event.invoice_id: Invoice.of(event) for event in events}
    (letter,) = letters_for(fact, invoices, {PAYMENT_ID: asked})
    return Due(letter=letter, attempts=attempts, written_at=NOW)


class FakeOffice:
    """`ports.Office` in memory: one transaction after the other."""

    def __init__(self) -> None:
        """Start with nothing known."""
        self.known: dict[UUID, Invoice] = {}
        self.movements: dict[tuple[UUID, UUID], Movement] = {}
        self.aside: dict[tuple[str, str], Fact] = {}
        self.letters: dict[UUID, Letter] = {}
        self.wishes: dict[bytes, ContactUpdated] = {}

    async def lock_invoices(self, invoice_ids: Collection[UUID]) -> dict[UUID, Invoice]:
        """Return the invoices known."""
        return await self.invoices(invoice_ids)

    async def invoices(self, invoice_ids: Collection[UUID]) -> dict[UUID, Invoice]:
        """Return the invoices known."""
        return {name: self.known[name] for name in invoice_ids if name in self.known}

    async def keep_invoices(self, invoices: Sequence[Invoice]) -> None:
        """Remember higher versions."""
        for invoice in invoices:
            known = self.known.get(invoice.invoice_id)
            if known is None or known.version < invoice.version:
                self.known[invoice.invoice_id] = invoice

    async def keep_movements(self, movements: Sequence[Movement]) -> None:
        """Remember each fact once."""
        for movement in movements:
            self.movements.setdefault((movement.fact_id, movement.invoice_id), movement)

    async def payments(self, payment_ids: Collection[UUID]) -> dict[UUID, str | None]:
        """Return captured payments."""
        return {
            movement.payment_id: movement.receipt_address
            for movement in self.movements.values()
            if movement.payment_id in payment_ids and movement.amount_cents > 0
        }

    async def park(self, facts: Sequence[Fact]) -> None:
        """Put facts aside."""
        for fact in facts:
            self.aside.setdefault((fact.kind, fact.key), fact)

    async def parked(self, arrived: Collection[UUID]) -> list[Fact]:
        """Return the facts that await one of these."""
        ordered = sorted(self.aside)
        return [
            self.aside[name]
            for name in ordered
            if not set(arrived).isdisjoint(awaited_ids(self.aside[name]))
        ]

    async def unpark(self, facts: Sequence[Fact]) -> None:
        """Forget that these were put aside."""
        for fact in facts:
            self.aside.pop((fact.kind, fact.key), None)

    async def add_letters(self, letters: Sequence[Letter]) -> None:
        """Add letters, each once."""
        for letter in letters:
            self.letters.setdefault(letter.message_id, letter)

    async def keep_wish(self, contact: ContactUpdated) -> None:
        """Remember the newest wish, at each address the account ever proved."""
        if contact.email is None:
            return
        for name, wish in list(self.wishes.items()):
            if wish.account_id == contact.account_id and wish.updated_at < contact.updated_at:
                self.wishes[name] = contact
        name = fingerprint(contact.email)
        known = self.wishes.get(name)
        if known is None or known.updated_at < contact.updated_at:
            self.wishes[name] = contact

    def unwanted(self, address: str) -> bool:
        """Tell whether no e-mail is wanted at `address`."""
        wish = self.wishes.get(fingerprint(address))
        return wish is not None and not wish.wants_email

    def told(self) -> list[tuple[str, str]]:
        """Return (kind, address) of every letter, sorted."""
        return sorted((letter.fact.kind, letter.address) for letter in self.letters.values())
