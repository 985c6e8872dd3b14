"""Devices: added by their own browser, tried out and removed by their owner, services we know."""

from uuid import UUID, uuid4

import pytest

from gateway.ports import RefusedError, Subscription
from tests.unit.gateway.door import Door, Page
from tests.unit.gateway.fake_notifications import PUSH_KEY

pytestmark = pytest.mark.enable_socket

PATH = "/compte/alertes/appareils"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
FIELDS = {"endpoint": "https://push.exemple.test/send/abc", "p256dh": PUSH_KEY, "auth": AUTH}
FIREFOX = "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0"


async def add(door: Door, **changed: str) -> Page:
    headers = {"User-Agent": FIREFOX}
    return await door.submit(PATH, FIELDS | changed, headers)


async def test_a_browser_becomes_a_device_of_the_account(door: Door) -> None:
    """Under a name that people recognise, in their language."""
    account_id = await door.log_in()

    answer = await add(door)

    assert (answer.status, answer.location) == (303, "/compte/alertes?fait=appareil")
    [(device_id, kept)] = door.notifications.kept[account_id].items()
    assert kept == Subscription(
        endpoint=FIELDS["endpoint"],
        p256dh=PUSH_KEY,
        auth=AUTH,
        label="Firefox, Android",
        language="fr",
    )
    page = await door.get("/compte/alertes?fait=appareil")
    assert "Cet appareil reçoit désormais vos notifications." in page.text
    assert "Firefox, Android cet appareil" in page.text
    assert f"{PATH}/{device_id}/retirer" in page.actions()


async def test_the_same_browser_again_is_the_same_device(door: Door) -> None:
    """A renewed subscription replaces the one before."""
    account_id = await door.log_in()
    await add(door)

    await add(door, endpoint="https://eu.push.exemple.test/send/def")

    [kept] = door.notifications.kept[account_id].values()
    assert kept.endpoint == "https://eu.push.exemple.test/send/def"


async def test_two_accounts_on_one_browser_are_two_devices(door: Door) -> None:
    """The name of a device differs by account: nobody takes over somebody else's."""
    first = await door.log_in()
    await add(door)
    await door.submit("/deconnexion")
    second = await door.log_in(email="autre@exemple.test")
    await add(door)

    [one], [other] = door.notifications.kept[first], door.notifications.kept[second]
    assert one != other


async def test_the_cookie_of_the_device_is_kept_from_scripts(door: Door) -> None:
    """S4: it names the browser, for as long as browsers keep one."""
    await door.log_in()

    cookie = (await add(door)).cookies["push"]

    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert cookie["max-age"] == str(400 * 24 * 3600)


@pytest.mark.parametrize(
    "changed",
    [
        {"endpoint": "file:///etc/passwd"},
        {"endpoint": "//push.exemple.test/send/abc"},
        {"endpoint": "https://push.exemple.test/" + "a" * 1000},
        {"endpoint": "https://push.exemple.test/a\r\nHost: b"},
        {"endpoint": "https://pusħ.exemple.test/"},
        {"endpoint": ""},
        {"p256dh": "short"},
        {"p256dh": PUSH_KEY + "AA"},
        {"auth": "not base64!"},
        {"auth": ""},
    ],
)
async def test_what_has_not_the_shape_of_a_subscription_is_refused(
    door: Door, changed: dict[str, str]
) -> None:
    """RFC 8291: a point of P-256 and 16 bytes; nothing else goes on to notification."""
    await door.log_in()

    answer = await add(door, **changed)

    assert answer.status == 422
    assert "n’a pas pu être ajouté" in answer.text
    assert door.notifications.kept == {}
    assert door.cookie("push") == ""


async def test_an_address_that_notification_does_not_call_is_said_on_the_page(door: Door) -> None:
    """S18: it knows the push services, and refuses every other host."""
    account_id = await door.log_in()
    page = await door.get("/compte/alertes")
    door.notifications.refusal = RefusedError(422, {"code": "unusable-subscription"})

    seal = page.fields(PATH)["formulaire"]
    answer = await door.post(PATH, {"formulaire": seal} | FIELDS)

    assert answer.status == 422
    assert "n’a pas pu être ajouté" in answer.text
    assert account_id not in door.notifications.kept
    assert door.cookie("push") == ""


