"""A provider says what became of an order."""

import asyncio

import structlog

from payment.domain import FoundBy
from payment.handlers.record import Evidence, record
from payment.ports import Nudge, OpenUnit, Provider, RawNotice
from shared import metrics
from shared.clock import Clock

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


async def take_notice(
    raw: RawNotice, provider: Provider, open_unit: OpenUnit, clock: Clock
) -> None:
    """Keep the notice as it came, and in the same transaction what follows from it.

    A late capture is booked, whatever became of the attempt. What does not match the stored order
    is kept for people to look at (`FOR_PEOPLE`), logged as an error, and moves nothing. The same
    notice again changes nothing. One that proves nothing makes the poll come sooner: the provider
    is never asked while it waits for this answer.

    Raises:
        MalformedNoticeError: the bytes are no notice.
        NoticeRefusedError: the signature is wrong.
    """
    # The library that checks signatures is synchronous: it never runs on the event loop.
    notice = await asyncio.to_thread(provider.read_notice, raw)
    if isinstance(notice, Nudge):
        await _take_nudge(notice, raw, provider, open_unit, clock)
        return
    evidence = Evidence(source=(provider.name, provider.account), raw=raw)
    async with open_unit() as unit:
        attempt = await unit.attempts.lock_order(provider.name, provider.account, notice.order_id)
        recorded = await record(
            unit, attempt, notice, FoundBy.NOTICE, clock.now(), evidence=evidence
        )
    recorded.report(notice, evidence, FoundBy.NOTICE)


async def _take_nudge(
    nudge: Nudge, raw: RawNotice, provider: Provider, open_unit: OpenUnit, clock: Clock
) -> None:
    """Have the attempt asked about soon; a reference that is not ours costs nothing (W17)."""
    now = clock.now()
    async with open_unit() as unit:
        attempt = await unit.attempts.by_reference(provider.name, provider.account, nudge.reference)
        if attempt is not None:
            await unit.notices.keep_nudge((provider.name, provider.account), attempt, raw, now)
            await unit.polls.hasten(attempt.payment_id, now)
    outcome = "asked" if attempt else "unknown-order"
    metrics.WORK_DONE.labels("notice", outcome).inc()
    logger.info(
        "nudge taken",
        account=provider.account,
        payment_id=str(attempt.payment_id) if attempt else None,
        outcome=outcome,
    )
