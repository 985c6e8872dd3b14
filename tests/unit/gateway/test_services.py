"""How the gateway asks the other services, and what it makes of their answers."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date
from uuid import UUID

import aiohttp
import msgspec
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.adapters.services import Services
from gateway.ports import (
    Collected,
    CollectedItem,
    PaymentDemand,
    QuoteDemand,
    RefusedError,
    ServiceUnavailableError,
)
from tests.unit.gateway.door import INVOICE_ID

pytestmark = pytest.mark.enable_socket

PAYMENT_ID = UUID("00000000-0000-4000-8000-0000000000aa")
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Neighbour:
    """Any other service: remembers what it was asked and answers as told."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str, bytes]] = []
        self.answer = web.json_response({})
        self.address = ""

    async def serve(self, request: web.Request) -> web.StreamResponse:
        authorization = request.headers["Authorization"]
        body = await request.read()
        self.asked.append((request.method, request.path_qs, authorization, body))
        return self.answer


@pytest_asyncio.fixture
async def neighbour() -> AsyncIterator[Neighbour]:
    neighbour = Neighbour()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", neighbour.serve)
    async with TestServer(application) as server:
        neighbour.address = str(server.make_url("/"))
        yield neighbour


@pytest_asyncio.fixture
async def services(neighbour: Neighbour) -> AsyncIterator[Services]:
    async with aiohttp.ClientSession() as session:
        yield Services(
            session,
            lambda: "token",
            payment_url=neighbour.address,
            publication_url=neighbour.address,
            figures_url=neighbour.address,
            reconciliation_url=neighbour.address,
        )


async def test_a_payment_is_asked_for_with_the_gateways_own_token(
    services: Services, neighbour: Neighbour
) -> None:
    """Which invoices, where to come back to, and no amount."""
    neighbour.answer = web.json_response(
        {
            "payment_id": str(PAYMENT_ID),
            "amount_cents": 4150,
            "expires_at": "2026-11-24T14:00:00Z",
            "form": {"url": "https://p.test/", "method": "POST", "fields": {"a": "b"}},
        },
        status=201,
    )
    demand = PaymentDemand(
        invoice_ids=(INVOICE_ID,), return_url="https://a.test/", idempotency_key="k"
    )

    started = await services.start_payment(demand)

    assert (started.payment_id, started.amount_cents) == (PAYMENT_ID, 4150)
    [(method, path, authorization, body)] = neighbour.asked
    assert (method, path, authorization) == ("POST", "/v1/payments", "Bearer token")
    assert msgspec.json.decode(body) == {
        "invoice_ids": [str(INVOICE_ID)],
        "return_url": "https://a.test/",
        "idempotency_key": "k",
    }


async def test_what_a_payment_would_be_is_asked_of_payment(
    services: Services, neighbour: Neighbour
) -> None:
    """Its parts, what cannot be in it and why; a sum only where the payer chose one."""
    content = {
        "allocations": [{"invoice_id": str(INVOICE_ID), "number": "1", "amount_cents": 12}],
        "total_cents": 12,
        "outstanding_cents": 50,
        "account": {"provider": "lyra", "account": "a"},
        "needs_email": True,
        "refused": [
            {
                "invoice_id": str(PAYMENT_ID),
                "number": "2",
                "reason": "disputed",
                "sentence": "Contestée.",
            }
        ],
    }

    neighbour.answer = web.json_response(content)
    found = await services.quote(QuoteDemand(invoice_ids=(INVOICE_ID, PAYMENT_ID)))
    neighbour.answer = web.json_response(content)
    await services.quote(QuoteDemand(invoice_ids=(INVOICE_ID,), amount_cents=12))

    assert [(part.invoice_id, part.amount_cents) for part in found.allocations] == [
        (INVOICE_ID, 12)
    ]
    assert [(entry.invoice_id, entry.reason) for entry in found.refused] == [
        (PAYMENT_ID, "disputed")
    ]
    assert (found.total_cents, found.outstanding_cents, found.needs_email) == (12, 50, True)
    assert [(method, path) for method, path, _, _ in neighbour.asked] == [
        ("POST", "/v1/payments/quote")
    ] * 2
    assert [msgspec.json.decode(body) for _, _, _, body in neighbour.asked] == [
        {"invoice_ids": [str(INVOICE_ID), str(PAYMENT_ID)]},
        {"invoice_ids": [str(INVOICE_ID)], "amount_cents": 12},
    ]


