"""What a push service receives: encrypted for the device alone, signed, with nothing followed."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import BaseTestServer, TestServer
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from notification.adapters.web_push import KEPT_WORDS, VapidKey, WebPushService
from notification.domain import Device, Subscription, device_of
from notification.ports import PushAnswer, SilentError, UnwritableError
from shared.addresses import Rule
from shared.clock import FixedClock
from shared.errors import SettingsError
from simulators.push.app import create_app
from tests.unit.notification.notification_builders import INVOICE_ID, NOW, a_device, a_push

pytestmark = pytest.mark.enable_socket

CONTACT = "mailto:exploitation@exemple.test"
PRIVATE = ec.derive_private_key(7, ec.SECP256R1())
PEM = PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
DER = PRIVATE.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
SCALAR = base64.urlsafe_b64encode((7).to_bytes(32)).decode().rstrip("=")
LOCAL = Rule(allows_private=True, allowed_hosts=("127.0.0.1",))


class Vendor:
    """A push service that answers as told and keeps what it was asked."""

    def __init__(self) -> None:
        self.answer = web.Response(status=201)
        self.headers: list[dict[str, str]] = []
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._take)
        self.server = TestServer(application)

    async def _take(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        return self.answer

    def device(self) -> Device:
        return a_device(endpoint=f"http://127.0.0.1:{self.server.port}/push/1")


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    made = Vendor()
    async with made.server:
        yield made


async def send(
    device: Device,
    rule: Rule = LOCAL,
    *,
    answers: Sequence[str] = ("127.0.0.1",),
    timeout_seconds: float = 5.0,
) -> PushAnswer:
    service = WebPushService(
        VapidKey(PEM, CONTACT),
        rule,
        FixedClock(NOW),
        calls=2,
        lookup=lambda _host: list(answers),
        timeout_seconds=timeout_seconds,
    )
    try:
        return await service.send(a_push(device), device)
    finally:
        await service.close()


async def test_a_strict_push_service_takes_it_and_the_browser_opens_it() -> None:
    """RFC 8030, 8291 and 8292 together: the receiver is written from the RFCs, not our library."""
    key = VapidKey(PEM, CONTACT)
    async with TestServer(create_app()) as server:
        base = f"http://127.0.0.1:{server.port}"
        subscribed = await _post(server, "/api/subscriptions", {"applicationServerKey": key.public})
        subscription = Subscription(
            endpoint=subscribed["endpoint"], **subscribed["keys"], language="en"
        )
        device = device_of(a_device().name, subscription, LOCAL, NOW)

        answer = await send(device)

        [taken] = await _get(server, "/api/pushes")
    assert answer.status == 201
    assert taken["problem"] == ""
    assert taken["content"] == {
        "kind": "invoice",
        "url": f"/factures/{INVOICE_ID}",
        "tag": a_push().topic,
        "language": "en",
    }
    assert (taken["ttl"], taken["urgency"], taken["topic"]) == (604800, "normal", a_push().topic)
    assert taken["sender"]["subject"] == CONTACT
    assert taken["sender"]["audience"] == base
    assert taken["sender"]["key"] == key.public


async def test_two_pushes_of_the_same_content_look_nothing_alike() -> None:
    """A key and a salt of its own for each: nobody on the way can tell that they are the same."""
    key = VapidKey(PEM, CONTACT)
    bodies: list[bytes] = []

    async def take(request: web.Request) -> web.Response:
        bodies.append(await request.read())
        return web.Response(status=201)

    application = web.Application()
    application.router.add_post("/push/1", take)
    async with TestServer(application) as server:
        device = a_device(endpoint=f"http://127.0.0.1:{server.port}/push/1")
        await send(device)
        await send(device)

    assert len(bodies) == 2
    assert bodies[0][:16] != bodies[1][:16]
    assert bodies[0][21:86] != bodies[1][21:86]
    assert key.public not in str(bodies)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_follows_no_redirect(vendor: Vendor, status: int) -> None:
    """S18: where it leads nobody judged."""
    vendor.answer = web.Response(status=status, headers={"Location": "http://127.0.0.1:1/"})

    answer = await send(vendor.device())

    assert answer.status == status
    assert len(vendor.headers) == 1


async def test_reads_little_of_an_answer(vendor: Vendor) -> None:
    """S18: however long it is."""
    vendor.answer = web.Response(status=400, text="x" * 1_000_000)

    answer = await send(vendor.device())

    assert (answer.status, answer.words) == (400, "x" * KEPT_WORDS)


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("120", timedelta(seconds=120)),
        ("Tue, 24 Nov 2026 13:06:00 GMT", timedelta(minutes=1)),
        ("99999999999999999999", timedelta(seconds=10**8)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", timedelta(seconds=10**8)),
        ("Fri, 31 Dec 9999 23:59:59 -2359", timedelta(seconds=10**8)),
        ("Mon, 01 Jan 2026 00:00:00 +99999999999999", None),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
async def test_reads_how_long_to_wait(vendor: Vendor, header: str, wait: timedelta | None) -> None:
    """RFC 9110, 10.2.3: seconds or a date; nonsense is as if nothing were said."""
    vendor.answer = web.Response(status=429, headers={"Retry-After": header} if header else {})

    answer = await send(vendor.device())

    assert (answer.status, answer.retry_after) == (429, wait)


async def test_gives_up_on_one_that_does_not_answer() -> None:
    """The time is for the whole call."""

    async def never(_request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        return web.Response()

    application = web.Application()
    application.router.add_post("/push/1", never)
    async with TestServer(application) as server:
        device = a_device(endpoint=f"http://127.0.0.1:{server.port}/push/1")

        with pytest.raises(SilentError, match=r"no answer in 0\.1 s"):
            await send(device, timeout_seconds=0.1)


async def test_a_closed_door_is_a_silence() -> None:
    """It may open again: the push is tried later."""
    with pytest.raises(SilentError):
        await send(a_device(endpoint="http://127.0.0.1:1/push/1"))


@pytest.mark.parametrize(
    ("endpoint", "addresses"),
    [
        ("https://push.exemple.test/1", ("10.0.0.7",)),
        ("https://push.exemple.test/1", ("93.184.216.34", "127.0.0.1")),
        ("https://push.exemple.test/1", ("169.254.169.254",)),
        ("https://push.exemple.test/1", ("::1",)),
    ],
)
async def test_a_listed_name_that_leads_inside_is_not_connected_to(
    endpoint: str, addresses: Sequence[str]
) -> None:
    """S18: the name is resolved and judged at the moment of the call."""
    rule = Rule(allowed_hosts=("push.exemple.test",))

    with pytest.raises(SilentError, match="adresse publique"):
        await send(a_device(endpoint=endpoint), rule, answers=addresses)


async def test_an_endpoint_that_is_no_longer_listed_is_not_called(vendor: Vendor) -> None:
    """The list may have become shorter since the device was registered."""
    with pytest.raises(UnwritableError):
        await send(vendor.device(), Rule(allowed_hosts=("fcm.googleapis.com",)))

    assert vendor.headers == []


async def test_keys_that_were_damaged_end_the_push_and_not_the_service(vendor: Vendor) -> None:
    """Nothing leaves unencrypted."""
    with pytest.raises(UnwritableError):
        await send(msgspec.structs.replace(vendor.device(), p256dh=b"\x04" + bytes(64)))

    assert vendor.headers == []


async def test_signs_once_for_many_pushes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signature costs more than an encryption; it holds for half a day (RFC 8292: 24 h)."""
    key = VapidKey(PEM, CONTACT)
    first = key.authorization("https://a.exemple.test")
    again = key.authorization("https://a.exemple.test")
    other = key.authorization("https://b.exemple.test")
    signed = {name: (0.0, header) for name, (_, header) in key._signed.items()}
    monkeypatch.setattr(key, "_signed", signed)

    renewed = key.authorization("https://a.exemple.test")

    assert first == again
    assert len({first, other, renewed}) == 3
    claims = json.loads(base64.urlsafe_b64decode(first.split(".")[1] + "=="))
    assert claims["aud"] == "https://a.exemple.test"
    expires = datetime.fromtimestamp(claims["exp"], UTC) - datetime.now(UTC)
    assert timedelta(hours=11) < expires < timedelta(hours=24)


