"""The live figures equal the ledger: as they come, after a kill, and made again from offset 0."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import aiohttp
import pytest
from msgspec.structs import replace

from demo.town import Town
from gateway.adapters.tokens import TokenSigner
from shared import envelope, kafka
from shared.environment import CommonSettings
from shared.events import Event, PaymentCaptured, PaymentReversed
from shared.events.payment_captured import Allocation
from tests.broker.observing import until

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="module")]

AUTHORITY = "saint-aubin"
REGIES = ("CANTINE", "MUSIQUE", "PISCINE")
FIRST = datetime(2026, 10, 1, 6, tzinfo=UTC)
PAYMENTS = 120


def _payment(number: int, chance: random.Random) -> PaymentCaptured:
    cents = chance.randrange(100, 90_000)
    # Some fall after 22 h in UTC: in France that is the next day already.
    at = FIRST + timedelta(hours=chance.randrange(24 * 20))
    return PaymentCaptured(
        payment_id=UUID(int=number + 1),
        authority=AUTHORITY,
        means="card",
        provider="lyra",
        provider_reference=f"ref-{number}",
        amount_cents=cents,
        currency="EUR",
        allocations=(
            Allocation(
                invoice_id=UUID(int=10_000 + number),
                authority=AUTHORITY,
                regie=chance.choice(REGIES),
                number=f"F{number}",
                amount_cents=cents,
                published_at=at - timedelta(days=3),
            ),
        ),
        captured_at=at,
    )


def _reversal(payment: PaymentCaptured) -> PaymentReversed:
    return PaymentReversed(
        reversal_id=UUID(int=payment.payment_id.int + 50_000),
        payment_id=payment.payment_id,
        authority=payment.authority,
        means=payment.means,
        provider=payment.provider,
        provider_reference=payment.provider_reference,
        cause="refund",
        amount_cents=payment.amount_cents,
        currency="EUR",
        allocations=payment.allocations,
        reversed_at=payment.captured_at + timedelta(days=2),
    )


async def _send(town: Town, events: Sequence[Event]) -> None:
    settings = CommonSettings(
        database_url="",
        kafka_bootstrap_servers=town.kafka_servers,
        kafka_idempotent_producer=False,
        http_port=0,
    )
    producer = kafka.Producer(settings, client_id="test")
    await producer.start()
    try:
        await producer.send_all([envelope.write(event, at=datetime.now(UTC)) for event in events])
    finally:
        await producer.stop()


async def _ask(town: Town, part: str, path: str) -> dict[str, Any] | None:
    """Return what a part of the town answers, or None while it cannot."""
    signer = TokenSigner(town.secrets.signing_key, "", "quittance-gateway")
    headers = {"Authorization": f"Bearer {signer.own()}"}
    url = f"{town.url(part)}{path}?authority={AUTHORITY}&from=2026-09-01&to=2026-12-31"
    try:
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(url) as answer,
        ):
            content: dict[str, Any] = await answer.json()
            return content if answer.status == 200 else None
    except aiohttp.ClientError:
        return None


async def _sums(town: Town, part: str, path: str) -> dict[tuple[str, str], int]:
    answer = await _ask(town, part, path) or {"items": []}
    return {(item["day"], item["regie"]): item["amount_cents"] for item in answer["items"]}


async def _are_equal(town: Town) -> bool:
    figures = await _sums(town, "figures", "/figures/collected")
    ledger = await _sums(town, "reconciliation", "/v1/ledger/collected")
    return bool(ledger) and figures == ledger


async def test_the_live_figures_equal_the_ledger(town: Town) -> None:
    """Duplicates, reversals and late hours count the same in the stream and in the books."""
    chance = random.Random(20261124)
    payments = [_payment(number, chance) for number in range(PAYMENTS)]
    events: list[Event] = [*payments, *(_reversal(payment) for payment in payments[::10])]
    # The same facts under other message ids, as a producer that lost its answer sends them.
    repeated = [*events, *(replace(event) for event in events[::7])]
    chance.shuffle(repeated)

    await _send(town, repeated)

    kept = sum(p.amount_cents for p in payments) - sum(p.amount_cents for p in payments[::10])

    async def all_booked() -> bool:
        ledger = await _sums(town, "reconciliation", "/v1/ledger/collected")
        return sum(ledger.values()) == kept

    await until(all_booked, "every payment in the books")
    await until(lambda: _are_equal(town), "figures equal to the ledger")


async def test_the_figures_come_back_after_a_kill(town: Town) -> None:
    """Kill -9: what was counted is not counted again, what follows is."""
    chance = random.Random(7)
    town.processes["figures"].kill()

    await _send(town, [_payment(1000 + number, chance) for number in range(20)])

    await until(lambda: _are_equal(town), "figures equal to the ledger after a kill", 90)


async def test_the_figures_are_made_again_from_the_first_event(town: Town) -> None:
    """Deleted (folder, changelog, offsets) and rebuilt from offset 0 they equal the ledger."""
    before = await _ask(town, "figures", "/figures/collected")
    figures = town.processes["figures"]
    await figures.stop()

    code = await figures.run_once(["-m", "reconciliation.figures", "reset"])
    await figures.start()

    assert code == 0
    await until(lambda: _are_equal(town), "figures made again", 90)
    assert before == await _ask(town, "figures", "/figures/collected")


async def test_the_delays_are_told_by_step(town: Town) -> None:
    """Three days from publication to payment, for every payment that was sent."""
    answer = await _ask(town, "figures", "/figures/delays")

    assert answer is not None
    [captured] = [step for step in answer["steps"] if step["step"] == "published_to_captured"]
    assert captured["count"] == PAYMENTS + 20
    assert captured["mean_seconds"] == 3 * 86_400
    assert captured["p95_seconds"] == 604_800


async def test_a_record_that_does_not_decode_leaves_the_figures_running(town: Town) -> None:
    """A view leaves a bad record out and goes on."""
    settings = CommonSettings(
        database_url="",
        kafka_bootstrap_servers=town.kafka_servers,
        kafka_idempotent_producer=False,
        http_port=0,
    )
    producer = kafka.Producer(settings, client_id="poison")
    await producer.start()
    poison = envelope.Record(topic="payment.captured", key=b"x", value=b"{", headers=())
    await producer.send_all([poison] * 3)
    await producer.stop()

    await _send(town, [_payment(2000, random.Random(1))])

    await until(lambda: _are_equal(town), "figures after a bad record")
