"""Billers are told what was paid: everything, in order for each invoice, whatever breaks."""

import asyncio
import base64
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from cryptography.fernet import Fernet
from standardwebhooks import Webhook, WebhookVerificationError

import reconciliation
from demo import ports
from demo.postgres import EmbeddedPostgres
from reconciliation.adapters.sealing import FernetSealer, SealError
from reconciliation.domain.webhooks import LADDER, DeliveryState, Outcome, Verdict
from reconciliation.ports import Attempt, Call, Claim, Deliveries
from reconciliation.worker import LEASE, SAFE_REMAINDER
from shared import postgres
from shared.postgres import Database
from shared.worker import Worker
from tests.broker.observing import until
from tests.broker.webhook_office import (
    AUTHORITY,
    NOW,
    Biller,
    Office,
    Received,
    a_capture,
    book,
    perform_one,
)

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="module")]

THREE_DAYS = sum(LADDER, timedelta())
NEIGHBOUR = "voisin@val-de-brume CRECHE"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def databases(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[Database]]:
    """Return two pools on one database of reconciliation's own: two replicas."""
    folder = tmp_path_factory.mktemp("reconciliation")
    async with EmbeddedPostgres(folder, port=ports.choose()["database"]) as server:
        url = await server.create_database("r", role="reconciliation", password="reconciliation")
        steps = postgres.all_migrations("reconciliation", Path(reconciliation.__file__).parent)
        await postgres.migrate(url, steps)
        opened = [await Database.connect(url, size=12, service="reconciliation") for _ in range(2)]
        yield opened
        for database in opened:
            await database.close()


@pytest_asyncio.fixture(loop_scope="module")
async def office(databases: list[Database]) -> AsyncIterator[Office]:
    """Return an office whose tables are empty."""
    made = Office(databases[0])
    await made.empty()
    async with made.open():
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def billers() -> AsyncIterator[list[Biller]]:
    """Return three billers' servers."""
    async with AsyncExitStack() as stack:
        made = [Biller() for _ in range(3)]
        for biller in made:
            await stack.enter_async_context(biller.server)
        yield made
        for biller in made:
            biller.gate.set()


@pytest.fixture
def biller(billers: list[Biller]) -> Biller:
    """Return one of them."""
    return billers[0]


def failing(_request: Received) -> int:
    return 503


def well(_request: Received) -> int:
    return 204


# What is told.


async def test_a_payment_is_told_signed_under_the_id_that_the_feed_gives_it(
    office: Office, biller: Biller
) -> None:
    """Type, time and the feed's own item; another library verifies the signature."""
    office.clock.instant = datetime.now(UTC)
    secret = await office.register(biller)
    await office.pay("F-1")
    office.clock.advance(timedelta(seconds=30))
    await office.pay_back("F-1")

    await office.work()

    [paid, returned] = biller.took
    [item, reversal] = await office.feed()
    assert paid.content == {
        "type": "payment.captured",
        "timestamp": item["recorded_at"],
        "data": item,
    }
    assert (returned.content["type"], returned.content["data"]) == ("payment.reversed", reversal)
    assert [item["event_id"], reversal["event_id"]] == biller.events()
    assert Webhook(secret).verify(paid.body, paid.headers) == paid.content
    assert paid.headers["content-type"] == "application/json"
    assert 24 <= len(base64.b64decode(secret.removeprefix("whsec_"))) <= 64


async def test_a_client_is_told_of_its_own_regies_only(
    office: Office, billers: list[Biller]
) -> None:
    """Those of its token, or those it chose among them; never another authority's."""
    everything, canteen, neighbour = billers
    await office.register(everything, "tout CANTINE+MUSIQUE")
    await office.register(canteen, "cantine CANTINE+MUSIQUE", regies=["CANTINE"])
    await office.register(neighbour, NEIGHBOUR)

    await office.pay("C-1")
    await office.pay("M-1", regie="MUSIQUE")
    await office.pay("P-1", regie="PISCINE")
    await office.pay("N-1", regie="CRECHE", authority="val-de-brume")
    await office.work()

    assert ["C-1", "M-1"] == list(everything.by_invoice())
    assert ["C-1"] == list(canteen.by_invoice())
    assert ["N-1"] == list(neighbour.by_invoice())


