"""What a person wants to be told, by which channel, of whose invoices, and when not."""

from aiohttp import web

from gateway.api.devices import DevicePages, Reach
from gateway.api.forgery import Form, read_form
from gateway.api.language import say
from gateway.api.letters import tell_contact
from gateway.api.site import require_citizen, see_other, site_of
from gateway.api.web import page, render
from gateway.ports import (
    WISHES,
    Citizen,
    Notifications,
    Portal,
    Preferences,
    QuietHours,
    ServiceUnavailableError,
    Wish,
)
from shared.events.contact_updated import Choice
from shared.http import Operation
from shared.problem import ProblemError

PATH = "/compte/alertes"
HALF_HOURS = tuple(f"{hour:02d}:{minute:02d}" for hour in range(24) for minute in (0, 30))
NIGHT = QuietHours(quiet_from="21:00", quiet_until="08:00")
"""What the form proposes to who has chosen no hours yet."""


class Alerts:
    """The preference centre, and the devices of the account on the same page."""

    def __init__(self, notifications: Notifications) -> None:
        """Ask `notifications` for devices."""
        self._notifications = notifications
        self._devices = DevicePages(notifications, self.alerts_page)

    async def get_alerts(self, request: web.Request) -> web.Response:
        """Show what the person wants to be told, and where notifications arrive."""
        return await self.alerts_page(request)

    async def alerts_page(
        self, request: web.Request, *, status: int = 200, error: str = ""
    ) -> web.Response:
        """Return the page, with what was wrong with something done on it."""
        citizen = require_citizen(request)
        async with site_of(request).open_portal() as portal:
            preferences = await portal.preferences(citizen.account_id)
            names = await _authorities(portal, citizen, preferences)
        return render(
            request,
            "alerts.html",
            status=status,
            error=error,
            wanted=preferences.wanted(),
            authorities=sorted(names.items(), key=lambda item: item[1].lower()),
            exceptions=preferences.authorities,
            quiet=preferences.quiet,
            hours=preferences.quiet or NIGHT,
            half_hours=HALF_HOURS,
            is_verified=citizen.is_verified,
            reach=await self._reach(request, citizen),
            done=request.query.get("fait", ""),
        )

    async def post_alerts(self, request: web.Request) -> web.StreamResponse:
        """Keep what is wanted of all authorities, and the hours of silence."""
        citizen = require_citizen(request)
        form = await read_form(request)
        quiet = _hours(form)
        if quiet is not None and not _are_two_hours(quiet):
            error = say(request, "Écrivez deux heures différentes, par exemple 21:00 et 08:00.")
            return await self.alerts_page(request, status=422, error=error)
        async with site_of(request).open_portal() as portal:
            before = await portal.preferences(citizen.account_id)
            await portal.keep_choices(citizen.account_id, _choices(request, form, None))
            await portal.keep_quiet_hours(citizen.account_id, quiet)
            await _tell_changes(request, portal, citizen, before)
        return see_other(f"{PATH}?fait=choix")

    async def get_authority(self, request: web.Request) -> web.Response:
        """Show what is wanted of one authority."""
        citizen = require_citizen(request)
        authority = request.match_info["authority"]
        async with site_of(request).open_portal() as portal:
            preferences = await portal.preferences(citizen.account_id)
            name = await _known(request, portal, citizen, preferences)
        return render(
            request,
            "alerts_of.html",
            authority=authority,
            name=name,
            wanted=preferences.wanted(authority),
            is_exception=authority in preferences.authorities,
        )

    async def post_authority(self, request: web.Request) -> web.StreamResponse:
        """Keep what is wanted of one authority; or let it follow the default again."""
        citizen = require_citizen(request)
        authority = request.match_info["authority"]
        form = await read_form(request)
        async with site_of(request).open_portal() as portal:
            before = await portal.preferences(citizen.account_id)
            await _known(request, portal, citizen, before)
            if form.get("suivre"):
                await portal.forget_choices(citizen.account_id, authority)
            else:
                choices = _choices(request, form, authority)
                await portal.keep_choices(citizen.account_id, choices)
            await _tell_changes(request, portal, citizen, before)
        return see_other(f"{PATH}?fait=choix")

    async def _reach(self, request: web.Request, citizen: Citizen) -> Reach | None:
        """Return the devices; None when notification does not answer, and the rest stands."""
        try:
            return await self._devices.reach(request, citizen.account_id)
        except ServiceUnavailableError:
            return None

    def operations(self) -> list[Operation]:
        """Return what is served."""
        one = f"{PATH}/collectivites/{{authority}}"
        return [
            page("GET", PATH, self.get_alerts, "What the person wants to be told."),
            page("POST", PATH, self.post_alerts, "Keep it."),
            page("GET", one, self.get_authority, "What is wanted of one authority."),
            page("POST", one, self.post_authority, "Keep it, or follow the default again."),
            *self._devices.operations(),
        ]


async def _authorities(
    portal: Portal, citizen: Citizen, preferences: Preferences
) -> dict[str, str]:
    """Return the names of the authorities of the person's invoices, and of their exceptions."""
    invoices = await portal.own_invoices(citizen.account_id)
    names = {authority: authority for authority in preferences.authorities}
    return names | {invoice.authority: invoice.authority_name for invoice in invoices}


async def _known(
    request: web.Request, portal: Portal, citizen: Citizen, preferences: Preferences
) -> str:
    """Return the name of the authority of the address.

    Raises:
        ProblemError: 404, the person has nothing of it: nobody fills the table with names.
    """
    names = await _authorities(portal, citizen, preferences)
    name = names.get(request.match_info["authority"])
    if name is None:
        sentence = say(request, "Votre compte n’a aucune facture de cette collectivité.")
        raise ProblemError(404, "unknown-authority", sentence)
    return name


async def _tell_changes(
    request: web.Request, portal: Portal, citizen: Citizen, before: Preferences
) -> None:
    """Tell notification, unless everything is as it was."""
    if await portal.preferences(citizen.account_id) != before:
        await tell_contact(request, portal, citizen.account_id)


def _choices(request: web.Request, form: Form, authority: str | None) -> list[Choice]:
    """Return the boxes of a form: what is not ticked is not wanted.

    Raises:
        ProblemError: 400, a box is none of ours.
    """
    ticked = frozenset(form.all("choix"))
    names: dict[str, Wish] = {f"{event}.{channel}": (event, channel) for event, channel in WISHES}
    if ticked - names.keys():
        sentence = say(request, "Le formulaire reçu n’est pas lisible.")
        raise ProblemError(400, "unreadable-form", sentence)
    return [
        Choice(event=event, channel=channel, authority=authority, wanted=name in ticked)
        for name, (event, channel) in names.items()
    ]


def _hours(form: Form) -> QuietHours | None:
    """Return the hours of silence as they were typed, or None when there are to be none."""
    if not form.get("calme"):
        return None
    return QuietHours(quiet_from=form.get("de"), quiet_until=form.get("a"))


def _are_two_hours(quiet: QuietHours) -> bool:
    ends = {quiet.quiet_from, quiet.quiet_until}
    return ends <= set(HALF_HOURS) and len(ends) == 2
