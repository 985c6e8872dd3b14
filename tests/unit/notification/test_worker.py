"""What becomes of each letter that is claimed."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from notification.domain import (
    RETRY_DELAYS,
    Circumstances,
    Letter,
    State,
    letter_to,
    news_of,
    reminder_of,
)
from notification.ports import (
    Attempt,
    Due,
    Mail,
    PutOffError,
    RefusedError,
    UnreachableError,
    UnwritableError,
)
from notification.worker.mails import BATCH_TIME, KNOWN_FOR, PAUSE_AFTER_SILENCE, Mailer
from notification.worker.recorder import Recorder
from shared.clock import FixedClock
from tests.unit.notification.notification_builders import (
    INVOICE_ID,
    LETTER_ID,
    NOW,
    SECRET,
    TRACE,
    VIEWER,
    a_due_letter,
    a_letter_due,
    a_publication,
    a_published_invoice,
    a_reminder,
    circumstances_of,
)

READERS = [(f"lecteur{rank}@exemple.test", INVOICE_ID) for rank in range(9)]


class FakeDeliveries:
    """`ports.Deliveries` in memory."""

    def __init__(self, known: Circumstances | None = None) -> None:
        """Know `known` of every letter."""
        self.known = known or circumstances_of(a_published_invoice(), seeing=READERS)
        self.kept: list[Attempt] = []
        self.commits = 0
        self.looked_up = 0
        self.failures = 0
        self.gate: asyncio.Event | None = None

    async def claim(self, limit: int) -> list[Due]:
        """Return nothing."""
        return []

    async def circumstances(self, letters: Sequence[Letter]) -> Circumstances:
        """Return what is known."""
        self.looked_up += 1
        return self.known

    async def keep(self, attempts: Sequence[Attempt]) -> None:
        """Commit, or fail as a database does."""
        if self.gate is not None:
            await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise ConnectionError
        self.commits += 1
        self.kept.extend(attempts)


class FakeWriter:
    """`ports.Writer` that puts the letter's id in the mail."""

    def __init__(self, unwritable: UUID | None = None) -> None:
        """Refuse one letter."""
        self._unwritable = unwritable

    def write(self, due: Due, circumstances: Circumstances) -> Mail:
        """Return a mail."""
        if due.letter.message_id == self._unwritable:
            message = "header"
            raise UnwritableError(message)
        return Mail(
            sender="s@exemple.test",
            recipient=due.letter.address,
            content=str(due.letter.message_id).encode(),
        )


class FakePostbox:
    """`ports.Postbox` that answers as prepared, and lets time pass with each mail."""

    def __init__(
        self, clock: FixedClock, *answers: Exception | None, takes: timedelta = timedelta()
    ) -> None:
        """Give these answers, then take everything."""
        self._clock = clock
        self._answers = list(answers)
        self._takes = takes
        self.sent: list[str] = []

    async def send(self, mail: Mail) -> str:
        """Take the mail or fail."""
        self._clock.advance(self._takes)
        answer = self._answers.pop(0) if self._answers else None
        if answer is not None:
            raise answer
        self.sent.append(mail.content.decode())
        return "Queued"


def letters(count: int, attempts: int = 0) -> list[Due]:
    """Return announcements of the same invoice to different addresses."""
    return [
        a_due_letter(
            a_publication(),
            a_published_invoice(email=f"lecteur{rank}@exemple.test"),
            attempts=attempts,
        )
        for rank in range(count)
    ]


def states(deliveries: FakeDeliveries) -> list[tuple[State, str | None, int | None]]:
    """Return what was recorded, in order."""
    return [(attempt.state, attempt.reason, attempt.code) for attempt in deliveries.kept]