async def test_a_regie_that_the_token_lost_is_told_no_more(office: Office, biller: Biller) -> None:
    """The régies are those of the latest token that the client showed."""
    await office.register(biller, "b CANTINE+MUSIQUE")

    status, _ = await office.ask("GET", "/v1/webhooks", token="b MUSIQUE")
    await office.pay("C-1")
    await office.pay("M-1", regie="MUSIQUE")
    await office.work()

    assert 200 == status
    assert ["M-1"] == list(biller.by_invoice())


async def test_what_waits_of_a_lost_regie_is_never_told(office: Office, biller: Biller) -> None:
    """Neither what waits nor what was parked, by itself or by a replay; what is left still goes."""
    await office.register(biller, "b CANTINE+MUSIQUE")
    await office.pay("C-1")
    await office.pay("M-1", regie="MUSIQUE")
    await office.ask("POST", "/v1/webhooks/test", token="b CANTINE+MUSIQUE")

    await office.ask(
        "POST",
        "/v1/webhooks/replay",
        {"from": NOW.isoformat(), "to": (NOW + timedelta(days=1)).isoformat()},
        token="b MUSIQUE",
    )
    await office.work()

    assert ["payment.captured", "webhook.test"] == [r.content["type"] for r in biller.took]
    assert "M-1" == biller.took[0].content["data"]["number"]
    assert {"delivered": 2} == await office.states()


async def test_what_is_not_booked_is_not_told(office: Office, biller: Biller) -> None:
    """The delivery and the booking commit together, or not at all."""
    await office.register(biller)

    async def book_and_fail() -> None:
        async with office.unit() as unit:
            await book(unit, [a_capture("F-1", "CANTINE", AUTHORITY, NOW)], NOW)
            raise KilledError

    with pytest.raises(KilledError):
        await book_and_fail()

    assert 0 == await office.work()
    assert {} == await office.states()
    assert [] == await office.feed()


async def test_a_payment_met_again_is_told_once(office: Office, biller: Biller) -> None:
    """The same capture under another message id is one delivery."""
    await office.register(biller)
    capture = a_capture("F-1", "CANTINE", AUTHORITY, NOW)

    await office.book([capture])
    await office.book([capture])
    await office.work()

    assert {"delivered": 1} == await office.states()
    assert 1 == len(biller.asked)


# What breaks.


async def test_a_biller_that_was_down_for_three_days_gets_everything_in_order(
    office: Office, biller: Biller
) -> None:
    """What was parked is obtained by a replay; nothing is missing, nothing out of turn."""
    await office.register(biller)
    biller.status = failing
    numbers = [f"F-{number}" for number in range(5)]
    await office.pay(*numbers)
    for hour in range(0, 72, 8):
        await office.until(NOW + timedelta(hours=hour))
        await office.pay(*numbers)
        await office.pay_back(numbers[hour % 5])
    await office.until(NOW + THREE_DAYS + timedelta(minutes=1))
    during = await office.states()
    biller.status = well

    await office.until(NOW + 3 * THREE_DAYS)
    after = await office.states()
    before_replay = biller.by_invoice()
    status, answer = await office.ask(
        "POST",
        "/v1/webhooks/replay",
        {"from": NOW.isoformat(), "to": (NOW + timedelta(minutes=1)).isoformat()},
    )
    await office.work()

    feed = await office.feed()
    assert 59 == len(feed)
    assert during == {"parked": 5, "waiting": 54}
    assert after == {"parked": 5, "delivered": 54}
    assert all(positions == sorted(positions) for positions in before_replay.values())
    # The five that were parked, and the five and one that were booked within the same minute.
    assert (202, {"count": 11}) == (status, answer)
    assert {"delivered": 59} == await office.states()
    assert {item["event_id"] for item in feed} == set(biller.events())
    replayed = [received.content["data"]["position"] for received in biller.took[54:]]
    assert sorted(replayed) == replayed == list(range(1, 12))


