"""The push service's doors: subscribing and listening for browsers, pushing for servers."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from datetime import datetime

from aiohttp import web

from simulators.faults import FaultBoard, SwitchKind, fault_routes, problem
from simulators.pages import page, page_routes, utc_now
from simulators.push.opening import Receiver, decode, encode
from simulators.push.registry import Push, Registry, Subscription
from simulators.push.sender import UnknownSenderError, read_sender

Sleep = Callable[[float], Awaitable[object]]

LARGEST_BODY_BYTES = 4096
"""What every push service takes, and none needs to exceed (RFC 8030, section 7.2)."""
LONGEST_TTL_SECONDS = 2_419_200
"""Four weeks: longer lives are cut, and the answer says so."""
LONGEST_WAIT_SECONDS = 60.0
MAX_ROWS_SHOWN = 200
URGENCIES = {"very-low", "low", "normal", "high"}
TOPIC = re.compile(r"[A-Za-z0-9_-]{1,32}")
SWITCHES = {
    "gone": SwitchKind.COUNT,
    "too_many_requests": SwitchKind.COUNT,
    "retry_after_seconds": SwitchKind.SECONDS,
    "server_error": SwitchKind.COUNT,
    "slow_seconds": SwitchKind.SECONDS,
    "cut_after_taking": SwitchKind.COUNT,
}


def create_app(
    *, clock: Callable[[], datetime] = utc_now, sleep: Sleep = asyncio.sleep
) -> web.Application:
    """Build the push service."""
    app = web.Application()
    faults = FaultBoard(SWITCHES)
    doors = _Doors(Registry(clock), faults, clock, sleep)
    app.add_routes(
        [
            web.get("/", doors.show_list),
            web.post("/api/subscriptions", doors.subscribe),
            web.delete("/api/subscriptions/{name}", doors.unsubscribe),
            web.get("/api/subscriptions/{name}/messages", doors.listen),
            web.get("/api/pushes", doors.list_pushes),
            web.delete("/api/pushes", doors.empty),
            web.post("/push/{name}", doors.take),
            *fault_routes(faults),
            *page_routes(),
        ]
    )
    return app


class _Doors:
    """The handlers, around one registry."""

    def __init__(
        self,
        registry: Registry,
        faults: FaultBoard,
        clock: Callable[[], datetime],
        sleep: Sleep,
    ) -> None:
        self._registry = registry
        self._faults = faults
        self._clock = clock
        self._sleep = sleep

    async def subscribe(self, request: web.Request) -> web.Response:
        """Make a subscription, as a browser gets one; with its own keys it opens pushes itself."""
        try:
            wanted = json.loads(await request.text())
            server_key = wanted["applicationServerKey"]
            is_key = len(decode(server_key)) == 65
            own = wanted.get("keys")
        except (ValueError, KeyError, TypeError, AttributeError):
            return problem(400, "not-a-subscription", "applicationServerKey is missing")
        if not is_key:
            return problem(400, "not-a-key", "applicationServerKey is no P-256 point")
        receiver = None if own else Receiver.draw()
        subscription = self._registry.subscribe(server_key, receiver)
        keys = own or (receiver and _keys(receiver))
        endpoint = f"{request.url.origin()}/push/{subscription.name}"
        return web.json_response(
            {"name": subscription.name, "endpoint": endpoint, "keys": keys}, status=201
        )

    async def unsubscribe(self, request: web.Request) -> web.Response:
        """End a subscription: whoever pushes to it learns that it is gone."""
        subscription = self._registry.find(request.match_info["name"])
        if subscription is None:
            return _unknown()
        subscription.is_removed = True
        return web.Response(status=204)

    async def listen(self, request: web.Request) -> web.Response:
        """Hand over what came, waiting for it up to `?wait=` seconds."""
        subscription = self._registry.find(request.match_info["name"])
        if subscription is None:
            return _unknown()
        try:
            wait_seconds = min(float(request.query.get("wait", "0")), LONGEST_WAIT_SECONDS)
        except ValueError:
            return problem(400, "invalid-wait", "wait is no number of seconds")
        pushes = await self._registry.deliver(subscription, wait_seconds)
        return web.json_response([_as_json(push) for push in pushes])

    async def take(self, request: web.Request) -> web.Response:
        """Take a push, or say why not."""
        if self._faults.seconds("slow_seconds"):
            await self._sleep(self._faults.seconds("slow_seconds"))
        subscription = self._registry.find(request.match_info["name"])
        refusal = self._refuse(subscription)
        if refusal is not None or subscription is None:
            return refusal or _unknown()
        body = await request.read()
        refusal = _broken(request, body)
        if refusal is not None:
            return refusal
        try:
            sender = read_sender(
                request.headers.get("Authorization", ""),
                origin=str(request.url.origin()),
                subscribed_key=subscription.server_key,
                now=self._clock().timestamp(),
            )
        except UnknownSenderError as error:
            return problem(error.status, "unknown-sender", str(error))
        ttl_seconds = min(int(request.headers["TTL"]), LONGEST_TTL_SECONDS)
        push = self._registry.take(
            subscription,
            sender,
            body,
            ttl_seconds=ttl_seconds,
            urgency=request.headers.get("Urgency", "normal"),
            topic=request.headers.get("Topic", ""),
        )
        if self._faults.take("cut_after_taking") and request.transport is not None:
            request.transport.close()
        location = f"{request.url.origin()}/message/{push.number}"
        return web.Response(status=201, headers={"Location": location, "TTL": str(ttl_seconds)})

    def _refuse(self, subscription: Subscription | None) -> web.Response | None:
        """Return what a switch, or the state of the subscription, makes of a push."""
        if self._faults.take("server_error"):
            return problem(503, "unavailable", "the push service is ill")
        if self._faults.take("too_many_requests"):
            answer = problem(429, "too-many-requests", "slower, please")
            seconds = self._faults.seconds("retry_after_seconds")
            if seconds:
                answer.headers["Retry-After"] = str(max(1, round(seconds)))
            return answer
        if subscription is None:
            return _unknown()
        if subscription.is_removed or self._faults.take("gone"):
            return problem(410, "gone", "the browser unsubscribed")
        return None

    async def list_pushes(self, request: web.Request) -> web.Response:
        """List the pushes, the newest first; `?subscription=` keeps those of one."""
        pushes = self._registry.newest_first(request.query.get("subscription"))
        return web.json_response([_as_json(push) for push in pushes])

    async def empty(self, _: web.Request) -> web.Response:
        """Forget every push."""
        return web.json_response({"deleted": self._registry.empty()})

    async def show_list(self, _: web.Request) -> web.Response:
        """Show the newest pushes to people."""
        pushes = self._registry.newest_first()
        shown = [(push, _text(push)) for push in pushes[:MAX_ROWS_SHOWN]]
        return page("push/list.html", total=len(pushes), shown=shown)


def _broken(request: web.Request, body: bytes) -> web.Response | None:
    """Return what is wrong with the request itself (RFC 8030, section 5; RFC 8291, section 4)."""
    if len(body) > LARGEST_BODY_BYTES:
        return problem(413, "too-large", f"more than {LARGEST_BODY_BYTES} bytes")
    ttl = request.headers.get("TTL", "")
    if not (ttl.isascii() and ttl.isdigit()):
        return problem(400, "no-ttl", "TTL is missing or no number of seconds")
    if request.headers.get("Urgency", "normal") not in URGENCIES:
        return problem(400, "invalid-urgency", "Urgency is none of the four")
    topic = request.headers.get("Topic")
    if topic is not None and TOPIC.fullmatch(topic) is None:
        return problem(400, "invalid-topic", "Topic is not 32 characters of base64url at most")
    if body and request.headers.get("Content-Encoding", "").lower() != "aes128gcm":
        return problem(400, "invalid-encoding", "Content-Encoding is not aes128gcm")
    return None


def _keys(receiver: Receiver) -> dict[str, str]:
    return {"p256dh": encode(receiver.point), "auth": encode(receiver.auth)}


def _unknown() -> web.Response:
    return problem(404, "unknown-subscription", "no subscription has this name")


def _text(push: Push) -> str:
    return push.content.decode("utf-8", "replace") if push.content is not None else push.problem


def _as_json(push: Push) -> dict[str, object]:
    try:
        content = json.loads(push.content) if push.content is not None else None
    except ValueError:
        content = None
    return {
        "id": push.number,
        "subscription": push.subscription,
        "received_at": push.received_at.isoformat(),
        "ttl": push.ttl_seconds,
        "urgency": push.urgency,
        "topic": push.topic,
        "size_bytes": push.size_bytes,
        "content": content,
        "text": push.content.decode("utf-8", "replace") if push.content is not None else None,
        "problem": push.problem,
        "sender": {
            "key": push.sender.key,
            "audience": push.sender.audience,
            "subject": push.sender.subject,
            "expires_at": push.sender.expires_at,
        },
    }
