"""Second factors: the list, adding an application, removing one, recovery codes."""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from aiohttp import web

from gateway.adapters.totp import code_svg, grouped, new_secret, period_of
from gateway.api.entry import enter, tell
from gateway.api.forgery import read_form
from gateway.api.holders import (
    NEW_AGENTS,
    PLACES,
    Holder,
    Place,
    ask_again,
    holder_of,
    place_of,
)
from gateway.api.language import say
from gateway.api.proving import (
    digits_of,
    new_recovery_codes,
    shown_recovery_code,
    vault_of,
)
from gateway.api.site import see_other, site_of
from gateway.api.throttling import alarm, by_address, by_name, knock
from gateway.api.web import page, render
from gateway.ports import Portal
from shared.http import Operation
from shared.problem import ProblemError

AT_MOST = 10
"""Second factors of one person: nobody needs more, and each is tried at a login."""
LONGEST_LABEL = 60
ENOUGH_CODES = 3

Add = Callable[[Portal], Awaitable[bool]]


class Factors:
    """Pages of second factors, in each place that has them."""

    async def get_factors(self, request: web.Request) -> web.StreamResponse:
        """Show what proves somebody's identity, and what can be added."""
        place, holder = place_of(request), await holder_of(request)
        async with site_of(request).open_portal() as portal:
            factors = await portal.factors(holder.owner)
            codes_left = await portal.recovery_codes_left(holder.owner)
        return render(
            request,
            "security.html",
            place=place,
            owner=holder.owner,
            factors=factors,
            codes_left=codes_left,
            has_few_codes=codes_left <= ENOUGH_CODES,
            done=request.query.get("fait", ""),
            is_new_agent=place is NEW_AGENTS,
            is_full=len(factors) >= AT_MOST,
        )

    async def post_application(self, request: web.Request) -> web.StreamResponse:
        """Draw the secret of an application and show it."""
        place, holder = place_of(request), await holder_of(request)
        if not holder.is_fresh:
            return ask_again(place, place.base)
        sealed = vault_of(request).seal(new_secret().encode())
        site = site_of(request)
        async with site.open_portal() as portal:
            await portal.start_totp(holder.secret, sealed, site.clock.now())
        return see_other(f"{place.base}/application")

    async def get_application(self, request: web.Request) -> web.StreamResponse:
        """Show the secret that waits to be confirmed, as a picture and as text."""
        place, holder = place_of(request), await holder_of(request)
        secret = await _started(request, holder)
        return _application_page(request, place, secret) if secret else see_other(place.base)

    async def get_picture(self, request: web.Request) -> web.StreamResponse:
        """Show the picture that an application reads."""
        holder = await holder_of(request)
        secret = await _started(request, holder)
        if secret is None:
            raise web.HTTPNotFound
        picture = code_svg(secret, holder.name or say(request, "Mon compte"))
        return web.Response(body=picture, content_type="image/svg+xml")

    async def post_confirmation(self, request: web.Request) -> web.StreamResponse:
        """Keep an application whose first code is right."""
        place, holder = place_of(request), await holder_of(request)
        secret = await _started(request, holder)
        if secret is None:
            return see_other(place.base)
        if not holder.is_fresh:
            return ask_again(place, f"{place.base}/application")
        fields = await read_form(request)
        by_whom, from_where = by_name("factor", holder.owner.name), by_address(request, "factor")
        await knock(request, by_whom, from_where)
        now = site_of(request).clock.now()
        period = period_of(secret, digits_of(fields.get("code")), now)
        if period is None:
            await alarm(request, "factor")
            error = say(
                request, "Ce code n’est pas le bon. Attendez le suivant, puis recopiez-le aussitôt."
            )
            return _application_page(request, place, secret, error)
        used = period
        label = fields.get("nom").strip()[:LONGEST_LABEL] or say(request, "Application de codes")
        sealed = vault_of(request).seal(secret.encode())

        async def add(portal: Portal) -> bool:
            await portal.forgive(by_whom, (from_where,))
            await portal.add_totp(holder.owner, label, sealed, used, now)
            return await portal.end_totp_start(holder.secret)

        return await added(
            request, place, holder, say(request, "ajout de « %(label)s »", label=label), add
        )

    async def post_removal(self, request: web.Request) -> web.StreamResponse:
        """Forget a second factor; with the last one go the recovery codes.

        Raises:
            ProblemError: 404, they have no such one; 409, nothing else would let them in.
        """
        place, holder = place_of(request), await holder_of(request)
        if not holder.is_fresh:
            return ask_again(place, place.base)
        factor_id = id_of(request, (await read_form(request)).get("factor_id"))
        async with site_of(request).open_portal() as portal:
            await portal.lock_owner(holder.owner)
            removed = await portal.remove_factor(holder.owner, factor_id)
            if removed is None:
                raise unknown(request)
            has_more = bool(await portal.factors(holder.owner))
            if not has_more and holder.owner.is_agent:
                raise _refused(
                    say(
                        request,
                        "Un agent garde toujours un second moyen : ajoutez-en d’abord un autre.",
                    ),
                )
            if not await portal.has_way_in(holder.owner):
                raise _refused(
                    say(request, "Sans cette clé d’accès, plus rien n’ouvrirait votre compte."),
                )
            if not has_more:
                await portal.set_recovery_codes(holder.owner, [])
            change = say(request, "retrait de « %(label)s »", label=removed.label)
            await tell(request, portal, holder.owner, "factor-changed", change)
        return see_other(f"{place.base}?fait=retrait")

    async def post_codes(self, request: web.Request) -> web.StreamResponse:
        """Make ten recovery codes and show them, this once; the earlier ones open no more."""
        place, holder = place_of(request), await holder_of(request)
        if not holder.is_fresh:
            return ask_again(place, place.base)
        codes = new_recovery_codes()
        async with site_of(request).open_portal() as portal:
            await portal.lock_owner(holder.owner)
            if not await portal.factors(holder.owner):
                return see_other(place.base)
            await portal.set_recovery_codes(holder.owner, codes)
            change = say(request, "nouveaux codes de secours")
            await tell(request, portal, holder.owner, "factor-changed", change)
        return _codes_page(request, place, codes)

    def operations(self) -> list[Operation]:
        """Return what is served; a new agent adds a factor and changes nothing else."""
        everywhere = (
            ("GET", "", self.get_factors, "Second factors."),
            ("POST", "/application", self.post_application, "Begin with an application."),
            ("GET", "/application", self.get_application, "Show its secret."),
            ("POST", "/application/confirmation", self.post_confirmation, "Keep an application."),
        )
        inside = (
            ("POST", "/retrait", self.post_removal, "Remove a second factor."),
            ("POST", "/codes", self.post_codes, "Make new recovery codes."),
        )
        pages = [
            page(method, place.base + path, handler, summary, place.tag)
            for place in PLACES
            for method, path, handler, summary in (
                everywhere if place is NEW_AGENTS else everywhere + inside
            )
        ]
        pictures = [
            Operation(
                method="GET",
                path=f"{place.base}/application/code.svg",
                handler=self.get_picture,
                summary="Show the secret of an application as a picture.",
                responses={200: "image/svg+xml"},
                tags=(place.tag,),
            )
            for place in PLACES
        ]
        return pages + pictures