async def test_a_failing_third_loses_nothing(office: Office, biller: Biller) -> None:
    """Each event arrives, each invoice in order, though three calls in ten fail."""
    chance = random.Random(20261124)
    biller.status = lambda _request: 500 if chance.random() < 0.3 else 204
    await office.register(biller)
    numbers = [f"F-{number}" for number in range(100)]
    for _ in range(5):
        await office.pay(*numbers)

    await office.until(NOW + THREE_DAYS, side_by_side=4)

    assert {"delivered": 500} == await office.states()
    assert 500 == len(set(biller.events()))
    assert 100 == len(biller.by_invoice())
    assert all(len(found) == 5 and sorted(found) == found for found in biller.by_invoice().values())
    failures = len(biller.asked) - len(biller.took)
    assert 0.2 < failures / len(biller.asked) < 0.4


async def test_an_answer_that_was_not_written_down_is_asked_for_again(
    office: Office, biller: Biller
) -> None:
    """Killed between answer and record: once the lease has ended it is sent again, by its name."""
    await office.register(biller)
    await office.pay("F-1")

    with pytest.raises(KilledError):
        await perform_one(office.courier(wrap=Killed))
    during_lease = await office.work()
    office.clock.advance(LEASE)
    after_lease = await office.work()

    assert (0, 1) == (during_lease, after_lease)
    [first, second] = biller.took
    assert first.event_id == second.event_id
    assert first.body == second.body
    assert {"delivered": 1} == await office.states()


async def test_an_answer_after_the_lease_decides_nothing(office: Office, biller: Biller) -> None:
    """The claim that stands decides; the call that came late is noted and no more."""
    await office.register(biller)
    await office.pay("F-1")
    [stale] = await office.courier().claim(1)
    office.clock.advance(LEASE)
    [standing] = await office.courier().claim(1)
    late = Attempt(at=NOW, call=Call(outcome=Outcome.DELIVERED, status=204), took=LEASE)

    await office.courier()._deliveries.record(stale, late, Verdict(DeliveryState.DELIVERED, None))

    [row] = await office.rows("SELECT state, tries, claim_id FROM webhook_delivery")
    assert ("waiting", 0, standing.claim_id) == (row["state"], row["tries"], row["claim_id"])
    assert [204] == [row[0] for row in await office.rows("SELECT status FROM webhook_attempt")]
    assert stale.delivery.delivery_id == standing.delivery.delivery_id


async def test_an_event_waits_for_the_earlier_one_of_its_invoice(
    office: Office, biller: Biller
) -> None:
    """While it is being sent, and while it waits for its next try; other invoices do not care."""
    await office.register(biller)
    await office.pay("F-1")
    [head] = await office.courier().claim(1)
    await office.pay_back("F-1")
    await office.pay("F-2")
    beside_head = await office.courier().claim(1)
    behind_head = await office.courier().claim(1)
    biller.status = failing
    await office.courier().perform([head])
    await office.pay("F-1")
    biller.status = well
    behind_failure = await office.courier().claim(1)
    await office.courier().perform(beside_head)

    await office.until(NOW + timedelta(seconds=5))

    assert ["F-2"] == [claim.delivery.event.number for claim in beside_head if claim.delivery.event]
    assert [] == behind_head == behind_failure
    assert biller.by_invoice() == {"F-2": [3], "F-1": [1, 2, 4]}


async def test_a_process_that_stood_still_does_not_call(office: Office, biller: Biller) -> None:
    """Its lease may end under the call: then two would call at once."""
    await office.register(biller)
    await office.pay("F-1")
    courier = office.courier()
    claims = await courier.claim(1)

    office.clock.advance(LEASE - SAFE_REMAINDER + timedelta(seconds=1))
    await courier.perform(claims)

    assert [] == biller.asked
    assert {"waiting": 1} == await office.states()


