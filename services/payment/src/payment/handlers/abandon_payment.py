"""The payer gives up an attempt, or comes back from the provider's page."""

from uuid import UUID

from payment.domain import Attempt, AttemptState, FoundBy
from payment.handlers.record import record
from payment.ports import OpenUnit
from shared.clock import Clock


async def abandon_payment(payment_id: UUID, open_unit: OpenUnit, clock: Clock) -> Attempt | None:
    """Close an open attempt and return it as it stands; None when there is no such attempt.

    The same call again changes nothing. Money that the provider takes all the same is booked: where
    it can be asked, it is asked.
    """
    return await _told_by_browser(
        payment_id, AttemptState.ABANDONED, FoundBy.PAYER, open_unit, clock
    )


async def come_back(payment_id: UUID, open_unit: OpenUnit, clock: Clock) -> Attempt | None:
    """Note that the payer is back; proves nothing, so that the provider is asked at once.

    None when there is no such attempt.
    """
    return await _told_by_browser(
        payment_id, AttemptState.PENDING, FoundBy.RETURN, open_unit, clock
    )


async def _told_by_browser(
    payment_id: UUID,
    target: AttemptState,
    found_by: FoundBy,
    open_unit: OpenUnit,
    clock: Clock,
) -> Attempt | None:
    now = clock.now()
    async with open_unit() as unit:
        attempt = await unit.attempts.lock(payment_id)
        if attempt is None or not attempt.is_in_flight:
            return attempt
        recorded = await record(unit, attempt, target, found_by, now)
        await unit.polls.hasten(payment_id, now)
        return recorded.verdict.attempt or attempt
