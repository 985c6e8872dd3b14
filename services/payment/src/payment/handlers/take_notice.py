"""A provider says what became of an order."""

import asyncio

import structlog

from payment.domain import AttemptState, captured_event, moved
from payment.ports import OpenUnit, Provider
from shared.clock import Clock
from shared.money import CURRENCY

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


async def take_notice(body: bytes, provider: Provider, open_unit: OpenUnit, clock: Clock) -> None:
    """Keep the notice as it came, and in the same transaction what follows from it.

    A notice of an order that is not ours, or in another currency, is kept for people to look at. An
    amount other than the one asked is booked as taken: the money is there.

    Raises:
        NoticeRefusedError: the notice proves nothing.
    """
    # The library that checks signatures is synchronous: it never runs on the event loop.
    notice = await asyncio.to_thread(provider.read_notice, body)
    now = clock.now()
    async with open_unit() as unit:
        attempt = await unit.payments.lock_order(provider.name, provider.account, notice.order_id)
        outcome = "unknown-order" if attempt is None else "nothing-new"
        after = None
        if attempt is not None and notice.currency != CURRENCY:
            outcome = "other-currency"
        elif attempt is not None:
            after = moved(attempt, notice)
            if after is not None:
                outcome = after.state.value
        is_new = await unit.payments.keep_notice(
            provider.name, provider.account, notice, body, outcome, now
        )
        if not is_new or after is None or attempt is None:
            if attempt is None:
                logger.error("notice of an unknown order", account=provider.account)
            return
        await unit.payments.move(after, now)
        if after.state is AttemptState.CAPTURED:
            if after.captured_cents != attempt.amount_cents:
                logger.error(
                    "amount taken differs from the amount asked",
                    payment_id=str(attempt.payment_id),
                    asked_cents=attempt.amount_cents,
                    taken_cents=after.captured_cents,
                )
            await unit.publish([captured_event(after, now)])
    logger.info("notice taken", payment_id=str(attempt.payment_id), outcome=outcome)