async def test_two_replicas_never_make_one_delivery_at_once(
    office: Office, databases: list[Database], billers: list[Biller]
) -> None:
    """Each event is sent once, no endpoint has more than four calls, invoices keep their order."""
    other = Office(databases[1])
    other.sealer, other.clock = office.sealer, office.clock
    databases[1].clock = office.clock
    for number, biller in enumerate(billers):
        biller.pause_seconds = 0.005
        await office.register(biller, f"b{number} CANTINE")
    numbers = [f"F-{number}" for number in range(20)]
    for _ in range(4):
        await office.pay(*numbers)

    await asyncio.gather(office.work(side_by_side=6), other.work(side_by_side=6))
    await other.sender.close()

    for biller in billers:
        assert 80 == len(biller.asked) == len(set(biller.events()))
        assert not biller.met_twice_at_once
        assert biller.most_at_once <= 4
        assert all(sorted(found) == found for found in biller.by_invoice().values())
    assert {"delivered": 240} == await office.states()


async def test_a_biller_that_does_not_answer_delays_no_other(
    office: Office, billers: list[Biller]
) -> None:
    """Its calls hold four places; the others are told meanwhile."""
    dead, *living = billers
    dead.gate.clear()
    for number, biller in enumerate(billers):
        await office.register(biller, f"b{number} CANTINE")
    await office.pay(*[f"F-{number}" for number in range(30)])
    courier = office.courier()
    worker = Worker(
        "webhooks",
        claim=courier.claim,
        perform=courier.perform,
        batch=1,
        concurrency=8,
        wake=courier._wakes[0],
    )
    stopping = asyncio.Event()
    running = asyncio.create_task(worker.run(stopping))

    await until(lambda: _have_taken(living, 30), "the living", seconds=20)

    assert 4 == len(dead.asked)
    assert [] == dead.took
    dead.gate.set()
    await until(lambda: _have_taken([dead], 30), "the dead", seconds=20)
    stopping.set()
    await running


async def test_an_endpoint_that_struggles_leaves_the_lane_and_comes_back(
    office: Office, billers: list[Biller]
) -> None:
    """After three failures the lane of those that answer has nothing to do with it."""
    struggling, healthy = billers[:2]
    struggling.status = failing
    await office.register(struggling, "s CANTINE")
    await office.register(healthy, "h CANTINE")
    await office.pay("F-1", "F-2", "F-3", "F-4")
    swift, slow = office.courier(), office.courier(is_struggling=True)

    while await perform_one(swift):
        pass
    in_swift = len(struggling.asked)
    claims = [*await slow.claim(1), *await slow.claim(1)]
    struggling.status = well
    await slow.perform(claims)

    assert 3 == in_swift
    assert 4 == len(healthy.took)
    assert 1 == len(claims)
    assert [False] == [
        row["is_struggling"]
        for row in await office.rows(
            "SELECT is_struggling FROM webhook_endpoint WHERE client = 's'"
        )
    ]


async def test_an_endpoint_that_is_gone_is_called_no_more(office: Office, biller: Biller) -> None:
    """410 disables it; what is booked meanwhile waits until the biller sets its address again."""
    await office.register(biller)
    biller.status = lambda _request: 410
    await office.pay("F-1")
    await office.work()
    biller.status = well
    await office.pay("F-2")
    await office.until(NOW + timedelta(hours=1))
    _, gone = await office.ask("GET", "/v1/webhooks")
    asked_while_gone = len(biller.asked)

    status, back = await office.ask("PUT", "/v1/webhooks", {"url": biller.url})
    await office.work()

    assert ("disabled", 2) == (gone["state"], gone["waiting"])
    assert 1 == asked_while_gone
    assert (200, "active", False) == (status, back["state"], "secret" in back)
    assert ["F-1", "F-2"] == list(biller.by_invoice())


