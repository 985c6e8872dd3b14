"""The other services, asked over HTTP for what needs an answer: a payment, a document, figures."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date
from uuid import UUID

import aiohttp

from gateway.adapters.calls import QUICK
from gateway.adapters.documents import DocumentCalls
from gateway.gathering import Gathering
from gateway.ports import (
    Collected,
    Delays,
    Payability,
    PaymentDemand,
    PaymentState,
    Quote,
    QuoteDemand,
    RefusedError,
    StartedPayment,
)

STARTING = aiohttp.ClientTimeout(total=60, connect=3)
"""Payment calls the provider meanwhile, and gives up after 45 seconds."""
DOCUMENT_TIMEOUT = aiohttp.ClientTimeout(total=120, connect=3, sock_read=15)
PIECE_BYTES = 65_536
PAYABILITIES_AT_ONCE = 100
"""Half of what payment takes in one question."""


class Services(DocumentCalls):
    """Calls to the other services with the gateway's own token; see `ports.OtherServices`."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        token: Callable[[], str],
        *,
        payment_url: str,
        publication_url: str,
        figures_url: str,
        reconciliation_url: str,
    ) -> None:
        """Call through `session`, with what `token` returns."""
        super().__init__(session, token)
        self._payment_url = payment_url.rstrip("/")
        self._publication_url = publication_url.rstrip("/")
        self._figures_url = figures_url.rstrip("/")
        self._reconciliation_url = reconciliation_url.rstrip("/")
        self._payabilities = Gathering(self._ask_payabilities, at_most=PAYABILITIES_AT_ONCE)

    async def start_payment(self, demand: PaymentDemand) -> StartedPayment:
        """Open a payment; the same key again gives the same payment."""
        address = f"{self._payment_url}/v1/payments"
        return await self._call("POST", address, StartedPayment, body=demand, timeout=STARTING)

    async def quote(self, demand: QuoteDemand) -> Quote:
        """Return what a payment would be, and start nothing."""
        address = f"{self._payment_url}/v1/payments/quote"
        return await self._call("POST", address, Quote, body=demand)

    async def payability(self, invoice_id: UUID) -> Payability:
        """Return whether an invoice can be paid online now.

        Payment is asked in one go about all the invoices that are looked at meanwhile.

        Raises:
            RefusedError: payment does not know it, or not yet.
        """
        found = await self._payabilities.get(invoice_id)
        if found is None:
            raise RefusedError(404, {"code": "unknown-invoice"})
        return found

    async def _ask_payabilities(self, invoice_ids: Sequence[UUID]) -> Mapping[UUID, Payability]:
        return await self._call(
            "POST",
            f"{self._payment_url}/v1/invoices/payability",
            dict[UUID, Payability],
            body={"invoice_ids": invoice_ids},
            timeout=QUICK,
        )

    async def payment(self, payment_id: UUID) -> PaymentState:
        """Return where a payment stands."""
        address = f"{self._payment_url}/v1/payments/{payment_id}"
        return await self._call("GET", address, PaymentState)

    async def abandon(self, payment_id: UUID) -> PaymentState:
        """Close an open payment: the payer starts again."""
        address = f"{self._payment_url}/v1/payments/{payment_id}/abandon"
        return await self._call("POST", address, PaymentState)

    async def come_back(self, payment_id: UUID) -> PaymentState:
        """Note that the payer is back, so that the provider is asked at once."""
        address = f"{self._payment_url}/v1/payments/{payment_id}/return"
        return await self._call("POST", address, PaymentState)

    @asynccontextmanager
    async def document(self, invoice_id: UUID) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open the published PDF, to be read in pieces."""
        address = f"{self._publication_url}/v1/invoices/{invoice_id}/document.pdf"
        async with self._answer("GET", address, timeout=DOCUMENT_TIMEOUT) as answer:
            yield answer.content.iter_chunked(PIECE_BYTES)

    async def collected(self, authority: str, first: date, last: date) -> Collected:
        """Return what was collected, by day and régie."""
        query = {"authority": authority, "from": first.isoformat(), "to": last.isoformat()}
        address = f"{self._figures_url}/figures/collected"
        return await self._call("GET", address, Collected, query=query)

    async def delays(self, authority: str) -> Delays:
        """Return how long the steps take."""
        address = f"{self._figures_url}/figures/delays"
        return await self._call("GET", address, Delays, query={"authority": authority})
