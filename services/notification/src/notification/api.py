"""The doors of the gateway: the devices of accounts, and the key that browsers subscribe with."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec
from aiohttp import web

from notification.domain import (
    DEVICES_AT_MOST,
    Device,
    DeviceName,
    Subscription,
    UnusableSubscriptionError,
    device_of,
)
from notification.ports import Devices
from shared.addresses import Rule
from shared.clock import Clock
from shared.http import HttpHandler, Operation, ProblemError, json_response, principal, read_json

SCOPE = "devices:write"


class PushKey(msgspec.Struct, frozen=True, kw_only=True):
    """The public key with which browsers subscribe (RFC 8292, section 3.2)."""

    key: str


class ShownDevice(msgspec.Struct, frozen=True, kw_only=True):
    """A device as its owner sees it: neither its endpoint nor its keys ever come back."""

    device_id: UUID
    label: str
    language: str
    created_at: datetime
    last_sent_at: datetime | None


class DeviceList(msgspec.Struct, frozen=True, kw_only=True):
    """The devices of an account, the oldest first."""

    devices: tuple[ShownDevice, ...]


class DeviceDoors:
    """The operations, over what stands behind them; `push_key` is empty where nothing is pushed."""

    def __init__(self, devices: Devices, rule: Rule, clock: Clock, push_key: str) -> None:
        """Take subscriptions to the push services of `rule`."""
        self._devices = devices
        self._rule = rule
        self._clock = clock
        self._push_key = push_key

    async def get_push_key(self, request: web.Request) -> web.Response:
        """Return the key that browsers subscribe with."""
        _require_own(request)
        self._require_pushes()
        return json_response(PushKey(key=self._push_key))

    async def get_devices(self, request: web.Request) -> web.Response:
        """List the devices of an account."""
        _require_own(request)
        devices = await self._devices.of_account(_id(request, "account_id"))
        return json_response(DeviceList(devices=tuple(_shown(device) for device in devices)))

    async def put_device(self, request: web.Request) -> web.Response:
        """Keep a device in place of an earlier one of its name."""
        _require_own(request)
        self._require_pushes()
        subscription = await read_json(request, Subscription)
        try:
            device = device_of(_name(request), subscription, self._rule, self._clock.now())
        except UnusableSubscriptionError as error:
            raise ProblemError(422, error.slug, str(error), pointer=error.pointer) from error
        await self._devices.register(device, at_most=DEVICES_AT_MOST)
        return web.Response(status=204)

    async def delete_device(self, request: web.Request) -> web.Response:
        """Forget a device."""
        _require_own(request)
        if not await self._devices.remove(_name(request)):
            raise _unknown()
        return web.Response(status=204)

    async def post_test(self, request: web.Request) -> web.Response:
        """Have a push sent to a device for trial."""
        _require_own(request)
        self._require_pushes()
        if not await self._devices.try_out(_name(request)):
            raise _unknown()
        return web.Response(status=202)

    def _require_pushes(self) -> None:
        if not self._push_key:
            detail = "Cette installation n’envoie pas de notifications."
            raise ProblemError(404, "no-pushes", detail)


def operations(doors: DeviceDoors) -> list[Operation]:
    """Return what is served."""
    account = "/v1/accounts/{account_id}/devices"
    device = account + "/{device_id}"
    key, listed = {200: PushKey}, {200: DeviceList}
    return [
        _operation("GET", "/v1/push-key", doors.get_push_key, responses=key),
        _operation("GET", account, doors.get_devices, responses=listed),
        _operation("PUT", device, doors.put_device, request=Subscription),
        _operation("DELETE", device, doors.delete_device),
        _operation("POST", device + "/test", doors.post_test),
    ]


def _operation(
    method: str,
    path: str,
    handler: HttpHandler,
    *,
    request: type | None = None,
    responses: Mapping[int, type | str] | None = None,
) -> Operation:
    return Operation(
        method=method,
        path=path,
        handler=handler,
        summary=(handler.__doc__ or "").splitlines()[0],
        scope=SCOPE,
        request=request,
        responses=responses or {},
    )


def _require_own(request: web.Request) -> None:
    """Let in Quittance's own services only: an account is of no authority."""
    if principal(request).authority:
        detail = "Cette adresse est réservée aux services de Quittance."
        raise ProblemError(403, "not-for-authorities", detail)


def _name(request: web.Request) -> DeviceName:
    return (_id(request, "account_id"), _id(request, "device_id"))


def _id(request: web.Request, name: str) -> UUID:
    try:
        return UUID(request.match_info[name])
    except ValueError as error:
        raise _unknown() from error


def _unknown() -> ProblemError:
    return ProblemError(404, "unknown-device", "Cet appareil n’est pas connu.")


def _shown(device: Device) -> ShownDevice:
    return ShownDevice(
        device_id=device.device_id,
        label=device.label,
        language=device.language,
        created_at=device.registered_at,
        last_sent_at=device.last_sent_at,
    )
