"""The doors at which billers say where they want to be told."""

import secrets
from datetime import datetime
from typing import Annotated
from uuid import UUID, uuid4

import msgspec
from aiohttp import web

from reconciliation.domain.webhooks import OVERLAP, SECRET_BYTES, write_secret
from reconciliation.ports import Endpoint, FeedReader, OpenUnit, Sealer, Sender, Unit
from shared.addresses import ForbiddenUrlError
from shared.auth import Principal
from shared.clock import Clock
from shared.http import Operation, ProblemError, json_response, principal, read_json

MOST_AT_ONCE = 100_000
"""Events that one request may send again; a longer range is asked for in parts."""
READ = "collections:read"
WRITE = "webhooks:write"

Code = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class WebhookRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where to tell, about which régies (null: all of the token), and since when, if not from now.

    `since` is a cursor of the feed: what stands beyond it is sent too.
    """

    url: str
    regies: Annotated[tuple[Code, ...], msgspec.Meta(min_length=1, max_length=500)] | None = None
    description: Annotated[str, msgspec.Meta(max_length=200)] = ""
    since: str | None = None


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint and its health; `secret` is told once, when it is made."""

    url: str
    regies: tuple[str, ...] | None
    description: str
    state: str
    created_at: datetime
    waiting: int
    parked: int
    oldest_waiting_at: datetime | None
    failures_in_a_row: int
    failing_since: datetime | None
    succeeded_at: datetime | None
    failed_at: datetime | None
    secret: str | msgspec.UnsetType = msgspec.UNSET


class NewSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A secret, told this once; those before it sign too until `others_until`."""

    secret: str
    others_until: datetime


class Tested(msgspec.Struct, frozen=True, kw_only=True):
    """The delivery at which the outcome of a test can be looked up."""

    delivery_id: UUID


class WebhookDoors:
    """The operations on the caller's own endpoint; another's is unknown."""

    def __init__(self, open_unit: OpenUnit, sender: Sender, sealer: Sealer, clock: Clock) -> None:
        """Keep endpoints through `open_unit`, their secrets as `sealer` seals them."""
        self._open_unit = open_unit
        self._sender = sender
        self._sealer = sealer
        self._clock = clock

    async def put_webhook(self, request: web.Request) -> web.Response:
        """Set the caller's endpoint; the first time, answer its secret."""
        caller = principal(request)
        reader = _reader(caller)
        body = await read_json(request, WebhookRequest)
        since = _checked(body, caller)
        try:
            await self._sender.check(body.url)
        except ForbiddenUrlError as error:
            raise ProblemError(422, error.slug, str(error), pointer="/url") from error
        now = self._clock.now()
        async with self._open_unit() as unit:
            # First: nothing may be booked between what is sent from the feed and what is announced.
            await unit.webhooks.hold(reader.authority)
            known = await unit.webhooks.endpoint(reader, caller.regies)
            endpoint = Endpoint(
                endpoint_id=known.endpoint_id if known else uuid4(),
                authority=reader.authority,
                client=reader.client,
                url=body.url,
                description=body.description,
                regies=body.regies,
                granted=caller.regies,
                state="active",
                created_at=known.created_at if known else now,
                succeeded_at=known.succeeded_at if known else None,
                failed_at=known.failed_at if known else None,
            )
            await unit.webhooks.keep_endpoint(endpoint)
            if since is not None:
                sent = await unit.webhooks.send_since(endpoint, since, now, MOST_AT_ONCE)
                require_bounded(sent, "/since")
            if known is None:
                secret: str | msgspec.UnsetType = await self._draw(unit, endpoint, now) or ""
            else:
                secret = msgspec.UNSET
                await unit.webhooks.send_waiting(endpoint.endpoint_id, now)
            answer = await _view(unit, endpoint, secret)
        return json_response(answer, status=201 if known is None else 200, headers=_PRIVATE)

    async def get_webhook(self, request: web.Request) -> web.Response:
        """Return the caller's endpoint and its health."""
        async with self._open_unit() as unit:
            endpoint = await own_endpoint(unit, principal(request))
            return json_response(await _view(unit, endpoint, msgspec.UNSET))

    async def delete_webhook(self, request: web.Request) -> web.Response:
        """Forget the caller's endpoint: nothing is sent any more."""
        async with self._open_unit() as unit:
            endpoint = await own_endpoint(unit, principal(request))
            await unit.webhooks.delete_endpoint(endpoint.endpoint_id)
        return web.Response(status=204)

    async def post_secret(self, request: web.Request) -> web.Response:
        """Make a new secret; those before it sign too for a day."""
        now = self._clock.now()
        async with self._open_unit() as unit:
            endpoint = await own_endpoint(unit, principal(request))
            secret = await self._draw(unit, endpoint, now)
        if secret is None:
            raise ProblemError(
                409, "too-many-secrets", "Trop de secrets sont valables en même temps : attendez."
            )
        answer = NewSecret(secret=secret, others_until=now + OVERLAP)
        return json_response(answer, status=201, headers=_PRIVATE)

    async def post_test(self, request: web.Request) -> web.Response:
        """Send an event that says nothing."""
        async with self._open_unit() as unit:
            endpoint = await own_endpoint(unit, principal(request))
            added = await unit.webhooks.add_test(endpoint.endpoint_id, self._clock.now())
        if added is None:
            raise ProblemError(409, "too-many-tests", "D’autres essais attendent encore.")
        return json_response(Tested(delivery_id=added), status=202)

    async def _draw(self, unit: Unit, endpoint: Endpoint, now: datetime) -> str | None:
        key = secrets.token_bytes(SECRET_BYTES)
        sealed = self._sealer.seal(key)
        kept = await unit.webhooks.add_secret(endpoint.endpoint_id, sealed, now, now + OVERLAP)
        return write_secret(key) if kept else None

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [
            Operation(
                method="PUT",
                path="/v1/webhooks",
                handler=self.put_webhook,
                summary="Set where the caller is told; answers the secret the first time.",
                scope=WRITE,
                request=WebhookRequest,
                responses={200: Webhook, 201: Webhook},
            ),
            Operation(
                method="GET",
                path="/v1/webhooks",
                handler=self.get_webhook,
                summary="The caller's endpoint and its health.",
                scope=READ,
                responses={200: Webhook},
            ),
            Operation(
                method="DELETE",
                path="/v1/webhooks",
                handler=self.delete_webhook,
                summary="Tell the caller nothing more.",
                scope=WRITE,
            ),
            Operation(
                method="POST",
                path="/v1/webhooks/secret",
                handler=self.post_secret,
                summary="Make a new secret; the old one signs too for a day.",
                scope=WRITE,
                responses={201: NewSecret},
            ),
            Operation(
                method="POST",
                path="/v1/webhooks/test",
                handler=self.post_test,
                summary="Send an event that says nothing.",
                scope=WRITE,
                responses={202: Tested},
            ),
        ]


