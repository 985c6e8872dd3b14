"""What is asked of publication and reconciliation for documents, and what is believed of it."""

from collections.abc import AsyncIterator
from uuid import UUID

import aiohttp
import msgspec
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.adapters import documents
from gateway.adapters.services import Services
from gateway.ports import (
    DocumentPages,
    PageSize,
    RefusedError,
    ServiceUnavailableError,
    StatementDemand,
)
from tests.unit.gateway.test_services import Neighbour

pytestmark = pytest.mark.enable_socket

INVOICE_ID, OTHER_ID, PAYMENT_ID = UUID(int=1), UUID(int=2), UUID(int=3)


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
    nowhere = "http://127.0.0.1:9"
    async with aiohttp.ClientSession() as session:
        yield Services(
            session,
            lambda: "token",
            payment_url=nowhere,
            publication_url=neighbour.address,
            figures_url=nowhere,
            reconciliation_url=neighbour.address,
        )


async def test_pages_are_asked_for(services: Services, neighbour: Neighbour) -> None:
    """Sizes and texts, as publication tells them."""
    page = {"number": 1, "width": 1200, "height": 1697}
    neighbour.answer = web.json_response({"pages": [page], "text": ["Facture"]})

    found = await services.pages(INVOICE_ID)

    assert found == DocumentPages(
        pages=(PageSize(number=1, width=1200, height=1697),), text=("Facture",)
    )
    assert neighbour.asked[0][:3] == ("GET", f"/v1/invoices/{INVOICE_ID}/pages", "Bearer token")


async def test_a_picture_comes_with_its_name(services: Services, neighbour: Neighbour) -> None:
    """Which page and how wide; nothing of what the browser sent but the name that it knows."""
    neighbour.answer = web.Response(body=b"RIFF", headers={"ETag": '"a"'})

    found = await services.picture(INVOICE_ID, 2, 1200, "")

    assert (found.etag, found.content) == ('"a"', b"RIFF")
    assert neighbour.asked[0][1] == f"/v1/invoices/{INVOICE_ID}/pages/2.webp?width=1200"


async def test_a_picture_that_the_browser_has_is_not_sent(
    services: Services, neighbour: Neighbour
) -> None:
    """304 is an answer, not a refusal."""
    neighbour.answer = web.Response(status=304, headers={"ETag": '"a"'})

    found = await services.picture(INVOICE_ID, 2, 1200, '"a"')

    assert (found.etag, found.content) == ('"a"', None)


@pytest.mark.parametrize(
    ("status", "error"), [(404, RefusedError), (410, RefusedError), (503, ServiceUnavailableError)]
)
async def test_a_refused_picture_is_told(
    services: Services, neighbour: Neighbour, status: int, error: type[Exception]
) -> None:
    """A refusal is the reader's business, a failure is ours."""
    neighbour.answer = web.json_response({"code": "x"}, status=status)

    with pytest.raises(error):
        await services.picture(INVOICE_ID, 1, 800, "")


async def test_an_endless_picture_is_not_read(
    services: Services, neighbour: Neighbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bound on what one request may hold in memory."""
    monkeypatch.setattr(documents, "LONGEST_PICTURE_BYTES", 10)
    neighbour.answer = web.Response(body=b"RIFF" * 10)

    with pytest.raises(ServiceUnavailableError):
        await services.picture(INVOICE_ID, 1, 800, "")


async def test_a_quittance_is_asked_for_of_some_invoices(
    services: Services, neighbour: Neighbour
) -> None:
    """Those that the reader may see, and whether a name may stand on it."""
    neighbour.answer = web.Response(body=b"%PDF-1.7 x")

    content = await services.receipt(PAYMENT_ID, [INVOICE_ID, OTHER_ID], is_named=False)

    assert content == b"%PDF-1.7 x"
    path = neighbour.asked[0][1].replace("%2C", ",")
    assert path == (
        f"/v1/payments/{PAYMENT_ID}/receipt.pdf?invoice_ids={INVOICE_ID},{OTHER_ID}&named=false"
    )


async def test_the_quittances_of_a_payment_are_listed(
    services: Services, neighbour: Neighbour
) -> None:
    """What reconciliation tells beside is left alone."""
    item = {
        "payment_id": str(PAYMENT_ID),
        "number": "CANTINE-2026-000001",
        "amount_cents": 4150,
        "returned_cents": 0,
        "issued_at": "2026-11-24T13:05:00Z",
        "regie": "CANTINE",
    }
    neighbour.answer = web.json_response({"items": [item]})

    [found] = (await services.receipts(PAYMENT_ID)).items

    assert (found.number, found.amount_cents) == ("CANTINE-2026-000001", 4150)
    assert neighbour.asked[0][1] == f"/v1/receipts?payment_id={PAYMENT_ID}"


async def test_a_certificate_is_asked_for(services: Services, neighbour: Neighbour) -> None:
    """By authority, year and invoices."""
    neighbour.answer = web.Response(body=b"%PDF-1.7 x")
    demand = StatementDemand(authority="ville", year=2026, invoice_ids=(INVOICE_ID,))

    content = await services.statement(demand)

    assert content == b"%PDF-1.7 x"
    assert neighbour.asked[0][:2] == ("POST", "/v1/statements")
    assert msgspec.json.decode(neighbour.asked[0][3], type=StatementDemand) == demand


async def test_what_is_no_pdf_is_not_handed_over(services: Services, neighbour: Neighbour) -> None:
    """A page of a proxy, for example."""
    neighbour.answer = web.Response(body=b"<html>")

    with pytest.raises(ServiceUnavailableError):
        await services.receipt(PAYMENT_ID, [INVOICE_ID], is_named=True)
