"""The doors at which billers look up what they were sent, and have it sent again."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from aiohttp import web

from reconciliation.api.webhooks import (
    MOST_AT_ONCE,
    READ,
    WRITE,
    is_cursor,
    own_endpoint,
    require_bounded,
)
from reconciliation.domain.webhooks import DeliveryState
from reconciliation.ports import Attempt, Delivery, FeedItem, OpenUnit
from shared.clock import Clock
from shared.http import Operation, ProblemError, json_response, principal, read_json

PAGE = 100

Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class DeliveryView(msgspec.Struct, frozen=True, kw_only=True):
    """One event on its way; `event_id` is its `webhook-id` at every try."""

    delivery_id: UUID
    event_id: UUID
    type: str
    state: DeliveryState
    tries: int
    created_at: datetime
    next_try_at: datetime | None
    ended_at: datetime | None
    event: FeedItem | None


class AttemptView(msgspec.Struct, frozen=True, kw_only=True):
    """One call: how it ended, and the first kilobyte of what was answered."""

    at: datetime
    outcome: str
    status: int | None
    detail: str
    answer: str
    duration_ms: int


class DeliveryDetail(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery with every call that was made for it."""

    delivery: DeliveryView
    attempts: tuple[AttemptView, ...]


class DeliveryPage(msgspec.Struct, frozen=True, kw_only=True):
    """Deliveries, the newest first; ask again with `after=next` until it is null."""

    deliveries: tuple[DeliveryView, ...]
    next: str | None


class Span(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Events booked from an instant on and before another."""

    first: Instant = msgspec.field(name="from")
    last: Instant = msgspec.field(name="to")


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """How many events are sent again."""

    count: int


class DeliveryDoors:
    """The operations on what was sent to the caller's own endpoint; another's is unknown."""

    def __init__(self, open_unit: OpenUnit, clock: Clock) -> None:
        """Look up through `open_unit`."""
        self._open_unit = open_unit
        self._clock = clock

    async def get_deliveries(self, request: web.Request) -> web.Response:
        """Return what was sent to the caller, or waits, the newest first."""
        after = request.query.get("after", str(10**18 - 1))
        if not is_cursor(after):
            raise ProblemError(400, "invalid-cursor", "« after » n’est pas un repère.")
        try:
            state = DeliveryState(request.query["state"]) if "state" in request.query else None
        except ValueError as error:
            known = ", ".join(DeliveryState)
            raise ProblemError(400, "invalid-state", f"« state » est l’un de {known}.") from error
        async with self._open_unit() as unit:
            endpoint = await own_endpoint(unit, principal(request))
            found = await unit.webhooks.deliveries(
                endpoint.endpoint_id, state, int(after), PAGE + 1
            )
        page = found[:PAGE]
        has_more = len(found) > PAGE
        return json_response(
            DeliveryPage(
                deliveries=tuple(_delivery(delivery) for delivery in page),
                next=str(page[-1].sequence) if has_more else None,
            )
        )

    async def get_delivery(self, request: web.Request) -> web.Response:
        """Return one delivery and its calls."""
        async with self._open_unit() as unit:
            endpoint = await own_endpoint(unit, principal(request))
            delivery = await unit.webhooks.delivery(endpoint.endpoint_id, _id(request))
            if delivery is None:
                raise _unknown()
            attempts = await unit.webhooks.attempts(delivery.delivery_id)
        return json_response(
            DeliveryDetail(
                delivery=_delivery(delivery),
                attempts=tuple(_attempt(attempt) for attempt in attempts),
            )
        )

    async def replay_delivery(self, request: web.Request) -> web.Response:
        """Send one delivery again, from the bottom of the ladder."""
        async with self._open_unit() as unit:
            endpoint = await own_endpoint(unit, principal(request))
            name = _id(request)
            if not await unit.webhooks.replay(endpoint.endpoint_id, name, self._clock.now()):
                raise _unknown()
        return json_response(Replayed(count=1), status=202)

    async def replay(self, request: web.Request) -> web.Response:
        """Send what was booked in a span of time again, oldest first."""
        span = await read_json(request, Span)
        async with self._open_unit() as unit:
            endpoint = await own_endpoint(unit, principal(request))
            count = await unit.webhooks.send_again(
                endpoint, (span.first, span.last), self._clock.now(), MOST_AT_ONCE
            )
        return json_response(Replayed(count=require_bounded(count, "/from")), status=202)

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [
            Operation(
                method="GET",
                path="/v1/webhooks/deliveries",
                handler=self.get_deliveries,
                summary="What was sent or waits, the newest first; kept for 90 days.",
                scope=READ,
                query={"state": ", ".join(DeliveryState) + ".", "after": "The last page's next."},
                responses={200: DeliveryPage},
            ),
            Operation(
                method="GET",
                path="/v1/webhooks/deliveries/{delivery_id}",
                handler=self.get_delivery,
                summary="One delivery and every call made for it.",
                scope=READ,
                responses={200: DeliveryDetail},
            ),
            Operation(
                method="POST",
                path="/v1/webhooks/deliveries/{delivery_id}/replay",
                handler=self.replay_delivery,
                summary="Send one delivery again.",
                scope=WRITE,
                responses={202: Replayed},
            ),
            Operation(
                method="POST",
                path="/v1/webhooks/replay",
                handler=self.replay,
                summary="Send what was booked in a span of time again, oldest first.",
                scope=WRITE,
                request=Span,
                responses={202: Replayed},
            ),
        ]


def _unknown() -> ProblemError:
    return ProblemError(404, "unknown-delivery", "Cet envoi n’est pas connu.")


def _id(request: web.Request) -> UUID:
    try:
        return UUID(request.match_info["delivery_id"])
    except ValueError:
        return UUID(int=0)


def _delivery(delivery: Delivery) -> DeliveryView:
    is_waiting = delivery.state is DeliveryState.WAITING
    return DeliveryView(
        delivery_id=delivery.delivery_id,
        event_id=delivery.event_id,
        type=delivery.type,
        state=delivery.state,
        tries=delivery.tries,
        created_at=delivery.created_at,
        next_try_at=delivery.due_at if is_waiting else None,
        ended_at=delivery.ended_at,
        event=delivery.event,
    )


def _attempt(attempt: Attempt) -> AttemptView:
    return AttemptView(
        at=attempt.at,
        outcome=attempt.call.outcome,
        status=attempt.call.status,
        detail=attempt.call.detail,
        answer=attempt.call.answer.decode(errors="replace"),
        duration_ms=round(attempt.took.total_seconds() * 1000),
    )
