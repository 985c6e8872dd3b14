"""The payer gives up an attempt, to start again."""

from uuid import UUID

from payment.domain import Attempt, AttemptState, moved
from payment.ports import OpenUnit
from shared.clock import Clock


async def abandon_payment(payment_id: UUID, open_unit: OpenUnit, clock: Clock) -> Attempt | None:
    """Close an open attempt and return it as it stands; None when there is no such attempt.

    The same call again changes nothing. Money that the provider takes all the same is booked.
    """
    async with open_unit() as unit:
        attempt = await unit.payments.find(payment_id, lock=True)
        if attempt is None or attempt.state is not AttemptState.OPEN:
            return attempt
        abandoned = moved(attempt, AttemptState.ABANDONED)
        await unit.payments.move(abandoned, clock.now())
        return abandoned