@pytest.mark.parametrize(
    ("minimum_cents", "takes_part"), [(500, True), (4150, False), (4151, False)]
)
async def test_whether_an_invoice_can_be_paid_is_asked_of_payment(
    services: Services, neighbour: Neighbour, minimum_cents: int, *, takes_part: bool
) -> None:
    """And whether in parts: where the least is less than all of it."""
    told = {
        "payable": True,
        "reason": None,
        "sentence": "",
        "outstanding_cents": 4150,
        "minimum_cents": minimum_cents,
        "accounts": [{"provider": "payfip", "account": "a"}],
        "in_flight_until": None,
    }
    neighbour.answer = web.json_response({str(INVOICE_ID): told})

    found = await services.payability(INVOICE_ID)

    assert (found.payable, found.reason, found.takes_part) == (True, None, takes_part)
    assert [account.provider for account in found.accounts] == ["payfip"]
    assert neighbour.asked[0][:2] == ("POST", "/v1/invoices/payability")
    assert msgspec.json.decode(neighbour.asked[0][3]) == {"invoice_ids": [str(INVOICE_ID)]}


async def test_an_invoice_that_payment_does_not_know_is_refused(services: Services) -> None:
    """It leaves it out of its answer."""
    with pytest.raises(RefusedError) as refusal:
        await services.payability(INVOICE_ID)

    assert (refusal.value.status, refusal.value.code) == (404, "unknown-invoice")


async def test_payment_is_told_that_the_payer_is_back(
    services: Services, neighbour: Neighbour
) -> None:
    """And answers where the payment stands."""
    neighbour.answer = web.json_response(
        {
            "payment_id": str(PAYMENT_ID),
            "state": "open",
            "step": "pending",
            "amount_cents": 1,
            "started_at": "2026-11-24T14:00:00Z",
            "invoices": [],
            "returned_cents": 0,
        }
    )

    found = await services.come_back(PAYMENT_ID)

    assert (found.payment_id, found.state) == (PAYMENT_ID, "open")
    assert neighbour.asked[0][:2] == ("POST", f"/v1/payments/{PAYMENT_ID}/return")


async def test_figures_are_asked_for_by_authority_and_day(
    services: Services, neighbour: Neighbour
) -> None:
    """And members that we do not know are ignored."""
    item = {"day": "2026-11-24", "regie": "CANTINE", "amount_cents": 12, "payments": 1, "x": 1}
    neighbour.answer = web.json_response({"authority": "a&b", "items": [item]})

    found = await services.collected("a&b", date(2026, 11, 11), date(2026, 11, 24))

    assert found == Collected(
        items=(CollectedItem(day=date(2026, 11, 24), regie="CANTINE", amount_cents=12, payments=1),)
    )
    assert neighbour.asked[0][1] == (
        "/figures/collected?authority=a%26b&from=2026-11-11&to=2026-11-24"
    )


async def test_a_document_comes_in_pieces(services: Services, neighbour: Neighbour) -> None:
    """However large, it never lies whole in memory here."""
    content = bytes(range(256)) * 2000
    neighbour.answer = web.Response(body=content)

    async with services.document(INVOICE_ID) as pieces:
        received = [piece async for piece in pieces]

    assert b"".join(received) == content
    assert max(len(piece) for piece in received) <= 65_536
    assert neighbour.asked[0][1] == f"/v1/invoices/{INVOICE_ID}/document.pdf"


async def test_a_refusal_keeps_its_code_and_sentence(
    services: Services, neighbour: Neighbour
) -> None:
    """So that the payer learns why."""
    neighbour.answer = web.json_response(
        {"code": "payment-in-progress", "detail": "Déjà en cours.", "payment_id": "p"}, status=409
    )

    with pytest.raises(RefusedError) as caught:
        await services.payment(PAYMENT_ID)

    found = (caught.value.status, caught.value.code, caught.value.detail, caught.value.payment_id)
    assert found == (409, "payment-in-progress", "Déjà en cours.", "p")


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(status=500),
        web.Response(status=503, text="{"),
        web.Response(status=401),
        web.Response(status=403),
        web.Response(status=302, headers={"Location": "http://evil.test/"}),
        web.Response(text="not JSON"),
        web.Response(text='{"payment_id": 1}'),
    ],
)
async def test_what_is_not_the_payers_fault_is_an_outage(
    services: Services, neighbour: Neighbour, answer: web.Response
) -> None:
    """Failures, refused tokens, redirects, answers that make no sense."""
    neighbour.answer = answer

    with pytest.raises(ServiceUnavailableError):
        await services.payment(PAYMENT_ID)


async def test_a_service_that_is_not_there_is_an_outage() -> None:
    """Nobody listens on that port."""
    async with aiohttp.ClientSession() as session:
        services = Services(
            session,
            lambda: "token",
            payment_url="http://127.0.0.1:9",
            publication_url="http://127.0.0.1:9",
            figures_url="http://127.0.0.1:9",
            reconciliation_url="http://127.0.0.1:9",
        )

        with pytest.raises(ServiceUnavailableError):
            await services.delays("saint-aubin")
