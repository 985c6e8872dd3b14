"""The doors: who may knock, what they answer, and that no input makes them fail."""

from collections.abc import AsyncIterator, Sequence
from datetime import date
from typing import TypeAlias
from uuid import UUID, uuid4

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from structlog.testing import capture_logs

from payment.api import MAXIMUM_BODY_BYTES, Doors, PaymentDemand, QuoteDemand
from payment.api.notices import STATEMENT_BYTES
from payment.domain import (
    Attempt,
    AttemptState,
    FoundBy,
    Move,
    Notice,
    NoticeOutcome,
    NotPayableError,
    Quote,
    Reason,
    Refused,
)
from payment.domain.baskets import AmountRefusedError
from payment.domain.commands import Command
from payment.domain.parity import Difference, Finding, TheirLine
from payment.domain.payability import Payability
from payment.handlers.act_for_agent import CommandRefusedError
from payment.handlers.quote_payment import UnknownInvoiceError
from payment.handlers.start_payment import InProgressError, KeyReusedError, TwinRunningError
from payment.ports import (
    PaymentForm,
    Provider,
    ProviderRefusedError,
    RawNotice,
    UnclearAttempt,
)
from shared.auth import InvalidTokenError, Principal
from shared.errors import PermanentError
from shared.http import create_application
from tests.unit.payment.payment_builders import (
    INVOICE_ID,
    ORDER_ID,
    PAYMENT_ID,
    a_body,
    a_lyra_account,
    an_attempt,
    notice_fields,
    signed,
)
from tests.unit.payment.payment_fakes import FakeProviders

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
        self.refusal: PermanentError | None = None
        self.demands: list[PaymentDemand] = []
        self.exact: list[bool] = []
        self.commands: list[Command] = []
        self.lines: list[TheirLine] = []
        self.notices: list[str] = []
        self.attempt = an_attempt()

    def _refuse(self) -> None:
        if self.refusal:
            raise self.refusal

    async def start(
        self, demand: PaymentDemand, *, is_replay_exact: bool
    ) -> tuple[Attempt, PaymentForm]:
        self._refuse()
        self.demands.append(demand)
        self.exact.append(is_replay_exact)
        form = PaymentForm(url="https://provider.example/", method="POST", fields={"a": "1"})
        return self.attempt, form

    async def quote(self, demand: QuoteDemand) -> Quote:
        self._refuse()
        refused = Refused(invoice_id=INVOICE_ID, number="1", reason=Reason.MAINTENANCE)
        return Quote(
            offer=None,
            route="regie",
            allocations=self.attempt.allocations,
            outstanding_cents=41_00,
            refused=(refused,),
        )

    async def payabilities(self, invoice_ids: Sequence[UUID]) -> dict[UUID, Payability]:
        held = Payability(
            payable=False,
            reason=Reason.IN_FLIGHT,
            sentence="Un paiement de cette facture est déjà en cours.",
            outstanding_cents=41_00,
            minimum_cents=41_00,
            accounts=(("lyra", "saint-aubin-carte"),),
            in_flight_until=self.attempt.expires_at,
        )
        return {INVOICE_ID: held} if INVOICE_ID in invoice_ids else {}

    async def find(self, payment_id: UUID) -> Attempt | None:
        return self.attempt if payment_id == PAYMENT_ID else None

    async def history(self, payment_id: UUID) -> list[Move]:
        started_at = self.attempt.started_at
        return [
            Move(
                source=None,
                target=AttemptState.CREATED,
                found_by=FoundBy.START,
                moved_at=started_at,
            )
        ]

    async def abandon(self, payment_id: UUID) -> Attempt | None:
        return await self._moved(payment_id, AttemptState.ABANDONED)

    async def come_back(self, payment_id: UUID) -> Attempt | None:
        return await self._moved(payment_id, AttemptState.PENDING)

    async def _moved(self, payment_id: UUID, state: AttemptState) -> Attempt | None:
        if payment_id != PAYMENT_ID:
            return None
        return msgspec.structs.replace(self.attempt, state=state)

    async def ask(self, payment_id: UUID) -> Attempt | None:
        return await self.find(payment_id)

    async def act(self, payment_id: UUID, command: Command) -> Attempt | None:
        self._refuse()
        self.commands.append(command)
        return await self.find(payment_id)

    async def unclear(self, authority: str | None) -> tuple[int, list[UnclearAttempt]]:
        attempt = UnclearAttempt(
            payment_id=PAYMENT_ID,
            order_id=ORDER_ID,
            authority=authority or "",
            provider="payfip",
            account="p",
            state=AttemptState.EXPIRED,
            amount_cents=41_00,
            started_at=self.attempt.started_at,
            asked_count=29,
            last_error="",
        )
        return 7, [attempt]

    async def keep_statement(self, account: str, lines: Sequence[TheirLine]) -> None:
        self.lines += lines

    async def compare(self, account: str, first: date, last: date) -> list[Finding]:
        return [Finding(difference=Difference.MISSING_HERE, order=f"{account} {first} {last}")]

    async def take(self, raw: RawNotice, provider: Provider) -> None:
        notice = provider.read_notice(raw)
        assert isinstance(notice, Notice)
        self.notices.append(notice.order_id)