@pytest.mark.asyncio
async def test_records_the_answer_of_the_server_for_each_mail() -> None:
    """Each is committed before the next leaves."""
    clock = FixedClock(NOW)
    deliveries, postbox = FakeDeliveries(), FakePostbox(clock)
    batch = letters(3)

    await Mailer(deliveries, FakeWriter(), postbox, clock).perform(batch)

    assert postbox.sent == [str(due.letter.message_id) for due in batch]
    assert states(deliveries) == [(State.SENT, None, 250)] * 3
    assert deliveries.commits == 3


@pytest.mark.asyncio
async def test_climbs_the_ladder_when_the_server_puts_a_mail_off() -> None:
    """The others of the batch leave all the same."""
    clock = FixedClock(NOW)
    deliveries = FakeDeliveries()
    postbox = FakePostbox(clock, PutOffError(451, "later"))

    await Mailer(deliveries, FakeWriter(), postbox, clock).perform(letters(2, attempts=2))

    assert states(deliveries) == [
        (State.WAITING, "put-off-by-server", 451),
        (State.SENT, None, 250),
    ]
    assert deliveries.kept[0].next_at == NOW + RETRY_DELAYS[2]


@pytest.mark.asyncio
async def test_abandons_a_mail_at_the_top_of_the_ladder() -> None:
    """Two days of refusals are enough."""
    clock = FixedClock(NOW)
    deliveries = FakeDeliveries()
    postbox = FakePostbox(clock, PutOffError(451, "later"))

    await Mailer(deliveries, FakeWriter(), postbox, clock).perform(
        letters(1, attempts=len(RETRY_DELAYS))
    )

    assert states(deliveries) == [(State.ABANDONED, "put-off-by-server", 451)]
    assert deliveries.kept[0].next_at is None


@pytest.mark.asyncio
async def test_ends_a_letter_that_is_refused_for_ever() -> None:
    """By the server, or because no mail can be made of it."""
    clock = FixedClock(NOW)
    deliveries = FakeDeliveries()
    batch = letters(2)
    postbox = FakePostbox(clock, RefusedError(550, "no such mailbox"))
    writer = FakeWriter(unwritable=batch[1].letter.message_id)

    await Mailer(deliveries, writer, postbox, clock).perform(batch)

    assert states(deliveries) == [
        (State.REFUSED, "refused-by-server", 550),
        (State.REFUSED, "unwritable", None),
    ]
    assert [attempt.answer for attempt in deliveries.kept] == ["no such mailbox", "header"]


@pytest.mark.asyncio
async def test_spares_the_others_when_the_server_is_silent() -> None:
    """One letter met the silence; those behind it lose no step of their ladder."""
    clock = FixedClock(NOW)
    deliveries = FakeDeliveries()
    postbox = FakePostbox(clock, None, UnreachableError("cut"))

    await Mailer(deliveries, FakeWriter(), postbox, clock).perform(letters(4))

    assert [(attempt.state, attempt.was_tried) for attempt in deliveries.kept] == [
        (State.SENT, True),
        (State.WAITING, True),
        (State.WAITING, False),
        (State.WAITING, False),
    ]
    assert deliveries.kept[1].next_at == NOW + RETRY_DELAYS[0]
    assert deliveries.kept[2].next_at == NOW + PAUSE_AFTER_SILENCE


@pytest.mark.asyncio
async def test_skips_a_reminder_of_an_invoice_paid_meanwhile() -> None:
    """Looked at when it leaves, not when it was written."""
    clock = FixedClock(NOW)
    paid = circumstances_of(a_published_invoice(), paid_cents={INVOICE_ID: 42_50})
    deliveries, postbox = FakeDeliveries(paid), FakePostbox(clock)
    due = a_due_letter(reminder_of(a_reminder(), TRACE), a_published_invoice())

    await Mailer(deliveries, FakeWriter(), postbox, clock).perform([due])

    assert postbox.sent == []
    assert states(deliveries) == [(State.SKIPPED, "paid", None)]
    assert not deliveries.kept[0].was_tried


