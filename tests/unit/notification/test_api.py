"""The doors: who may knock, whose devices they open, and that no input makes them fail."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from notification.api import DeviceDoors, operations
from notification.store import PostgresDevices
from shared.addresses import Rule
from shared.auth import InvalidTokenError, Principal
from shared.http import create_application
from shared.postgres import Database
from tests.unit.notification.notification_builders import (
    ACCOUNT_ID,
    NOW,
    OTHER_ACCOUNT_ID,
    a_contact,
)
from tests.unit.notification.test_devices import AUTH, POINT
from tests.unit.notification.test_store import rows, tell

pytestmark = [pytest.mark.enable_socket, pytest.mark.asyncio]

Client = TestClient[web.Request, web.Application]
GATEWAY = {"Authorization": "Bearer gateway"}
DEVICE_ID = UUID(int=5)
OF_ACCOUNT = f"/v1/accounts/{ACCOUNT_ID}/devices"
OF_ANOTHER = f"/v1/accounts/{OTHER_ACCOUNT_ID}/devices"
BODY = {
    "endpoint": "https://fcm.googleapis.com/fcm/send/abc",
    "p256dh": POINT,
    "auth": AUTH,
    "label": "Firefox, Android",
    "language": "en",
}
CALLS = [
    ("GET", "/v1/push-key"),
    ("GET", OF_ACCOUNT),
    ("PUT", f"{OF_ACCOUNT}/{DEVICE_ID}"),
    ("DELETE", f"{OF_ACCOUNT}/{DEVICE_ID}"),
    ("POST", f"{OF_ACCOUNT}/{DEVICE_ID}/test"),
]


class Tokens:
    """Knows the gateway, a biller that got the scope by mistake, and one without it."""

    async def authenticate(self, token: str) -> Principal:
        known = {
            "gateway": ("", {"devices:write"}),
            "biller": ("saint-aubin", {"devices:write"}),
            "other": ("", {"payments:write"}),
        }
        if token not in known:
            raise InvalidTokenError
        authority, scopes = known[token]
        return Principal(subject=token, authority=authority, regies=(), scopes=frozenset(scopes))


async def client_of(database: Database, push_key: str) -> Client:
    rule = Rule(allowed_hosts=("fcm.googleapis.com",))
    doors = DeviceDoors(PostgresDevices(database), rule, database.clock, push_key)
    application = create_application("notification", operations(doors), authenticator=Tokens())
    client = TestClient(TestServer(application))
    await client.start_server()
    return client


@pytest_asyncio.fixture
async def client(database: Database) -> AsyncIterator[Client]:
    """Return who knocks at a real store."""
    client = await client_of(database, "BKey")
    yield client
    await client.close()


async def call(
    client: Client, method: str, path: str, body: object = None, **options: Any
) -> tuple[int, Any]:
    """Return status and JSON of an answer."""
    headers = options.pop("headers", GATEWAY)
    async with client.request(method, path, json=body, headers=headers, **options) as answer:
        is_json = "json" in answer.content_type
        return answer.status, await answer.json() if is_json else None


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize(
    ("token", "status"), [("", 401), ("forged", 401), ("other", 403), ("biller", 403)]
)
async def test_opens_to_quittance_s_own_services_only(
    client: Client, database: Database, method: str, path: str, token: str, status: int
) -> None:
    """S12: an account is of no authority, so a token of one opens nothing, whatever its scopes."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}

    found, _ = await call(client, method, path, BODY, headers=headers)

    assert found == status
    assert await rows(database, "SELECT * FROM device") == []


async def test_keeps_shows_and_forgets_a_device(client: Client, database: Database) -> None:
    """Neither the endpoint nor a key ever comes back."""
    assert await call(client, "GET", "/v1/push-key") == (200, {"key": "BKey"})
    assert await call(client, "PUT", f"{OF_ACCOUNT}/{DEVICE_ID}", BODY) == (204, None)

    assert await call(client, "GET", OF_ACCOUNT) == (
        200,
        {
            "devices": [
                {
                    "device_id": str(DEVICE_ID),
                    "label": "Firefox, Android",
                    "language": "en",
                    "created_at": NOW.isoformat().replace("+00:00", "Z"),
                    "last_sent_at": None,
                }
            ]
        },
    )
    assert await call(client, "DELETE", f"{OF_ACCOUNT}/{DEVICE_ID}") == (204, None)
    assert await rows(database, "SELECT * FROM device") == []


async def test_putting_twice_is_the_same_as_once(client: Client, database: Database) -> None:
    """A browser says it at each visit."""
    for _ in range(2):
        assert await call(client, "PUT", f"{OF_ACCOUNT}/{DEVICE_ID}", BODY) == (204, None)

    assert await rows(database, "SELECT count(*) FROM device") == [(1,)]