async def test_the_ladder_ends_after_fourteen_tries(office: Office, biller: Biller) -> None:
    """72 hours, then the delivery is parked and shown, and its invoice's next event may go."""
    await office.register(biller)
    await office.pay("F-1")
    await office.pay_back("F-1")
    first = (await office.feed())[0]["event_id"]
    biller.status = lambda request: 500 if request.event_id == first else 204

    await office.until(NOW + THREE_DAYS - timedelta(seconds=1))
    before = (len(biller.asked), await office.states())
    await office.until(NOW + THREE_DAYS)

    assert before == (13, {"waiting": 2})
    assert Counter([first] * 14 + [biller.events()[0]]) == Counter(
        request.event_id for request in biller.asked
    )
    assert {"parked": 1, "delivered": 1} == await office.states()
    _, health = await office.ask("GET", "/v1/webhooks")
    assert (1, 0, "active") == (health["parked"], health["waiting"], health["state"])


# What billers may ask.


async def test_a_secret_that_was_replaced_signs_for_one_more_day(
    office: Office, biller: Biller
) -> None:
    """Both verify at first; after a day the new one alone."""
    office.clock.instant = datetime.now(UTC) - timedelta(hours=24)
    old = await office.register(biller)
    status, answer = await office.ask("POST", "/v1/webhooks/secret")
    new = answer["secret"]
    await office.pay("F-1")
    office.clock.advance(timedelta(hours=24) - timedelta(seconds=1))
    await office.work()
    office.clock.advance(timedelta(seconds=1))
    await office.pay("F-2")
    await office.work()

    [both, one] = biller.took
    assert 201 == status
    assert old != new
    assert Webhook(old).verify(both.body, both.headers)
    assert Webhook(new).verify(both.body, both.headers)
    assert Webhook(new).verify(one.body, one.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(one.body, one.headers)


async def test_secrets_do_not_pile_up(office: Office, biller: Biller) -> None:
    """Four live at most; a day later there is room again."""
    await office.register(biller)

    statuses = [(await office.ask("POST", "/v1/webhooks/secret"))[0] for _ in range(4)]
    office.clock.advance(timedelta(hours=24))
    later, _ = await office.ask("POST", "/v1/webhooks/secret")

    assert [201, 201, 201, 409] == statuses
    assert 201 == later


async def test_the_database_alone_gives_no_secret_away(office: Office, biller: Biller) -> None:
    """Secrets are sealed; a new key takes over, and without any key nothing is opened."""
    secret = await office.register(biller)
    raw = base64.b64decode(secret.removeprefix("whsec_"))
    [row] = await office.rows("SELECT sealed FROM webhook_secret")
    key = Fernet.generate_key().decode()
    old = office.sealer._keys._fernets[0]
    both = FernetSealer(key)
    both._keys._fernets.append(old)

    await office.upkeep.seal_again(both.seal_again)

    [again] = await office.rows("SELECT sealed FROM webhook_secret")
    assert raw not in row["sealed"]
    assert raw == office.sealer.open(row["sealed"])
    assert raw == FernetSealer(key).open(again["sealed"])
    with pytest.raises(SealError):
        office.sealer.open(again["sealed"])


async def test_what_was_sent_can_be_looked_up_and_sent_again(
    office: Office, biller: Biller
) -> None:
    """State, every call with what was answered, and a replay under the same id."""
    await office.register(biller)
    biller.status = failing
    await office.pay("F-1")
    await office.work()
    _, waiting = await office.ask("GET", "/v1/webhooks/deliveries?state=waiting")
    biller.status = well
    await office.until(NOW + timedelta(seconds=5))
    _, page = await office.ask("GET", "/v1/webhooks/deliveries")
    [delivery] = page["deliveries"]
    path = f"/v1/webhooks/deliveries/{delivery['delivery_id']}"

    status, answer = await office.ask("POST", path + "/replay")
    await office.work()
    _, detail = await office.ask("GET", path)

    [found] = waiting["deliveries"]
    assert ("waiting", 1) == (found["state"], found["tries"])
    assert (NOW + timedelta(seconds=5)).isoformat().replace("+00:00", "Z") == found["next_try_at"]
    assert ("delivered", None) == (delivery["state"], page["next"])
    assert delivery["event"] == (await office.feed())[0]
    assert (202, {"count": 1}) == (status, answer)
    assert [(a["outcome"], a["status"], a["answer"]) for a in detail["attempts"]] == [
        ("refused", 503, "answer 503"),
        ("delivered", 204, ""),
        ("delivered", 204, ""),
    ]
    assert [delivery["event_id"]] * 2 == biller.events()
    assert biller.took[0].body == biller.took[1].body


async def test_a_client_sees_and_touches_its_own_only(
    office: Office, billers: list[Biller]
) -> None:
    """Another's endpoint and deliveries are unknown, also within one authority."""
    mine, _, _ = billers
    await office.register(mine)
    await office.pay("F-1")
    await office.work()
    _, page = await office.ask("GET", "/v1/webhooks/deliveries")
    path = f"/v1/webhooks/deliveries/{page['deliveries'][0]['delivery_id']}"
    await office.register(billers[1], "other CANTINE")

    for token in ("other CANTINE", NEIGHBOUR):
        assert 404 == (await office.ask("GET", path, token=token))[0]
        assert 404 == (await office.ask("POST", path + "/replay", token=token))[0]
    for method, at in (
        ("GET", "/v1/webhooks"),
        ("DELETE", "/v1/webhooks"),
        ("POST", "/v1/webhooks/secret"),
        ("POST", "/v1/webhooks/test"),
        ("GET", "/v1/webhooks/deliveries"),
    ):
        assert 404 == (await office.ask(method, at, token=NEIGHBOUR))[0]
    assert 404 == (await office.ask("GET", "/v1/webhooks/deliveries/nothing"))[0]
    assert 404 == (await office.ask("GET", f"/v1/webhooks/deliveries/{uuid4()}"))[0]
    await office.work()
    assert 1 == len(mine.asked)


async def test_changing_asks_for_a_scope_of_its_own(office: Office, biller: Biller) -> None:
    """Whoever may read collections may look things up, and no more."""
    await office.register(biller)
    reading = "biller CANTINE collections:read"

    changes = [
        ("PUT", "/v1/webhooks"),
        ("DELETE", "/v1/webhooks"),
        ("POST", "/v1/webhooks/secret"),
        ("POST", "/v1/webhooks/test"),
        ("POST", "/v1/webhooks/replay"),
        ("POST", f"/v1/webhooks/deliveries/{uuid4()}/replay"),
    ]
    refused = {(await office.ask(*change, token=reading))[0] for change in changes}
    looked = (await office.ask("GET", "/v1/webhooks", token=reading))[0]

    assert {403} == refused
    assert 200 == looked
    assert [1] == [row[0] for row in await office.rows("SELECT count(*) FROM webhook_secret")]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"url": "http://biller.example.fr/"}, "/url"),
        ({"url": "ftp://127.0.0.1/"}, "/url"),
        ({"url": "https://10.0.0.1.nip/\r\nX: y"}, "/url"),
        ({"url": "http://127.0.0.1/", "regies": ["PISCINE"]}, "/regies"),
        ({"url": "http://127.0.0.1/", "since": "-1"}, "/since"),
        ({"url": "http://127.0.0.1/", "regies": []}, ""),
        ({"url": "http://127.0.0.1/", "secret": "mine"}, ""),
        ({}, ""),
    ],
)
async def test_refuses_an_address_it_cannot_serve(
    office: Office, body: dict[str, object], pointer: str
) -> None:
    """422 that says which part is wrong, and nothing is kept."""
    status, answer = await office.ask("PUT", "/v1/webhooks", body)

    assert (422, pointer) == (status, answer.get("pointer", ""))
    assert [] == await office.rows("SELECT 1 FROM webhook_endpoint")


