"""The doors: who may knock, what they answer, and that no input makes them fail."""

from collections.abc import AsyncIterator
from typing import TypeAlias
from uuid import UUID, uuid4

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from structlog.testing import capture_logs

from payment.api import MAXIMUM_BODY_BYTES, Doors, PaymentDemand
from payment.domain import AlreadyPaidError, Attempt, AttemptState, WithdrawnError
from payment.handlers.start_payment import InProgressError, KeyReusedError, UnknownInvoiceError
from payment.ports import PaymentForm, Provider
from shared.auth import InvalidTokenError, Principal
from shared.errors import DomainError
from shared.http import create_application
from tests.unit.payment.payment_builders import (
    INVOICE_ID,
    ORDER_ID,
    PAYMENT_ID,
    FakeProviders,
    a_body,
    a_lyra_account,
    an_attempt,
    notice_fields,
    signed,
)

pytestmark = pytest.mark.enable_socket

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
NOTIFY = "/payments/notify/lyra/saint-aubin-carte"
GATEWAY = {"Authorization": "Bearer gateway"}
DEMAND = {"invoice_ids": [str(INVOICE_ID)], "return_url": "https://portail.example/retour"}
Client: TypeAlias = TestClient[web.Request, web.Application]


class Tokens:
    async def authenticate(self, token: str) -> Principal:
        scopes = {"gateway": {"payments:write"}, "biller": {"deposits:write"}}
        if token not in scopes:
            raise InvalidTokenError
        return Principal(subject=token, authority="", regies=(), scopes=frozenset(scopes[token]))


class Desk:
    """What stands behind the doors, and what came through them."""

    def __init__(self) -> None:
        self.refusal: DomainError | None = None
        self.demands: list[PaymentDemand] = []
        self.notices: list[str] = []
        self.attempt = an_attempt()

    async def start(self, demand: PaymentDemand) -> tuple[Attempt, PaymentForm]:
        if self.refusal:
            raise self.refusal
        self.demands.append(demand)
        form = PaymentForm(url="https://provider.example/", method="POST", fields={"a": "1"})
        return self.attempt, form

    async def find(self, payment_id: UUID) -> Attempt | None:
        return self.attempt if payment_id == PAYMENT_ID else None

    async def abandon(self, payment_id: UUID) -> Attempt | None:
        if payment_id != PAYMENT_ID:
            return None
        return msgspec.structs.replace(self.attempt, state=AttemptState.ABANDONED)

    async def take(self, body: bytes, provider: Provider) -> None:
        self.notices.append(provider.read_notice(body).order_id)


@pytest.fixture
def desk() -> Desk:
    """Return a desk with one open attempt."""
    return Desk()


@pytest.fixture
async def client(desk: Desk) -> AsyncIterator[Client]:
    """Return a client of the doors, as the wiring builds them."""
    doors = Doors(
        start=desk.start,
        find=desk.find,
        abandon=desk.abandon,
        take=desk.take,
        providers=FakeProviders(a_lyra_account()),
    )
    application = create_application(
        "payment",
        doors.operations(),
        authenticator=Tokens(),
        maximum_body_bytes=MAXIMUM_BODY_BYTES,
    )
    async with TestClient(TestServer(application)) as made:
        yield made


async def test_starts_a_payment_and_hands_out_the_form(client: Client, desk: Desk) -> None:
    """201 with the form, the sum and until when it may be used."""
    answer = await client.post("/v1/payments", json=DEMAND, headers=GATEWAY)

    assert answer.status == 201
    assert {
        "payment_id": str(PAYMENT_ID),
        "amount_cents": 41_00,
        "expires_at": "2026-11-24T13:25:00Z",
        "form": {"url": "https://provider.example/", "method": "POST", "fields": {"a": "1"}},
    } == await answer.json()
    assert [(INVOICE_ID,)] == [demand.invoice_ids for demand in desk.demands]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/payments"),
        ("GET", f"/v1/payments/{PAYMENT_ID}"),
        ("POST", f"/v1/payments/{PAYMENT_ID}/abandon"),
    ],
)
async def test_opens_only_to_the_gateway(client: Client, method: str, path: str) -> None:
    """401 without a token, 403 with one for something else."""
    nobody = await client.request(method, path, json=DEMAND)
    biller = await client.request(
        method, path, json=DEMAND, headers={"Authorization": "Bearer biller"}
    )

    assert (401, 403) == (nobody.status, biller.status)


