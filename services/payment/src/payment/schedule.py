"""What payment does by the clock: no attempt holds an invoice for ever."""

from payment.domain import AttemptState, moved
from payment.ports import OpenUnit
from shared.clock import Clock

EXPIRED_AT_ONCE = 200


async def expire_attempts(open_unit: OpenUnit, clock: Clock) -> int:
    """Close every open attempt past its time and return how many; safe in several processes.

    Money that the provider takes later is still booked.
    """
    count = 0
    while True:
        now = clock.now()
        async with open_unit() as unit:
            attempts = await unit.payments.expired(now, EXPIRED_AT_ONCE)
            for attempt in attempts:
                await unit.payments.move(moved(attempt, AttemptState.EXPIRED), now)
        count += len(attempts)
        if len(attempts) < EXPIRED_AT_ONCE:
            return count