async def test_a_later_put_changes_the_address_and_keeps_the_secret(
    office: Office, billers: list[Biller]
) -> None:
    """What waits for the old address goes to the new one, signed with the same secret."""
    office.clock.instant = datetime.now(UTC)
    old, new, _ = billers
    secret = await office.register(old)
    old.status = failing
    await office.pay("F-1")
    await office.work()

    status, answer = await office.ask(
        "PUT", "/v1/webhooks", {"url": new.url, "description": "Facturation"}
    )
    await office.work()

    assert (200, new.url, "Facturation") == (status, answer["url"], answer["description"])
    assert "secret" not in answer
    [received] = new.took
    assert Webhook(secret).verify(received.body, received.headers)
    assert 1 == len(old.asked)


async def test_a_late_comer_may_have_what_is_in_the_feed(office: Office, biller: Biller) -> None:
    """`since` is a cursor: what stands beyond it is sent, oldest first, and nothing twice."""
    await office.pay("F-1", "F-2", "F-3")
    await office.pay("M-1", regie="MUSIQUE")

    await office.register(biller, since="1")
    await office.pay("F-4")
    await office.work()

    assert ["F-2", "F-3", "F-4"] == list(biller.by_invoice())
    assert 3 == len(biller.asked)


async def test_nothing_falls_between_the_feed_and_the_first_delivery(
    office: Office, biller: Biller
) -> None:
    """A registration waits for the booking under way, and the next booking for the registration."""
    await office.pay("F-1")
    async with office.unit() as unit:
        await book(unit, [a_capture("F-2", "CANTINE", AUTHORITY, NOW)], NOW)
        registering = asyncio.create_task(office.register(biller, since="0"))
        await until(lambda: _is_somebody_waiting(office), "the registration")
    await registering
    await office.pay("F-3")
    await office.work()

    assert ["F-1", "F-2", "F-3"] == list(biller.by_invoice())


