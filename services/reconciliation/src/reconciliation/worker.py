"""Tells billers: signs what waits, posts it to their addresses, and notes how that ended."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import msgspec

from reconciliation.domain.webhooks import (
    DeliveryState,
    EventType,
    Outcome,
    after_call,
    sign,
)
from reconciliation.ports import Attempt, Claim, Deliveries, Delivery, FeedItem, Sealer, Sender
from shared import metrics
from shared.clock import Clock
from shared.logs import get_logger

logger = get_logger(__name__)

LEASE = timedelta(seconds=60)
"""Longer than a call may take, and the time to write down how it ended."""
SAFE_REMAINDER = timedelta(seconds=30)
"""A lease that is shorter than this when the call would begin could end under it."""


class Trial(msgspec.Struct, frozen=True):
    """What a test carries."""

    message: str = "Ceci est un essai."


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a webhook; the same bytes at every try."""

    type: EventType
    timestamp: datetime
    data: FeedItem | Trial


class Courier:
    """What `shared.worker.Worker` claims and performs, for one lane of endpoints."""

    def __init__(
        self,
        deliveries: Deliveries,
        sender: Sender,
        sealer: Sealer,
        clock: Clock,
        *,
        chance: Callable[[], float],
        wakes: Sequence[asyncio.Event],
    ) -> None:
        """Send what `deliveries` gives; `wakes`, of each lane, are set when an endpoint is free."""
        self._deliveries = deliveries
        self._sender = sender
        self._sealer = sealer
        self._clock = clock
        self._chance = chance
        self._wakes = wakes

    async def claim(self, _limit: int) -> list[Claim]:
        """Hold the next delivery: one at a time, so that turns are fair."""
        claim = await self._deliveries.claim()
        return [claim] if claim else []

    async def perform(self, claims: Sequence[Claim]) -> None:
        """Make each delivery once and note how it ended.

        Raises:
            SealError: a secret was sealed under a key that is not here; another replica has it.
        """
        for claim in claims:
            await self._perform(claim)

    async def _perform(self, claim: Claim) -> None:
        keys = [self._sealer.open(sealed) for sealed in claim.secrets]
        at = self._clock.now()
        if claim.claimed_until - at < SAFE_REMAINDER:
            # This process stood still: another may call by now, and would be the second at once.
            logger.warning("lease ran out", delivery=str(claim.delivery.delivery_id))
            return
        body = msgspec.json.encode(payload(claim.delivery))
        timestamp = int(at.timestamp())
        headers = {
            "content-type": "application/json",
            "webhook-id": str(claim.delivery.event_id),
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(
                keys,
                message_id=str(claim.delivery.event_id),
                timestamp=timestamp,
                body=body,
            ),
        }
        call = await self._sender.send(claim.url, headers, body)
        now = self._clock.now()
        verdict = after_call(
            call.outcome, tries=claim.delivery.tries + 1, now=now, chance=self._chance()
        )
        await self._deliveries.record(claim, Attempt(at=at, call=call, took=now - at), verdict)
        # The endpoint may take another call, of either lane, and the invoice's next event may go.
        for wake in self._wakes:
            wake.set()
        self._tell(claim, call.outcome, call.status, verdict.state)

    @staticmethod
    def _tell(claim: Claim, outcome: Outcome, status: int | None, state: DeliveryState) -> None:
        parked = state is DeliveryState.PARKED
        metrics.WORK_DONE.labels("webhook", "parked" if parked else outcome.value).inc()
        write = logger.info if outcome is Outcome.DELIVERED else logger.warning
        # No address: its query may hold a password of the biller's.
        write(
            "webhook sent",
            endpoint=str(claim.endpoint_id),
            delivery=str(claim.delivery.delivery_id),
            event_id=str(claim.delivery.event_id),
            outcome=outcome.value,
            status=status,
            state=state.value,
            tries=claim.delivery.tries + 1,
        )


def payload(delivery: Delivery) -> Payload:
    """Return what a delivery carries; its time is the event's, not the try's."""
    event = delivery.event
    return Payload(
        type=delivery.type,
        timestamp=event.recorded_at if event else delivery.created_at,
        data=event or Trial(),
    )
