"""What the database holds: lanes, secrets, devices, push services, once for each fact."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from notification.domain import Device, State
from notification.handlers.on_contact_updated import on_contact_updated
from notification.handlers.on_invoice_appeared import on_invoice_appeared
from notification.handlers.on_invoice_disappeared import on_invoice_disappeared
from notification.handlers.on_invoice_published import on_invoice_published
from notification.handlers.on_letter_due import on_letter_due
from notification.handlers.on_payment_captured import on_payment_captured
from notification.handlers.on_reminder_due import on_reminder_due
from notification.ports import AccountClosedError, Attempt, PushAttempt, TooManyDevicesError
from notification.store import (
    PostgresDeliveries,
    PostgresDevices,
    PostgresOffice,
    PostgresPushes,
)
from shared.clock import FixedClock
from shared.events import (
    ContactUpdated,
    Event,
    InvoiceAppeared,
    InvoiceDisappeared,
    InvoicePublished,
    LetterDue,
    PaymentCaptured,
    ReminderDue,
)
from shared.events.contact_updated import Choice
from shared.postgres import Database
from tests.unit.notification.notification_builders import (
    ACCOUNT_ID,
    INVOICE_ID,
    NOW,
    OTHER_ACCOUNT_ID,
    SECRET,
    VIEWER,
    a_captured_payment,
    a_contact,
    a_device,
    a_letter_due,
    a_message,
    a_published_invoice,
    a_reminder,
    an_appearance,
)

pytestmark = [pytest.mark.enable_socket, pytest.mark.asyncio]

LEASE = timedelta(minutes=6)
LATER = NOW + timedelta(hours=1)


async def tell(database: Database, *events: Event) -> None:
    """Hand each event to its handler, in a transaction of its own."""
    for event in events:
        async with database.transaction() as transaction:
            office = PostgresOffice(transaction.connection, transaction.clock.now())
            match event:
                case InvoicePublished():
                    await on_invoice_published([a_message(event)], office)
                case InvoiceAppeared():
                    await on_invoice_appeared([a_message(event)], office)
                case InvoiceDisappeared():
                    await on_invoice_disappeared([a_message(event)], office)
                case PaymentCaptured():
                    await on_payment_captured([a_message(event)], office)
                case ReminderDue():
                    await on_reminder_due([a_message(event)], office)
                case ContactUpdated():
                    await on_contact_updated([a_message(event)], office)
                case LetterDue():
                    await on_letter_due([a_message(event)], office)
                case _:
                    pytest.fail(f"no handler for {event.TYPE}")


async def rows(database: Database, statement: str) -> list[tuple[Any, ...]]:
    """Return what a statement finds."""
    async with database.reading() as connection:
        return [tuple(row) for row in await connection.fetch(statement)]


async def register(database: Database, *devices: Device) -> None:
    """Register each of these."""
    for device in devices:
        await PostgresDevices(database).register(device, at_most=20)


def lane(database: Database, *, is_urgent: bool) -> PostgresDeliveries:
    return PostgresDeliveries(database, instance="one", lease=LEASE, is_urgent=is_urgent)


def pushes_of(database: Database, instance: str = "one") -> PostgresPushes:
    return PostgresPushes(database, instance=instance, lease=LEASE)


def sent(push_ids: Sequence[UUID], **changes: Any) -> list[PushAttempt]:
    values: dict[str, Any] = {"state": State.SENT, "at": NOW, "code": 201, "answer": ""} | changes
    return [PushAttempt(push_id=push_id, **values) for push_id in push_ids]


async def test_letters_about_accounts_have_a_lane_of_their_own(database: Database) -> None:
    """A reset password never queues behind the month's invoices."""
    await tell(database, a_published_invoice(), a_letter_due())

    urgent = await lane(database, is_urgent=True).claim(10)
    others = await lane(database, is_urgent=False).claim(10)

    assert [due.letter.fact.kind for due in urgent] == ["account"]
    assert [due.letter.fact.kind for due in others] == ["invoice_published"]


@pytest.mark.parametrize("state", [State.SENT, State.SKIPPED, State.REFUSED, State.ABANDONED])
async def test_a_secret_is_gone_once_its_letter_has_ended(database: Database, state: State) -> None:
    """ASVS 6.4.2: what opens an account lives in the letter and nowhere else, however it ended."""
    await tell(database, a_letter_due(code="123456", details={"device": "Firefox"}))
    deliveries = lane(database, is_urgent=True)
    [due] = await deliveries.claim(10)

    await deliveries.keep(
        [Attempt(message_id=due.letter.message_id, state=state, at=NOW, reason="why")]
    )

    [(fact,)] = await rows(database, "SELECT fact::text FROM message")
    everything = str(
        await rows(
            database,
            "SELECT message, delivery_attempt FROM message"
            " LEFT JOIN delivery_attempt USING (message_id)",
        )
    )
    assert SECRET not in everything
    assert "123456" not in everything
    assert "Firefox" not in everything
    assert '"about": "reset-password"' in fact