async def test_a_deleted_endpoint_is_told_nothing_and_forgotten(
    office: Office, biller: Biller
) -> None:
    """Its secret goes at once, the rest with the next tidying; it may come back as a new one."""
    first = await office.register(biller)
    await office.pay("F-1")

    status, _ = await office.ask("DELETE", "/v1/webhooks")
    await office.pay("F-2")
    calls = await office.work()
    secrets = await office.rows("SELECT 1 FROM webhook_secret")
    removed = await office.upkeep.forget(NOW - timedelta(days=90))
    second = await office.register(biller)

    assert (204, 0, []) == (status, calls, secrets)
    assert 1 == removed
    assert {} == await office.states()
    assert 1 == len(await office.rows("SELECT 1 FROM webhook_endpoint"))
    assert first != second


async def test_deliveries_are_kept_for_90_days(office: Office, biller: Biller) -> None:
    """Then they go with their calls; what waits stays, and the feed has everything for ever."""
    await office.register(biller)
    await office.pay("F-1")
    await office.work()
    office.clock.advance(timedelta(days=90))
    await office.pay("F-2")
    await office.work()

    kept = await office.upkeep.forget(office.clock.now() - timedelta(days=90))
    office.clock.advance(timedelta(seconds=1))
    removed = await office.upkeep.forget(office.clock.now() - timedelta(days=90))

    assert (0, 2) == (kept, removed)
    _, page = await office.ask("GET", "/v1/webhooks/deliveries")
    assert ["F-2"] == [delivery["event"]["number"] for delivery in page["deliveries"]]
    assert 1 == len(await office.rows("SELECT 1 FROM webhook_attempt"))
    assert 2 == len(await office.feed())


async def test_a_test_is_sent_and_looked_up(office: Office, biller: Biller) -> None:
    """An event of its own type, signed like any other; too many at once are refused."""
    office.clock.instant = datetime.now(UTC)
    secret = await office.register(biller)

    status, answer = await office.ask("POST", "/v1/webhooks/test")
    await office.work()
    more = [(await office.ask("POST", "/v1/webhooks/test"))[0] for _ in range(11)]

    [received] = biller.took
    _, detail = await office.ask("GET", f"/v1/webhooks/deliveries/{answer['delivery_id']}")
    assert 202 == status
    assert "webhook.test" == received.content["type"]
    assert Webhook(secret).verify(received.body, received.headers) == received.content
    assert ("delivered", None, received.event_id) == (
        detail["delivery"]["state"],
        detail["delivery"]["event"],
        detail["delivery"]["event_id"],
    )
    assert [202] * 10 + [409] == more


