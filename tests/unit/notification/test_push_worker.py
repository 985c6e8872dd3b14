"""What becomes of each push that is claimed."""

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

import pytest

from notification.domain import (
    RETRY_DELAYS,
    Device,
    Invoice,
    Push,
    PushCircumstances,
    State,
)
from notification.ports import (
    DuePush,
    PushAnswer,
    PushAttempt,
    SilentError,
    UnwritableError,
)
from notification.worker.pushes import PUSH_BATCH_TIME, SIDE_BY_SIDE, Pusher
from shared.clock import FixedClock
from tests.unit.notification.notification_builders import (
    INVOICE_ID,
    NOW,
    a_device,
    a_published_invoice,
    a_push,
)

HOST = "push.exemple.test"
TAKEN = PushAnswer(status=201, words="")


class FakePushes:
    """`ports.Pushes` in memory."""

    def __init__(self, *devices: Device) -> None:
        self.devices = devices
        self.kept: list[PushAttempt] = []
        self.paused: dict[str, datetime] = {}
        self.busy: list[set[str]] = []
        self.batches: list[list[DuePush]] = []
        self.failures = 0

    async def claim(self, limit: int, *, busy: Collection[str]) -> list[DuePush]:
        self.busy.append(set(busy))
        return self.batches.pop(0) if self.batches else []

    async def circumstances(self, pushes: Sequence[Push]) -> PushCircumstances:
        return PushCircumstances(
            invoices={INVOICE_ID: Invoice.of(a_published_invoice())},
            paid_cents={},
            devices={device.name: device for device in self.devices},
            contacts={},
            seen=frozenset((INVOICE_ID, device.account_id) for device in self.devices),
        )

    async def keep(self, attempts: Sequence[PushAttempt]) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError
        self.kept.extend(attempts)

    async def pause(self, host: str, until: datetime) -> None:
        self.paused[host] = until


class FakeService:
    """`ports.PushService` that answers as prepared, then takes everything."""

    def __init__(self, *answers: PushAnswer | Exception) -> None:
        self._answers = list(answers)
        self.asked: list[Push] = []
        self.under_way = 0
        self.most_under_way = 0
        self.gate: asyncio.Event | None = None

    async def send(self, push: Push, device: Device) -> PushAnswer:
        self.asked.append(push)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await (self.gate.wait() if self.gate else asyncio.sleep(0))
        finally:
            self.under_way -= 1
        answer = self._answers.pop(0) if self._answers else TAKEN
        if isinstance(answer, Exception):
            raise answer
        return answer


def batch(count: int, attempts: int = 0) -> list[DuePush]:
    return [
        DuePush(push=a_push(a_device(rank)), attempts=attempts, written_at=NOW)
        for rank in range(1, count + 1)
    ]


def devices(count: int) -> list[Device]:
    return [a_device(rank) for rank in range(1, count + 1)]


async def perform(
    service: FakeService, count: int = 1, attempts: int = 0
) -> tuple[FakePushes, FixedClock]:
    pushes, clock = FakePushes(*devices(count)), FixedClock(NOW)
    await Pusher(pushes, service, clock).perform(batch(count, attempts))
    return pushes, clock


async def test_sends_several_at_a_time_and_notes_each_answer() -> None:
    """A push service answers in a tenth of a second: one after the other would take the night."""
    service = FakeService()

    pushes, _ = await perform(service, 40)

    assert service.most_under_way == SIDE_BY_SIDE
    assert [(a.state, a.code, a.was_tried) for a in pushes.kept] == [(State.SENT, 201, True)] * 40
    assert len({attempt.push_id for attempt in pushes.kept}) == 40


async def test_leaves_a_push_service_alone_for_as_long_as_it_asks() -> None:
    """F30: Retry-After is obeyed, the rest is given back and loses no step of its ladder."""
    service = FakeService(PushAnswer(status=429, words="", retry_after=timedelta(seconds=90)))

    pushes, _ = await perform(service, 50)

    until = NOW + timedelta(seconds=90)
    assert pushes.paused == {HOST: until}
    assert len(pushes.kept) == 50
    [refused] = [attempt for attempt in pushes.kept if attempt.code == 429]
    assert (refused.state, refused.next_at, refused.was_tried) == (State.WAITING, until, True)
    given_back = [attempt for attempt in pushes.kept if not attempt.was_tried]
    assert len(given_back) == 50 - SIDE_BY_SIDE
    assert {(a.state, a.next_at) for a in given_back} == {(State.WAITING, until)}
    assert len(service.asked) == SIDE_BY_SIDE


