"""Invoices, attempts, notices and stand-ins that the tests of payment share."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar
from urllib.parse import urlencode
from uuid import UUID, uuid4

import msgspec

from payment.adapters.accounts import Account
from payment.adapters.lyra import LyraAccount
from payment.domain import (
    Attempt,
    AttemptState,
    Notice,
    NoticeOutcome,
    PayableInvoice,
)
from payment.ports import Handover, Order, PaymentForm, Provider
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
        state=AttemptState.OPEN,
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
        **({"provider_reference": TRANSACTION} | changes),
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


def an_account(**changes: object) -> Account:
    """Return a shop that takes the money of every régie of Saint-Aubin."""
    account = Account(
        account="saint-aubin-carte",
        authority="saint-aubin",
        regies=None,
        provider="lyra",
        site_id=SITE_ID,
        key=KEY,
        ctx_mode="TEST",
        service_url="https://provider.example/vads-payment/",
    )
    return msgspec.structs.replace(account, **changes)


def a_lyra_account(**changes: object) -> LyraAccount:
    """Return that shop, ready to speak."""
    return LyraAccount(an_account(**changes), NOTIFY_URL)


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


class FakePayments:
    """Payments in memory; one transaction at a time. The store's own suite runs on it too."""

    def __init__(self) -> None:
        self.invoices: dict[UUID, PayableInvoice] = {}
        self.attempts: dict[UUID, Attempt] = {}
        self.forms: dict[UUID, PaymentForm] = {}
        self.keys: dict[str, UUID] = {}
        self.numbers: set[tuple[str, date, str]] = set()
        self.notices: dict[tuple[str, str, str], tuple[bytes, NoticeOutcome]] = {}

    async def keep_invoices(self, published: Sequence[InvoicePublished]) -> None:
        for event in published:
            known = self.invoices.get(event.invoice_id)
            if known is None or known.version < event.version:
                self.invoices[event.invoice_id] = PayableInvoice(
                    invoice_id=event.invoice_id,
                    authority=event.authority,
                    regie=event.regie,
                    number=event.number,
                    version=event.version,
                    kind=event.kind,
                    route=event.route,
                    amount_cents=event.amount_cents,
                    withdrawn_version=known.withdrawn_version if known else 0,
                    captured_cents=0,
                    published_at=event.published_at,
                )

    async def withdraw(self, withdrawn: Sequence[InvoiceWithdrawn]) -> None:
        for event in withdrawn:
            known = self.invoices.get(event.invoice_id) or an_invoice(
                invoice_id=event.invoice_id, version=0, amount_cents=0
            )
            self.invoices[event.invoice_id] = msgspec.structs.replace(
                known, withdrawn_version=max(known.withdrawn_version, event.version)
            )

    async def lock_invoices(self, invoice_ids: Sequence[UUID]) -> list[PayableInvoice]:
        found = [self.invoices.get(invoice_id) for invoice_id in invoice_ids]
        return [
            msgspec.structs.replace(invoice, captured_cents=self._captured(invoice.invoice_id))
            for invoice in found
            if invoice is not None and invoice.version > 0
        ]

    def _captured(self, invoice_id: UUID) -> int:
        return sum(
            part.amount_cents
            for attempt in self.attempts.values()
            if attempt.state is AttemptState.CAPTURED
            for part in attempt.allocations
            if part.invoice_id == invoice_id
        )

    async def open_attempts(self, invoice_ids: Sequence[UUID]) -> list[Attempt]:
        return [
            attempt
            for attempt in self.attempts.values()
            if attempt.state is AttemptState.OPEN
            and {part.invoice_id for part in attempt.allocations} & set(invoice_ids)
        ]

    async def by_key(self, idempotency_key: str) -> tuple[Attempt, PaymentForm] | None:
        payment_id = self.keys.get(idempotency_key)
        return (self.attempts[payment_id], self.forms[payment_id]) if payment_id else None

    async def release_key(self, payment_id: UUID) -> None:
        self.keys = {key: value for key, value in self.keys.items() if value != payment_id}

    async def start(
        self, attempt: Attempt, handover: Handover, idempotency_key: str | None
    ) -> bool:
        number = (attempt.account, handover.provider_day, handover.provider_number)
        if number in self.numbers or idempotency_key in self.keys:
            return False
        self.numbers.add(number)
        self.attempts[attempt.payment_id] = attempt
        self.forms[attempt.payment_id] = handover.form
        if idempotency_key is not None:
            self.keys[idempotency_key] = attempt.payment_id
        return True

    async def find(self, payment_id: UUID, *, lock: bool = False) -> Attempt | None:
        return self.attempts.get(payment_id)

    async def lock_order(self, provider: str, account: str, order_id: str) -> Attempt | None:
        named = (provider, account, order_id)
        return next(
            (
                attempt
                for attempt in self.attempts.values()
                if (attempt.provider, attempt.account, attempt.order_id) == named
            ),
            None,
        )

    async def move(self, attempt: Attempt, at: datetime) -> None:
        self.attempts[attempt.payment_id] = attempt

    async def keep_notice(
        self,
        provider: str,
        account: str,
        notice: Notice,
        body: bytes,
        outcome: NoticeOutcome,
        at: datetime,
    ) -> bool:
        name = (provider, account, notice.fact)
        known = self.notices.get(name, (b"", NoticeOutcome.UNKNOWN_ORDER))[1]
        was_unknown = known is NoticeOutcome.UNKNOWN_ORDER is not outcome
        if name in self.notices and not was_unknown:
            return False
        self.notices[name] = (body, outcome)
        return True

    async def expired(self, now: datetime, limit: int) -> list[Attempt]:
        return [
            attempt
            for attempt in self.attempts.values()
            if attempt.state is AttemptState.OPEN and attempt.expires_at < now
        ][:limit]


