"""Events, letters and stand-ins that the tests of notification share."""

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar
from uuid import UUID, uuid4

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from notification.domain import (
    Circumstances,
    Contact,
    Device,
    Invoice,
    InvoiceFact,
    Letter,
    Movement,
    Parked,
    Publication,
    Push,
    Wishes,
    appearance_of,
    awaited_ids,
    fingerprint,
    letters_for,
    pushes_for,
)
from notification.ports import Due
from shared.envelope import Message
from shared.events import (
    ContactUpdated,
    Event,
    InvoiceAppeared,
    InvoicePublished,
    LetterDue,
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
ACCOUNT_ID = UUID("00000000-0000-4000-8000-0000000000cc")
OTHER_ACCOUNT_ID = UUID("00000000-0000-4000-8000-0000000000dd")
LETTER_ID = UUID("00000000-0000-4000-8000-0000000000ee")
VIEWER = "sacha@exemple.test"
SECRET = "2v5uT0bDg0o3k3m8Qm1x4rY7wZ9aBcDeFgHiJkLmNoP"


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
        account_id=ACCOUNT_ID,
        email=email,
        wants_email=False,
        updated_at=NOW,
    )
    return msgspec.structs.replace(event, **changes)


def an_appearance(**changes: object) -> InvoiceAppeared:
    """Return the canteen invoice's first version in Sacha's account."""
    event = InvoiceAppeared(
        invoice_id=INVOICE_ID,
        version=1,
        account_id=ACCOUNT_ID,
        authority="saint-aubin",
        regie="CANTINE",
        appeared_at=NOW,
    )
    return msgspec.structs.replace(event, **changes)


def a_letter_due(**changes: object) -> LetterDue:
    """Return the letter that brings a link to choose another password."""
    event = LetterDue(
        letter_id=LETTER_ID,
        kind="reset-password",
        email=VIEWER,
        language="fr",
        link=f"https://factures.exemple.test/connexion/oubli/{SECRET}",
        expires_at=NOW + timedelta(minutes=30),
        due_at=NOW,
    )
    return msgspec.structs.replace(event, **changes)


def a_device(rank: int = 1, *, host: str = "push.exemple.test", **changes: object) -> Device:
    """Return a telephone of Sacha's with keys that a browser could have."""
    key = ec.derive_private_key(rank + 1, ec.SECP256R1()).public_key()
    device = Device(
        account_id=ACCOUNT_ID,
        device_id=UUID(int=rank),
        endpoint=f"https://{host}/push/{rank}",
        host=host,
        p256dh=key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
        auth=bytes(16),
        label=f"Téléphone {rank}",
        language="fr",
        registered_at=NOW,
    )
    return msgspec.structs.replace(device, **changes)


def a_push(device: Device | None = None, *, version: int = 1) -> Push:
    """Return the push that tells a device of the canteen invoice."""
    fact = appearance_of(an_appearance(version=version), TRACE)
    invoices = {INVOICE_ID: Invoice.of(a_published_invoice(version=version))}
    (push,) = pushes_for(fact, invoices, {}, [device or a_device()])
    return push


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
    fact: InvoiceFact, *events: InvoicePublished, attempts: int = 0, asked: str | None = None
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
        self.aside: dict[tuple[str, str], Parked] = {}
        self.letters: dict[UUID, Letter] = {}
        self.wishes: dict[bytes, ContactUpdated] = {}
        self.accounts: dict[UUID, ContactUpdated] = {}
        self.seen: set[tuple[UUID, UUID]] = set()
        self.telephones: list[Device] = []
        self.pushes: dict[UUID, Push] = {}

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

    async def park(self, facts: Sequence[Parked]) -> None:
        """Put facts aside."""
        for fact in facts:
            self.aside.setdefault((fact.kind, fact.key), fact)

    async def parked(self, arrived: Collection[UUID]) -> list[Parked]:
        """Return the facts that await one of these."""
        ordered = sorted(self.aside)
        return [
            self.aside[name]
            for name in ordered
            if not set(arrived).isdisjoint(awaited_ids(self.aside[name]))
        ]

    async def unpark(self, facts: Sequence[Parked]) -> None:
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

    async def lock_accounts(self, account_ids: Collection[UUID]) -> dict[UUID, Contact]:
        """Return the accounts known."""
        return await self.contacts(account_ids)

    async def contacts(self, account_ids: Collection[UUID]) -> dict[UUID, Contact]:
        """Return the accounts known, closed ones too."""
        return {
            name: Contact(
                account_id=name,
                email=self.accounts[name].email,
                wishes=Wishes.of(self.accounts[name]),
            )
            for name in account_ids
            if name in self.accounts
        }

    async def keep_contact(self, contact: ContactUpdated) -> None:
        """Remember the newest; of a closed account only that it is closed."""
        known = self.accounts.get(contact.account_id)
        if known and (known.email is None or known.updated_at >= contact.updated_at):
            return
        self.accounts[contact.account_id] = contact
        if contact.email is None:
            name = contact.account_id
            self.seen = {pair for pair in self.seen if pair[1] != name}
            self.telephones = [d for d in self.telephones if d.account_id != name]
            self.pushes = {i: p for i, p in self.pushes.items() if p.account_id != name}

    async def keep_viewers(self, viewers: Collection[tuple[UUID, UUID]]) -> None:
        """Remember who sees what, but for closed accounts."""
        closed = {name for name, known in self.accounts.items() if known.email is None}
        self.seen |= {pair for pair in viewers if pair[1] not in closed}

    async def viewers(self, invoice_ids: Collection[UUID]) -> dict[UUID, list[UUID]]:
        """Return who sees these invoices."""
        found: dict[UUID, list[UUID]] = {}
        for invoice_id, account_id in sorted(self.seen):
            if invoice_id in invoice_ids:
                found.setdefault(invoice_id, []).append(account_id)
        return found

    async def devices(self, account_ids: Collection[UUID]) -> list[Device]:
        """Return the devices of these accounts."""
        return [device for device in self.telephones if device.account_id in account_ids]

    async def add_pushes(self, pushes: Sequence[Push]) -> None:
        """Add pushes, each once."""
        for push in pushes:
            self.pushes.setdefault(push.push_id, push)

    def unwanted(self, address: str) -> bool:
        """Tell whether no e-mail is wanted at `address`."""
        wish = self.wishes.get(fingerprint(address))
        return wish is not None and not wish.wants_email

    def told(self) -> list[tuple[str, str]]:
        """Return (kind, address) of every letter, sorted."""
        return sorted((letter.fact.kind, letter.address) for letter in self.letters.values())