@pytest.mark.asyncio
async def test_looks_again_when_a_batch_lasts() -> None:
    """A payment may come while the batch leaves."""
    clock = FixedClock(NOW)
    deliveries = FakeDeliveries()
    postbox = FakePostbox(clock, takes=KNOWN_FOR * 0.6)

    await Mailer(deliveries, FakeWriter(), postbox, clock).perform(letters(3))

    assert deliveries.looked_up == 2


@pytest.mark.asyncio
async def test_gives_back_what_it_cannot_send_within_the_lease() -> None:
    """A slow server must not make two replicas send the same letter."""
    clock = FixedClock(NOW)
    deliveries = FakeDeliveries()
    postbox = FakePostbox(clock, takes=BATCH_TIME * 0.6)

    await Mailer(deliveries, FakeWriter(), postbox, clock).perform(letters(4))

    assert len(postbox.sent) == 2
    assert [(attempt.state, attempt.was_tried) for attempt in deliveries.kept[2:]] == [
        (State.WAITING, False),
        (State.WAITING, False),
    ]


@pytest.mark.asyncio
async def test_commits_the_answers_of_several_connections_together() -> None:
    """While one commit is under way the others gather for the next."""
    deliveries = FakeDeliveries()
    deliveries.gate = asyncio.Event()
    recorder = Recorder(deliveries)
    attempts = [
        Attempt(message_id=due.letter.message_id, state=State.SENT, at=NOW) for due in letters(5)
    ]

    recording = [asyncio.create_task(recorder.record([attempt])) for attempt in attempts]
    await asyncio.sleep(0)
    deliveries.gate.set()
    await asyncio.gather(*recording)

    assert deliveries.kept == attempts
    assert deliveries.commits == 2


@pytest.mark.asyncio
async def test_remembers_an_answer_that_the_database_did_not_take() -> None:
    """It is written before anything else is claimed, so the mail is not sent again."""
    clock = FixedClock(NOW)
    deliveries = FakeDeliveries()
    deliveries.failures = 1
    postbox = FakePostbox(clock)
    mailer = Mailer(deliveries, FakeWriter(), postbox, clock)

    with pytest.raises(ConnectionError):
        await mailer.perform(letters(1))
    await mailer.claim(10)

    assert len(postbox.sent) == 1
    assert states(deliveries) == [(State.SENT, None, 250)]


@pytest.mark.asyncio
async def test_sends_no_link_that_has_expired() -> None:
    """It would open nothing; and looked at again when it expires, its secret is erased then."""
    clock = FixedClock(NOW)
    deliveries, postbox = FakeDeliveries(), FakePostbox(clock, PutOffError(451, "later"))
    news = news_of(a_letter_due(expires_at=NOW + timedelta(seconds=30)), TRACE)
    due = Due(letter=letter_to(VIEWER, news), attempts=0, written_at=NOW)
    mailer = Mailer(deliveries, FakeWriter(), postbox, clock)

    await mailer.perform([due])
    clock.advance(timedelta(seconds=30))
    await mailer.perform([due])

    assert postbox.sent == []
    assert deliveries.kept[0].next_at == NOW + timedelta(seconds=30)
    assert states(deliveries)[1] == (State.SKIPPED, "expired", None)


@pytest.mark.asyncio
async def test_says_nothing_of_a_secret_in_the_logs() -> None:
    """ASVS 16.2.5: whatever becomes of the letter, only its id is logged."""
    clock = FixedClock(NOW)
    answers = (PutOffError(451, "later"), RefusedError(550, "no"), None)
    news = news_of(a_letter_due(code="481516"), TRACE)
    due = Due(letter=letter_to(VIEWER, news), attempts=0, written_at=NOW)

    with capture_logs() as logs:
        for answer in answers:
            postbox = FakePostbox(clock, answer)
            await Mailer(FakeDeliveries(), FakeWriter(), postbox, clock).perform([due])

    assert len(logs) == 3
    assert {entry["fact"] for entry in logs} == {str(LETTER_ID)}
    for hidden in (SECRET, "481516", VIEWER):
        assert hidden not in str(logs)