@pytest.mark.parametrize(
    "changes",
    [
        {"amount_cents": 1},
        {"invoice_ids": []},
        {"invoice_ids": [str(INVOICE_ID)] * 2},
        {"invoice_ids": [str(uuid4()) for _ in range(51)]},
        {"invoice_ids": ["2026-0042"]},
        {"return_url": "javascript:alert(1)"},
        {"return_url": "https://portail.example/\nx"},
        {"return_url": "https://portail.example/\n"},
        {"email": "camille\r\nBcc: x@exemple.test"},
        {"email": "a@b@c.test"},
        {"email": "camille@exemple.test\n"},
        {"language": "de"},
        {"idempotency_key": ""},
        {"idempotency_key": "k" * 101},
        {"idempotency_key": "a\x00b"},
        {"idempotency_key": "k\n"},
    ],
)
async def test_refuses_a_demand_of_another_shape(
    client: Client, desk: Desk, changes: dict[str, object]
) -> None:
    """J9, J12, M1, S16: no amount comes from outside, and nothing odd goes further."""
    answer = await client.post("/v1/payments", json=DEMAND | changes, headers=GATEWAY)

    assert answer.status == 422
    assert answer.content_type == "application/problem+json"
    assert desk.demands == []


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (UnknownInvoiceError("x"), 404),
        (AlreadyPaidError("x"), 409),
        (WithdrawnError("x"), 409),
        (KeyReusedError("x"), 409),
    ],
)
async def test_tells_a_refusal_by_its_slug(
    client: Client, desk: Desk, refusal: DomainError, status: int
) -> None:
    """The gateway chooses its sentence by it."""
    desk.refusal = refusal

    answer = await client.post("/v1/payments", json=DEMAND, headers=GATEWAY)

    problem = await answer.json()
    assert status == answer.status
    assert problem["type"].endswith(refusal.slug)


async def test_says_which_payment_is_in_progress_and_since_when(client: Client, desk: Desk) -> None:
    """So that the payer may go on with it or give it up."""
    desk.refusal = InProgressError(an_attempt())

    answer = await client.post("/v1/payments", json=DEMAND, headers=GATEWAY)

    problem = await answer.json()
    assert answer.status == 409
    assert problem["type"].endswith("payment-in-progress")
    assert (str(PAYMENT_ID), "2026-11-24T13:05:00+00:00", "2026-11-24T13:25:00+00:00") == (
        problem["payment_id"],
        problem["started_at"],
        problem["expires_at"],
    )


async def test_shows_where_a_payment_stands(client: Client) -> None:
    """For the page the payer comes back to."""
    answer = await client.get(f"/v1/payments/{PAYMENT_ID}", headers=GATEWAY)

    state = await answer.json()
    assert ("open", 41_00) == (state["state"], state["amount_cents"])
    assert [str(INVOICE_ID)] == [invoice["invoice_id"] for invoice in state["invoices"]]
    assert "email" not in str(state)


async def test_abandons_at_the_payers_word(client: Client) -> None:
    """The answer is the new state."""
    answer = await client.post(f"/v1/payments/{PAYMENT_ID}/abandon", headers=GATEWAY)

    assert (await answer.json())["state"] == "abandoned"


@pytest.mark.parametrize("name", [str(UUID(int=1)), "1", "%00"])
async def test_knows_no_other_payment(client: Client, name: str) -> None:
    """Neither a number that was made up, nor what is no number."""
    found = await client.get(f"/v1/payments/{name}", headers=GATEWAY)
    closed = await client.post(f"/v1/payments/{name}/abandon", headers=GATEWAY)

    assert (404, 404) == (found.status, closed.status)


async def test_takes_a_signed_notice_without_a_token(client: Client, desk: Desk) -> None:
    """The signature is the proof."""
    answer = await client.post(NOTIFY, data=a_body(signed(notice_fields())), headers=FORM)

    assert answer.status == 200
    assert [ORDER_ID] == desk.notices


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (a_body(signed(notice_fields(), "another1")), FORM, 403),
        (a_body(notice_fields(ctx_mode="PRODUCTION") | {"signature": "A"}), FORM, 403),
        (a_body(signed(notice_fields())) + b"&vads_amount=1", FORM, 400),
        (b"", FORM, 403),
        (b"\xff\xfe", FORM, 400),
        (b"{}", {"Content-Type": "application/json"}, 415),
        (b"a=" + b"x" * MAXIMUM_BODY_BYTES, FORM, 413),
    ],
    ids=["signature", "mode", "twice", "empty", "bytes", "json", "long"],
)
async def test_refuses_a_notice_that_is_none(
    client: Client, desk: Desk, body: bytes, headers: dict[str, str], status: int
) -> None:
    """W1, W9, W11, W14: a problem document, nothing taken, and never a failure of ours."""
    with capture_logs() as logs:
        answer = await client.post(NOTIFY, data=body, headers=headers)

    assert status == answer.status
    assert answer.content_type == "application/problem+json"
    assert desk.notices == []
    assert "another1" not in str(logs)
    if status in {400, 403}:
        assert [64] == [len(log["sha256"]) for log in logs]


async def test_bounds_a_notice_that_does_not_say_its_length(client: Client) -> None:
    """A sender in chunks cannot fill the memory."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * (MAXIMUM_BODY_BYTES // 2)

    answer = await client.post(NOTIFY, data=chunks(), headers=FORM)

    assert answer.status == 413


async def test_has_no_door_for_an_account_that_is_not_configured(client: Client) -> None:
    """A notice for it could not be checked."""
    body = a_body(signed(notice_fields()))

    other = await client.post("/payments/notify/lyra/autre", data=body, headers=FORM)
    looked = await client.get(NOTIFY)

    assert (404, 405) == (other.status, looked.status)


async def test_documents_its_doors(client: Client) -> None:
    """The contract stands beside the service."""
    document = await (await client.get("/openapi.json")).json()

    assert {"/v1/payments", "/payments/notify/{provider}/{account}"} <= document["paths"].keys()
