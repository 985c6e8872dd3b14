"""Sends pushes: looks at what is known now, asks the push service, notes the answer."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from notification.domain import (
    PushCircumstances,
    PushOutcome,
    State,
    held_until,
    next_push_attempt,
    outcome_of,
    pause_of,
    reason_to_skip_push,
)
from notification.ports import (
    DuePush,
    PushAnswer,
    PushAttempt,
    Pushes,
    PushService,
    SilentError,
    UnwritableError,
)
from notification.worker.recorder import Recorder
from shared import metrics, trace
from shared.clock import Clock
from shared.logs import get_logger

logger = get_logger(__name__)

PUSH_BATCH = 200
"""Pushes claimed at a time, all of one push service."""
SIDE_BY_SIDE = 16
"""How many of a batch are under way at the same time."""
PUSH_LEASE = timedelta(minutes=5)
"""Longer than a batch may last: what it has under way, then `PUSH_BATCH_TIME`."""
PUSH_BATCH_TIME = timedelta(minutes=1)
"""After this long the rest of a batch is given back."""


class Pusher:
    """What `shared.worker.Worker` claims and performs.

    A batch is of one push service, and there is one batch of each at a time, so a push service that
    is slow or asks for rest holds nobody up but itself (F30).
    """

    def __init__(self, pushes: Pushes, service: PushService, clock: Clock) -> None:
        """Send what is due in `pushes` through `service`."""
        self._pushes = pushes
        self._service = service
        self._clock = clock
        self._recorder: Recorder[PushAttempt] = Recorder(pushes)
        self._busy: set[str] = set()

    async def claim(self, limit: int) -> list[DuePush]:
        """Hold at most `limit` pushes, having written down every answer already had."""
        await self._recorder.record(())
        batch = await self._pushes.claim(limit, busy=self._busy)
        self._busy.update(due.push.host for due in batch)
        return batch

    async def perform(self, batch: Sequence[DuePush]) -> None:
        """Send a batch, several at a time, until its push service asks for rest."""
        hosts = {due.push.host for due in batch}
        try:
            known = await self._pushes.circumstances([due.push for due in batch])
            await _Batch(self, batch, known).send()
        finally:
            self._busy -= hosts

    async def record(self, attempts: Sequence[tuple[DuePush, PushAttempt]]) -> None:
        """Return once these are committed."""
        await self._recorder.record([attempt for _, attempt in attempts])
        for due, attempt in attempts:
            _tell(due, attempt)

    async def ask(self, due: DuePush, known: PushCircumstances) -> PushAnswer:
        """Hand one push to its push service."""
        return await self._service.send(due.push, known.devices[due.push.device_name])

    async def pause(self, host: str, until: datetime) -> None:
        """Leave a push service alone until then."""
        await self._pushes.pause(host, until)
        logger.warning("push service paused", host=host, until=until.isoformat())

    def now(self) -> datetime:
        """Return the time."""
        return self._clock.now()


class _Batch:
    """One batch on its way."""

    def __init__(self, pusher: Pusher, batch: Sequence[DuePush], known: PushCircumstances) -> None:
        self._pusher = pusher
        self._known = known
        self._left = list(reversed(batch))
        self._ends_at = pusher.now() + PUSH_BATCH_TIME
        self._resumes_at: datetime | None = None

    async def send(self) -> None:
        """Send what can be sent and give the rest back."""
        lanes = [self._send_some() for _ in range(min(SIDE_BY_SIDE, len(self._left)))]
        # All end before one that failed is heard, and what it raised goes up as it is.
        for ended in await asyncio.gather(*lanes, return_exceptions=True):
            if ended is not None:
                raise ended
        rest = [
            (due, self._unasked(due, State.WAITING, next_at=self._resumes_at))
            for due in reversed(self._left)
        ]
        if rest:
            await self._pusher.record(rest)

    async def _send_some(self) -> None:
        while self._left and self._resumes_at is None and self._pusher.now() < self._ends_at:
            due = self._left.pop()
            attempt = await self._try(due)
            await self._pusher.record([(due, attempt)])

    async def _try(self, due: DuePush) -> PushAttempt:
        reason = reason_to_skip_push(due.push, self._known)
        if reason is not None:
            return self._unasked(due, State.SKIPPED, reason=reason)
        held = held_until(due.push, self._known, self._pusher.now())
        if held is not None:
            return self._unasked(due, State.WAITING, next_at=held)
        try:
            answer = await self._pusher.ask(due, self._known)
        except UnwritableError as error:
            unasked = PushAnswer(status=0, words=str(error))
            return self._asked(due, State.REFUSED, unasked, reason=error.slug)
        except SilentError as error:
            await self._rest(due.push.host, None)
            return self._later(due, error.slug, PushAnswer(status=0, words=str(error)))
        return await self._judge(due, answer)

    async def _judge(self, due: DuePush, answer: PushAnswer) -> PushAttempt:
        match outcome_of(answer.status):
            case PushOutcome.SENT:
                return self._asked(due, State.SENT, answer)
            case PushOutcome.GONE:
                gone = self._known.devices[due.push.device_name].endpoint
                attempt = self._asked(due, State.REFUSED, answer, reason="gone")
                return msgspec.structs.replace(attempt, gone_endpoint=gone)
            case PushOutcome.REFUSED:
                return self._asked(due, State.REFUSED, answer, reason="refused-by-service")
            case PushOutcome.PUT_OFF:
                return self._later(due, "key-not-accepted", answer)
            case PushOutcome.BUSY:
                await self._rest(due.push.host, answer.retry_after)
                return self._later(due, "put-off-by-service", answer)

    async def _rest(self, host: str, retry_after: timedelta | None) -> None:
        until = self._pusher.now() + pause_of(retry_after)
        self._resumes_at = max(until, self._resumes_at or until)
        await self._pusher.pause(host, until)

    def _later(self, due: DuePush, reason: str, answer: PushAnswer) -> PushAttempt:
        now = self._pusher.now()
        next_at = next_push_attempt(due.attempts + 1, now, answer.retry_after)
        state = State.ABANDONED if next_at is None else State.WAITING
        return self._asked(due, state, answer, reason=reason, next_at=next_at)

    def _asked(
        self,
        due: DuePush,
        state: State,
        answer: PushAnswer,
        *,
        reason: str | None = None,
        next_at: datetime | None = None,
    ) -> PushAttempt:
        return PushAttempt(
            push_id=due.push.push_id,
            state=state,
            at=self._pusher.now(),
            reason=reason,
            code=answer.status or None,
            answer=answer.words,
            next_at=next_at,
        )

    def _unasked(
        self,
        due: DuePush,
        state: State,
        *,
        reason: str | None = None,
        next_at: datetime | None = None,
    ) -> PushAttempt:
        return PushAttempt(
            push_id=due.push.push_id,
            state=state,
            at=self._pusher.now(),
            reason=reason,
            next_at=next_at,
            was_tried=False,
        )


def _tell(due: DuePush, attempt: PushAttempt) -> None:
    metrics.WORK_DONE.labels(f"push_{due.push.kind}", attempt.state).inc()
    trace.current.set(due.push.news.traceparent)
    write = logger.info if attempt.state in (State.SENT, State.SKIPPED) else logger.warning
    # Not the endpoint: whoever holds it and our key can push.
    write(
        "push handled",
        push=str(attempt.push_id),
        kind=due.push.kind,
        fact=due.push.fact_key,
        host=due.push.host,
        state=attempt.state,
        reason=attempt.reason,
        code=attempt.code,
        next_at=attempt.next_at.isoformat() if attempt.next_at else None,
    )
