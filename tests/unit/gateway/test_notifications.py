"""Notification over HTTP: its doors, the gateway's token, refusals and outages."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.adapters.notifications import NotificationService
from gateway.ports import Device, RefusedError, ServiceUnavailableError, Subscription

pytestmark = pytest.mark.enable_socket

ACCOUNT_ID = UUID("00000000-0000-4000-8000-000000000001")
DEVICE_ID = UUID("00000000-0000-4000-8000-000000000002")
ONE = f"/v1/accounts/{ACCOUNT_ID}/devices/{DEVICE_ID}"
SUBSCRIPTION = Subscription(
    endpoint="https://push.exemple.test/a", p256dh="b", auth="c", label="Firefox", language="fr"
)


class Answering:
    """A server that gives one answer to everything, and notes what it was asked."""

    def __init__(self) -> None:
        self.status, self.body = 200, "{}"
        self.asked: list[tuple[str, str, str, str]] = []

    async def answer(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "")
        self.asked.append((request.method, request.path, await request.text(), token))
        return web.Response(
            status=self.status, text=self.body or None, content_type="application/json"
        )


@pytest.fixture
def server() -> Answering:
    return Answering()


@pytest_asyncio.fixture
async def service(server: Answering) -> AsyncIterator[NotificationService]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.answer)
    async with TestServer(application) as running, aiohttp.ClientSession() as session:
        yield NotificationService(session, lambda: "a-token", str(running.make_url("/")))


async def test_the_key_is_asked_with_the_gateways_own_token(
    server: Answering, service: NotificationService
) -> None:
    """No service answers whoever comes."""
    server.body = '{"key":"BKey"}'

    assert await service.push_key() == "BKey"
    assert server.asked == [("GET", "/v1/push-key", "", "Bearer a-token")]


async def test_devices_are_read_as_notification_tells_them(
    server: Answering, service: NotificationService
) -> None:
    """Fields that are not known are left aside."""
    server.body = (
        f'{{"devices":[{{"device_id":"{DEVICE_ID}","label":"Firefox","language":"fr",'
        '"created_at":"2026-11-24T13:05:00Z","last_sent_at":null}]}'
    )

    assert await service.devices(ACCOUNT_ID) == [
        Device(
            device_id=DEVICE_ID,
            label="Firefox",
            created_at=datetime(2026, 11, 24, 13, 5, tzinfo=UTC),
        )
    ]


async def test_a_device_is_kept_removed_and_tried_out_under_its_account(
    server: Answering, service: NotificationService
) -> None:
    """204 and 202 are answers without a body."""
    server.status, server.body = 204, ""
    await service.keep_device(ACCOUNT_ID, DEVICE_ID, SUBSCRIPTION)
    await service.remove_device(ACCOUNT_ID, DEVICE_ID)
    server.status = 202
    await service.test_device(ACCOUNT_ID, DEVICE_ID)

    kept = (
        '{"endpoint":"https://push.exemple.test/a","p256dh":"b","auth":"c","label":"Firefox",'
        '"language":"fr"}'
    )
    assert [asked[:3] for asked in server.asked] == [
        ("PUT", ONE, kept),
        ("DELETE", ONE, ""),
        ("POST", f"{ONE}/test", ""),
    ]


@pytest.mark.parametrize("status", [400, 404, 409, 422])
async def test_a_refusal_keeps_its_status(
    server: Answering, service: NotificationService, status: int
) -> None:
    """The page tells a device that is not theirs from a service that is away."""
    server.status = status

    with pytest.raises(RefusedError) as refused:
        await service.test_device(ACCOUNT_ID, DEVICE_ID)

    assert refused.value.status == status


@pytest.mark.parametrize(("status", "body"), [(500, ""), (401, "{}"), (302, ""), (200, "<html>")])
async def test_an_outage_is_no_refusal(
    server: Answering, service: NotificationService, status: int, body: str
) -> None:
    """Nothing follows a redirect, and what is not understood counts as no answer."""
    server.status, server.body = status, body

    with pytest.raises(ServiceUnavailableError):
        await service.push_key()
