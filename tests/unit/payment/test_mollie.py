"""Mollie: payments made and asked for by calls, answered by a stand-in on this machine."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from payment.adapters.library import Calls
from payment.adapters.mollie import STATES, MollieAccount
from payment.domain import AttemptState, Notice
from payment.ports import (
    MalformedNoticeError,
    Nudge,
    ProviderRefusedError,
    ProviderUnavailableError,
    Question,
)
from tests.unit.payment.provider_builders import (
    CALLS,
    CALLS_AT_ONCE,
    MOLLIE_KEY,
    NOTIFY_URL,
    NOW,
    ORDER_ID,
    RETURN_URL,
    a_clock,
    a_mollie_shop,
    a_raw,
    an_order,
    ticks_during,
)

pytestmark = pytest.mark.enable_socket

REFERENCE = "tr_7UhSN1zuXS"
CHECKOUT = "https://www.mollie.com/checkout/select-method/7UhSN1zuXS?x=1"


def a_payment(**changes: object) -> dict[str, Any]:
    """Return what Mollie answers about a payment of 41,00 €."""
    payment: dict[str, Any] = {
        "resource": "payment",
        "id": REFERENCE,
        "mode": "test",
        "status": "paid",
        "amount": {"value": "41.00", "currency": "EUR"},
        "description": "Repas d’octobre",
        "metadata": {"orderid": ORDER_ID},
        "_links": {"checkout": {"href": CHECKOUT, "type": "text/html"}},
    }
    return payment | changes


class Desk:
    """Answers as it is told, and keeps what it was asked."""

    def __init__(self) -> None:
        self.answer: Any = a_payment()
        self.status = 200
        self.asked: list[tuple[str, str, str | None, bytes]] = []
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.is_busy = asyncio.Event()
        self.url = ""

    async def serve(self, request: web.Request) -> web.Response:
        key = request.headers.get("Authorization")
        self.asked.append((request.method, request.path, key, await request.read()))
        if len(self.asked) == CALLS_AT_ONCE:
            self.is_busy.set()
        await self.is_open.wait()
        body = self.answer if isinstance(self.answer, bytes) else msgspec.json.encode(self.answer)
        headers = {"Location": f"{self.url}elsewhere"} if self.status == 302 else {}
        return web.Response(body=body, status=self.status, headers=headers)


@pytest_asyncio.fixture
async def desk() -> AsyncIterator[Desk]:
    """Return a stand-in of Mollie's own address."""
    desk = Desk()
    application = web.Application()
    application.router.add_route("*", "/{rest:.*}", desk.serve)
    async with TestServer(application) as server:
        desk.url = str(server.make_url("/v2/"))
        yield desk


def an_account(desk: Desk, *, calls: Calls = CALLS, **changes: Any) -> MollieAccount:
    """Return a profile that speaks to the stand-in."""
    shop = a_mollie_shop(**({"service_url": desk.url} | changes))
    return MollieAccount(shop, NOTIFY_URL, calls, a_clock())


def a_question(**changes: object) -> Question:
    """Return what is asked about the payment."""
    question = Question(
        order_id=ORDER_ID, reference=REFERENCE, amount_cents=41_00, started_at=NOW, asked_count=0
    )
    return msgspec.structs.replace(question, **changes)


async def ask(desk: Desk, **changes: Any) -> Notice | None:
    """Return what the stand-in's present answer means."""
    return await an_account(desk, **changes).ask(a_question())


async def test_a_payment_is_made_for_the_sum_under_our_reference(desk: Desk) -> None:
    """The way there is Mollie's; its name of the payment is kept to ask about."""
    desk.status = 201

    handover = await an_account(desk).prepare(an_order())

    [(method, path, key, body)] = desk.asked
    assert ("POST", "/v2/payments", f"Bearer {MOLLIE_KEY}") == (method, path, key)
    assert {
        "amount": {"value": "41.00", "currency": "EUR"},
        "redirectUrl": RETURN_URL,
        "webhookUrl": NOTIFY_URL,
        "metadata": {"orderid": ORDER_ID},
        "description": "Repas d’octobre",
    } == msgspec.json.decode(body)
    assert (CHECKOUT, "GET", {}) == (
        handover.form.url,
        handover.form.method,
        handover.form.fields,
    )
    assert (NOW.date(), REFERENCE, REFERENCE) == (
        handover.provider_day,
        handover.provider_number,
        handover.reference,
    )


