"""What lies beyond the gateway, played for its tests: payment, publication, figures, passwords."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from uuid import UUID, uuid4

from gateway.ports import (
    AccountName,
    Collected,
    Delays,
    PaidInvoice,
    Payability,
    PaymentDemand,
    PaymentForm,
    PaymentState,
    Quote,
    QuoteDemand,
    RefusedError,
    RefusedInvoice,
    ServiceUnavailableError,
    StartedPayment,
)
from tests.unit.gateway.document_fakes import FakeDocuments

PROVIDER = "https://paiement.exemple.test"
PAYFIP = "https://payfip.exemple.test"


class FakePasswords:
    """Hashes that cost nothing; what real ones do is tested beside the adapter."""

    async def hash(self, password: str) -> str:
        return f"hash of {password}"

    async def matches(self, password_hash: str | None, password: str) -> bool:
        return password_hash == f"hash of {password}"


class FakeServices(FakeDocuments):
    """Payment, publication and figures as far as the gateway asks them.

    Each invoice owes 41,50 € unless `owed` says otherwise; `reasons` says which cannot be paid, and
    `floor_cents` from which sum on a part may be.
    """

    def __init__(self) -> None:
        super().__init__()
        self.refusal: RefusedError | None = None
        self.start_refusal: RefusedError | None = None
        self.is_down = False
        self.owed: dict[UUID, int] = {}
        self.reasons: dict[UUID, str] = {}
        self.floor_cents: int | None = None
        self.account = AccountName(provider="lyra", account="saint-aubin-carte")
        self.needs_email = False
        self.form = PaymentForm(
            url=f"{PROVIDER}/vads-payment/",
            method="POST",
            fields={"vads_amount": "4150", "signature": 'a"b<c'},
        )
        self.demands: list[PaymentDemand] = []
        self.by_key: dict[str, StartedPayment] = {}
        self.states: dict[UUID, PaymentState] = {}
        self.abandoned: list[UUID] = []
        self.came_back: list[UUID] = []
        self.collected_items = Collected()
        self.delays_found = Delays()
        self.document_bytes = b"%PDF-1.7 a document"

    async def start_payment(self, demand: PaymentDemand) -> StartedPayment:
        self._answer()
        if self.start_refusal is not None:
            raise self.start_refusal
        if self.needs_email and demand.email is None:
            raise RefusedError(409, {"code": "email-needed"})
        quote = await self.quote(
            QuoteDemand(invoice_ids=demand.invoice_ids, amount_cents=demand.amount_cents)
        )
        if quote.refused:
            raise RefusedError(409, {"code": quote.refused[0].reason})
        self.demands.append(demand)
        key = demand.idempotency_key or ""
        if key not in self.by_key:
            started = StartedPayment(
                payment_id=uuid4(), amount_cents=quote.total_cents, form=self.form
            )
            self.by_key[key] = started
            self.states[started.payment_id] = PaymentState(
                payment_id=started.payment_id,
                state="open",
                amount_cents=quote.total_cents,
                invoices=quote.allocations,
            )
        return self.by_key[key]

    async def quote(self, demand: QuoteDemand) -> Quote:
        self._answer()
        ids = sorted(demand.invoice_ids)
        payable = [invoice_id for invoice_id in ids if invoice_id not in self.reasons]
        outstanding = sum(self.owed.get(invoice_id, 4150) for invoice_id in payable)
        left = outstanding if demand.amount_cents is None else demand.amount_cents
        if left > outstanding:
            raise RefusedError(409, {"code": "amount-too-high"})
        if left < outstanding and self.floor_cents is None:
            raise RefusedError(409, {"code": "partial-not-allowed"})
        if left < min(self.floor_cents or 0, outstanding):
            raise RefusedError(409, {"code": "amount-too-low"})
        parts = []
        for invoice_id in payable:
            share = min(left, self.owed.get(invoice_id, 4150))
            left -= share
            if share:
                parts.append(PaidInvoice(invoice_id=invoice_id, number="?", amount_cents=share))
        return Quote(
            allocations=tuple(parts),
            total_cents=sum(part.amount_cents for part in parts),
            outstanding_cents=outstanding,
            refused=tuple(
                RefusedInvoice(
                    invoice_id=invoice_id,
                    reason=self.reasons[invoice_id],
                    sentence="Les mots du service de paiement.",
                )
                for invoice_id in ids
                if invoice_id in self.reasons
            ),
            account=self.account if parts else None,
            needs_email=self.needs_email,
        )

    async def payability(self, invoice_id: UUID) -> Payability:
        self._answer()
        owed = self.owed.get(invoice_id, 4150)
        reason = self.reasons.get(invoice_id)
        return Payability(
            payable=reason is None,
            reason=reason,
            sentence="Les mots du service de paiement." if reason else "",
            outstanding_cents=owed,
            minimum_cents=min(owed, self.floor_cents or owed),
            accounts=(self.account,),
        )

    async def payment(self, payment_id: UUID) -> PaymentState:
        self._answer()
        if payment_id not in self.states:
            raise RefusedError(404, {"code": "unknown-payment"})
        return self.states[payment_id]

    async def abandon(self, payment_id: UUID) -> PaymentState:
        self.abandoned.append(payment_id)
        return self.states[payment_id]

    async def come_back(self, payment_id: UUID) -> PaymentState:
        self._answer()
        self.came_back.append(payment_id)
        return self.states[payment_id]

    @asynccontextmanager
    async def document(self, invoice_id: UUID) -> AsyncIterator[AsyncIterator[bytes]]:
        self._answer()

        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(self.document_bytes), 7):
                yield self.document_bytes[start : start + 7]

        yield pieces()

    async def collected(self, authority: str, first: date, last: date) -> Collected:
        self._answer()
        return self.collected_items

    async def delays(self, authority: str) -> Delays:
        self._answer()
        return self.delays_found

    def _answer(self) -> None:
        if self.is_down:
            raise ServiceUnavailableError
        if self.refusal is not None:
            raise self.refusal