@pytest.mark.parametrize("failure", [SilentError("cut"), PushAnswer(status=503, words="ill")])
async def test_climbs_the_ladder_when_a_push_service_is_ill(
    failure: PushAnswer | Exception,
) -> None:
    """It rests for half a minute; the push that met it waits for its own step."""
    pushes, _ = await perform(FakeService(failure), attempts=2)

    [attempt] = pushes.kept
    assert (attempt.state, attempt.next_at) == (State.WAITING, NOW + RETRY_DELAYS[2])
    assert pushes.paused == {HOST: NOW + timedelta(seconds=30)}


async def test_abandons_a_push_at_the_top_of_the_ladder() -> None:
    """Two days later nobody wants to hear of it."""
    pushes, _ = await perform(FakeService(SilentError("cut")), attempts=len(RETRY_DELAYS))

    [attempt] = pushes.kept
    assert (attempt.state, attempt.next_at) == (State.ABANDONED, None)


@pytest.mark.parametrize("status", [404, 410])
async def test_names_the_endpoint_that_is_gone(status: int) -> None:
    """Its device is removed with the same commit."""
    pushes, _ = await perform(FakeService(PushAnswer(status=status, words="")))

    [attempt] = pushes.kept
    assert (attempt.state, attempt.reason) == (State.REFUSED, "gone")
    assert attempt.gone_endpoint == a_device(1).endpoint
    assert pushes.paused == {}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (PushAnswer(status=400, words="?"), "refused-by-service"),
        (PushAnswer(status=413, words="?"), "refused-by-service"),
        (PushAnswer(status=302, words="?"), "refused-by-service"),
        (UnwritableError("keys"), "unwritable"),
    ],
)
async def test_ends_a_push_that_is_refused_for_ever(
    answer: PushAnswer | Exception, reason: str
) -> None:
    """The others of the batch leave all the same, and the device stays."""
    pushes, _ = await perform(FakeService(answer), 3)

    refused = [attempt for attempt in pushes.kept if attempt.state is State.REFUSED]
    assert [(attempt.reason, attempt.gone_endpoint) for attempt in refused] == [(reason, None)]
    assert [a.state for a in pushes.kept].count(State.SENT) == 2
    assert pushes.paused == {}


async def test_a_key_that_is_not_accepted_stops_nobody_else() -> None:
    """It may be of one device that subscribed long ago; no pause, and no device is removed."""
    pushes, _ = await perform(FakeService(PushAnswer(status=403, words="key")), 2)

    assert sorted((a.state, a.reason) for a in pushes.kept if a.reason) == [
        (State.WAITING, "key-not-accepted")
    ]
    assert pushes.paused == {}


async def test_skips_a_push_whose_device_is_no_more() -> None:
    """It was removed between the claim and now."""
    service = FakeService()
    pushes = FakePushes()

    await Pusher(pushes, service, FixedClock(NOW)).perform(batch(1))

    assert service.asked == []
    [attempt] = pushes.kept
    assert (attempt.state, attempt.reason) == (State.SKIPPED, "no-device")


async def test_gives_back_what_it_cannot_send_within_the_lease() -> None:
    """Two replicas must not push the same."""
    clock = FixedClock(NOW)
    pushes = FakePushes(*devices(30))

    class SlowService(FakeService):
        async def send(self, push: Push, device: Device) -> PushAnswer:
            clock.advance(PUSH_BATCH_TIME / 10)
            return await super().send(push, device)

    await Pusher(pushes, SlowService(), clock).perform(batch(30))

    states = [attempt.was_tried for attempt in pushes.kept]
    assert (states.count(True), states.count(False)) == (10, 20)
    assert {a.next_at for a in pushes.kept if not a.was_tried} == {None}


async def test_asks_for_no_second_batch_of_a_push_service_that_has_one() -> None:
    """A slow one takes one place of those that are side by side, and no more."""
    service = FakeService()
    service.gate = asyncio.Event()
    pushes = FakePushes(*devices(2))
    pushes.batches = [batch(2)]
    pusher = Pusher(pushes, service, FixedClock(NOW))

    claimed = await pusher.claim(10)
    performing = asyncio.create_task(pusher.perform(claimed))
    await asyncio.sleep(0)
    await pusher.claim(10)
    service.gate.set()
    await performing
    await pusher.claim(10)

    assert pushes.busy == [set(), {HOST}, set()]


async def test_remembers_an_answer_that_the_database_did_not_take() -> None:
    """It is written before anything else is claimed, so the push is not sent again."""
    service, pushes = FakeService(), FakePushes(*devices(1))
    pushes.failures = 1
    pusher = Pusher(pushes, service, FixedClock(NOW))

    with pytest.raises(ConnectionError):
        await pusher.perform(batch(1))
    await pusher.claim(10)

    assert len(service.asked) == 1
    assert [attempt.state for attempt in pushes.kept] == [State.SENT]
