"""The one path of every move, whoever found it."""

from datetime import datetime

import msgspec
import structlog

from payment.domain import (
    FOR_PEOPLE,
    PROVIDERS_WORD,
    Attempt,
    FoundBy,
    Notice,
    NoticeOutcome,
    Verdict,
    Word,
    facts,
    judge,
)
from payment.ports import RawNotice, Unit
from shared import metrics

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Which account spoke (provider, name), and its words as they came."""

    source: tuple[str, str]
    raw: RawNotice


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a word; `verdict` moved the attempt only if `is_new`."""

    verdict: Verdict
    attempt: Attempt | None
    is_new: bool

    def report(self, word: Word, evidence: Evidence | None, found_by: FoundBy) -> None:
        """Count and log it, once it is committed; what people must look at is an error."""
        outcome = self.verdict.outcome.value if self.is_new else "repeated"
        kind = "notice" if isinstance(word, Notice) else "move"
        metrics.WORK_DONE.labels(kind, outcome).inc()
        logged = logger.bind(
            found_by=found_by.value,
            account=evidence.source[1] if evidence else None,
            order_id=word.order_id if isinstance(word, Notice) else None,
            payment_id=str(self.attempt.payment_id) if self.attempt else None,
            provider_reference=word.provider_reference if isinstance(word, Notice) else None,
            outcome=outcome,
        )
        if self.is_new and self.verdict.outcome in FOR_PEOPLE:
            logged.error(
                "notice for people",
                asked_cents=self.attempt.amount_cents if self.attempt else None,
                told_cents=word.amount_cents if isinstance(word, Notice) else None,
            )
        elif isinstance(word, Notice):
            logged.info("notice taken")


async def record(
    unit: Unit,
    attempt: Attempt | None,
    word: Word,
    found_by: FoundBy,
    at: datetime,
    *,
    evidence: Evidence | None = None,
    detail: str = "",
) -> Recorded:
    """Judge a word about a locked attempt and keep what follows, in the caller's transaction.

    The state, its history, the word as it came, what is still to be asked, and the events for the
    others commit together. The same fact told again changes nothing.
    """
    verdict = judge(attempt, word)
    is_new = True
    if isinstance(word, Notice) and evidence is not None:
        is_new = await unit.notices.keep(evidence.source, word, evidence.raw, verdict.outcome, at)
    after = verdict.attempt
    if is_new and attempt is not None and after is not None:
        await unit.attempts.move(attempt, after, found_by, at, detail)
        await unit.publish(facts(attempt, after, at))
        if found_by in PROVIDERS_WORD and not after.is_in_flight and after.is_settled:
            await unit.polls.stop(after.payment_id)
    elif not is_new:
        verdict = Verdict(outcome=NoticeOutcome.NOTHING_NEW)
    return Recorded(verdict=verdict, attempt=attempt, is_new=is_new)
