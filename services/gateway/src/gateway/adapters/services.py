"""The other services, asked over HTTP for what needs an answer: a payment, a document, figures."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date
from typing import Any, TypeVar
from uuid import UUID

import aiohttp
import msgspec
import structlog

from gateway.ports import (
    Collected,
    Delays,
    Payability,
    PaymentDemand,
    PaymentState,
    Quote,
    QuoteDemand,
    RefusedError,
    ServiceUnavailableError,
    StartedPayment,
)

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

T = TypeVar("T")

TIMEOUT = aiohttp.ClientTimeout(total=15, connect=3)
QUICK = aiohttp.ClientTimeout(total=3, connect=1)
"""For what a page can be shown without."""
STARTING = aiohttp.ClientTimeout(total=60, connect=3)
"""Payment calls the provider meanwhile, and gives up after 45 seconds."""
DOCUMENT_TIMEOUT = aiohttp.ClientTimeout(total=120, connect=3, sock_read=15)
LONGEST_ANSWER_BYTES = 1_048_576
PIECE_BYTES = 65_536


class Services:
    """Calls to the other services with the gateway's own token; see `ports.OtherServices`."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        token: Callable[[], str],
        *,
        payment_url: str,
        publication_url: str,
        figures_url: str,
    ) -> None:
        """Call through `session`, with what `token` returns."""
        self._session = session
        self._token = token
        self._payment_url = payment_url.rstrip("/")
        self._publication_url = publication_url.rstrip("/")
        self._figures_url = figures_url.rstrip("/")

    async def start_payment(self, demand: PaymentDemand) -> StartedPayment:
        """Open a payment; the same key again gives the same payment."""
        address = f"{self._payment_url}/v1/payments"
        return await self._call("POST", address, StartedPayment, body=demand, timeout=STARTING)

    async def quote(self, demand: QuoteDemand) -> Quote:
        """Return what a payment would be, and start nothing."""
        address = f"{self._payment_url}/v1/payments/quote"
        return await self._call("POST", address, Quote, body=demand)

    async def payability(self, invoice_id: UUID) -> Payability:
        """Return whether an invoice can be paid online now."""
        address = f"{self._payment_url}/v1/invoices/{invoice_id}/payability"
        return await self._call("GET", address, Payability, timeout=QUICK)

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

    async def _call(
        self,
        method: str,
        address: str,
        shape: type[T],
        *,
        body: object = None,
        query: dict[str, str] | None = None,
        timeout: aiohttp.ClientTimeout = TIMEOUT,  # noqa: ASYNC109 - aiohttp's own
    ) -> T:
        async with self._answer(method, address, body=body, query=query, timeout=timeout) as answer:
            received = await _read(answer)
        try:
            return msgspec.json.decode(received, type=shape)
        except msgspec.DecodeError as error:
            logger.warning("answer not understood", address=address, error=str(error))
            raise ServiceUnavailableError(str(error)) from error

    @asynccontextmanager
    async def _answer(
        self,
        method: str,
        address: str,
        *,
        body: object = None,
        query: dict[str, str] | None = None,
        timeout: aiohttp.ClientTimeout = TIMEOUT,  # noqa: ASYNC109 - aiohttp's own
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {"Authorization": f"Bearer {self._token()}"}
        content = None
        if body is not None:
            content = msgspec.json.encode(body)
            headers["Content-Type"] = "application/json"
        try:
            async with self._session.request(
                method,
                address,
                params=query,
                data=content,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
            ) as answer:
                if answer.status not in {200, 201}:
                    raise _refusal(answer.status, await _read(answer), address)
                yield answer
        except (aiohttp.ClientError, TimeoutError) as error:
            logger.warning("service did not answer", address=address, error=repr(error))
            raise ServiceUnavailableError(repr(error)) from error


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    received = await answer.content.read(LONGEST_ANSWER_BYTES)
    while not answer.content.at_eof() and len(received) < LONGEST_ANSWER_BYTES:
        received += await answer.content.read(LONGEST_ANSWER_BYTES - len(received))
    return received


def _refusal(status: int, received: bytes, address: str) -> RefusedError | ServiceUnavailableError:
    """Return what to raise: a refusal is the payer's business, a refused token is ours."""
    if status >= 500 or status in (401, 403) or status < 400:
        logger.warning("service failed", address=address, status=status)
        message = f"{status} from {address}"
        return ServiceUnavailableError(message)
    try:
        problem = msgspec.json.decode(received, type=dict[str, Any])
    except msgspec.DecodeError:
        problem = {}
    return RefusedError(status, problem)