async def test_a_secret_stays_while_its_letter_may_still_leave(database: Database) -> None:
    """The mail server may take it in a minute."""
    await tell(database, a_letter_due())
    deliveries = lane(database, is_urgent=True)
    [due] = await deliveries.claim(10)

    await deliveries.keep(
        [Attempt(message_id=due.letter.message_id, state=State.WAITING, at=NOW, next_at=NOW)]
    )

    [again] = await deliveries.claim(10)
    assert again.letter == due.letter
    assert SECRET in str(again.letter.fact)


async def test_a_secret_for_no_address_is_not_kept_at_all(database: Database) -> None:
    """A letter that goes nowhere has ended before it began."""
    await tell(database, a_letter_due(email="personne"))

    assert SECRET not in str(await rows(database, "SELECT message FROM message"))
    assert await rows(database, "SELECT state, reason FROM message") == [
        ("refused", "invalid-address")
    ]


async def test_a_letter_is_written_once_for_each_of_its_ids(database: Database) -> None:
    """A replay that the inbox has forgotten sends no second link."""
    await tell(database, a_letter_due(), a_letter_due())

    assert await rows(database, "SELECT count(*) FROM message") == [(1,)]


async def test_the_viewer_is_written_to_and_pushed_to_once(database: Database) -> None:
    """E10: (invoice, version, address) and (invoice, version, device) are each told once."""
    await register(database, a_device())
    events = (
        a_published_invoice(),
        a_contact(VIEWER, wants_email=True),
        an_appearance(),
        a_captured_payment(),
        a_reminder(),
    )

    await tell(database, *events)
    await tell(database, *events)

    letters = await rows(database, "SELECT kind, address FROM message ORDER BY 1, 2")
    pushes = await rows(database, "SELECT kind, host FROM push ORDER BY 1")
    assert letters == [
        ("invoice_published", "camille.martin@exemple.test"),
        ("invoice_published", VIEWER),
        ("receipt", "camille.martin@exemple.test"),
        ("receipt", VIEWER),
        ("reminder", "camille.martin@exemple.test"),
        ("reminder", VIEWER),
    ]
    assert [kind for kind, _ in pushes] == ["invoice", "receipt", "reminder"]


async def test_what_an_account_chose_is_known_by_the_address_it_proved(database: Database) -> None:
    """Also at an earlier address of the account, which a biller may still hold."""
    choices = (Choice(event="invoice", channel="email", wanted=False),)
    await tell(
        database,
        a_published_invoice(email="ancienne@exemple.test"),
        a_contact("ancienne@exemple.test", wants_email=True),
        a_contact(VIEWER, wants_email=True, choices=choices, updated_at=LATER),
    )
    deliveries = lane(database, is_urgent=False)
    [due] = await deliveries.claim(10)

    known = await deliveries.circumstances([due.letter])

    assert known.choices == {due.letter.address_hash: choices}
    assert known.unwanted == frozenset()


async def test_a_closed_account_leaves_nothing_but_that_it_is_closed(database: Database) -> None:
    """And what is read again afterwards brings nothing of it back."""
    await register(database, a_device())
    before = (a_published_invoice(), a_contact(VIEWER, wants_email=True), an_appearance())
    await tell(database, *before)

    await tell(database, a_contact(None, updated_at=LATER))
    await tell(database, *before[1:])

    for table in ("device", "viewer", "push"):
        assert await rows(database, f"SELECT * FROM {table}") == []
    assert await rows(database, "SELECT account_id, email, wishes FROM contact") == [
        (ACCOUNT_ID, None, None)
    ]
    with pytest.raises(AccountClosedError):
        await register(database, a_device())


async def test_an_endpoint_moves_to_whoever_registers_it_last(database: Database) -> None:
    """A telephone that a family shares speaks to whom it belongs now, and to nobody else."""
    await register(database, a_device(), a_device(account_id=OTHER_ACCOUNT_ID))

    devices = PostgresDevices(database)
    assert await devices.of_account(ACCOUNT_ID) == []
    assert [d.account_id for d in await devices.of_account(OTHER_ACCOUNT_ID)] == [OTHER_ACCOUNT_ID]


async def test_an_account_has_twenty_devices_at_most(database: Database) -> None:
    """One more is refused and the others stay; one of them may be renewed."""
    devices = PostgresDevices(database)
    await register(database, *(a_device(rank) for rank in range(1, 21)))

    with pytest.raises(TooManyDevicesError):
        await register(database, a_device(21))
    await register(database, a_device(20, endpoint="https://push.exemple.test/push/renewed"))

    found = await devices.of_account(ACCOUNT_ID)
    assert len(found) == 20
    assert {device.endpoint for device in found} >= {"https://push.exemple.test/push/renewed"}
    assert "https://push.exemple.test/push/21" not in {device.endpoint for device in found}


