"""The other services, asked for what needs an answer: a payment, a document, figures."""

from collections.abc import Callable
from datetime import date
from typing import Any
from uuid import UUID

import aiohttp
import msgspec
import structlog

from shared.errors import PermanentError, TransientError

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

TIMEOUT = aiohttp.ClientTimeout(total=15)


class ServiceUnavailableError(TransientError):
    """Another service did not answer."""

    slug = "service-unavailable"


class RefusedError(PermanentError):
    """Another service refused, with its own code and French sentence."""

    slug = "refused"

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        """Keep the problem document."""
        super().__init__(f"{status} {problem.get('code')}")
        self.status = status
        self.code = str(problem.get("code", ""))
        self.detail = str(problem.get("detail", ""))
        self.payment_id = str(problem.get("payment_id", ""))


class PaymentForm(msgspec.Struct, frozen=True, kw_only=True):
    """What the payer's browser posts to the provider."""

    url: str
    method: str
    fields: dict[str, str]


class StartedPayment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment that was opened."""

    payment_id: UUID
    amount_cents: int
    form: PaymentForm


class PaidInvoice(msgspec.Struct, frozen=True, kw_only=True):
    """One invoice of a payment."""

    invoice_id: UUID
    number: str
    amount_cents: int


class PaymentState(msgspec.Struct, frozen=True, kw_only=True):
    """Where a payment stands."""

    payment_id: UUID
    state: str
    amount_cents: int
    invoices: tuple[PaidInvoice, ...] = ()


class CollectedItem(msgspec.Struct, frozen=True, kw_only=True):
    """What one régie collected on one day, in cents."""

    day: date
    regie: str
    amount_cents: int
    payments: int = 0


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """What an authority collected, by day and régie."""

    items: tuple[CollectedItem, ...] = ()


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """How long one step of the flow takes, in seconds."""

    step: str
    count: int
    mean_seconds: float
    p50_seconds: float
    p95_seconds: float


class Delays(msgspec.Struct, frozen=True, kw_only=True):
    """How long the steps take."""

    steps: tuple[Step, ...] = ()


class Services:
    """Calls to the other services, with the gateway's own token."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        token: Callable[[], str],
        *,
        payment_url: str,
        publication_url: str,
        figures_url: str,
    ) -> None:
        """Call through `session`."""
        self._session = session
        self._token = token
        self._payment_url = payment_url.rstrip("/")
        self._publication_url = publication_url.rstrip("/")
        self._figures_url = figures_url.rstrip("/")

    async def start_payment(
        self, invoice_ids: list[UUID], return_url: str, email: str | None
    ) -> StartedPayment:
        """Open a payment of all that is owed on these invoices.

        Raises:
            RefusedError: payment's own refusal.
            ServiceUnavailableError: it did not answer.
        """
        demand = {"invoice_ids": invoice_ids, "return_url": return_url, "email": email}
        content = await self._call("POST", f"{self._payment_url}/v1/payments", demand)
        return msgspec.json.decode(content, type=StartedPayment)

    async def payment(self, payment_id: UUID) -> PaymentState:
        """Return where a payment stands."""
        content = await self._call("GET", f"{self._payment_url}/v1/payments/{payment_id}")
        return msgspec.json.decode(content, type=PaymentState)

    async def abandon(self, payment_id: UUID) -> PaymentState:
        """Close an open payment: the payer starts again."""
        address = f"{self._payment_url}/v1/payments/{payment_id}/abandon"
        return msgspec.json.decode(await self._call("POST", address), type=PaymentState)

    async def document(self, invoice_id: UUID) -> bytes:
        """Return the published PDF."""
        return await self._call(
            "GET", f"{self._publication_url}/v1/invoices/{invoice_id}/document.pdf"
        )

    async def collected(self, authority: str, first: date, last: date) -> Collected:
        """Return what was collected, by day and régie."""
        query = f"authority={authority}&from={first}&to={last}"
        content = await self._call("GET", f"{self._figures_url}/figures/collected?{query}")
        return msgspec.json.decode(content, type=Collected)

    async def delays(self, authority: str) -> Delays:
        """Return how long the steps take."""
        content = await self._call(
            "GET", f"{self._figures_url}/figures/delays?authority={authority}"
        )
        return msgspec.json.decode(content, type=Delays)

    async def _call(self, method: str, address: str, body: object = None) -> bytes:
        headers = {"Authorization": f"Bearer {self._token()}"}
        content = None
        if body is not None:
            content = msgspec.json.encode(body)
            headers["Content-Type"] = "application/json"
        try:
            async with self._session.request(
                method,
                address,
                data=content,
                headers=headers,
                timeout=TIMEOUT,
                allow_redirects=False,
            ) as answer:
                received = await answer.read()
                status = answer.status
        except (aiohttp.ClientError, TimeoutError) as error:
            logger.warning("service did not answer", address=address, error=repr(error))
            raise ServiceUnavailableError(str(error)) from error
        if status >= 500:
            message = f"{status} from {address}"
            raise ServiceUnavailableError(message)
        if status >= 400:
            try:
                problem = msgspec.json.decode(received, type=dict[str, Any])
            except msgspec.DecodeError:
                problem = {}
            raise RefusedError(status, problem)
        return received