@pytest.fixture
def desk() -> Desk:
    """Return a desk with one open attempt."""
    return Desk()


@pytest.fixture
async def client(desk: Desk) -> AsyncIterator[Client]:
    """Return a client of the doors, as the wiring builds them."""
    doors = Doors(desk, FakeProviders(a_lyra_account()))
    application = create_application(
        "payment",
        doors.operations(),
        authenticator=Tokens(),
        maximum_body_bytes=STATEMENT_BYTES,
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
        ("POST", f"/v1/payments/{PAYMENT_ID}/return"),
        ("POST", f"/v1/payments/{PAYMENT_ID}/moves"),
        ("POST", f"/v1/payments/{PAYMENT_ID}/ask"),
        ("GET", f"/v1/payments/{PAYMENT_ID}/history"),
        ("POST", "/v1/payments/quote"),
        ("GET", f"/v1/invoices/{INVOICE_ID}/payability"),
        ("POST", "/v1/invoices/payability"),
        ("GET", "/v1/attempts?needs=people"),
        ("POST", "/v1/parity"),
        ("GET", "/v1/parity"),
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
        {"amount_cents": 0},
        {"total_cents": 1},
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
    ("refusal", "status", "code"),
    [
        (UnknownInvoiceError(), 404, "unknown-invoice"),
        (NotPayableError(Reason.ALREADY_PAID), 409, "already-paid"),
        (NotPayableError(Reason.WITHDRAWN), 409, "withdrawn"),
        (NotPayableError(Reason.NO_PROVIDER), 409, "no-provider"),
        (AmountRefusedError("amount-too-low", "x"), 409, "amount-too-low"),
        (ProviderRefusedError("A2", "x"), 409, "provider-refused"),
        (KeyReusedError("x"), 409, "idempotency-key-reused"),
        (TwinRunningError("x"), 409, "request-in-progress"),
    ],
)
async def test_tells_a_refusal_by_its_slug(
    client: Client, desk: Desk, refusal: PermanentError, status: int, code: str
) -> None:
    """The gateway chooses its sentence by it."""
    desk.refusal = refusal

    answer = await client.post("/v1/payments", json=DEMAND, headers=GATEWAY)

    problem = await answer.json()
    assert status == answer.status
    assert problem["type"].endswith(code)


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
    assert ("open", "redirected", 41_00) == (
        state["state"],
        state["step"],
        state["amount_cents"],
    )
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


async def test_a_key_in_the_header_asks_for_an_exact_replay(client: Client, desk: Desk) -> None:
    """P10: the header counts more than the body's key."""
    body = DEMAND | {"idempotency_key": "body"}

    await client.post("/v1/payments", json=body, headers=GATEWAY | {"Idempotency-Key": "head"})
    await client.post("/v1/payments", json=body, headers=GATEWAY)

    assert [("head", True), ("body", False)] == [
        (demand.idempotency_key, is_exact)
        for demand, is_exact in zip(desk.demands, desk.exact, strict=True)
    ]


@pytest.mark.parametrize("key", ["", "k" * 256, "a b", "clé"])
async def test_refuses_a_key_that_is_none(client: Client, desk: Desk, key: str) -> None:
    """P10: 422, and nothing happens."""
    answer = await client.post(
        "/v1/payments", json=DEMAND, headers=GATEWAY | {"Idempotency-Key": key}
    )

    assert answer.status == 422
    assert desk.demands == []


