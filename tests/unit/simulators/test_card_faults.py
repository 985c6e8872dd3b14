"""The card provider's notices: tried again, and spoilt, lost or delayed by fault switches."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta

import pytest
import pytest_asyncio
from aiohttp import ServerDisconnectedError

from simulators.card_provider.notices import RetryRule
from simulators.card_provider.signature import is_signed
from simulators.card_provider.sites import Site
from tests.unit.simulators.card_builders import (
    KEY,
    REFUSED_CARD,
    RETURN_URL,
    Provider,
    returned_fields,
    running_provider,
)

pytestmark = [pytest.mark.asyncio, pytest.mark.enable_socket]


@pytest_asyncio.fixture
async def provider(
    a_site: Callable[..., Site], a_form: Callable[..., dict[str, str]], now: datetime
) -> AsyncIterator[Provider]:
    """Run a provider and a merchant on loopback; waits return at once and are written down."""
    site = a_site(key_production="9988776655443322")
    async with running_provider([site], a_form, now) as running:
        yield running


async def test_an_early_notice_leaves_the_payer_at_the_provider(provider: Provider) -> None:
    """The merchant knows; the browser is not sent back until the payer presses the link."""
    await provider.set_faults(early_notice=1)

    answer = await provider.pay(await provider.open_page(vads_return_mode=None))

    text = await answer.text()
    (notice,) = provider.merchant.notices
    assert notice["vads_trans_status"] == "AUTHORISED"
    assert answer.status == 200
    assert "Paiement accepté" in text
    assert f'<a class="button" href="{RETURN_URL}">' in text


async def test_a_payment_may_be_taken_after_the_payer_gave_up(provider: Provider) -> None:
    """ABANDONED, then a transaction of its own for the same order that took the money."""
    await provider.set_faults(late_success=1)

    answer = await provider.cancel(await provider.open_page())
    await provider.wait_for_notices()

    first, second = provider.merchant.notices
    listed = await provider.transactions()
    assert returned_fields(answer)["vads_trans_status"] == "ABANDONED"
    assert provider.waits == [60]
    assert (first["vads_trans_status"], second["vads_trans_status"]) == ("ABANDONED", "AUTHORISED")
    assert first["vads_order_id"] == second["vads_order_id"] == "CANTINE-2026-17"
    assert first["vads_trans_uuid"] != second["vads_trans_uuid"]
    assert is_signed(second, KEY, second["signature"])
    assert [(entry["status"], entry["amount"]) for entry in listed] == [
        ("ABANDONED", 123456),
        ("AUTHORISED", 123456),
    ]


async def test_a_payment_may_be_taken_after_the_session_expired(provider: Provider) -> None:
    """The payer is told that nothing was taken; the money was, and the merchant hears of it."""
    path = await provider.open_page()
    provider.instant[0] += timedelta(minutes=16)
    await provider.set_faults(late_success=1)

    answer = await provider.pay(path)
    await provider.wait_for_notices()

    (notice,) = provider.merchant.notices
    (transaction,) = await provider.transactions()
    assert answer.status == 410
    assert notice["vads_trans_status"] == transaction["status"] == "AUTHORISED"
    assert transaction["faults"] == ["late_success"]


async def test_the_answer_to_a_charge_can_be_cut(provider: Provider) -> None:
    """The money is taken and the payer sees nothing; coming back, they are sent on their way."""
    path = await provider.open_page()
    await provider.set_faults(timeout_after_charge=1, lost_notice=1)

    with pytest.raises(ServerDisconnectedError):
        await provider.pay(path)
    again = await provider.client.get(path, allow_redirects=False)

    (transaction,) = await provider.transactions()
    assert transaction["status"] == "AUTHORISED"
    assert transaction["faults"] == ["lost_notice", "timeout_after_charge"]
    assert provider.merchant.notices == []
    assert again.status == 303


async def test_a_refused_card_is_not_hit_by_a_fault_after_the_charge(provider: Provider) -> None:
    """There was no charge; the switch waits for one."""
    await provider.set_faults(timeout_after_charge=1)

    refused = await provider.pay(await provider.open_page(), REFUSED_CARD)

    shown = await (await provider.client.get("/api/faults")).json()
    assert refused.status == 303
    assert shown["timeout_after_charge"] == 1


@pytest.mark.parametrize(
    ("rule", "answers", "tries"),
    [
        (RetryRule.QUARTER_HOUR, [500] * 9, 5),
        (RetryRule.QUARTER_HOUR, [404, 302], 2),
        (RetryRule.QUARTER_HOUR, [304, 200], 2),
        (RetryRule.SILENCE, [500], 1),
        (RetryRule.SILENCE, [404], 1),
        (RetryRule.DELAYS, [302, 200], 2),
    ],
)
async def test_notices_are_sent_again_by_the_shops_rule(
    rule: RetryRule,
    answers: list[int],
    tries: int,
    a_site: Callable[..., Site],
    a_form: Callable[..., dict[str, str]],
    now: datetime,
) -> None:
    """Lyra's documents contradict each other: a merchant must live with each of them."""
    async with running_provider([a_site()], a_form, now, rule) as provider:
        provider.merchant.answers = list(answers)

        await provider.pay(await provider.open_page())
        await provider.wait_for_notices()

        assert len(provider.merchant.notices) == tries


