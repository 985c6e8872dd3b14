"""Payments while notices are lost, doubled and forged, providers fail, and payment is killed."""

import aiohttp
import msgspec
import pytest

from bench.chaos import Chaos
from demo.town import Town
from shared.events import PaymentCaptured
from tests.broker.observing import count, messages, query, until

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="module")]

PAYMENTS = 240
KILLS = 5
SEED = 20261124


async def test_whatever_the_providers_took_is_booked_once_and_nothing_else(town: Town) -> None:
    """P1, P12, P13: parity with the providers' own lists is empty, and so are the auditor's."""
    lines: list[str] = []
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        report = await Chaos(town, SEED, session).run(PAYMENTS, kills=KILLS, say=lines.append)

    # A relay that was killed may send an event again, under the same id: every inbox stops it.
    captured = {
        message.id: message.data
        for message in await messages(town, "payment.captured")
        if isinstance(message.data, PaymentCaptured)
    }.values()
    sums = await query(
        town,
        "payment",
        "SELECT count(*), coalesce(sum(captured_cents), 0) FROM attempt"
        " WHERE state IN ('captured', 'reversed')",
    )
    story = msgspec.json.format(msgspec.json.encode(report)).decode() + "\n" + "\n".join(lines)

    assert [] == report.findings, story
    assert [] == report.unexplained, story
    assert (report.taken, report.taken_cents) == tuple(sums[0]), story
    assert report.taken == len({event.payment_id for event in captured}) == len(captured), story
    assert report.taken_cents == sum(event.amount_cents for event in captured), story
    await until(
        lambda: _is_booked(town, report.taken, report.taken_cents), "the money in the books"
    )
    assert 0 == await count(
        town, "reconciliation", "SELECT coalesce(sum(amount_cents), 0) FROM line"
    )
    assert report.kills > 0
    assert report.taken > PAYMENTS / 3


async def _is_booked(town: Town, payments: int, cents: int) -> bool:
    booked = await query(
        town, "reconciliation", "SELECT count(*), coalesce(sum(amount_cents), 0) FROM collection"
    )
    return bool((payments, cents) == tuple(booked[0]))