async def test_quotes_a_basket(client: Client) -> None:
    """The parts as they are paid, and who is refused, with a sentence."""
    body = {"invoice_ids": [str(INVOICE_ID)], "amount_cents": 41_00}

    answer = await (await client.post("/v1/payments/quote", json=body, headers=GATEWAY)).json()

    assert (41_00, 41_00, None) == (
        answer["total_cents"],
        answer["outstanding_cents"],
        answer["account"],
    )
    assert [("maintenance", True)] == [
        (entry["reason"], entry["sentence"].startswith("Le service")) for entry in answer["refused"]
    ]


async def test_says_why_an_invoice_cannot_be_paid(client: Client) -> None:
    """D21: a code and a sentence; 404 for one that is not known."""
    path = "/v1/invoices/{}/payability"

    answer = await client.get(path.format(INVOICE_ID), headers=GATEWAY)
    unknown = await client.get(path.format(PAYMENT_ID), headers=GATEWAY)

    found = await answer.json()
    assert (False, "payment-in-progress", 41_00, "2026-11-24T13:25:00Z") == (
        found["payable"],
        found["reason"],
        found["outstanding_cents"],
        found["in_flight_until"],
    )
    assert [{"provider": "lyra", "account": "saint-aubin-carte"}] == found["accounts"]
    assert unknown.status == 404


async def test_says_it_of_several_invoices_in_one_go(client: Client) -> None:
    """One question for a page of invoices; what is not known is left out, twice is once."""
    body = {"invoice_ids": [str(INVOICE_ID), str(PAYMENT_ID), str(INVOICE_ID)]}

    answer = await client.post("/v1/invoices/payability", json=body, headers=GATEWAY)
    empty = await client.post("/v1/invoices/payability", json={"invoice_ids": []}, headers=GATEWAY)

    found = await answer.json()
    assert [str(INVOICE_ID)] == list(found)
    assert "payment-in-progress" == found[str(INVOICE_ID)]["reason"]
    assert empty.status == 422


async def test_shows_the_history_and_what_waits_for_people(client: Client) -> None:
    """For agents."""
    history = await client.get(f"/v1/payments/{PAYMENT_ID}/history", headers=GATEWAY)
    people = await client.get("/v1/attempts?needs=people&authority=a", headers=GATEWAY)
    other = await client.get("/v1/attempts", headers=GATEWAY)

    [move] = (await history.json())["moves"]
    assert (None, "created", "start") == (move["source"], move["target"], move["found_by"])
    found = await people.json()
    assert (7, "a") == (found["count"], found["attempts"][0]["authority"])
    assert other.status == 422


async def test_an_agent_tells_what_stands_in_the_back_office(client: Client, desk: Desk) -> None:
    """A refusal names its rule; a command of another shape goes no further."""
    path = f"/v1/payments/{PAYMENT_ID}/moves"
    command = {"agent": "a", "state": "reversed", "reference": "r", "cause": "refund"}

    done = await client.post(path, json=command, headers=GATEWAY)
    odd = await client.post(path, json=command | {"state": "expired"}, headers=GATEWAY)
    desk.refusal = CommandRefusedError(NoticeOutcome.TOO_MUCH_BACK)
    refused = await client.post(path, json=command, headers=GATEWAY)

    assert (200, 422, 409) == (done.status, odd.status, refused.status)
    assert (await refused.json())["outcome"] == "too-much-back"
    assert [("a", "reversed", "r")] == [
        (one.agent, one.state, one.reference) for one in desk.commands
    ]


async def test_takes_the_providers_own_list(client: Client, desk: Desk) -> None:
    """CSV or JSON; the answer is what differs."""
    path = "/v1/parity?account=a&from=2026-11-01&to=2026-11-30"
    csv = "order_id;amount;status;date\nA;100;CAPTURED;2026-11-24\n"

    kept = await client.post(path, data=csv.encode(), headers=GATEWAY)
    again = await client.get(path, headers=GATEWAY)
    odd = await client.post(path, data=b"%PDF", headers=GATEWAY)
    endless = await client.get(
        "/v1/parity?account=a&from=2024-01-01&to=2026-01-01", headers=GATEWAY
    )

    assert await kept.json() == await again.json()
    assert [finding["order"] for finding in (await kept.json())["findings"]] == [
        "a 2026-11-01 2026-11-30"
    ]
    assert ["A"] == [line.order for line in desk.lines]
    assert (200, 422, 422) == (kept.status, odd.status, endless.status)
