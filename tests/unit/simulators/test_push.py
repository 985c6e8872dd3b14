"""The push service takes what the RFCs allow and says what is wrong with the rest."""

import base64
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pywebpush import WebPusher

from simulators.push.app import create_app
from simulators.push.opening import Receiver, UnopenedError, decode, encode

pytestmark = pytest.mark.enable_socket

Client = TestClient[web.Request, web.Application]
KEY = ec.derive_private_key(7, ec.SECP256R1())
OTHER_KEY = ec.derive_private_key(8, ec.SECP256R1())
NOW = datetime(2026, 11, 24, 13, 5, tzinfo=UTC)


class Time:
    """A clock that a test moves, and naps that take no time."""

    def __init__(self) -> None:
        self.now = NOW
        self.naps: list[float] = []

    def __call__(self) -> datetime:
        return self.now

    async def nap(self, seconds: float) -> None:
        self.naps.append(seconds)


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest_asyncio.fixture
async def client(clock: Time) -> AsyncIterator[Client]:
    async with TestClient(TestServer(create_app(clock=clock, sleep=clock.nap))) as client:
        yield client


def public(key: ec.EllipticCurvePrivateKey = KEY) -> str:
    return encode(key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))


async def subscribe(client: Client, **more: object) -> dict[str, Any]:
    body = {"applicationServerKey": public(), **more}
    async with client.post("/api/subscriptions", json=body) as answer:
        assert answer.status == 201
        found: dict[str, Any] = await answer.json()
        return found


def origin_of(subscription: dict[str, Any]) -> str:
    return str(subscription["endpoint"]).partition("/push/")[0]


def authorization(
    subscription: dict[str, Any],
    key: ec.EllipticCurvePrivateKey = KEY,
    claims: Mapping[str, object] | None = None,
) -> str:
    """Return the header of RFC 8292, made without the library that services use."""
    content: dict[str, object] = {
        "aud": origin_of(subscription),
        "exp": int(NOW.timestamp()) + 3600,
        "sub": "mailto:a@exemple.test",
    } | dict(claims or {})
    return f"vapid t={jwt.encode(content, key, algorithm='ES256')}, k={public(key)}"


async def push(
    client: Client,
    subscription: dict[str, Any],
    content: bytes = b'{"kind":"test"}',
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """Push and return the status and the slug of what is wrong."""
    sent = WebPusher(subscription).encode(content)["body"] if body is None else body
    all_headers = {
        "Authorization": authorization(subscription),
        "Content-Encoding": "aes128gcm",
        "TTL": "60",
    } | dict(headers or {})
    path = subscription["endpoint"].removeprefix(origin_of(subscription))
    async with client.post(
        path, data=sent, headers={name: value for name, value in all_headers.items() if value}
    ) as answer:
        slug = (await answer.json())["type"] if "json" in answer.content_type else ""
        return answer.status, slug


async def pushes(client: Client) -> list[dict[str, Any]]:
    async with client.get("/api/pushes") as answer:
        found: list[dict[str, Any]] = await answer.json()
        return found


async def test_takes_a_push_and_shows_what_is_in_it(client: Client) -> None:
    """RFC 8030, section 5: 201, and what the browser would have read."""
    subscription = await subscribe(client)

    status, _ = await push(
        client,
        subscription,
        b'{"kind":"invoice"}',
        headers={"Urgency": "high", "Topic": "abc", "TTL": "99999999"},
    )

    [taken] = await pushes(client)
    assert status == 201
    assert taken["content"] == {"kind": "invoice"}
    assert (taken["urgency"], taken["topic"], taken["ttl"]) == ("high", "abc", 2419200)
    assert taken["sender"]["subject"] == "mailto:a@exemple.test"
    async with client.get("/") as page:
        assert "{&#34;kind&#34;:&#34;invoice&#34;}" in await page.text()


@pytest.mark.parametrize(
    ("headers", "status", "slug"),
    [
        ({"TTL": ""}, 400, "no-ttl"),
        ({"TTL": "-1"}, 400, "no-ttl"),
        ({"Urgency": "urgent"}, 400, "invalid-urgency"),
        ({"Topic": "a" * 33}, 400, "invalid-topic"),
        ({"Topic": "a b"}, 400, "invalid-topic"),
        ({"Content-Encoding": "aesgcm"}, 400, "invalid-encoding"),
        ({"Authorization": ""}, 401, "unknown-sender"),
        ({"Authorization": "Bearer x"}, 401, "unknown-sender"),
        ({"Authorization": "vapid t=a.b.c, k=AAAA"}, 401, "unknown-sender"),
    ],
)
async def test_refuses_a_push_that_is_not_as_the_rfcs_say(
    client: Client, headers: dict[str, str], status: int, slug: str
) -> None:
    """A real one does; a service that was never refused here would be there."""
    subscription = await subscribe(client)

    assert await push(client, subscription, headers=headers) == (status, slug)
    assert await pushes(client) == []


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://elsewhere.exemple.test"},
        {"exp": int(NOW.timestamp()) - 61},
        {"exp": int(NOW.timestamp()) + 25 * 3600},
        {"sub": "a@exemple.test"},
        {"sub": None},
    ],
)
async def test_refuses_a_signature_for_elsewhere_or_another_time(
    client: Client, claims: dict[str, object]
) -> None:
    """RFC 8292, section 2: the audience is this origin, a day is the longest."""
    subscription = await subscribe(client)
    header = authorization(subscription, claims=claims)

    assert await push(client, subscription, headers={"Authorization": header}) == (
        401,
        "unknown-sender",
    )
    assert await pushes(client) == []


