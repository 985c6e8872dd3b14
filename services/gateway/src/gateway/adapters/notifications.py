"""Notification, asked over HTTP for the devices of an account."""

from collections.abc import Callable
from uuid import UUID

import aiohttp
import msgspec

from gateway.adapters.calls import QUICK, Calls
from gateway.ports import Device, Subscription


class PushKey(msgspec.Struct, frozen=True, kw_only=True):
    """The public key with which browsers subscribe."""

    key: str


class DeviceList(msgspec.Struct, frozen=True, kw_only=True):
    """The devices of an account."""

    devices: tuple[Device, ...]


class NotificationService(Calls):
    """Calls to notification with the gateway's own token; see `ports.Notifications`."""

    def __init__(
        self, session: aiohttp.ClientSession, token: Callable[[], str], notification_url: str
    ) -> None:
        """Call through `session`, with what `token` returns."""
        super().__init__(session, token)
        self._url = f"{notification_url.rstrip('/')}/v1"

    async def push_key(self) -> str:
        """Return the public key with which browsers subscribe (RFC 8292)."""
        found = await self._call("GET", f"{self._url}/push-key", PushKey, timeout=QUICK)
        return found.key

    async def devices(self, account_id: UUID) -> list[Device]:
        """Return the devices of an account."""
        address = f"{self._url}/accounts/{account_id}/devices"
        found = await self._call("GET", address, DeviceList, timeout=QUICK)
        return list(found.devices)

    async def keep_device(
        self, account_id: UUID, device_id: UUID, subscription: Subscription
    ) -> None:
        """Keep a device, in place of what was known of it."""
        await self._tell("PUT", account_id, device_id, body=subscription)

    async def remove_device(self, account_id: UUID, device_id: UUID) -> None:
        """Forget a device."""
        await self._tell("DELETE", account_id, device_id)

    async def test_device(self, account_id: UUID, device_id: UUID) -> None:
        """Send a device something to show."""
        await self._tell("POST", account_id, device_id, "/test")

    async def _tell(
        self,
        method: str,
        account_id: UUID,
        device_id: UUID,
        after: str = "",
        *,
        body: object = None,
    ) -> None:
        address = f"{self._url}/accounts/{account_id}/devices/{device_id}{after}"
        async with self._answer(method, address, body=body):
            pass
