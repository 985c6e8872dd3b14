"""Pushes and urgent letters while notification is killed and push services fail."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from notification.worker import SIDE_BY_SIDE
from shared.events import ContactUpdated, LetterDue
from tests.broker.observing import until
from tests.broker.push_office import HOSTS, PORTAL, PushOffice, appeared, published

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="module")]

DEVICES = 12
INVOICES = 25
KILLS = 4
WAITING = "SELECT count(*) FROM push WHERE state = 'waiting'"
SENT = "SELECT count(*) FROM push WHERE state = 'sent'"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PushOffice]:
    """Return notification alone, with what is around it."""
    async with PushOffice(tmp_path_factory.mktemp("push")) as stage:
        yield stage


@pytest_asyncio.fixture(loop_scope="module")
async def office(stage: PushOffice) -> AsyncIterator[PushOffice]:
    """Return it with nothing waiting and nothing failing."""
    for service in ("push", "payfip", "mailbox"):
        await stage.fault(service)
    yield stage
    for service in ("push", "payfip", "mailbox"):
        await stage.fault(service)


async def test_a_killed_notification_loses_no_push_and_repeats_it_at_most_once(
    office: PushOffice,
) -> None:
    """P1, F30: kill -9 between claim and answer; a repeat carries the same Topic and tag."""
    account_id = uuid4()
    await office.subscribe(account_id, DEVICES)
    invoices = published(INVOICES)
    await office.fault("push", slow_seconds=0.3)
    process = office.processes["notification"]

    await office.say(*invoices, *appeared(invoices, account_id))
    for _ in range(KILLS):
        # So many are done in each life that what one kill met is over before the next.
        done = await office.count(SENT) + 2 * SIDE_BY_SIDE
        await until(partial(_is_at_least, office, SENT, done), "pushes under way")
        await office.kill()
    await office.fault("push")
    await until(lambda: _is(office, SENT, DEVICES * INVOICES), "every push")

    taken = await office.pushes()
    per_push = Counter((push["subscription"], push["content"]["url"]) for push in taken)
    topics = {(push["content"]["url"], push["topic"], push["content"]["tag"]) for push in taken}
    assert process.restarts >= KILLS
    assert len(per_push) == DEVICES * INVOICES
    assert max(per_push.values()) <= 1 + 1
    assert len(taken) - len(per_push) <= KILLS * SIDE_BY_SIDE
    assert len(topics) == INVOICES
    assert all(topic == tag for _, topic, tag in topics)
    assert {push["problem"] for push in taken} == {""}


async def test_one_push_service_at_rest_holds_nobody_else_up(office: PushOffice) -> None:
    """F30: a 429 with Retry-After stops the pushes to that service alone, and for that long."""
    account_id = uuid4()
    await office.subscribe(account_id, 4, service="push", host=HOSTS[0])
    await office.subscribe(account_id, 4, service="payfip", host=HOSTS[1])
    invoices = published(INVOICES)
    taken_before = len(await office.pushes())
    await office.fault("push", too_many_requests=1, retry_after_seconds=15)
    resting = f"SELECT count(*) FROM push_host WHERE host = '{HOSTS[0]}' AND paused_until > now()"

    await office.say(*invoices, *appeared(invoices, account_id))
    await until(lambda: _is(office, resting, 1), "one service to ask for rest")
    await until(lambda: _others_have(office, 4 * INVOICES), "the other service's pushes")
    is_resting_still = await office.count(resting)
    held = len(await office.pushes()) - taken_before
    await until(lambda: _is(office, WAITING, 0), "the pushes that were held")

    assert is_resting_still == 1
    assert held <= SIDE_BY_SIDE
    assert await office.count(resting) == 0
    assert len(await office.pushes()) - taken_before == 4 * INVOICES


async def test_a_device_that_is_gone_is_removed(office: PushOffice) -> None:
    """410: the account sees it no more, and it is never asked again."""
    account_id = uuid4()
    await office.subscribe(account_id)
    [invoice] = published(1)
    await office.fault("push", gone=1)

    await office.say(invoice, *appeared([invoice], account_id))
    await until(lambda: _has_no_device(office, account_id), "the device to be removed")

    gone = "SELECT count(*) FROM push WHERE reason = 'gone' AND code = 410"
    assert await office.count(gone) == 1


async def test_a_trial_reaches_the_telephone(office: PushOffice) -> None:
    """The button of the portal, through the door of the gateway."""
    account_id = uuid4()
    [device_id] = await office.subscribe(account_id)

    await office.ask("POST", f"/v1/accounts/{account_id}/devices/{device_id}/test")
    await until(lambda: _has_trial(office), "the trial", 10)

    [trial] = [p for p in await office.pushes() if p["content"]["kind"] == "test"]
    assert trial["content"]["url"] == "/factures"
    assert (trial["urgency"], trial["ttl"]) == ("high", 300)
    [shown] = (await office.ask("GET", f"/v1/accounts/{account_id}/devices"))["devices"]
    assert shown["last_sent_at"] is not None


async def test_a_letter_about_an_account_overtakes_a_month_of_invoices(
    office: PushOffice,
) -> None:
    """A link to choose another password does not wait for the mails before it; its secret ends."""
    secret = "2v5uT0bDg0o3k3m8Qm1x4rY7wZ9aBcDeFgHiJkLmNoP"
    now = datetime.now(UTC)
    letter = LetterDue(
        letter_id=uuid4(),
        kind="reset-password",
        email="sacha@exemple.test",
        language="en",
        link=f"{PORTAL}/connexion/oubli/{secret}",
        expires_at=now + timedelta(minutes=30),
        due_at=now,
    )
    await office.fault("mailbox", slow_seconds=0.25)
    bulk = "SELECT count(*) FROM message WHERE kind = 'invoice_published' AND state = 'waiting'"

    await office.say(*published(400, email="lecteur-{rank}@exemple.test"))
    await until(lambda: _is_at_least(office, bulk, 200), "a queue of mails")
    await office.say(letter, letter)
    await until(lambda: _has_mail(office, letter.email), "the letter", 15)
    left = await office.count(bulk)
    await office.fault("mailbox")
    await until(lambda: _is(office, bulk, 0), "the other mails")

    [mail] = await office.mails(letter.email)
    assert secret in mail["text"]
    assert mail["subject"] == "Choose a new password"
    assert left > 100
    [row] = await office.rows(
        "SELECT state, message::text AS message FROM message WHERE kind = 'account'"
    )
    assert row["state"] == "sent"
    assert secret not in row["message"]
    assert secret not in office.processes["notification"].log_end(100_000)


async def test_a_viewer_is_written_to_and_a_closed_account_is_forgotten(
    office: PushOffice,
) -> None:
    """The mail leads into the account; once it is closed nothing of it stays but that."""
    account_id = uuid4()
    await office.subscribe(account_id)
    contact = ContactUpdated(
        account_id=account_id, email="viewer@exemple.test", updated_at=datetime.now(UTC)
    )
    first, second = published(2)

    await office.say(contact, first, *appeared([first], account_id))
    await until(lambda: _has_mail(office, "viewer@exemple.test"), "the mail")
    closing = ContactUpdated(account_id=account_id, email=None, updated_at=datetime.now(UTC))
    await office.say(closing)
    await until(lambda: _has_no_device(office, account_id), "the account to be closed")
    pushed = len(await office.pushes())
    await office.say(second, *appeared([second], account_id))
    known = f"SELECT count(*) FROM invoice WHERE invoice_id = '{second.invoice_id}'"
    await until(lambda: _is(office, known, 1), "the second invoice")
    await asyncio.sleep(2)

    [mail] = await office.mails("viewer@exemple.test")
    assert f"{PORTAL}/factures/{first.invoice_id}" in mail["text"]
    assert first.token not in mail["text"] + mail["html"]
    assert len(await office.pushes()) == pushed
    assert await office.rows("SELECT * FROM viewer WHERE account_id = $1", account_id) == []
    assert await office.rows("SELECT * FROM push WHERE account_id = $1", account_id) == []


async def _is(office: PushOffice, statement: str, expected: int) -> bool:
    return await office.count(statement) == expected


async def _is_at_least(office: PushOffice, statement: str, expected: int) -> bool:
    return await office.count(statement) >= expected


async def _others_have(office: PushOffice, expected: int) -> bool:
    return len(await office.pushes("payfip")) == expected


async def _has_no_device(office: PushOffice, account_id: UUID) -> bool:
    found = await office.ask("GET", f"/v1/accounts/{account_id}/devices")
    return not found["devices"]


async def _has_trial(office: PushOffice) -> bool:
    return await office.count(f"{SENT} AND kind = 'test'") == 1


async def _has_mail(office: PushOffice, address: str) -> bool:
    return bool(await office.mails(address))