# An answer that holds a secret is nobody else's to keep.
_PRIVATE = {"Cache-Control": "no-store"}


def _reader(caller: Principal) -> FeedReader:
    if not caller.authority:
        raise ProblemError(403, "no-authority", "Ce jeton n’est lié à aucune collectivité.")
    return FeedReader(authority=caller.authority, client=caller.subject)


async def own_endpoint(unit: Unit, caller: Principal) -> Endpoint:
    """Return the caller's endpoint.

    Raises:
        ProblemError: it has none.
    """
    endpoint = await unit.webhooks.endpoint(_reader(caller), caller.regies)
    if endpoint is None:
        raise ProblemError(404, "no-webhook", "Aucune adresse n’est enregistrée.")
    return endpoint


def _checked(body: WebhookRequest, caller: Principal) -> int | None:
    """Return the cursor to send from, once régies and cursor are found sound."""
    if not set(body.regies or ()) <= set(caller.regies):
        raise ProblemError(
            422, "unknown-regie", "Le jeton ne couvre pas l’une de ces régies.", pointer="/regies"
        )
    if body.since is None:
        return None
    if not is_cursor(body.since):
        raise ProblemError(
            422, "invalid-cursor", "Ce n’est pas un repère du flux.", pointer="/since"
        )
    return int(body.since)


def require_bounded(count: int | None, pointer: str) -> int:
    """Return how many events are sent.

    Raises:
        ProblemError: none is, because they are too many.
    """
    if count is None:
        raise ProblemError(
            422,
            "too-many-events",
            f"Plus de {MOST_AT_ONCE} événements : demandez une période plus courte.",
            pointer=pointer,
        )
    return count


def is_cursor(text: str) -> bool:
    """Tell whether a text is a position that we may have given."""
    return text.isdecimal() and text.isascii() and len(text) <= 18


async def _view(unit: Unit, endpoint: Endpoint, secret: str | msgspec.UnsetType) -> Webhook:
    backlog = await unit.webhooks.backlog(endpoint.endpoint_id)
    return Webhook(
        url=endpoint.url,
        regies=endpoint.regies,
        description=endpoint.description,
        state=endpoint.state,
        created_at=endpoint.created_at,
        waiting=backlog.waiting,
        parked=backlog.parked,
        oldest_waiting_at=backlog.oldest_waiting_at,
        failures_in_a_row=endpoint.failures,
        failing_since=endpoint.failing_since,
        succeeded_at=endpoint.succeeded_at,
        failed_at=endpoint.failed_at,
        secret=secret,
    )
