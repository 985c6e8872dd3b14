"""No attempt holds an invoice for ever."""

from payment.domain import AttemptState, FoundBy
from payment.handlers.record import record
from payment.ports import OpenUnit
from shared.clock import Clock

EXPIRED_AT_ONCE = 200


async def close_expired(open_unit: OpenUnit, clock: Clock) -> int:
    """Close every attempt past its time and return how many; safe in several processes.

    One whose provider can be asked is not closed here: it is asked first (P12). Money that the
    provider takes later is still booked.
    """
    count = 0
    while True:
        now = clock.now()
        async with open_unit() as unit:
            overdue = await unit.attempts.overdue(now, EXPIRED_AT_ONCE)
        for payment_id in overdue:
            # One transaction for each: invoices are locked before their attempt, as everywhere.
            async with open_unit() as unit:
                attempt = await unit.attempts.lock(payment_id)
                recorded = await record(unit, attempt, AttemptState.EXPIRED, FoundBy.CLOCK, now)
            count += recorded.verdict.attempt is not None
        if len(overdue) < EXPIRED_AT_ONCE:
            return count
