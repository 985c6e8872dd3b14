"""The doors of the gateway: payers on one side, agents on the other."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date
from typing import Protocol, TypeVar
from uuid import UUID

import msgspec
from aiohttp import web

from payment.api.bodies import (
    History,
    InvoicePayability,
    Parity,
    PayabilityDemand,
    PaymentDemand,
    PaymentState,
    QuoteDemand,
    QuotedPayment,
    StartedPayment,
    UnclearAttempts,
    paid,
    payable,
    quoted,
)
from payment.api.notices import NoticeDoor
from payment.api.refusals import refusal, refusal_of_provider
from payment.domain import Attempt, Move, Quote
from payment.domain.commands import Command
from payment.domain.parity import Finding, TheirLine
from payment.domain.payability import Payability
from payment.domain.statements import UnreadableStatementError, read_statement
from payment.ports import (
    PaymentForm,
    Provider,
    ProviderRefusedError,
    Providers,
    RawNotice,
    UnclearAttempt,
)
from shared.errors import DomainError
from shared.http import Operation, ProblemError, json_response, read_json

KEY = re.compile(r"[!-~]{1,255}")
SCOPE = "payments:write"
PERIOD_DAYS = 366
T = TypeVar("T")


class Desk(Protocol):
    """What stands behind the doors."""

    async def start(
        self, demand: PaymentDemand, *, is_replay_exact: bool
    ) -> tuple[Attempt, PaymentForm]:
        """Open an attempt."""
        ...

    async def quote(self, demand: QuoteDemand) -> Quote:
        """Return what a payment would be."""
        ...

    async def payabilities(self, invoice_ids: Sequence[UUID]) -> Mapping[UUID, Payability]:
        """Return whether invoices can be paid online; unknown ones are left out."""
        ...

    async def find(self, payment_id: UUID) -> Attempt | None:
        """Return an attempt."""
        ...

    async def history(self, payment_id: UUID) -> list[Move]:
        """Return the moves of an attempt."""
        ...

    async def abandon(self, payment_id: UUID) -> Attempt | None:
        """Close an attempt for the payer."""
        ...

    async def come_back(self, payment_id: UUID) -> Attempt | None:
        """Note that the payer is back."""
        ...

    async def ask(self, payment_id: UUID) -> Attempt | None:
        """Have the provider asked soon."""
        ...

    async def act(self, payment_id: UUID, command: Command) -> Attempt | None:
        """Record what an agent found."""
        ...

    async def unclear(self, authority: str | None) -> tuple[int, list[UnclearAttempt]]:
        """Return how many attempts need people, and the oldest of an authority."""
        ...

    async def keep_statement(self, account: str, lines: Sequence[TheirLine]) -> None:
        """Keep a provider's list."""
        ...

    async def compare(self, account: str, first: date, last: date) -> list[Finding]:
        """Compare with the provider's list."""
        ...

    async def take(self, raw: RawNotice, provider: Provider) -> None:
        """Take a notice."""
        ...