async def test_a_batch_is_of_one_push_service_and_steps_over_those_at_rest(
    database: Database, clock: FixedClock
) -> None:
    """F30: one that is paused or busy holds nobody else up."""
    await register(database, *(a_device(rank, host="slow.exemple.test") for rank in range(1, 4)))
    await register(database, a_device(9, host="swift.exemple.test"))
    await tell(database, a_published_invoice(), an_appearance())
    pushes = pushes_of(database)

    await pushes.pause("slow.exemple.test", NOW + timedelta(seconds=30))
    while_paused = await pushes.claim(10, busy=())
    clock.advance(timedelta(seconds=31))
    while_busy = await pushes.claim(10, busy={"slow.exemple.test"})
    after = await pushes.claim(10, busy=())

    assert [due.push.host for due in while_paused] == ["swift.exemple.test"]
    assert while_busy == []
    assert [due.push.host for due in after] == ["slow.exemple.test"] * 3


async def test_the_longer_of_two_pauses_holds(database: Database, clock: FixedClock) -> None:
    """Two replicas hear different answers."""
    await register(database, a_device())
    await tell(database, a_published_invoice(), an_appearance())
    pushes = pushes_of(database)

    await pushes.pause("push.exemple.test", NOW + timedelta(minutes=5))
    await pushes.pause("push.exemple.test", NOW + timedelta(seconds=5))
    clock.advance(timedelta(minutes=1))

    assert await pushes.claim(10, busy=()) == []


async def test_two_replicas_never_hold_the_same_push(database: Database) -> None:
    """SKIP LOCKED and a lease; what a dead life of a replica held comes back at its start."""
    await register(database, *(a_device(rank) for rank in range(1, 6)))
    await tell(database, a_published_invoice(), an_appearance())
    one, two = pushes_of(database), pushes_of(database, "two")

    first, second, third = (
        await one.claim(3, busy=()),
        await two.claim(3, busy=()),
        await two.claim(3, busy=()),
    )
    await one.release_own()
    again = await two.claim(9, busy=())

    assert (len(first), len(second), len(third)) == (3, 2, 0)
    assert {due.push.push_id for due in again} == {due.push.push_id for due in first}


async def test_a_trial_goes_before_everything_that_waits(database: Database) -> None:
    """Somebody holds the telephone and looks at it."""
    await register(database, a_device(1), a_device(2))
    await tell(database, a_published_invoice(), an_appearance())

    is_known = await PostgresDevices(database).try_out(a_device(2).name)
    is_unknown = await PostgresDevices(database).try_out((OTHER_ACCOUNT_ID, a_device(2).device_id))

    [due] = await pushes_of(database).claim(1, busy=())
    assert (is_known, is_unknown) == (True, False)
    assert (due.push.kind, due.push.device_id) == ("test", a_device(2).device_id)


async def test_a_device_that_is_gone_is_removed_unless_it_was_renewed(database: Database) -> None:
    """The answer is about the endpoint that was asked."""
    await register(database, a_device(1), a_device(2))
    await tell(database, a_published_invoice(), an_appearance())
    pushes = pushes_of(database)
    claimed = {due.push.device_id: due.push.push_id for due in await pushes.claim(9, busy=())}
    await register(database, a_device(2, endpoint="https://push.exemple.test/push/renewed"))

    for rank in (1, 2):
        gone = a_device(rank)
        await pushes.keep(
            sent(
                [claimed[gone.device_id]],
                state=State.REFUSED,
                reason="gone",
                code=410,
                gone_endpoint=gone.endpoint,
            )
        )

    left = await PostgresDevices(database).of_account(ACCOUNT_ID)
    assert [device.device_id for device in left] == [a_device(2).device_id]
    assert (
        await rows(database, "SELECT state, reason, code FROM push")
        == [("refused", "gone", 410)] * 2
    )


async def test_an_answer_that_comes_late_undoes_no_end(database: Database) -> None:
    """The lease ran out, another replica sent it, then the first one heard a refusal."""
    await register(database, a_device())
    await tell(database, a_published_invoice(), an_appearance())
    pushes = pushes_of(database)
    [due] = await pushes.claim(9, busy=())

    await pushes.keep(sent([due.push.push_id]))
    await pushes.keep(sent([due.push.push_id], state=State.REFUSED, reason="late", code=400))

    assert await rows(database, "SELECT state, code, attempts FROM push") == [("sent", 201, 1)]
    [device] = await PostgresDevices(database).of_account(ACCOUNT_ID)
    assert device.last_sent_at == NOW


async def test_a_push_is_looked_at_with_what_is_known_now(database: Database) -> None:
    """Its invoice, what was paid, its device and what its reader chose."""
    await register(database, a_device())
    choices = (Choice(event="invoice", channel="push", wanted=False),)
    await tell(
        database,
        a_published_invoice(),
        an_appearance(),
        a_captured_payment(),
        a_contact(VIEWER, choices=choices),
    )
    pushes = pushes_of(database)
    due = (await pushes.claim(9, busy=()))[0]

    known = await pushes.circumstances([due.push])

    assert known.invoices[INVOICE_ID].number == "2026-0042"
    assert known.paid_cents == {INVOICE_ID: 42_50}
    assert known.devices[a_device().name].endpoint == a_device().endpoint
    assert known.wishes_of(ACCOUNT_ID).choices == choices
