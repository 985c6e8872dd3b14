"""Who sees an invoice in an account, and who does no more: whatever order it is read in."""

from datetime import datetime, timedelta
from itertools import permutations

import pytest
from msgspec.structs import replace

from notification.domain import (
    SkipReason,
    latest,
    letter_to,
    reason_to_skip,
    receipt_of,
    reminder_of,
    reversal_of,
    view_begun_by,
    view_ended_by,
)
from notification.domain.facts import InvoiceFact
from shared.clock import FixedClock
from shared.events import Event
from shared.postgres import Database
from tests.unit.notification.notification_builders import (
    ACCOUNT_ID,
    INVOICE_ID,
    NOW,
    OTHER_INVOICE_ID,
    TRACE,
    VIEWER,
    a_captured_payment,
    a_contact,
    a_device,
    a_disappearance,
    a_publication,
    a_published_invoice,
    a_reminder,
    a_reversed_payment,
    an_allocation,
    an_appearance,
    circumstances_of,
)
from tests.unit.notification.test_store import lane, pushes_of, register, rows, tell

PAYER = "camille.martin@exemple.test"
READING = (a_published_invoice(), a_contact(VIEWER, wants_email=True))


def at(hours: int) -> datetime:
    return NOW + timedelta(hours=hours)


TOLD: tuple[Event, ...] = (
    an_appearance(),
    a_disappearance(disappeared_at=at(1)),
    an_appearance(appeared_at=at(2), is_new=False, until=at(48)),
    a_disappearance(disappeared_at=at(3)),
    an_appearance(appeared_at=at(3)),
)


async def kept(database: Database) -> list[tuple[object, ...]]:
    return await rows(
        database, "SELECT invoice_id, account_id, told_at, is_seeing, seen_until FROM viewer"
    )


@pytest.mark.enable_socket
@pytest.mark.asyncio
@pytest.mark.parametrize("length", [2, 3, 5])
async def test_any_order_and_repetition_leaves_the_same_rows(
    database: Database, length: int
) -> None:
    """Topics are not ordered: the later moment counts, and of one moment the end."""
    found = set()
    for order in permutations(TOLD[:length]):
        async with database.transaction() as transaction:
            await transaction.connection.execute("DELETE FROM viewer")
        await tell(database, *order, order[0], *reversed(order))
        found.add(tuple(await kept(database)))

    expected = {
        2: (INVOICE_ID, ACCOUNT_ID, at(1), False, None),
        3: (INVOICE_ID, ACCOUNT_ID, at(2), True, at(48)),
        5: (INVOICE_ID, ACCOUNT_ID, at(3), False, None),
    }
    assert found == {(expected[length],)}


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_one_batch_keeps_the_view_that_counts(order: tuple[int, ...]) -> None:
    """Of two ends of one moment the nearer counts: what is not sure is not told."""
    views = [
        view_begun_by(an_appearance(appeared_at=at(1))),
        view_begun_by(an_appearance(appeared_at=at(1), until=at(9))),
        view_begun_by(an_appearance(appeared_at=at(1), until=at(5))),
        view_ended_by(a_disappearance(disappeared_at=at(0))),
    ]

    assert latest([views[rank] for rank in order]) == [views[2]]


@pytest.mark.enable_socket
@pytest.mark.asyncio
async def test_nothing_is_written_to_an_account_that_sees_it_no_more(database: Database) -> None:
    """Reminders, receipts and pushes stop with the right; the payer's own go on."""
    await register(database, a_device())
    await tell(database, *READING, an_appearance(), a_disappearance())

    await tell(database, a_captured_payment(), a_reminder())

    told = await rows(database, "SELECT kind, address FROM message ORDER BY 1, 2")
    assert told == [
        ("invoice_published", PAYER),
        ("invoice_published", VIEWER),
        ("receipt", PAYER),
        ("reminder", PAYER),
    ]
    assert await rows(database, "SELECT kind FROM push") == [("invoice",)]


@pytest.mark.enable_socket
@pytest.mark.asyncio
async def test_what_waits_when_the_right_ends_does_not_leave(database: Database) -> None:
    """A push held by quiet hours, a mail that the server put off: looked at when they leave."""
    await register(database, a_device())
    await tell(database, *READING, an_appearance(), a_reminder(), a_disappearance())
    deliveries, pushes = lane(database, is_urgent=False), pushes_of(database)

    letters = [due.letter for due in await deliveries.claim(10)]
    known = await deliveries.circumstances(letters)
    claimed = [due.push for due in await pushes.claim(10, busy=())]
    known_of_pushes = await pushes.circumstances(claimed)

    assert {(one.address, reason_to_skip(one, known, NOW)) for one in letters} == {
        (PAYER, None),
        (VIEWER, SkipReason.DISAPPEARED),
    }
    assert len(letters) == 4
    assert len(claimed) == 2
    assert known_of_pushes.seen == frozenset()


