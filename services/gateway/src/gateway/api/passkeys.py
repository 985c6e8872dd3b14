"""Passkeys: making one, and signing in with one instead of a password."""

from aiohttp import web

from gateway.api.entry import begin
from gateway.api.factors import LONGEST_LABEL, added
from gateway.api.forgery import read_form
from gateway.api.holders import PLACES, Holder, Place, ask_again, holder_of, place_of
from gateway.api.language import say
from gateway.api.proving import challenge_of, new_ticket, party_of, prove_passkey
from gateway.api.site import safe_path, see_other, site_of
from gateway.api.throttling import alarm, by_address, knock
from gateway.api.web import page, render
from gateway.ports import Portal
from shared.http import Operation

SIGN_IN = "/connexion/cle"


class Passkeys:
    """Pages of passkeys."""

    async def get_new(self, request: web.Request) -> web.StreamResponse:
        """Offer to make a passkey."""
        place, holder = place_of(request), await holder_of(request)
        if not party_of(request).is_possible:
            raise web.HTTPNotFound
        if not holder.is_fresh:
            return ask_again(place, f"{place.base}/cle")
        return await _new_page(request, place, holder)

    async def post_new(self, request: web.Request) -> web.StreamResponse:
        """Keep a passkey that was made for this page."""
        place, holder = place_of(request), await holder_of(request)
        if not holder.is_fresh:
            return ask_again(place, f"{place.base}/cle")
        fields = await read_form(request)
        challenge = challenge_of(request, "register", fields.get("ticket"))
        made = party_of(request).made(fields.get("reponse"), challenge) if challenge else None
        if challenge is None or made is None:
            error = say(request, "La clé d’accès n’a pas pu être vérifiée. Recommencez.")
            return await _new_page(request, place, holder, error)
        spent, passkey = challenge, made
        label = fields.get("nom").strip()[:LONGEST_LABEL] or say(request, "Clé d’accès")
        now = site_of(request).clock.now()

        async def add(portal: Portal) -> bool:
            return await portal.spend_challenge(spent, now) and await portal.add_passkey(
                holder.owner, label, passkey, now
            )

        change = say(request, "ajout de « %(label)s »", label=label)
        return await added(request, place, holder, change, add)

    async def get_sign_in(self, request: web.Request) -> web.StreamResponse:
        """Offer to sign in with a passkey."""
        if not party_of(request).is_possible:
            raise web.HTTPNotFound
        return _sign_in_page(request, safe_path(request.query.get("suite", ""), ""))

    async def post_sign_in(self, request: web.Request) -> web.StreamResponse:
        """Let in whom a passkey names: it is two factors in one, since it asks who holds it."""
        fields = await read_form(request)
        following = safe_path(fields.get("suite"), "")
        from_where = by_address(request, "factor")
        await knock(request, from_where)
        async with site_of(request).open_portal() as portal:
            passkey = await prove_passkey(request, portal, fields, "sign-in")
        if passkey is None:
            await alarm(request, "factor")
            error = say(request, "Cette clé d’accès n’ouvre aucun compte ici.")
            return _sign_in_page(request, following, error)
        owner = passkey.owner
        response = see_other("/regie" if owner.is_agent else following or "/factures")
        await begin(request, response, owner, "passkey")
        return response

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [
            page("GET", SIGN_IN, self.get_sign_in, "Sign in with a passkey."),
            page("POST", SIGN_IN, self.post_sign_in, "Sign in with a passkey."),
            *(
                page(method, f"{place.base}/cle", handler, "Make a passkey.", place.tag)
                for place in PLACES
                for method, handler in (("GET", self.get_new), ("POST", self.post_new))
            ),
        ]


async def _new_page(
    request: web.Request, place: Place, holder: Holder, error: str = ""
) -> web.StreamResponse:
    async with site_of(request).open_portal() as portal:
        known = await portal.passkeys(holder.owner)
    challenge, ticket = new_ticket(request, "register")
    name = holder.name or say(request, "Mon compte")
    return render(
        request,
        "passkey.html",
        status=422 if error else 200,
        place=place,
        options=party_of(request).ask_new(challenge, holder.owner, name, known),
        ticket=ticket,
        error=error,
    )


def _sign_in_page(request: web.Request, following: str, error: str = "") -> web.StreamResponse:
    challenge, ticket = new_ticket(request, "sign-in")
    return render(
        request,
        "passkey_login.html",
        status=401 if error else 200,
        options=party_of(request).ask(challenge, ()),
        ticket=ticket,
        following=following,
        error=error,
    )
