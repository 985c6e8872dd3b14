"""Reconciliation's books on a real database, as far as quittances go; and facts to book."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4, uuid5

from reconciliation.domain.receipts import Receipt
from reconciliation.handlers.on_invoice_published import on_invoice_published
from reconciliation.handlers.on_payment_captured import on_payment_captured
from reconciliation.handlers.on_payment_reversed import on_payment_reversed
from reconciliation.store.books import PostgresBooks
from reconciliation.store.receipts import PostgresReceipts
from reconciliation.store.webhooks import PostgresWebhooks
from shared.envelope import Message
from shared.events import InvoicePublished, PaymentCaptured, PaymentReversed
from shared.events.invoice_generated import Payer, Route, StoredFile
from shared.events.payment_captured import Allocation
from shared.postgres import Database, Transaction

NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)
NUMBERS = """
SELECT number FROM receipt WHERE authority = $1 AND regie = $2 AND year = $3 ORDER BY number
"""


class ReceiptOffice:
    """One authority's quittances; each has a name of its own, for what is written once stays."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.authority = f"ville-{uuid4().hex[:12]}"
        self.at = NOW

    def invoice(
        self,
        number: str,
        *,
        version: int = 1,
        amount_cents: int = 4150,
        regie: str = "CANTINE",
        route: Route = "regie",
        payer: str = "Camille Martin",
    ) -> InvoicePublished:
        return InvoicePublished(
            invoice_id=self.id_of(number),
            version=version,
            authority=self.authority,
            authority_name="Ville de Saint-Aubin",
            regie=regie,
            regie_label="Restauration scolaire",
            number=number,
            kind="invoice",
            route=route,
            subject=f"Cantine {number}",
            issued_on=date(2026, 11, 1),
            due_on=date(2026, 12, 31),
            amount_cents=amount_cents,
            currency="EUR",
            payer=Payer(reference="FAM-0042", name=payer),
            token=uuid5(self.id_of(number), "token").hex,
            document=StoredFile(key="a.pdf", size_bytes=1, sha256="0" * 64),
            generated_at=NOW,
            published_at=NOW,
            readable_until=date(2027, 2, 1),
        )

    def payment(
        self,
        *numbers: str,
        payment_id: UUID | None = None,
        regie: str = "CANTINE",
        amount_cents: int = 4150,
        paid_at: datetime | None = None,
    ) -> PaymentCaptured:
        return PaymentCaptured(
            payment_id=payment_id or uuid4(),
            authority=self.authority,
            means="card",
            provider="lyra",
            provider_reference="LYRA-0815",
            amount_cents=amount_cents * len(numbers),
            currency="EUR",
            allocations=tuple(
                Allocation(
                    invoice_id=self.id_of(number),
                    authority=self.authority,
                    regie=regie,
                    number=number,
                    amount_cents=amount_cents,
                )
                for number in numbers
            ),
            captured_at=paid_at or self.at,
        )

    def reversal(self, payment: PaymentCaptured, cents: int | None = None) -> PaymentReversed:
        [part] = payment.allocations
        back = part.amount_cents if cents is None else cents
        return PaymentReversed(
            reversal_id=uuid4(),
            payment_id=payment.payment_id,
            authority=self.authority,
            means=payment.means,
            provider=payment.provider,
            provider_reference=payment.provider_reference,
            cause="refund",
            amount_cents=back,
            currency="EUR",
            allocations=(
                Allocation(
                    invoice_id=part.invoice_id,
                    authority=self.authority,
                    regie=part.regie,
                    number=part.number,
                    amount_cents=back,
                ),
            ),
            reversed_at=self.at + timedelta(hours=1),
        )

    def id_of(self, number: str) -> UUID:
        return uuid5(UUID(int=7), f"{self.authority}/{number}")

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with self.database.transaction() as transaction:
            yield transaction

    async def book(self, *facts: Any) -> None:
        """Book facts in one transaction, in their order."""
        async with self.transaction() as transaction:
            await self.book_within(transaction, facts)

    async def book_within(self, transaction: Transaction, facts: Sequence[Any]) -> None:
        connection = transaction.connection
        books, receipts = PostgresBooks(connection), PostgresReceipts(connection)
        webhooks = PostgresWebhooks(connection)
        for fact in facts:
            message = _message(fact, self.at)
            if isinstance(fact, InvoicePublished):
                await on_invoice_published([message], books, receipts, self.at)
            elif isinstance(fact, PaymentCaptured):
                await on_payment_captured([message], books, webhooks, receipts, self.at)
            else:
                await on_payment_reversed([message], books, webhooks, self.at)

    async def receipts(self, payment: PaymentCaptured) -> list[Receipt]:
        async with self.database.reading() as connection:
            return await PostgresReceipts(connection).of_payment(payment.payment_id)

    async def numbers(self, regie: str = "CANTINE", year: int = 2026) -> list[int]:
        async with self.database.reading() as connection:
            rows = await connection.fetch(NUMBERS, self.authority, regie, year)
        return [row["number"] for row in rows]

    async def waiting(self) -> int:
        async with self.database.reading() as connection:
            count: int = await connection.fetchval(
                "SELECT count(*) FROM receipt_wait WHERE authority = $1", self.authority
            )
        return count


def _message(event: Any, at: datetime) -> Message[Any]:
    return Message(
        id=str(uuid4()),
        source="/quittance/test",
        type=event.TYPE,
        subject=event.key,
        time=at,
        traceparent="",
        causation_id=None,
        data=event,
    )
