"""The doors of payment: for the gateway, and for the providers' notices."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from hashlib import sha256
from typing import Annotated
from uuid import UUID

import msgspec
import structlog
from aiohttp import web

from payment.domain import Attempt, AttemptState
from payment.ports import (
    MalformedNoticeError,
    NoticeRefusedError,
    PaymentForm,
    Provider,
    Providers,
)
from shared import metrics
from shared.errors import DomainError
from shared.http import Operation, ProblemError, json_response, read_json

MAXIMUM_BODY_BYTES = 65_536
EMAIL = r"^[^\s@<>]+@[^\s@<>]+(?![\s\S])"
FORM = "application/x-www-form-urlencoded"
logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


class PaymentDemand(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which invoices are to be paid, and where the payer comes back to; never an amount."""

    invoice_ids: Annotated[tuple[UUID, ...], msgspec.Meta(min_length=1, max_length=50)]
    return_url: Annotated[str, msgspec.Meta(pattern=r"^https?://\S+(?![\s\S])", max_length=250)]
    email: Annotated[str, msgspec.Meta(pattern=EMAIL, max_length=80)] | None = None
    language: Annotated[str, msgspec.Meta(pattern="^(fr|en)$")] = "fr"
    idempotency_key: Annotated[str, msgspec.Meta(pattern=r"^[!-~]{1,100}(?![\s\S])")] | None = None


class StartedPayment(msgspec.Struct, frozen=True, kw_only=True):
    """The attempt that was opened and the form to hand the payer over with."""

    payment_id: UUID
    amount_cents: int
    expires_at: datetime
    form: PaymentForm


class PaidInvoice(msgspec.Struct, frozen=True, kw_only=True):
    """One invoice of a payment."""

    invoice_id: UUID
    number: str
    amount_cents: int


class PaymentState(msgspec.Struct, frozen=True, kw_only=True):
    """Where a payment stands, by the provider's own word."""

    payment_id: UUID
    state: AttemptState
    amount_cents: int
    started_at: datetime
    invoices: tuple[PaidInvoice, ...]
    provider_reference: str | None = None


Start = Callable[[PaymentDemand], Awaitable[tuple[Attempt, PaymentForm]]]
Find = Callable[[UUID], Awaitable[Attempt | None]]
Take = Callable[[bytes, Provider], Awaitable[None]]


class Doors:
    """The operations, over what the wiring gives."""

    def __init__(
        self, *, start: Start, find: Find, abandon: Find, take: Take, providers: Providers
    ) -> None:
        """Keep the parts; `operations` lists what is served."""
        self._start = start
        self._find = find
        self._abandon = abandon
        self._take = take
        self._providers = providers

    async def post_payment(self, request: web.Request) -> web.Response:
        """Open an attempt."""
        demand = await read_json(request, PaymentDemand)
        if len(set(demand.invoice_ids)) < len(demand.invoice_ids):
            raise ProblemError(422, "invalid-body", "Une facture est nommée deux fois.")
        try:
            attempt, form = await self._start(demand)
        except DomainError as error:
            raise _refusal(error) from error
        return json_response(
            StartedPayment(
                payment_id=attempt.payment_id,
                amount_cents=attempt.amount_cents,
                expires_at=attempt.expires_at,
                form=form,
            ),
            status=201,
        )

    async def get_payment(self, request: web.Request) -> web.Response:
        """Return where a payment stands."""
        return json_response(_state(await self._attempt(request, self._find)))

    async def post_abandonment(self, request: web.Request) -> web.Response:
        """Close an open attempt because the payer starts again."""
        return json_response(_state(await self._attempt(request, self._abandon)))

    async def _attempt(self, request: web.Request, find: Find) -> Attempt:
        try:
            attempt = await find(UUID(request.match_info["payment_id"]))
        except ValueError:
            attempt = None
        if attempt is None:
            raise ProblemError(404, "unknown-payment", "Ce paiement n’est pas connu.")
        return attempt

    async def post_notice(self, request: web.Request) -> web.Response:
        """Hear a provider: kept and acted on in one transaction, answered at once."""
        provider = self._providers.by_account(
            request.match_info["provider"], request.match_info["account"]
        )
        if provider is None:
            raise ProblemError(404, "unknown-account", "Ce compte n’est pas connu.")
        if request.content_type != FORM:
            raise ProblemError(415, "not-a-form", "Une notification est un formulaire.")
        body = await request.read()
        try:
            await self._take(body, provider)
        except (MalformedNoticeError, NoticeRefusedError) as error:
            raise _unproven(error, provider, body) from error
        return web.Response(text="OK")

    def operations(self) -> list[Operation]:
        """Return what payment serves."""
        return [
            Operation(
                method="POST",
                path="/v1/payments",
                handler=self.post_payment,
                summary="Open an attempt to pay invoices.",
                scope="payments:write",
                request=PaymentDemand,
                responses={201: StartedPayment},
            ),
            Operation(
                method="GET",
                path="/v1/payments/{payment_id}",
                handler=self.get_payment,
                summary="Where a payment stands.",
                scope="payments:write",
                responses={200: PaymentState},
            ),
            Operation(
                method="POST",
                path="/v1/payments/{payment_id}/abandon",
                handler=self.post_abandonment,
                summary="Close an open attempt: the payer starts again.",
                scope="payments:write",
                responses={200: PaymentState},
            ),
            Operation(
                method="POST",
                path="/payments/notify/{provider}/{account}",
                handler=self.post_notice,
                summary="A provider's signed notice.",
                request_types=(FORM,),
                responses={200: "text/plain"},
            ),
        ]


def _unproven(
    error: MalformedNoticeError | NoticeRefusedError, provider: Provider, body: bytes
) -> ProblemError:
    """Log a fingerprint of what anybody may have sent, and tell the sender little."""
    metrics.WORK_DONE.labels("notice", error.slug).inc()
    logger.warning(
        "notice refused",
        account=provider.account,
        reason=str(error),
        sha256=sha256(body).hexdigest(),
    )
    if isinstance(error, MalformedNoticeError):
        return ProblemError(400, error.slug, "Ceci n’est pas une notification du prestataire.")
    return ProblemError(
        403, error.slug, "La notification ne prouve pas qu’elle vient du prestataire."
    )


def _refusal(error: DomainError) -> ProblemError:
    attempt: Attempt | None = getattr(error, "attempt", None)
    extensions = (
        {
            "payment_id": str(attempt.payment_id),
            "started_at": attempt.started_at.isoformat(),
            "expires_at": attempt.expires_at.isoformat(),
        }
        if attempt
        else {}
    )
    status = 404 if error.slug == "unknown-invoice" else 409
    return ProblemError(status, error.slug, str(error), extensions=extensions)


def _state(attempt: Attempt) -> PaymentState:
    return PaymentState(
        payment_id=attempt.payment_id,
        state=attempt.state,
        amount_cents=attempt.amount_cents,
        started_at=attempt.started_at,
        invoices=tuple(
            PaidInvoice(
                invoice_id=allocation.invoice_id,
                number=allocation.number,
                amount_cents=allocation.amount_cents,
            )
            for allocation in attempt.allocations
        ),
        provider_reference=attempt.provider_reference,
    )
