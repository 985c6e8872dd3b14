"""Attempts whose end is not known are asked about, until the provider says it."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from payment.domain import Attempt, AttemptState, FoundBy, Notice
from payment.domain.ladder import needs_people, next_question, next_try
from payment.handlers.record import Evidence, Recorded, record
from payment.ports import (
    OpenUnit,
    Poll,
    ProviderRefusedError,
    Providers,
    ProviderUnavailableError,
    RawNotice,
    Unit,
)
from shared import metrics
from shared.clock import Clock

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

LEASE = timedelta(seconds=120)
"""Longer than a provider may take, and the time to write down what it said."""
LIMIT_SECONDS = 45.0
"""Beyond the adapters' own limit: whatever they do, a lease is never outlived."""
COUNTED_SECONDS = 30.0


class Answer:
    """What asking brought: the provider's word, that it does not know, or why it did not say."""

    def __init__(
        self, notice: Notice | None = None, *, error: str = "", is_final: bool = False
    ) -> None:
        """Keep the answer; `is_final`: it will never say more."""
        self.notice = notice
        self.error = error
        self.is_final = is_final


class Rescue:
    """What `shared.worker.Worker` claims and performs; safe in several processes."""

    def __init__(self, open_unit: OpenUnit, providers: Providers, clock: Clock) -> None:
        """Ask `providers` about what `open_unit` gives."""
        self._open_unit = open_unit
        self._providers = providers
        self._clock = clock

    async def claim(self, limit: int) -> list[Poll]:
        """Take what is due under a lease and commit: nobody is asked within a transaction."""
        async with self._open_unit() as unit:
            return await unit.polls.claim(self._clock.now(), LEASE, limit)

    async def perform(self, polls: Sequence[Poll]) -> None:
        """Ask about each and record what is said through the path of every move."""
        for poll in polls:
            answer = await self._ask(poll)
            await self._keep(poll, answer)

    async def count_unclear(self) -> int:
        """Show how many attempts wait for people; return 0: that is no work done."""
        async with self._open_unit() as unit:
            metrics.PEOPLE_QUEUE.labels("attempt").set(await unit.polls.count_unclear())
        return 0

    async def _ask(self, poll: Poll) -> Answer:
        provider = self._providers.by_account(poll.provider, poll.account)
        if provider is None or not provider.rules.can_be_asked:
            return Answer(error="no such account", is_final=True)
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                return Answer(await provider.ask(poll.question))
        except (ProviderUnavailableError, TimeoutError) as error:
            return Answer(error=str(error) or "unavailable")
        except ProviderRefusedError as error:
            return Answer(error=f"{error.code}: {error.detail}", is_final=True)

    async def _keep(self, poll: Poll, answer: Answer) -> None:
        now = self._clock.now()
        said: list[tuple[Recorded, Notice]] = []
        evidence = Evidence(source=(poll.provider, poll.account), raw=_raw(answer.notice))
        async with self._open_unit() as unit:
            attempt = await unit.attempts.lock(poll.payment_id)
            if attempt is None:
                return
            if answer.notice is not None:
                recorded = await record(
                    unit, attempt, answer.notice, FoundBy.POLL, now, evidence=evidence
                )
                said.append((recorded, answer.notice))
                attempt = await unit.attempts.find(poll.payment_id) or attempt
            attempt = await self._close(unit, poll, attempt, answer, now)
            await _plan(unit, poll, attempt, answer, now)
        for recorded, notice in said:
            recorded.report(notice, evidence, FoundBy.POLL)
        metrics.WORK_DONE.labels("poll", "unanswered" if answer.error else "answered").inc()
        if answer.error:
            logger.warning(
                "provider did not say",
                account=poll.account,
                payment_id=str(poll.payment_id),
                error=answer.error,
            )

    async def _close(
        self, unit: Unit, poll: Poll, attempt: Attempt, answer: Answer, now: datetime
    ) -> Attempt:
        """Close what nobody can pay any more: only after its provider was asked (P12)."""
        never_handed = answer.is_final and not poll.question.reference
        is_unpaid = answer.notice is None and not answer.error
        if not attempt.is_in_flight or now < attempt.expires_at:
            return attempt
        if not (never_handed or is_unpaid):
            return attempt
        target = AttemptState.ABANDONED if never_handed else AttemptState.EXPIRED
        recorded = await record(
            unit, attempt, target, FoundBy.CLOCK, now, detail=answer.error or "asked first"
        )
        return recorded.verdict.attempt or attempt


async def _plan(unit: Unit, poll: Poll, attempt: Attempt, answer: Answer, now: datetime) -> None:
    """Write down when to ask again. What is known to the end is not asked about any more."""
    never_handed = answer.is_final and not poll.question.reference and not attempt.is_in_flight
    if never_handed or _is_known(attempt):
        next_at, for_people = None, False
    elif answer.is_final:
        next_at, for_people = None, True
    else:
        started = attempt.started_at
        next_at = (next_try if answer.error else next_question)(started, now)
        # A direct debit that has not come back by then is final; nobody need look.
        is_taken = attempt.captured_cents is not None
        for_people = not is_taken and needs_people(started, now)
    await unit.polls.keep_answer(
        poll.payment_id,
        asked_at=now,
        next_at=next_at,
        needs_people=for_people,
        error=answer.error,
        raw=answer.notice.raw if answer.notice else None,
    )


def _is_known(attempt: Attempt) -> bool:
    if attempt.captured_cents is not None:
        return attempt.is_settled
    told = attempt.closed_by in {FoundBy.POLL, FoundBy.NOTICE, FoundBy.AGENT}
    return not attempt.is_in_flight and told


def _raw(notice: Notice | None) -> RawNotice:
    body = (notice.raw if notice else None) or b""
    return RawNotice(body=body, query="", content_type="application/json" if body else "")
