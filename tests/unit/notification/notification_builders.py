"""Events, letters and stand-ins that the tests of notification share."""

from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar
from uuid import UUID, uuid4

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from notification.domain import (
    Circumstances,
    Device,
    Invoice,
    InvoiceFact,
    Publication,
    Push,
    appearance_of,
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
    InvoiceDisappeared,
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


def a_disappearance(**changes: object) -> InvoiceDisappeared:
    """Return that Sacha does not see the canteen invoice any more, an hour later."""
    event = InvoiceDisappeared(
        invoice_id=INVOICE_ID,
        account_id=ACCOUNT_ID,
        disappeared_at=NOW + timedelta(hours=1),
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
    seeing: Collection[tuple[str, UUID]] = (),
    accounts: Collection[str] = (),
) -> Circumstances:
    """Return what is known when only these invoices were published."""
    return Circumstances(
        invoices={event.invoice_id: Invoice.of(event) for event in events},
        paid_cents=paid_cents or {},
        unwanted=frozenset(fingerprint(address) for address in unwanted),
        choices={fingerprint(address): () for address in accounts},
        seen=frozenset((fingerprint(address), invoice_id) for address, invoice_id in seeing),
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
