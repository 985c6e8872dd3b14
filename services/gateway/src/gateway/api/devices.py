"""The devices on which a person is notified: added by their own browser, tried out, removed."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Protocol
from uuid import UUID, uuid4, uuid5

import msgspec
import structlog
from aiohttp import web

from gateway.api.facts import browser_of
from gateway.api.forgery import read_form
from gateway.api.language import language_of, say
from gateway.api.site import require_citizen, see_other, site_of
from gateway.api.throttling import by_name, knock
from gateway.api.web import page
from gateway.ports import (
    Device,
    Notifications,
    RefusedError,
    ServiceUnavailableError,
    Subscription,
)
from shared.http import Operation
from shared.problem import ProblemError

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

PATH = "/compte/alertes/appareils"
LONGEST_ENDPOINT = 1000
PUBLIC_POINT = re.compile(r"[A-Za-z0-9_-]{87}=?")
"""65 bytes in base64url: an uncompressed point of P-256 (RFC 8291, section 2.1)."""
SECRET = re.compile(r"[A-Za-z0-9_-]{22}(==)?")
"""16 bytes in base64url (RFC 8291, section 3.2)."""
COOKIE_SECONDS = 400 * 24 * 3600
"""As long as browsers keep a cookie at most (RFC 6265bis, section 5.5)."""


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """Where notifications reach a person, and what this browser needs to be one of them."""

    push_key: str = ""
    """Empty where this installation pushes nothing."""
    devices: tuple[Device, ...] = ()
    here: UUID | None = None
    """The device that is this browser, when it is one of them."""


class AlertsPage(Protocol):
    """Returns the page of alerts, with what was wrong."""

    def __call__(
        self, request: web.Request, *, status: int = 200, error: str = ""
    ) -> Awaitable[web.Response]:
        """Return it."""
        ...


class DevicePages:
    """Forms about devices; notification keeps them, always under the account of the session."""

    def __init__(self, notifications: Notifications, alerts_page: AlertsPage) -> None:
        """Tell `notifications`; show what went wrong on `alerts_page`."""
        self._notifications = notifications
        self._alerts_page = alerts_page

    async def reach(self, request: web.Request, account_id: UUID) -> Reach:
        """Return the devices of an account.

        Raises:
            ServiceUnavailableError: notification does not answer.
        """
        try:
            key, devices = await asyncio.gather(
                self._notifications.push_key(), self._notifications.devices(account_id)
            )
        except RefusedError as error:
            # It has no key: this installation pushes nothing.
            logger.info("no pushes here", code=error.code)
            return Reach()
        here = _device_of(request, account_id)
        is_known = here in {device.device_id for device in devices}
        return Reach(push_key=key, devices=tuple(devices), here=here if is_known else None)

    async def post_device(self, request: web.Request) -> web.StreamResponse:
        """Notify the person on this browser from now on."""
        citizen = require_citizen(request)
        form = await read_form(request)
        subscription = Subscription(
            endpoint=form.get("endpoint"),
            p256dh=form.get("p256dh"),
            auth=form.get("auth"),
            label=_label(request),
            language=language_of(request),
        )
        if not is_whole(subscription):
            return await self._alerts_page(request, status=422, error=_not_kept(request))
        await knock(request, by_name("device", str(citizen.account_id)))
        secret = _cookie(request) or uuid4()
        device_id = uuid5(secret, str(citizen.account_id))

        async def keep() -> None:
            await self._notifications.keep_device(citizen.account_id, device_id, subscription)

        answer = await self._after(request, keep, "appareil")
        if answer.status == 303 and isinstance(answer, web.Response):
            site = site_of(request)
            site.keep(answer, site.push_cookie, str(secret), COOKIE_SECONDS)
        return answer

    async def post_test(self, request: web.Request) -> web.StreamResponse:
        """Send a device something to show."""
        citizen = require_citizen(request)
        device_id = _asked(request)
        await knock(request, by_name("push-test", str(citizen.account_id)))

        async def test() -> None:
            await self._notifications.test_device(citizen.account_id, device_id)

        return await self._after(request, test, "essai")

    async def post_removal(self, request: web.Request) -> web.StreamResponse:
        """Notify the person on a device no longer."""
        citizen = require_citizen(request)
        device_id = _asked(request)

        async def remove() -> None:
            await self._notifications.remove_device(citizen.account_id, device_id)

        return await self._after(request, remove, "retire")

    async def _after(
        self, request: web.Request, act: Callable[[], Awaitable[None]], done: str
    ) -> web.StreamResponse:
        """Ask notification for something and go back to the page, which says how it went.

        Raises:
            ProblemError: 404, the device is not this account's or does not exist.
        """
        try:
            await act()
        except ServiceUnavailableError:
            sentence = say(
                request,
                "Le service des notifications ne répond pas : rien n’a changé. Réessayez plus"
                " tard.",
            )
            return await self._alerts_page(request, status=503, error=sentence)
        except RefusedError as error:
            if error.status == 404:
                raise _unknown(request) from error
            return await self._alerts_page(request, status=422, error=_not_kept(request))
        return see_other(f"/compte/alertes?fait={done}")

    def operations(self) -> list[Operation]:
        """Return what is served."""
        one = f"{PATH}/{{device_id}}"
        return [
            page("POST", PATH, self.post_device, "Notify the person on this browser."),
            page("POST", f"{one}/essai", self.post_test, "Try a device out."),
            page("POST", f"{one}/retirer", self.post_removal, "Remove a device."),
        ]


def is_whole(subscription: Subscription) -> bool:
    """Tell whether a subscription has the shape of a browser's.

    Which push services may be called is notification's to say, which calls them (ASVS 1.3.6).
    """
    endpoint = subscription.endpoint
    is_address = endpoint.startswith(("https://", "http://")) and endpoint.isascii()
    return (
        is_address
        and endpoint.isprintable()
        and len(endpoint) <= LONGEST_ENDPOINT
        and PUBLIC_POINT.fullmatch(subscription.p256dh) is not None
        and SECRET.fullmatch(subscription.auth) is not None
    )


def _label(request: web.Request) -> str:
    return browser_of(request.headers.get("User-Agent", "")) or say(request, "Navigateur")


def _cookie(request: web.Request) -> UUID | None:
    try:
        return UUID(request.cookies.get(site_of(request).push_cookie, ""))
    except ValueError:
        return None


def _device_of(request: web.Request, account_id: UUID) -> UUID | None:
    """Return the name of this browser among the account's devices.

    It differs by account: two people who share a browser share no device.
    """
    secret = _cookie(request)
    return uuid5(secret, str(account_id)) if secret else None


def _asked(request: web.Request) -> UUID:
    try:
        return UUID(request.match_info["device_id"])
    except ValueError as error:
        raise _unknown(request) from error


def _unknown(request: web.Request) -> ProblemError:
    sentence = say(request, "Cet appareil n’est pas dans votre compte.")
    return ProblemError(404, "unknown-device", sentence)


def _not_kept(request: web.Request) -> str:
    return say(
        request,
        "Cet appareil n’a pas pu être ajouté : son navigateur passe par un service de notification"
        " que nous ne connaissons pas, ou sa demande était incomplète.",
    )