async def added(
    request: web.Request, place: Place, holder: Holder, change: str, add: Add
) -> web.StreamResponse:
    """Add a factor and lead on; with the first come recovery codes, shown this once.

    A new agent's session opens now, and not before.

    Raises:
        ProblemError: 409, it is there already, or there are too many.
    """
    async with site_of(request).open_portal() as portal:
        await portal.lock_owner(holder.owner)
        factors = await portal.factors(holder.owner)
        if place is NEW_AGENTS and factors:
            # Another browser with the same password was faster: now that factor is asked for.
            return see_other("/connexion/verification")
        if len(factors) >= AT_MOST or not await add(portal):
            raise ProblemError(
                409, "factor-not-added", say(request, "Ce moyen ne peut pas être ajouté.")
            )
        codes: Sequence[str] = ()
        if not await portal.recovery_codes_left(holder.owner):
            codes = new_recovery_codes()
            await portal.set_recovery_codes(holder.owner, codes)
        if place is NEW_AGENTS:
            await portal.end_pending(holder.secret)
        await tell(request, portal, holder.owner, "factor-changed", change)
    response = (
        _codes_page(request, place, codes) if codes else see_other(f"{place.base}?fait=ajout")
    )
    if place is NEW_AGENTS:
        await enter(request, response, holder.owner, "password")
    return response


def id_of(request: web.Request, text: str) -> UUID:
    """Return the id that a form brings.

    Raises:
        ProblemError: 404, it is none.
    """
    try:
        return UUID(text)
    except ValueError as error:
        raise unknown(request) from error


def unknown(request: web.Request) -> ProblemError:
    """Return the answer to an id that is nobody's, or somebody else's: the same."""
    return ProblemError(404, "unknown", say(request, "Cela n’existe pas, ou plus."))


def _refused(sentence: str) -> ProblemError:
    return ProblemError(409, "factor-needed", sentence)


async def _started(request: web.Request, holder: Holder) -> str | None:
    site = site_of(request)
    async with site.open_portal() as portal:
        sealed = await portal.started_totp(holder.secret, site.clock.now())
    opened = vault_of(request).open(sealed) if sealed else None
    return opened.decode() if opened else None


def _application_page(
    request: web.Request, place: Place, secret: str, error: str = ""
) -> web.StreamResponse:
    return render(
        request,
        "application.html",
        status=422 if error else 200,
        place=place,
        secret=grouped(secret),
        error=error,
    )


def _codes_page(request: web.Request, place: Place, codes: Sequence[str]) -> web.Response:
    return render(
        request,
        "recovery_codes.html",
        place=place,
        codes=[shown_recovery_code(code) for code in codes],
        following="/regie" if place is NEW_AGENTS else place.base,
    )