async def test_the_newest_deliveries_come_first_page_by_page(
    office: Office, biller: Biller
) -> None:
    """100 a page; `next` goes on, and ends."""
    await office.register(biller)
    await office.pay(*[f"F-{number}" for number in range(120)])

    _, first = await office.ask("GET", "/v1/webhooks/deliveries")
    _, last = await office.ask("GET", f"/v1/webhooks/deliveries?after={first['next']}")

    found = [d["event"]["position"] for page in (first, last) for d in page["deliveries"]]
    assert list(range(120, 0, -1)) == found
    assert None is last["next"]
    for query in ("state=lost", "after=x", "after=-1"):
        status, _ = await office.ask("GET", f"/v1/webhooks/deliveries?{query}")
        assert 400 == status


@pytest.mark.parametrize(
    "body", [{}, {"from": "2026-12-01"}, {"from": "2026-12-01T00:00:00", "to": "x"}, []]
)
async def test_a_replay_names_two_instants(office: Office, biller: Biller, body: object) -> None:
    """With their offsets: without one they would mean other moments elsewhere."""
    await office.register(biller)

    status, _ = await office.ask("POST", "/v1/webhooks/replay", body)

    assert 422 == status


# The feed's cursor.


@pytest.mark.parametrize("limit", ["0", "-1", "501", "ten", "", "000000000000019999"])
async def test_a_page_of_the_feed_has_its_bounds(office: Office, limit: str) -> None:
    """However the number is written: nobody has a whole feed read at once."""
    status, problem = await office.ask("GET", f"/v1/collections?limit={limit}")

    assert (400, "invalid-limit") == (status, problem["code"])


async def test_the_feed_goes_on_from_what_was_acknowledged(office: Office) -> None:
    """Kept for each client; asking with `after` changes nothing."""
    await office.pay("F-1", "F-2", "F-3")
    _, first = await office.ask("GET", "/v1/collections?limit=2")

    again = (await office.ask("GET", "/v1/collections?limit=2"))[1]
    kept = await office.ask("POST", "/v1/collections/acknowledge", {"cursor": first["next"]})
    _, rest = await office.ask("GET", "/v1/collections")
    _, other = await office.ask("GET", "/v1/collections", token="other CANTINE")
    _, asked = await office.ask("GET", "/v1/collections?after=0")

    assert first == again
    assert (200, {"cursor": "2"}) == kept
    assert ["F-3"] == [item["number"] for item in rest["items"]]
    assert 3 == len(other["items"]) == len(asked["items"])


async def test_the_cursor_goes_back_only_when_asked(office: Office) -> None:
    """A late acknowledgement changes nothing; `rewind` says that it is meant."""
    await office.pay("F-1", "F-2", "F-3")
    path = "/v1/collections/acknowledge"

    answers = [
        await office.ask("POST", path, {"cursor": cursor, **more})
        for cursor, more in (("3", {}), ("1", {}), ("1", {"rewind": True}))
    ]

    assert [(200, {"cursor": cursor}) for cursor in ("3", "3", "1")] == answers


@pytest.mark.parametrize("cursor", ["4", "-1", "x", "", "1" * 19])
async def test_a_position_that_is_none_is_not_acknowledged(office: Office, cursor: str) -> None:
    """Beyond the end it would skip what comes."""
    await office.pay("F-1", "F-2", "F-3")

    status, answer = await office.ask("POST", "/v1/collections/acknowledge", {"cursor": cursor})

    assert (422, "/cursor") == (status, answer["pointer"])
    assert [] == await office.rows("SELECT 1 FROM feed_cursor")


class KilledError(Exception):
    """The process is gone."""


class Killed:
    """Deliveries of a process that dies before it writes down what was answered."""

    def __init__(self, deliveries: Deliveries) -> None:
        self._deliveries = deliveries

    async def claim(self) -> Claim | None:
        return await self._deliveries.claim()

    async def record(self, claim: Claim, attempt: Attempt, verdict: Verdict) -> None:
        raise KilledError


async def _have_taken(billers: list[Biller], times: int) -> bool:
    return all(len(biller.took) == times for biller in billers)


async def _is_somebody_waiting(office: Office) -> bool:
    [row] = await office.rows("SELECT count(*) FROM pg_locks WHERE NOT granted")
    return bool(row[0])