async def test_where_nothing_is_pushed_the_page_says_so_and_offers_nothing(door: Door) -> None:
    """An installation may go without a key: e-mails remain."""
    await door.log_in()
    door.notifications.refusal = RefusedError(404, {"code": "no-pushes"})

    page = await door.get("/compte/alertes")

    assert page.status == 200
    assert "Cette installation n’envoie pas de notifications" in page.text
    assert PATH not in page.actions()
    assert not page.elements("//script[contains(@src, 'push.js')]")


async def test_a_device_is_tried_out_and_removed(door: Door) -> None:
    """Each with a word about what happened."""
    account_id = await door.log_in()
    await add(door)
    page = await door.get("/compte/alertes")
    [device_id] = door.notifications.kept[account_id]

    tried = await door.send(page, f"{PATH}/{device_id}/essai")
    removed = await door.send(page, f"{PATH}/{device_id}/retirer")

    assert tried.location == "/compte/alertes?fait=essai"
    assert removed.location == "/compte/alertes?fait=retire"
    assert door.notifications.tested == [device_id]
    assert door.notifications.kept[account_id] == {}
    assert "Aucun appareil pour l’instant." in (await door.get("/compte/alertes")).text


async def test_devices_of_others_are_neither_shown_nor_touched(door: Door) -> None:
    """IDOR: answered as a device that does not exist, and as a name that is none."""
    owner = await door.log_in()
    await add(door)
    [device_id] = door.notifications.kept[owner]
    await door.submit("/deconnexion")
    await door.log_in(email="autre@exemple.test")

    assert str(device_id) not in (await door.get("/compte/alertes")).content.decode()
    for name in (device_id, uuid4(), "..", "1", "%00"):
        for act in ("essai", "retirer"):
            answer = await door.submit(f"{PATH}/{name}/{act}")
            assert answer.status == 404
    assert list(door.notifications.kept[owner]) == [device_id]
    assert door.notifications.tested == []


async def test_forms_about_devices_need_our_seal_and_a_session(door: Door) -> None:
    """S5: no other site subscribes somebody, nor unsubscribes them."""
    account_id = await door.log_in()
    await add(door)
    [device_id] = door.notifications.kept[account_id]
    paths = (PATH, f"{PATH}/{device_id}/essai", f"{PATH}/{device_id}/retirer")

    for path in paths:
        assert (await door.post(path, FIELDS)).status == 403
    await door.submit("/deconnexion")
    for path in paths:
        assert (await door.submit(path, FIELDS)).location == "/connexion"

    assert list(door.notifications.kept[account_id]) == [device_id]
    assert door.notifications.tested == []


async def test_when_notification_does_not_answer_the_rest_stands(door: Door) -> None:
    """The page says so, and choices are kept all the same."""
    await door.log_in()
    door.notifications.is_down = True

    page = await door.get("/compte/alertes")
    saved = await door.send(page, "/compte/alertes")
    added = await add(door)

    assert page.status == 200
    assert "ne répond pas pour l’instant" in page.text
    assert saved.status == 303
    assert added.status == 503
    assert "rien n’a changé" in added.text
    assert door.cookie("push") == ""


async def test_trying_out_is_slowed_down(door: Door) -> None:
    """Nobody makes a telephone ring all night from here."""
    account_id = await door.log_in()
    await add(door)
    [device_id] = door.notifications.kept[account_id]

    statuses = [(await door.submit(f"{PATH}/{device_id}/essai")).status for _ in range(6)]

    assert statuses == [303] * 5 + [429]
    assert len(door.notifications.tested) == 5


@pytest.mark.parametrize("planted", ["../../../etc", "00000000-0000-4000-8000-000000000002", ""])
async def test_a_planted_cookie_names_no_device(door: Door, planted: str) -> None:
    """Whatever it holds, no device of the account is taken for this browser."""
    account_id = await door.log_in()
    kept = Subscription(**FIELDS, label="Firefox", language="fr")
    door.notifications.kept[account_id] = {UUID("00000000-0000-4000-8000-000000000002"): kept}
    door.set_cookie("push", planted)

    page = await door.get("/compte/alertes")

    assert page.status == 200
    assert len(page.elements("//ul[@class='devices']/li")) == 1
    assert page.elements("//ul[@class='devices']//span[@class='badge']") == []