@pytest.mark.parametrize(("cents", "value"), [(1, "0.01"), (10, "0.10"), (99_999_999, "999999.99")])
async def test_a_sum_always_has_two_decimals(desk: Desk, cents: int, value: str) -> None:
    """Mollie refuses another number of them."""
    await an_account(desk).prepare(an_order(amount_cents=cents))

    assert value == msgspec.json.decode(desk.asked[0][3])["amount"]["value"]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        b"{}",
        a_payment(id="pay_1"),
        a_payment(_links={}),
        a_payment(_links={"checkout": {"href": "javascript:alert(1)"}}),
    ],
)
async def test_an_answer_without_a_payment_and_its_page_is_none(desk: Desk, answer: object) -> None:
    """The payer is not sent anywhere on half an answer."""
    desk.answer = answer

    with pytest.raises(ProviderUnavailableError):
        await an_account(desk).prepare(an_order())


@pytest.mark.parametrize("status", [400, 401, 404, 410, 422])
async def test_a_refusal_is_told_in_french_with_its_code(desk: Desk, status: int) -> None:
    """Trying again would be refused again."""
    desk.status, desk.answer = status, {"status": status, "detail": "The amount is too high"}

    for call in (an_account(desk).prepare(an_order()), ask(desk)):
        with pytest.raises(ProviderRefusedError) as refused:
            await call
        assert str(status) == refused.value.code
        assert refused.value.detail.startswith("Mollie ")
        assert MOLLIE_KEY not in str(refused.value)


@pytest.mark.parametrize("status", [302, 408, 429, 500, 502, 503])
async def test_a_failure_says_nothing_of_the_order(desk: Desk, status: int) -> None:
    """Trying again may help; and nobody is followed elsewhere with our key."""
    desk.status = status

    for call in (an_account(desk).prepare(an_order()), ask(desk)):
        with pytest.raises(ProviderUnavailableError):
            await call
    assert 2 == len(desk.asked)


