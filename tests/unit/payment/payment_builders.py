"""Invoices, attempts, notices and stand-ins that the tests of payment share."""

from datetime import UTC, date, datetime, timedelta
from typing import TypeVar
from urllib.parse import urlencode
from uuid import UUID, uuid4

import msgspec

from payment.adapters.accounts import LyraShop
from payment.adapters.library import Calls
from payment.adapters.lyra import LyraAccount
from payment.domain import Attempt, AttemptState, FoundBy, Notice, PayableInvoice
from shared.clock import FixedClock
from shared.envelope import Message
from shared.events import Event, InvoicePublished, InvoiceWithdrawn
from shared.events.invoice_generated import Payer, StoredFile
from shared.events.payment_captured import Allocation
from simulators.card_provider.signature import sign

E = TypeVar("E", bound=Event)

NOW = datetime(2026, 11, 24, 13, 5, tzinfo=UTC)
LIFETIME = timedelta(minutes=20)
INVOICE_ID = UUID("00000000-0000-5000-8000-000000000001")
OTHER_INVOICE_ID = UUID("00000000-0000-5000-8000-000000000002")
PAYMENT_ID = UUID("00000000-0000-4000-8000-0000000000aa")
ORDER_ID = "23456789ABCDEFGH"
TRANSACTION = "7ae6bd8dd4df4ef4ac0ec2ac3ee02a1b"
OTHER_TRANSACTION = "0" * 32
KEY = "1122334455667788"
PREVIOUS_KEY = "8877665544332211"
SITE_ID = "12345678"
CALLS = Calls("test", threads=2, seconds=30.0)
NOTIFY_URL = "https://payer.example/payments/notify/lyra/saint-aubin-carte"


def an_invoice(**changes: object) -> PayableInvoice:
    """Return a canteen invoice of 41,00 € of which nothing is paid."""
    invoice = PayableInvoice(
        invoice_id=INVOICE_ID,
        authority="saint-aubin",
        regie="CANTINE",
        number="2026-0042",
        version=1,
        kind="invoice",
        route="regie",
        amount_cents=41_00,
        withdrawn_version=0,
        captured_cents=0,
        published_at=NOW - timedelta(days=1),
        issued_on=date(2026, 11, 1),
        due_on=date(2026, 12, 15),
        subject="Repas d’octobre",
    )
    return msgspec.structs.replace(invoice, **changes)


def a_published_invoice(**changes: object) -> InvoicePublished:
    """Return the event of the same invoice."""
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
        amount_cents=41_00,
        currency="EUR",
        payer=Payer(reference="F-7", name="Camille Martin"),
        token="abcdefghijklmnopqrstuv",
        document=StoredFile(key="k", size_bytes=1, sha256="0" * 64),
        generated_at=NOW - timedelta(days=2),
        published_at=NOW - timedelta(days=1),
        readable_until=date(2027, 2, 22),
    )
    return msgspec.structs.replace(event, **changes)


def a_withdrawal(**changes: object) -> InvoiceWithdrawn:
    """Return the event that takes its first version back."""
    event = InvoiceWithdrawn(
        invoice_id=INVOICE_ID,
        version=1,
        authority="saint-aubin",
        regie="CANTINE",
        number="2026-0042",
        reason="Erreur de saisie",
        withdrawn_at=NOW,
    )
    return msgspec.structs.replace(event, **changes)


def a_message(event: E) -> Message[E]:
    """Return `event` as it is read from its topic."""
    return Message(
        id=str(uuid4()),
        source=f"/quittance/{event.PRODUCER}",
        type=event.TYPE,
        subject=event.key,
        time=NOW,
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        causation_id=None,
        data=event,
    )


def an_attempt(**changes: object) -> Attempt:
    """Return an open attempt to pay that invoice."""
    invoice = an_invoice()
    attempt = Attempt(
        payment_id=PAYMENT_ID,
        order_id=ORDER_ID,
        authority="saint-aubin",
        provider="lyra",
        account="saint-aubin-carte",
        amount_cents=41_00,
        state=AttemptState.REDIRECTED,
        email="camille.martin@exemple.test",
        started_at=NOW,
        expires_at=NOW + LIFETIME,
        allocations=(
            Allocation(
                invoice_id=INVOICE_ID,
                authority="saint-aubin",
                regie="CANTINE",
                number="2026-0042",
                amount_cents=41_00,
                published_at=invoice.published_at,
            ),
        ),
    )
    return msgspec.structs.replace(attempt, **changes)


def a_captured_attempt(**changes: object) -> Attempt:
    """Return the same attempt, paid."""
    return msgspec.structs.replace(
        an_attempt(state=AttemptState.CAPTURED, captured_cents=41_00),
        **({"provider_reference": TRANSACTION, "closed_by": FoundBy.NOTICE} | changes),
    )


def a_notice(**changes: object) -> Notice:
    """Return the provider's word that the money of that attempt is taken."""
    notice = Notice(
        order_id=ORDER_ID,
        fact=f"{TRANSACTION}/AUTHORISED",
        state=AttemptState.CAPTURED,
        amount_cents=41_00,
        currency="EUR",
        provider_reference=TRANSACTION,
    )
    return msgspec.structs.replace(notice, **changes)


def an_account(**changes: object) -> LyraShop:
    """Return a shop that takes the money of every régie of Saint-Aubin."""
    account = LyraShop(
        account="saint-aubin-carte",
        authority="saint-aubin",
        regies=None,
        site_id=SITE_ID,
        key=KEY,
        ctx_mode="TEST",
        service_url="https://provider.example/vads-payment/",
    )
    return msgspec.structs.replace(account, **changes)


def a_lyra_account(**changes: object) -> LyraAccount:
    """Return that shop, ready to speak."""
    return LyraAccount(an_account(**changes), NOTIFY_URL, CALLS, FixedClock(NOW))


def notice_fields(**changes: str) -> dict[str, str]:
    """Return what Lyra tells of an authorised payment of 41,00 €, not signed yet."""
    fields = {
        "vads_action_mode": "INTERACTIVE",
        "vads_amount": "4100",
        "vads_auth_mode": "FULL",
        "vads_auth_number": "314159",
        "vads_auth_result": "00",
        "vads_card_brand": "CB",
        "vads_card_number": "497010XXXXXX0055",
        "vads_ctx_mode": "TEST",
        "vads_currency": "978",
        "vads_effective_creation_date": "20261124130700",
        "vads_operation_type": "DEBIT",
        "vads_order_id": ORDER_ID,
        "vads_page_action": "PAYMENT",
        "vads_payment_config": "SINGLE",
        "vads_result": "00",
        "vads_site_id": SITE_ID,
        "vads_trans_date": "20261124130500",
        "vads_trans_id": "abc123",
        "vads_trans_status": "AUTHORISED",
        "vads_trans_uuid": TRANSACTION,
        "vads_url_check_src": "PAY",
        "vads_version": "V2",
    }
    return fields | {f"vads_{name}": value for name, value in changes.items()}


def signed(fields: dict[str, str], key: str = KEY) -> dict[str, str]:
    """Return the fields with the signature that the provider's own code makes."""
    return fields | {"signature": sign(fields, key)}


def a_body(fields: dict[str, str]) -> bytes:
    """Return the fields as they travel."""
    return urlencode(fields).encode("ascii")