@pytest.mark.parametrize(
    "text", [PEM, SCALAR, SCALAR + "=", base64.urlsafe_b64encode(DER).decode()]
)
def test_reads_a_key_however_tools_write_it(text: str) -> None:
    """PEM of openssl, base64url of the web-push tools."""
    assert VapidKey(text, CONTACT).public == VapidKey(PEM, CONTACT).public


@pytest.mark.parametrize(
    ("text", "contact"),
    [
        ("nonsense!", CONTACT),
        ("AAAA", CONTACT),
        (base64.urlsafe_b64encode(bytes(32)).decode(), CONTACT),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", CONTACT),
        (
            rsa.generate_private_key(65537, 2048)
            .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            .decode(),
            CONTACT,
        ),
        (
            ec.generate_private_key(ec.SECP384R1())
            .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            .decode(),
            CONTACT,
        ),
        (PEM, ""),
        (PEM, "exploitation@exemple.test"),
    ],
)
def test_refuses_a_key_or_a_contact_that_cannot_work(text: str, contact: str) -> None:
    """Said at the start, not at the first push."""
    with pytest.raises(SettingsError, match="VAPID_"):
        VapidKey(text, contact)


async def _post(server: BaseTestServer, path: str, content: object) -> Any:
    async with ClientSession() as session, session.post(server.make_url(path), json=content) as r:
        return await r.json()


async def _get(server: BaseTestServer, path: str) -> Any:
    async with ClientSession() as session, session.get(server.make_url(path)) as answer:
        return await answer.json()
