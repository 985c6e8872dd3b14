"""What a merchant does in the card provider's back office, and the notices that it brings."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any

import pytest
import pytest_asyncio

from simulators.card_provider.signature import is_signed
from simulators.card_provider.sites import Site
from tests.unit.simulators.card_builders import KEY, REFUSED_CARD, Provider, running_provider

pytestmark = [pytest.mark.asyncio, pytest.mark.enable_socket]


@pytest_asyncio.fixture
async def provider(
    a_site: Callable[..., Site], a_form: Callable[..., dict[str, str]], now: datetime
) -> AsyncIterator[Provider]:
    """Run a provider and a merchant on loopback."""
    async with running_provider([a_site()], a_form, now) as running:
        yield running


async def paid(provider: Provider) -> str:
    """Pay by card and return the transaction's identifier; the merchant's box is emptied."""
    await provider.pay(await provider.open_page(vads_order_info="Octobre"))
    (notice,) = provider.merchant.notices
    provider.merchant.notices.clear()
    return notice["vads_trans_uuid"]


async def act(
    provider: Provider, trans_uuid: str, action: str, body: object = None
) -> tuple[int, dict[str, Any]]:
    """Do something to a transaction; return the answer's status and body."""
    path = f"/api/transactions/{trans_uuid}/{action}"
    answer = await provider.client.post(path, json=body if body is not None else {})
    return answer.status, await answer.json()


async def one(provider: Provider, trans_uuid: str) -> dict[str, Any]:
    """Return one transaction as the provider lists it."""
    answer = await provider.client.get(f"/api/transactions/{trans_uuid}")
    found: dict[str, Any] = await answer.json()
    return found


async def test_a_refund_is_a_credit_of_its_own_for_the_same_order(provider: Provider) -> None:
    """Another identifier, type CREDIT, the back office as its source; signed like any notice."""
    payment = await paid(provider)

    status, refund = await act(provider, payment, "refund", {"amount": 23456})

    (notice,) = provider.merchant.notices
    expected = {
        "vads_amount": "23456",
        "vads_effective_amount": "23456",
        "vads_operation_type": "CREDIT",
        "vads_order_id": "CANTINE-2026-17",
        "vads_order_info": "Octobre",
        "vads_result": "00",
        "vads_trans_status": "AUTHORISED",
        "vads_trans_uuid": refund["trans_uuid"],
        "vads_url_check_src": "MERCH_BO",
    }
    assert status == 200
    assert {name: notice[name] for name in expected} == expected
    assert notice["vads_trans_id"].startswith("9")
    assert is_signed(notice, KEY, notice["signature"])
    assert refund["trans_uuid"] != payment
    assert refund["parent_trans_uuid"] == payment
    truth = await one(provider, payment)
    assert (truth["status"], truth["amount"], truth["refunded"]) == ("CAPTURED", 123456, 23456)


async def test_no_more_is_refunded_than_was_taken(provider: Provider) -> None:
    """Parts add up; without an amount the rest is given back, and then nothing is left."""
    payment = await paid(provider)
    await act(provider, payment, "refund", {"amount": 100000})

    too_much = await act(provider, payment, "refund", {"amount": 23457})
    rest = await act(provider, payment, "refund")
    nothing_left = await act(provider, payment, "refund")

    refusals = [(status, body["type"]) for status, body in (too_much, nothing_left)]
    credits_listed = await provider.transactions("?operation_type=CREDIT")
    assert refusals == [(409, "amount-too-large")] * 2
    assert (rest[0], rest[1]["amount"]) == (200, 23456)
    assert [entry["amount"] for entry in credits_listed] == [100000, 23456]
    assert len(provider.merchant.notices) == 2


@pytest.mark.parametrize("amount", [0, -1, True, "1", 1.5])
async def test_a_refund_of_no_amount_is_refused(amount: object, provider: Provider) -> None:
    """Nothing is given back and nobody is told."""
    payment = await paid(provider)

    status, _ = await act(provider, payment, "refund", {"amount": amount})

    assert status in {400, 409}
    assert provider.merchant.notices == []
    assert (await one(provider, payment))["refunded"] == 0


