"""What was said is not known for ever: after a while letters and pushes leave the database."""

from datetime import timedelta

import pytest

from notification.domain import State
from notification.ports import Attempt
from notification.store import forget_ended
from shared.postgres import Database
from tests.unit.notification.notification_builders import (
    NOW,
    VIEWER,
    a_contact,
    a_device,
    a_letter_due,
    a_published_invoice,
    an_appearance,
)
from tests.unit.notification.test_store import lane, pushes_of, register, rows, sent, tell

pytestmark = [pytest.mark.enable_socket, pytest.mark.asyncio]

LATER = NOW + timedelta(seconds=1)
REMEMBERED = """
SELECT (SELECT count(*) FROM message), (SELECT count(*) FROM delivery_attempt),
    (SELECT count(*) FROM push)
"""


async def say_everything(database: Database) -> None:
    """Send mails to the payer and the viewer, an account's letter and a push, all at `NOW`."""
    await register(database, a_device())
    heard = (a_letter_due(), a_published_invoice(), a_contact(VIEWER, wants_email=True))
    await tell(database, *heard, an_appearance())
    for is_urgent in (True, False):
        deliveries = lane(database, is_urgent=is_urgent)
        claimed = await deliveries.claim(10)
        await deliveries.keep(
            [
                Attempt(
                    message_id=due.letter.message_id,
                    state=State.SENT,
                    at=NOW,
                    code=250,
                    answer="ok",
                    was_tried=True,
                )
                for due in claimed
            ]
        )
    pushes = pushes_of(database)
    await pushes.keep(sent([due.push.push_id for due in await pushes.claim(10, busy=())]))


async def test_what_ended_before_is_removed_with_what_was_answered(database: Database) -> None:
    """RGPD, article 5, 1, e: the address of somebody who was written to is not kept for ever."""
    await say_everything(database)
    [(messages, attempts, pushes)] = await rows(database, REMEMBERED)

    count = await forget_ended(database, LATER, at_once=1)

    assert (messages, attempts, pushes) == (3, 3, 1)
    assert count == 4
    assert await rows(database, REMEMBERED) == [(0, 0, 0)]


async def test_what_ended_since_is_kept(database: Database) -> None:
    """To the moment itself."""
    await say_everything(database)

    assert await forget_ended(database, NOW) == 0
    assert await rows(database, REMEMBERED) == [(3, 3, 1)]


async def test_what_still_waits_is_never_removed(database: Database) -> None:
    """However long a mail server has been down."""
    await tell(database, a_published_invoice(), a_letter_due())

    assert await forget_ended(database, NOW + timedelta(days=4000)) == 0
    assert await rows(database, "SELECT count(*) FROM message WHERE state = 'waiting'") == [(2,)]