async def test_one_account_s_devices_are_closed_to_another(
    client: Client, database: Database
) -> None:
    """IDOR: the same device under another account is another device, and unknown."""
    await call(client, "PUT", f"{OF_ACCOUNT}/{DEVICE_ID}", BODY)

    assert await call(client, "GET", OF_ANOTHER) == (200, {"devices": []})
    assert (await call(client, "DELETE", f"{OF_ANOTHER}/{DEVICE_ID}"))[0] == 404
    assert (await call(client, "POST", f"{OF_ANOTHER}/{DEVICE_ID}/test"))[0] == 404
    assert await rows(database, "SELECT account_id, device_id FROM device") == [
        (ACCOUNT_ID, DEVICE_ID)
    ]
    assert await rows(database, "SELECT * FROM push") == []


async def test_a_device_of_the_same_name_elsewhere_stays(
    client: Client, database: Database
) -> None:
    """Another account's device_id takes nothing away but a shared endpoint."""
    other = BODY | {"endpoint": "https://fcm.googleapis.com/fcm/send/other"}
    await call(client, "PUT", f"{OF_ACCOUNT}/{DEVICE_ID}", BODY)
    await call(client, "PUT", f"{OF_ANOTHER}/{DEVICE_ID}", other)

    assert len(await rows(database, "SELECT * FROM device")) == 2


async def test_a_trial_is_pushed_to_the_device(client: Client, database: Database) -> None:
    """It is written, and leaves by itself."""
    await call(client, "PUT", f"{OF_ACCOUNT}/{DEVICE_ID}", BODY)
    database.work_added.clear()

    assert await call(client, "POST", f"{OF_ACCOUNT}/{DEVICE_ID}/test") == (202, None)

    assert await rows(database, "SELECT kind, state, is_test FROM push") == [
        ("test", "waiting", True)
    ]
    assert database.work_added.is_set()


@pytest.mark.parametrize(
    ("changes", "status", "pointer"),
    [
        ({"endpoint": "https://169.254.169.254/"}, 422, "/endpoint"),
        ({"endpoint": "https://push.attaquant.example/"}, 422, "/endpoint"),
        ({"p256dh": "x"}, 422, "/p256dh"),
        ({"auth": "x"}, 422, "/auth"),
        ({"language": "xx"}, 422, "/language"),
        ({"auth": None}, 422, None),
        ({"label": 7}, 422, None),
    ],
)
async def test_refuses_a_subscription_that_cannot_be(
    client: Client, database: Database, changes: dict[str, Any], status: int, pointer: str | None
) -> None:
    """Says which part, and keeps nothing."""
    found, problem = await call(client, "PUT", f"{OF_ACCOUNT}/{DEVICE_ID}", BODY | changes)

    assert found == status
    assert problem.get("pointer") == pointer
    assert await rows(database, "SELECT * FROM device") == []


async def test_refuses_one_device_too_many(client: Client, database: Database) -> None:
    """Twenty-one telephones are a mistake, or somebody filling the table."""
    for rank in range(20):
        body = BODY | {"endpoint": f"https://fcm.googleapis.com/{rank}"}
        assert (await call(client, "PUT", f"{OF_ACCOUNT}/{UUID(int=100 + rank)}", body))[0] == 204

    found, problem = await call(client, "PUT", f"{OF_ACCOUNT}/{DEVICE_ID}", BODY)

    assert (found, problem["code"]) == (409, "too-many-devices")
    assert await rows(database, "SELECT count(*) FROM device") == [(20,)]


async def test_refuses_devices_of_a_closed_account(client: Client, database: Database) -> None:
    """A page that was still open must not bring the account back."""
    await tell(database, a_contact(None))

    found, problem = await call(client, "PUT", f"{OF_ACCOUNT}/{DEVICE_ID}", BODY)

    assert (found, problem["code"]) == (409, "account-closed")
    assert await rows(database, "SELECT * FROM device") == []


@pytest.mark.parametrize(
    "path", ["/v1/accounts/x/devices", f"{OF_ACCOUNT}/../x", f"{OF_ACCOUNT}/x"]
)
async def test_a_name_that_is_none_is_unknown(client: Client, path: str) -> None:
    """Never a failure of the service."""
    method = "GET" if path.endswith("devices") else "DELETE"

    assert (await call(client, method, path))[0] == 404


async def test_says_where_nothing_is_pushed(database: Database) -> None:
    """Without a key of ours no browser can subscribe; devices are still listed and forgotten."""
    client = await client_of(database, "")

    assert (await call(client, "GET", "/v1/push-key"))[1]["code"] == "no-pushes"
    assert (await call(client, "PUT", f"{OF_ACCOUNT}/{DEVICE_ID}", BODY))[0] == 404
    assert await call(client, "GET", OF_ACCOUNT) == (200, {"devices": []})
    await client.close()