async def test_a_cancelled_payment_takes_no_money(provider: Provider) -> None:
    """Before the capture: the same transaction, CANCELLED, signed."""
    payment = await paid(provider)

    status, cancelled = await act(provider, payment, "cancel")

    (notice,) = provider.merchant.notices
    assert status == 200
    assert (cancelled["status"], cancelled["is_accepted"]) == ("CANCELLED", False)
    assert notice["vads_trans_uuid"] == payment
    assert notice["vads_trans_status"] == "CANCELLED"
    assert notice["vads_operation_type"] == "DEBIT"
    assert notice["vads_url_check_src"] == "MERCH_BO"
    assert is_signed(notice, KEY, notice["signature"])


async def test_a_captured_payment_is_told_by_the_batch_and_cannot_be_cancelled(
    provider: Provider,
) -> None:
    """After the night's batch money can only be given back."""
    payment = await paid(provider)
    captured = await act(provider, payment, "capture")

    cancelled = await act(provider, payment, "cancel")
    again = await act(provider, payment, "capture")

    (notice,) = provider.merchant.notices
    assert captured[1]["status"] == "CAPTURED"
    assert (notice["vads_trans_status"], notice["vads_url_check_src"]) == ("CAPTURED", "BATCH")
    assert [(status, body["type"]) for status, body in (cancelled, again)] == [
        (409, "not-cancellable"),
        (409, "not-capturable"),
    ]


async def test_a_cancelled_refund_can_be_made_again(provider: Provider) -> None:
    """The money was not given back after all."""
    payment = await paid(provider)
    _, refund = await act(provider, payment, "refund")
    await act(provider, refund["trans_uuid"], "cancel")

    status, second = await act(provider, payment, "refund")

    assert (status, second["amount"]) == (200, 123456)
    assert (await one(provider, payment))["refunded"] == 123456


async def test_what_took_no_money_cannot_be_refunded(provider: Provider) -> None:
    """Neither a refused payment, nor a refund, nor what does not exist."""
    await provider.pay(await provider.open_page(), REFUSED_CARD)
    (refused,) = await provider.transactions()
    provider.merchant.notices.clear()
    await provider.pay(await provider.open_page(vads_trans_id="bS76J3"))
    accepted = provider.merchant.notices[0]["vads_trans_uuid"]
    _, refund = await act(provider, accepted, "refund")

    answers = [
        await act(provider, refused["trans_uuid"], "refund"),
        await act(provider, refund["trans_uuid"], "refund"),
        await act(provider, "nothing", "refund"),
        await act(provider, "nothing", "cancel"),
        await act(provider, "nothing", "capture"),
    ]

    assert [(status, body["type"]) for status, body in answers] == [
        (409, "not-refundable"),
        (409, "not-refundable"),
        (404, "unknown-transaction"),
        (404, "unknown-transaction"),
        (404, "unknown-transaction"),
    ]


async def test_a_lost_notice_loses_a_refund_too(provider: Provider) -> None:
    """The list tells what the merchant was not told."""
    payment = await paid(provider)
    await provider.set_faults(lost_notice=1)

    _, refund = await act(provider, payment, "refund")

    assert provider.merchant.notices == []
    assert refund["faults"] == ["lost_notice"]


async def test_a_notice_sent_again_tells_how_things_stood(provider: Provider) -> None:
    """The payment was cancelled meanwhile: its first notice still says AUTHORISED, and comes late.

    A merchant that believes the last notice alone would book a payment that is none.
    """
    provider.merchant.answers = [500]
    provider.hold_waits()
    await provider.pay(await provider.open_page())
    payment = provider.merchant.notices[0]["vads_trans_uuid"]
    await act(provider, payment, "cancel")

    provider.release_waits()
    await provider.wait_for_notices()

    told = [
        (notice["vads_trans_status"], notice["vads_url_check_src"])
        for notice in provider.merchant.notices
    ]
    assert told == [("AUTHORISED", "PAY"), ("CANCELLED", "MERCH_BO"), ("AUTHORISED", "RETRY")]


async def test_the_back_office_shows_a_refund_with_its_sign(provider: Provider) -> None:
    """For people: money that went back is told from money that came."""
    await act(provider, await paid(provider), "refund")

    text = await (await provider.client.get("/")).text()

    assert "−1\u202f234,56\u00a0€" in text
    assert "Transactions (2)" in text