async def test_refuses_another_key_than_the_browser_subscribed_with(client: Client) -> None:
    """RFC 8292, section 4.2: who stole an endpoint cannot push to it."""
    subscription = await subscribe(client)
    header = authorization(subscription, OTHER_KEY)
    token = header.partition("t=")[2].partition(",")[0]

    assert await push(client, subscription, headers={"Authorization": header}) == (
        403,
        "unknown-sender",
    )
    forged = f"vapid t={token}, k={public()}"
    assert await push(client, subscription, headers={"Authorization": forged}) == (
        401,
        "unknown-sender",
    )
    assert await pushes(client) == []


async def test_refuses_what_is_larger_than_every_service_takes(client: Client) -> None:
    """RFC 8030, section 7.2."""
    subscription = await subscribe(client)

    assert await push(client, subscription, body=bytes(4097)) == (413, "too-large")


async def test_a_subscription_that_ended_is_gone_and_an_unknown_one_unknown(
    client: Client,
) -> None:
    """410 is for ever; 404 is for what never was."""
    subscription = await subscribe(client)
    unknown = subscription | {"endpoint": f"{origin_of(subscription)}/push/nobody"}
    async with client.delete(f"/api/subscriptions/{subscription['name']}") as answer:
        assert answer.status == 204

    assert await push(client, subscription) == (410, "gone")
    assert await push(client, unknown) == (404, "unknown-subscription")


async def test_hands_over_what_came_to_whoever_listens(client: Client, clock: Time) -> None:
    """The last of a topic only, nothing that is too old, and each once."""
    subscription = await subscribe(client)
    path = f"/api/subscriptions/{subscription['name']}/messages"
    await push(client, subscription, b'{"n":1}', headers={"Topic": "invoice"})
    await push(client, subscription, b'{"n":2}', headers={"Topic": "invoice"})
    await push(client, subscription, b'{"n":3}', headers={"TTL": "5"})
    await push(client, subscription, b'{"n":4}')
    clock.now += timedelta(seconds=10)

    async with client.get(path, params={"wait": "1"}) as answer:
        heard = [message["content"]["n"] for message in await answer.json()]
    async with client.get(path) as answer:
        again = await answer.json()

    assert heard == [2, 4]
    assert again == []
    assert len(await pushes(client)) == 4


async def test_a_browser_with_its_own_keys_opens_its_pushes_itself(client: Client) -> None:
    """Then only the browser can: what is listed here is closed."""
    receiver = Receiver.draw()
    keys = {"p256dh": encode(receiver.point), "auth": encode(receiver.auth)}
    subscription = await subscribe(client, keys=keys)

    await push(client, subscription, b'{"kind":"invoice"}')

    [taken] = await pushes(client)
    assert (taken["content"], taken["problem"]) == (None, "the browser has the keys")


@pytest.mark.parametrize(
    ("switches", "expected"),
    [
        ({"gone": 1}, [(410, "gone"), (201, "")]),
        ({"too_many_requests": 2}, [(429, "too-many-requests")] * 2 + [(201, "")]),
        ({"server_error": True}, [(503, "unavailable")] * 3),
    ],
)
async def test_fails_as_it_is_told(
    client: Client, switches: dict[str, Any], expected: list[tuple[int, str]]
) -> None:
    """F30: every way in which a push service fails can be asked for."""
    subscription = await subscribe(client)
    await client.post("/api/faults", json=switches)

    assert [await push(client, subscription) for _ in expected] == expected


async def test_says_how_long_to_wait_and_takes_its_time(client: Client, clock: Time) -> None:
    """Retry-After, and slowness."""
    subscription = await subscribe(client)
    faults = {"too_many_requests": 1, "retry_after_seconds": 7, "slow_seconds": 3}
    await client.post("/api/faults", json=faults)
    path = subscription["endpoint"].removeprefix(origin_of(subscription))

    async with client.post(path) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "7")

    assert clock.naps == [3.0]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"applicationServerKey":"AAAA"}', b"\xff"])
async def test_no_subscription_without_a_key(client: Client, body: bytes) -> None:
    """Without one anybody could push."""
    async with client.post("/api/subscriptions", data=body) as answer:
        assert answer.status == 400


async def test_opens_the_example_of_the_rfc() -> None:
    """RFC 8291, section 5 and appendix A, letter by letter."""
    private = decode("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94")
    receiver = Receiver(
        key=ec.derive_private_key(int.from_bytes(private), ec.SECP256R1()),
        auth=decode("BTBZMqHH6r4Tts7J_aSIgg"),
    )
    body = decode(
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYW"
        "AmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgS"
        "xsj_Qulcy4a-fN"
    )

    assert receiver.open(body) == b"When I grow up, I want to be a watermelon"
    for damaged in (body[:50], body[:-1] + b"\0", bytes(16) + body[16:], b""):
        with pytest.raises(UnopenedError):
            receiver.open(damaged)


def test_base64url_comes_with_and_without_padding() -> None:
    """Browsers leave it out, some libraries do not."""
    content = bytes(range(10))

    assert decode(encode(content)) == content
    assert decode(base64.urlsafe_b64encode(content).decode()) == content
