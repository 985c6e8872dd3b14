"""Many failures by many people: told once, everyone slowed down, nobody locked out."""

from datetime import timedelta

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from gateway.api import throttling
from gateway.api.throttling import ALARM_AT
from tests.unit.gateway.door import EMAIL, NOW, PASSWORD, TOKEN, Door, an_invoice

pytestmark = pytest.mark.enable_socket

WRONG = {"email": EMAIL, "password": "not that one at all"}


def raised(kind: str) -> float:
    return REGISTRY.get_sample_value("quittance_security_alarms_total", {"kind": kind}) or 0.0


async def fail(door: Door, kind: str, times: int) -> None:
    """Have so many failures counted, from wherever."""
    async with door.portal() as portal:
        for _ in range(times):
            await portal.count_alarm(kind, "", ALARM_AT[kind], door.clock.now())


@pytest.mark.parametrize(
    ("kind", "path", "fields"),
    [
        ("login", "/connexion", WRONG),
        ("agent", "/regie/connexion", {"login": "x", "password": "not that one at all"}),
        ("factor", "/connexion/cle", {}),
        ("code", "/q/vutsrqponmlkjihgfedcba", None),
    ],
)
async def test_an_alarm_is_raised_once_in_a_quarter_of_an_hour(
    door: Door, kind: str, path: str, fields: dict[str, str] | None
) -> None:
    """ASVS 6.3.5, 16.3: a line of the log and a metric, for people to look at."""
    before = raised(kind)
    await fail(door, kind, ALARM_AT[kind] - 2)

    with capture_logs() as lines:
        for _ in range(3):
            await (door.get(path) if fields is None else door.submit(path, fields))

    alarms = [line for line in lines if line["event"] == "security alarm"]
    assert alarms == [
        {
            "event": "security alarm",
            "kind": kind,
            "authority": None,
            "failures": ALARM_AT[kind],
            "window": "15 min",
            "log_level": "warning",
        }
    ]
    assert raised(kind) == before + 1


async def test_below_the_threshold_nothing_is_said_and_nobody_waits(door: Door) -> None:
    """People mistype."""
    await fail(door, "login", ALARM_AT["login"] - 2)

    with capture_logs() as lines:
        await door.submit("/connexion", WRONG)

    assert [line for line in lines if line["event"] == "security alarm"] == []
    assert door.pauses == []


async def test_while_an_alarm_holds_failures_take_longer_and_waits_come_sooner(door: Door) -> None:
    """Gently: three attempts instead of five, and a second for each failure."""
    await door.add_account()
    await fail(door, "login", ALARM_AT["login"])

    statuses = [(await door.submit("/connexion", WRONG)).status for _ in range(4)]
    door.clock.advance(timedelta(seconds=15))
    admitted = await door.submit("/connexion", {"email": EMAIL, "password": PASSWORD})

    assert statuses == [401] * 3 + [429]
    assert door.pauses == [1.0] * 3
    assert admitted.status == 303


async def test_who_is_right_does_not_wait_for_an_alarm(door: Door) -> None:
    """Nobody is locked out, and other doors are as before."""
    await door.add_account()
    await door.publish(an_invoice())
    await fail(door, "login", ALARM_AT["login"])

    page = await door.submit("/connexion", {"email": EMAIL, "password": PASSWORD})
    invoice = await door.get(f"/q/{TOKEN}")
    unknown = await door.get("/q/vutsrqponmlkjihgfedcba")

    assert (page.status, invoice.status, unknown.status) == (303, 200, 404)
    assert door.pauses == []


async def test_an_alarm_ends_with_its_quarter_of_an_hour(door: Door) -> None:
    """And another may be raised in the next."""
    await fail(door, "login", ALARM_AT["login"])
    door.clock.advance(timedelta(minutes=15, seconds=1))

    async with door.portal() as portal:
        is_alarmed = await portal.is_alarmed("login", door.clock.now())
        again = [
            await portal.count_alarm("login", "", ALARM_AT["login"], door.clock.now())
            for _ in range(ALARM_AT["login"])
        ]

    assert not is_alarmed
    assert again == [False] * (ALARM_AT["login"] - 1) + [True]


async def test_authorities_are_counted_apart_and_all_are_slowed_down(door: Door) -> None:
    """References are guessed at one authority; who guesses may go on to the next."""
    async with door.portal() as portal:
        first = [await portal.count_alarm("reference", "a", 2, NOW) for _ in range(2)]
        second = await portal.count_alarm("reference", "b", 2, NOW)
        is_alarmed = await portal.is_alarmed("reference", NOW)
        others = [await portal.is_alarmed(kind, NOW) for kind in ("refer", "login", "references")]

    assert (first, second, is_alarmed, others) == ([False, True], False, True, [False] * 3)


async def test_a_crowd_of_guessers_does_not_hold_the_doors(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many wait at once and no more."""
    await fail(door, "login", ALARM_AT["login"])
    monkeypatch.setattr(throttling, "PAUSING_AT_MOST", 0)

    await door.submit("/connexion", WRONG)

    assert door.pauses == []