async def test_nobody_at_home_says_nothing_of_the_order(desk: Desk) -> None:
    """The connection is refused."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/v2/"

        with pytest.raises(ProviderUnavailableError):
            await ask(desk, service_url=url)


async def test_who_does_not_answer_is_waited_for_no_longer_than_the_limit(desk: Desk) -> None:
    """The library itself would wait for ever."""
    desk.is_open.clear()

    with pytest.raises(ProviderUnavailableError, match="in time"):
        await an_account(desk, calls=Calls("test", threads=1, seconds=0.1)).ask(a_question())
    desk.is_open.set()


async def test_a_slow_provider_does_not_stop_the_event_loop(desk: Desk) -> None:
    """Fifty payers wait at Mollie, and the others do not."""
    desk.is_open.clear()

    async def prepare_fifty() -> None:
        account = an_account(desk)
        started = [asyncio.create_task(account.prepare(an_order())) for _ in range(50)]
        await desk.is_busy.wait()
        desk.is_open.set()
        await asyncio.gather(*started)

    assert await ticks_during(prepare_fifty) > 50
    assert 50 == len(desk.asked)


async def test_reads_what_mollie_says_of_a_paid_payment(desk: Desk) -> None:
    """Asked with our key, so it needs no signature."""
    notice = await ask(desk)

    assert (
        Notice(
            order_id=ORDER_ID,
            fact=f"{REFERENCE}/paid/4100",
            state=AttemptState.CAPTURED,
            amount_cents=41_00,
            currency="EUR",
            provider_reference=REFERENCE,
        )
        == notice
    )
    assert [("GET", f"/v2/payments/{REFERENCE}")] == [asked[:2] for asked in desk.asked]


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("paid", AttemptState.CAPTURED),
        ("failed", AttemptState.REFUSED),
        ("canceled", AttemptState.ABANDONED),
        ("expired", AttemptState.EXPIRED),
    ],
)
async def test_reads_each_end_of_a_payment(desk: Desk, status: str, state: AttemptState) -> None:
    """The library would call a failed payment an error, and wait on it for ever."""
    desk.answer = a_payment(status=status)

    notice = await ask(desk)

    assert notice is not None
    assert state is notice.state


@pytest.mark.parametrize("status", sorted(name for name, state in STATES.items() if state is None))
async def test_does_not_know_while_the_payer_may_still_pay(desk: Desk, status: str) -> None:
    """An authorisation is no capture."""
    desk.answer = a_payment(status=status)

    assert await ask(desk) is None


async def test_keeps_a_word_that_it_does_not_know_for_people(desk: Desk) -> None:
    """It is never taken for a yes or a no."""
    desk.answer = a_payment(status="invented-tomorrow")

    notice = await ask(desk)

    assert notice is not None
    assert notice.state is None


@pytest.mark.parametrize(
    "changes",
    [{"metadata": {"orderid": "Z" * 16}}, {"metadata": None}, {"id": "tr_another"}],
    ids=["other order", "no order", "other payment"],
)
async def test_tells_apart_the_payment_of_another_order(
    desk: Desk, changes: dict[str, object]
) -> None:
    """W18: the name of another payment that is paid pays nothing here."""
    desk.answer = a_payment(**changes)

    notice = await ask(desk)

    assert notice is not None
    assert notice.fields_differ


async def test_tells_another_sum_currency_or_mode(desk: Desk) -> None:
    """W2, W3, W4: each is compared with the stored order, or kept for people."""
    desk.answer = a_payment(mode="live", amount={"value": "1.00", "currency": "USD"})

    notice = await ask(desk)

    assert notice is not None
    assert (1_00, "USD", True) == (notice.amount_cents, notice.currency, notice.is_foreign)
    assert not notice.fields_differ


@pytest.mark.parametrize("value", ["", "x", "41,00", "NaN", "41.005"])
async def test_an_answer_without_a_sum_is_none(desk: Desk, value: str) -> None:
    """Asked again later."""
    desk.answer = a_payment(amount={"value": value, "currency": "EUR"})

    with pytest.raises(ProviderUnavailableError):
        await ask(desk)


@pytest.mark.parametrize("reference", ["", "../customers", "tr_1/../x", "tr_"])
async def test_asks_about_nothing_but_a_payment(desk: Desk, reference: str) -> None:
    """The reference goes into an address."""
    with pytest.raises(ProviderRefusedError):
        await an_account(desk).ask(a_question(reference=reference))
    assert [] == desk.asked


def test_a_notice_is_a_name_to_ask_about(desk: Desk) -> None:
    """D18: it is not signed, so nothing else of it is read."""
    raw = a_raw(f"id={REFERENCE}&status=paid".encode())

    assert Nudge(reference=REFERENCE) == an_account(desk).read_notice(raw)


@pytest.mark.parametrize(
    "body", [b"", b"id=", b"id=tr_1/x", b"id=ord_12345", b"id=tr_1234&id=tr_5678", b'{"id": "x"}']
)
def test_refuses_a_notice_that_names_no_payment(desk: Desk, body: bytes) -> None:
    """Anybody may post here."""
    with pytest.raises(MalformedNoticeError):
        an_account(desk).read_notice(a_raw(body))


async def test_no_key_reaches_the_log_even_at_its_most_talkative(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """S26: the library logs its options and every answer."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="eopayment.mollie")

    await an_account(desk).prepare(an_order())
    await ask(desk)

    assert MOLLIE_KEY not in caplog.text
    assert "camille.martin" not in caplog.text