class Doors:
    """The operations, over what stands behind them."""

    def __init__(self, desk: Desk, providers: Providers) -> None:
        """Keep the parts; `operations` lists what is served."""
        self._desk = desk
        self._notices = NoticeDoor(desk.take, providers)

    async def post_payment(self, request: web.Request) -> web.Response:
        """Open an attempt."""
        key = _key(request)
        demand = await read_json(request, PaymentDemand)
        _require_different(demand.invoice_ids)
        if key is not None:
            demand = msgspec.structs.replace(demand, idempotency_key=key)
        try:
            attempt, form = await self._desk.start(demand, is_replay_exact=key is not None)
        except ProviderRefusedError as error:
            raise refusal_of_provider(error) from error
        except DomainError as error:
            raise refusal(error) from error
        return json_response(
            StartedPayment(
                payment_id=attempt.payment_id,
                amount_cents=attempt.amount_cents,
                expires_at=attempt.expires_at,
                form=form,
            ),
            status=201,
        )

    async def post_quote(self, request: web.Request) -> web.Response:
        """Return what a payment would be."""
        demand = await read_json(request, QuoteDemand)
        _require_different(demand.invoice_ids)
        try:
            return json_response(quoted(await self._desk.quote(demand)))
        except DomainError as error:
            raise refusal(error) from error

    async def get_payability(self, request: web.Request) -> web.Response:
        """Return whether an invoice can be paid online, and if not why."""

        async def find(invoice_id: UUID) -> Payability | None:
            return (await self._desk.payabilities([invoice_id])).get(invoice_id)

        found = await _named(request, "invoice_id", find)
        if found is None:
            raise ProblemError(404, "unknown-invoice", "Cette facture n’est pas connue.")
        return json_response(payable(found))

    async def post_payabilities(self, request: web.Request) -> web.Response:
        """Return the same for several invoices at once; those not known are left out."""
        demand = await read_json(request, PayabilityDemand)
        found = await self._desk.payabilities(sorted(set(demand.invoice_ids)))
        return json_response({str(name): payable(one) for name, one in found.items()})

    async def get_payment(self, request: web.Request) -> web.Response:
        """Return where a payment stands."""
        return json_response(paid(await _attempt(request, self._desk.find)))

    async def get_history(self, request: web.Request) -> web.Response:
        """Return how it came there."""
        attempt = await _attempt(request, self._desk.find)
        return json_response(History(moves=tuple(await self._desk.history(attempt.payment_id))))

    async def post_abandonment(self, request: web.Request) -> web.Response:
        """Close an open attempt because the payer starts again."""
        return json_response(paid(await _attempt(request, self._desk.abandon)))

    async def post_return(self, request: web.Request) -> web.Response:
        """Note that the payer's browser is back; what it brings is a hint and proves nothing."""
        return json_response(paid(await _attempt(request, self._desk.come_back)))

    async def post_question(self, request: web.Request) -> web.Response:
        """Have the provider asked soon."""
        return json_response(paid(await _attempt(request, self._desk.ask)), status=202)

    async def post_move(self, request: web.Request) -> web.Response:
        """Record what an agent found in the provider's back office."""
        command = await read_json(request, Command)

        async def act(payment_id: UUID) -> Attempt | None:
            return await self._desk.act(payment_id, command)

        try:
            return json_response(paid(await _attempt(request, act)))
        except DomainError as error:
            raise refusal(error) from error

    async def get_attempts(self, request: web.Request) -> web.Response:
        """Return the attempts that people must look at."""
        if request.query.get("needs") != "people":
            raise ProblemError(422, "invalid-query", "Seul « needs=people » est connu.")
        count, attempts = await self._desk.unclear(request.query.get("authority"))
        return json_response(UnclearAttempts(count=count, attempts=tuple(attempts)))

    async def post_statement(self, request: web.Request) -> web.Response:
        """Keep a provider's own list, and compare."""
        account, first, last = _period(request)
        try:
            lines = read_statement(await request.read())
        except UnreadableStatementError as error:
            sentence = f"Le fichier n’est pas une liste de paiements : {error}"
            raise ProblemError(422, error.slug, sentence) from error
        await self._desk.keep_statement(account, lines)
        return await self._parity(account, first, last)

    async def get_parity(self, request: web.Request) -> web.Response:
        """Compare our attempts with the list that was handed in."""
        return await self._parity(*_period(request))

    async def _parity(self, account: str, first: date, last: date) -> web.Response:
        findings = await self._desk.compare(account, first, last)
        return json_response(Parity(account=account, findings=tuple(findings)))

    def operations(self) -> list[Operation]:
        """Return what payment serves."""
        return [*self._for_payers(), *self._for_agents(), *self._notices.operations()]

    def _for_payers(self) -> list[Operation]:
        one = "/v1/payments/{payment_id}"
        return [
            _operation(
                "POST /v1/payments",
                self.post_payment,
                "Open an attempt to pay invoices.",
                {201: StartedPayment},
                request=PaymentDemand,
            ),
            _operation(
                "POST /v1/payments/quote",
                self.post_quote,
                "What a payment of these invoices would be.",
                {200: QuotedPayment},
                request=QuoteDemand,
            ),
            _operation(
                "POST /v1/invoices/payability",
                self.post_payabilities,
                "Whether invoices can be paid online now, by id; those not known are left out.",
                {200: dict[str, InvoicePayability]},
                request=PayabilityDemand,
            ),
            _operation(
                "GET /v1/invoices/{invoice_id}/payability",
                self.get_payability,
                "Whether an invoice can be paid online now, and if not why.",
                {200: InvoicePayability},
            ),
            _operation(
                f"GET {one}", self.get_payment, "Where a payment stands.", {200: PaymentState}
            ),
            _operation(
                f"POST {one}/abandon",
                self.post_abandonment,
                "Close an open attempt: the payer starts again.",
                {200: PaymentState},
            ),
            _operation(
                f"POST {one}/return",
                self.post_return,
                "The payer's browser is back: a hint, so that the provider is asked at once.",
                {200: PaymentState},
            ),
        ]

    def _for_agents(self) -> list[Operation]:
        one = "/v1/payments/{payment_id}"
        period = {"account": "An account.", "from": "First civil day.", "to": "Last civil day."}
        return [
            _operation(f"GET {one}/history", self.get_history, "Every move.", {200: History}),
            _operation(
                f"POST {one}/ask", self.post_question, "Ask the provider soon.", {202: PaymentState}
            ),
            _operation(
                f"POST {one}/moves",
                self.post_move,
                "What an agent found in the provider's back office.",
                {200: PaymentState},
                request=Command,
            ),
            _operation(
                "GET /v1/attempts",
                self.get_attempts,
                "Attempts that people must look at.",
                {200: UnclearAttempts},
                query={"needs": "`people`.", "authority": "Those of one authority."},
            ),
            _operation(
                "POST /v1/parity",
                self.post_statement,
                "Hand in the provider's own list, CSV or JSON, and compare.",
                {200: Parity},
                query=period,
            ),
            _operation(
                "GET /v1/parity",
                self.get_parity,
                "Every difference from the lists that were handed in.",
                {200: Parity},
                query=period,
            ),
        ]


