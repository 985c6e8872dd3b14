"""Sends letters: looks at what is known now, writes the mail, asks the server, notes the answer."""

from collections.abc import Sequence
from datetime import timedelta

from notification.domain import (
    AccountNews,
    Circumstances,
    Publication,
    State,
    next_attempt,
    reason_to_skip,
)
from notification.ports import (
    Attempt,
    Deliveries,
    Due,
    Postbox,
    PutOffError,
    RefusedError,
    UnreachableError,
    UnwritableError,
    Writer,
)
from notification.worker.recorder import Recorder
from shared import metrics, trace
from shared.clock import Clock
from shared.logs import get_logger

logger = get_logger(__name__)

BATCH = 20
"""Letters claimed at a time for one connection."""
URGENT_BATCH = 5
"""Letters about accounts claimed at a time: the next waits for no more than these."""
LEASE = timedelta(minutes=6)
"""Longer than a batch may last: BATCH_TIME, then one last mail."""
BATCH_TIME = timedelta(minutes=2)
"""After this long the rest of a batch is given back."""
KNOWN_FOR = timedelta(seconds=2)
"""How long what is known is taken as still true: a payment may come while a batch leaves."""
PAUSE_AFTER_SILENCE = timedelta(seconds=10)
"""When the server does not answer, the letters behind the one that met it wait this long."""


class Mailer:
    """What `shared.worker.Worker` claims and performs."""

    def __init__(
        self, deliveries: Deliveries, writer: Writer, postbox: Postbox, clock: Clock
    ) -> None:
        """Send what is due in `deliveries` through `postbox`."""
        self._deliveries = deliveries
        self._writer = writer
        self._postbox = postbox
        self._clock = clock
        self._recorder: Recorder[Attempt] = Recorder(deliveries)

    async def claim(self, limit: int) -> list[Due]:
        """Hold at most `limit` letters, having written down every answer already had."""
        await self._recorder.record(())
        return await self._deliveries.claim(limit)

    async def perform(self, batch: Sequence[Due]) -> None:
        """Send a batch one after the other over one connection."""
        begun_at = known_at = self._clock.now()
        circumstances = await self._deliveries.circumstances([due.letter for due in batch])
        for rank, due in enumerate(batch):
            now = self._clock.now()
            if now - begun_at > BATCH_TIME:
                await self._give_back(batch[rank:], timedelta())
                return
            if now - known_at > KNOWN_FOR:
                known_at = now
                letters = [later.letter for later in batch[rank:]]
                circumstances = await self._deliveries.circumstances(letters)
            reason = reason_to_skip(due.letter, circumstances, now)
            if reason is not None:
                await self._end(due, State.SKIPPED, reason=reason)
                continue
            try:
                mail = self._writer.write(due, circumstances)
                answer = await self._postbox.send(mail)
            except UnwritableError as error:
                await self._end(due, State.REFUSED, reason=error.slug, answer=str(error))
            except RefusedError as error:
                await self._end(
                    due, State.REFUSED, reason=error.slug, code=error.code, answer=error.answer
                )
            except PutOffError as error:
                await self._try_later(due, error.slug, error.code, error.answer)
            except UnreachableError as error:
                await self._try_later(due, error.slug, None, str(error))
                await self._give_back(batch[rank + 1 :], PAUSE_AFTER_SILENCE)
                return
            else:
                await self._end(due, State.SENT, code=250, answer=answer)
                self._observe_delay(due, circumstances)

    async def _end(
        self,
        due: Due,
        state: State,
        *,
        reason: str | None = None,
        code: int | None = None,
        answer: str | None = None,
    ) -> None:
        attempt = Attempt(
            message_id=due.letter.message_id,
            state=state,
            at=self._clock.now(),
            reason=reason,
            code=code,
            answer=answer,
            was_tried=state is not State.SKIPPED,
        )
        await self._recorder.record([attempt])
        self._tell(due, attempt)

    async def _try_later(self, due: Due, reason: str, code: int | None, answer: str) -> None:
        now = self._clock.now()
        next_at = next_attempt(due.attempts + 1, now)
        fact = due.letter.fact
        if next_at is not None and isinstance(fact, AccountNews) and fact.expires_at is not None:
            # Looked at again when it expires, so that its secrets are erased then and not later.
            next_at = min(next_at, fact.expires_at)
        attempt = Attempt(
            message_id=due.letter.message_id,
            state=State.ABANDONED if next_at is None else State.WAITING,
            at=now,
            reason=reason,
            code=code,
            answer=answer,
            next_at=next_at,
        )
        await self._recorder.record([attempt])
        self._tell(due, attempt)

    async def _give_back(self, batch: Sequence[Due], pause: timedelta) -> None:
        now = self._clock.now()
        await self._recorder.record(
            [
                Attempt(
                    message_id=due.letter.message_id,
                    state=State.WAITING,
                    at=now,
                    next_at=now + pause,
                    was_tried=False,
                )
                for due in batch
            ]
        )

    def _observe_delay(self, due: Due, circumstances: Circumstances) -> None:
        fact = due.letter.fact
        if isinstance(fact, Publication) and due.attempts == 0:
            invoice = circumstances.invoices[fact.invoice_id]
            delay = self._clock.now() - invoice.generated_at
            metrics.FLOW_SECONDS.labels("generated_to_mailed", invoice.authority).observe(
                delay.total_seconds()
            )

    @staticmethod
    def _tell(due: Due, attempt: Attempt) -> None:
        metrics.WORK_DONE.labels(f"mail_{due.letter.fact.kind}", attempt.state).inc()
        trace.current.set(due.letter.fact.traceparent)
        write = logger.info if attempt.state in (State.SENT, State.SKIPPED) else logger.warning
        # Neither the address nor a name: logs are read by more people than letters are.
        write(
            "letter handled",
            message=str(attempt.message_id),
            kind=due.letter.fact.kind,
            fact=due.letter.fact.key,
            state=attempt.state,
            reason=attempt.reason,
            code=attempt.code,
            next_at=attempt.next_at.isoformat() if attempt.next_at else None,
        )