@pytest.mark.parametrize("rule", [RetryRule.QUARTER_HOUR, RetryRule.SILENCE])
async def test_lyra_tries_again_on_the_quarter_hour(
    rule: RetryRule,
    a_site: Callable[..., Site],
    a_form: Callable[..., dict[str, str]],
    now: datetime,
) -> None:
    """Four more tries, at 12:15, 12:30, 12:45 and 13:00 for a notice that left at 12:07."""
    sent_at = now.replace(hour=12, minute=7)
    async with running_provider([a_site()], a_form, sent_at, rule) as provider:
        dead_url = "http://127.0.0.1:1/notify"

        await provider.pay(await provider.open_page(vads_url_check=dead_url))
        await provider.wait_for_notices()

        (transaction,) = await provider.transactions()
        times = [notice["sent_at"][11:16] for notice in transaction["notices"]]
        sources = [notice["source"] for notice in transaction["notices"]]
        assert times == ["12:07", "12:15", "12:30", "12:45", "13:00"]
        assert sources == ["PAY", "RETRY", "RETRY", "RETRY", "RETRY"]
        assert provider.waits == [480, 900, 900, 900]


async def test_a_notice_refused_by_the_merchant_is_sent_again(provider: Provider) -> None:
    """With growing waits, marked RETRY, until the merchant takes it."""
    provider.merchant.answers = [500, 404, 204]

    await provider.pay(await provider.open_page())
    await provider.wait_for_notices()

    sources = [notice["vads_url_check_src"] for notice in provider.merchant.notices]
    (transaction,) = await provider.transactions()
    codes = [attempt["answer_code"] for attempt in transaction["notices"]]
    assert sources == ["PAY", "RETRY", "RETRY"]
    assert codes == [500, 404, 204]
    assert provider.waits == [1, 5]
    for notice in provider.merchant.notices:
        assert is_signed(notice, KEY, notice["signature"])


async def test_gives_up_a_notice_after_four_tries(provider: Provider) -> None:
    """A merchant that is down is not called for ever."""
    dead_url = "http://127.0.0.1:1/notify"

    answer = await provider.pay(await provider.open_page(vads_url_check=dead_url))
    await provider.wait_for_notices()

    (transaction,) = await provider.transactions()
    attempts = transaction["notices"]
    assert answer.status == 303
    assert [attempt["answer_code"] for attempt in attempts] == [None] * 4
    assert all(attempt["error"] for attempt in attempts)


async def test_a_lost_notice_still_takes_the_money(provider: Provider) -> None:
    """The provider's list says paid though the merchant was never told."""
    await provider.set_faults(lost_notice=1)

    await provider.pay(await provider.open_page())
    await provider.wait_for_notices()

    (transaction,) = await provider.transactions()
    assert provider.merchant.notices == []
    assert transaction["status"] == "AUTHORISED"
    assert transaction["notices"] == []
    assert transaction["faults"] == ["lost_notice"]


async def test_a_double_notice_is_the_same_notice_twice(provider: Provider) -> None:
    """Both copies are identical to the byte, signature included."""
    await provider.set_faults(double_notice=True)

    await provider.pay(await provider.open_page())

    first, second = provider.merchant.notices
    assert first == second


async def test_a_bad_signature_spoils_the_notice_and_not_the_return(provider: Provider) -> None:
    """The fields are true, the signature is not; the fault is used up by one notice."""
    await provider.set_faults(bad_signature=1)
    provider.merchant.answers = [400]

    answer = await provider.pay(await provider.open_page())
    await provider.wait_for_notices()

    spoilt, good = provider.merchant.notices
    carried = returned_fields(answer)
    assert not is_signed(spoilt, KEY, spoilt["signature"])
    assert is_signed(good, KEY, good["signature"])
    assert is_signed(carried, KEY, carried["signature"])


async def test_a_late_success_is_notified_after_the_return(provider: Provider) -> None:
    """The wait is the one asked for; a refusal is not delayed."""
    await provider.set_faults(late_success_seconds=7)
    accepted_path = await provider.open_page()
    refused_path = await provider.open_page(vads_trans_id="bS76J3")

    await provider.pay(accepted_path)
    (accepted,) = await provider.transactions()
    await provider.wait_for_notices()
    await provider.pay(refused_path, REFUSED_CARD)

    statuses = [notice["vads_trans_status"] for notice in provider.merchant.notices]
    assert accepted["faults"] == ["late_success_seconds"]
    assert provider.waits == [7]
    assert statuses == ["AUTHORISED", "REFUSED"]


async def test_a_server_error_hits_the_pages_and_not_the_api(provider: Provider) -> None:
    """One error asked for, one given; the list stays readable."""
    await provider.set_faults(server_error=1)

    failed = await provider.send_form()
    listed = await provider.client.get("/api/transactions")
    again = await provider.send_form()

    assert (failed.status, listed.status, again.status) == (503, 200, 303)


async def test_a_slow_provider_makes_the_payer_wait(provider: Provider) -> None:
    """Each page waits the time asked for; the API does not."""
    await provider.set_faults(slow_seconds=2.5)

    await provider.send_form()
    await provider.transactions()

    assert provider.waits == [2.5]


async def test_a_wrong_fault_is_refused_with_its_name(provider: Provider) -> None:
    """The answer is a problem document with a stable type."""
    answers = [
        await provider.client.post("/api/faults", json={"on_fire": True}),
        await provider.client.post("/api/faults", data="{"),
        await provider.client.post("/api/faults", json=[1]),
    ]

    slugs = [(await answer.json())["type"] for answer in answers]
    assert [answer.status for answer in answers] == [400, 400, 400]
    assert slugs == ["unknown-fault", "not-json", "not-an-object"]


async def test_faults_are_reset_by_delete(provider: Provider) -> None:
    """Every switch is off again."""
    await provider.set_faults(lost_notice=True, slow_seconds=3)

    answer = await provider.client.delete("/api/faults")

    assert not any((await answer.json()).values())
