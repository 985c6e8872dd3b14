"""A provider says what became of an order."""

import asyncio

import structlog

from payment.domain import FOR_PEOPLE, AttemptState, captured_event, judge
from payment.ports import OpenUnit, Provider
from shared import metrics
from shared.clock import Clock

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


async def take_notice(body: bytes, provider: Provider, open_unit: OpenUnit, clock: Clock) -> None:
    """Keep the notice as it came, and in the same transaction what follows from it.

    A late capture is booked, whatever became of the attempt. What does not match the stored order
    is kept for people to look at (`FOR_PEOPLE`), logged as an error, and moves nothing. The same
    notice again changes nothing.

    Raises:
        MalformedNoticeError: the bytes are no notice.
        NoticeRefusedError: the signature is wrong.
    """
    # The library that checks signatures is synchronous: it never runs on the event loop.
    notice = await asyncio.to_thread(provider.read_notice, body)
    now = clock.now()
    async with open_unit() as unit:
        attempt = await unit.payments.lock_order(provider.name, provider.account, notice.order_id)
        verdict = judge(attempt, notice)
        is_new = await unit.payments.keep_notice(
            provider.name, provider.account, notice, body, verdict.outcome, now
        )
        if is_new and verdict.attempt is not None:
            await unit.payments.move(verdict.attempt, now)
            if verdict.attempt.state is AttemptState.CAPTURED:
                await unit.publish([captured_event(verdict.attempt, now)])
    outcome = verdict.outcome.value if is_new else "repeated"
    metrics.WORK_DONE.labels("notice", outcome).inc()
    logged = logger.bind(
        account=provider.account,
        order_id=notice.order_id,
        payment_id=str(attempt.payment_id) if attempt else None,
        provider_reference=notice.provider_reference,
        outcome=outcome,
    )
    if is_new and verdict.outcome in FOR_PEOPLE:
        logged.error(
            "notice for people",
            asked_cents=attempt.amount_cents if attempt else None,
            told_cents=notice.amount_cents,
        )
    else:
        logged.info("notice taken")