class FakeUnit:
    """One transaction: what it published is kept only when it ends well."""

    def __init__(self, payments: FakePayments) -> None:
        self.payments = payments
        self.events: list[Event] = []

    async def publish(self, events: Sequence[Event]) -> None:
        self.events += events


class FakeUnits:
    """Opens transactions on one set of payments."""

    def __init__(self) -> None:
        self.payments = FakePayments()
        self.published: list[Event] = []
        self.is_open = False

    @asynccontextmanager
    async def open(self) -> AsyncIterator[FakeUnit]:
        unit = FakeUnit(self.payments)
        self.is_open = True
        try:
            yield unit
        finally:
            self.is_open = False
        self.published += unit.events


class FakeProvider:
    """A provider that numbers its forms and believes every notice it was given."""

    name = "lyra"

    def __init__(self, units: FakeUnits, account: str = "saint-aubin-carte") -> None:
        self.account = account
        self.orders: list[Order] = []
        self.notice = a_notice()
        self.was_asked_in_a_transaction = False
        self._units = units

    async def prepare(self, order: Order) -> Handover:
        self.was_asked_in_a_transaction |= self._units.is_open
        self.orders.append(order)
        number = f"{len(self.orders):06d}"
        form = PaymentForm(
            url="https://provider.example/", method="POST", fields={"number": number}
        )
        return Handover(form=form, provider_day=NOW.date(), provider_number=number)

    def read_notice(self, body: bytes) -> Notice:
        return self.notice


class FakeProviders:
    """One account for all, unless a régie has another."""

    def __init__(
        self, provider: Provider, others: dict[str, Provider | None] | None = None
    ) -> None:
        self._provider = provider
        self._others = others or {}

    def for_regies(self, authority: str, regies: set[str]) -> Provider | None:
        found = {self._others.get(regie, self._provider) for regie in regies}
        return found.pop() if len(found) == 1 else None

    def by_account(self, provider: str, account: str) -> Provider | None:
        named = (self._provider.name, self._provider.account)
        return self._provider if (provider, account) == named else None
