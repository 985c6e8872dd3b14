"""Attempts that end without the provider's word: given up by the payer, or past their time."""

from uuid import UUID

import msgspec

from payment.domain import Attempt, AttemptState
from payment.ports import OpenUnit
from shared.clock import Clock

EXPIRED_AT_ONCE = 200


async def abandon_payment(payment_id: UUID, open_unit: OpenUnit, clock: Clock) -> Attempt | None:
    """Close an open attempt because the payer starts again; the same call again changes nothing."""
    async with open_unit() as unit:
        attempt = await unit.payments.find(payment_id, lock=True)
        if attempt is None or attempt.state is not AttemptState.OPEN:
            return attempt
        abandoned = msgspec.structs.replace(attempt, state=AttemptState.ABANDONED)
        await unit.payments.move(abandoned, clock.now())
        return abandoned


async def expire_attempts(open_unit: OpenUnit, clock: Clock) -> int:
    """Close attempts past their time; money that the provider takes later is still booked."""
    now = clock.now()
    async with open_unit() as unit:
        attempts = await unit.payments.expired(now, EXPIRED_AT_ONCE)
        for attempt in attempts:
            expired = msgspec.structs.replace(attempt, state=AttemptState.EXPIRED)
            await unit.payments.move(expired, now)
        return len(attempts)