@pytest.mark.enable_socket
@pytest.mark.asyncio
async def test_a_right_that_is_lent_ends_by_itself(database: Database, clock: FixedClock) -> None:
    """At its last moment, for what is written then as for what waits."""
    await register(database, a_device())
    await tell(database, *READING, an_appearance(until=at(1)))
    deliveries, pushes = lane(database, is_urgent=False), pushes_of(database)
    letters = [due.letter for due in await deliveries.claim(10)]
    [push] = [due.push for due in await pushes.claim(10, busy=())]
    [letter] = [one for one in letters if one.address == VIEWER]

    while_lent = (await deliveries.circumstances([letter])).seen
    pushed_while_lent = (await pushes.circumstances([push])).seen
    clock.advance(timedelta(hours=1))
    after = (await deliveries.circumstances([letter])).seen
    pushed_after = (await pushes.circumstances([push])).seen
    await tell(database, a_reminder())

    assert while_lent == {(letter.address_hash, INVOICE_ID)}
    assert pushed_while_lent == {(INVOICE_ID, ACCOUNT_ID)}
    assert (after, pushed_after) == (frozenset(), frozenset())
    assert await rows(database, "SELECT address FROM message WHERE kind = 'reminder'") == [(PAYER,)]


@pytest.mark.enable_socket
@pytest.mark.asyncio
async def test_an_old_invoice_that_comes_into_sight_is_no_news_but_its_reminder_is(
    database: Database,
) -> None:
    """A fresh link, or one made again after a revocation, alerts nobody of what was published."""
    await register(database, a_device())
    await tell(database, *READING, a_disappearance())

    await tell(database, an_appearance(appeared_at=at(2), is_new=False))
    at_once = await rows(database, "SELECT address FROM message WHERE address <> 'camille'")
    pushed_at_once = await rows(database, "SELECT kind FROM push")
    await tell(database, a_reminder())

    assert at_once == [(PAYER,)]
    assert pushed_at_once == []
    assert await rows(database, "SELECT kind FROM push") == [("reminder",)]
    assert ("reminder", VIEWER) in await rows(database, "SELECT kind, address FROM message")


@pytest.mark.enable_socket
@pytest.mark.asyncio
async def test_a_closed_account_keeps_no_end_either(database: Database) -> None:
    """Nothing of it stays but that it is closed."""
    await tell(database, a_contact(VIEWER), an_appearance(), a_disappearance())

    await tell(database, a_contact(None, updated_at=at(2)), a_disappearance(), an_appearance())

    assert await kept(database) == []


@pytest.mark.parametrize(
    ("fact", "reason"),
    [
        (a_publication(), SkipReason.DISAPPEARED),
        (reminder_of(a_reminder(), TRACE), SkipReason.DISAPPEARED),
        (receipt_of(a_captured_payment(), TRACE), SkipReason.DISAPPEARED),
        (receipt_of(a_captured_payment(receipt_email="Sacha@exemple.test"), TRACE), None),
        (reversal_of(a_reversed_payment(), TRACE), None),
    ],
)
def test_only_what_was_asked_for_or_is_one_s_own_money_leaves_without_the_right(
    fact: InvoiceFact, reason: SkipReason | None
) -> None:
    """Who paid is told of the payment and of money that goes back, whoever sees the invoice."""
    unseen = circumstances_of(a_published_invoice())
    seen = circumstances_of(a_published_invoice(), seeing=[(VIEWER, INVOICE_ID)])

    assert reason_to_skip(letter_to(VIEWER, fact), unseen, NOW) is reason
    assert reason_to_skip(letter_to(VIEWER, fact), seen, NOW) is None
    assert reason_to_skip(letter_to(PAYER, fact), unseen, NOW) is None


def test_a_receipt_that_names_one_invoice_too_many_does_not_leave() -> None:
    """Seeing one of its invoices is no right to read of the other."""
    other = replace(a_published_invoice(), invoice_id=OTHER_INVOICE_ID)
    payment = a_captured_payment(an_allocation(), an_allocation(OTHER_INVOICE_ID))
    letter = letter_to(VIEWER, receipt_of(payment, TRACE))
    half = circumstances_of(a_published_invoice(), other, seeing=[(VIEWER, INVOICE_ID)])
    whole = circumstances_of(
        a_published_invoice(),
        other,
        seeing=[(VIEWER, INVOICE_ID), (VIEWER, OTHER_INVOICE_ID)],
    )

    assert reason_to_skip(letter, half, NOW) is SkipReason.DISAPPEARED
    assert reason_to_skip(letter, whole, NOW) is None