def _operation(
    route: str,
    handler: Callable[[web.Request], Awaitable[web.Response]],
    summary: str,
    responses: Mapping[int, type | str],
    *,
    request: type | None = None,
    query: Mapping[str, str] | None = None,
) -> Operation:
    method, path = route.split()
    return Operation(
        method=method,
        path=path,
        handler=handler,
        summary=summary,
        scope=SCOPE,
        request=request,
        responses=responses,
        query=query or {},
    )


def _key(request: web.Request) -> str | None:
    """Return the caller's key; one that is no key is a fault of the caller (reliability P10)."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not KEY.fullmatch(key):
        sentence = "La clé d’idempotence compte de 1 à 255 caractères ASCII visibles."
        raise ProblemError(422, "invalid-idempotency-key", sentence)
    return key


def _require_different(invoice_ids: Sequence[UUID]) -> None:
    if len(set(invoice_ids)) < len(invoice_ids):
        raise ProblemError(422, "invalid-body", "Une facture est nommée deux fois.")


async def _named(
    request: web.Request, name: str, find: Callable[[UUID], Awaitable[T | None]]
) -> T | None:
    try:
        named = UUID(request.match_info[name])
    except ValueError:
        return None
    return await find(named)


async def _attempt(
    request: web.Request, find: Callable[[UUID], Awaitable[Attempt | None]]
) -> Attempt:
    attempt = await _named(request, "payment_id", find)
    if attempt is None:
        raise ProblemError(404, "unknown-payment", "Ce paiement n’est pas connu.")
    return attempt


def _period(request: web.Request) -> tuple[str, date, date]:
    query = request.query
    try:
        first, last = date.fromisoformat(query["from"]), date.fromisoformat(query["to"])
        account = query["account"]
    except (KeyError, ValueError) as error:
        sentence = "Il faut un compte (account) et deux dates (from, to)."
        raise ProblemError(422, "invalid-query", sentence) from error
    if not 0 <= (last - first).days <= PERIOD_DAYS:
        raise ProblemError(422, "invalid-query", "La période va d’un jour à un an.")
    return account, first, last
