"""Proving a second thing: at the login, and again before what matters."""

import secrets
from uuid import UUID

from aiohttp import web

from gateway.api.entry import SESSION_SECONDS, VERIFICATION, enter, tell
from gateway.api.forgery import Form, read_form
from gateway.api.holders import AGENTS, CITIZENS, Holder, Place, holder_of, pending_of, place_of
from gateway.api.language import say
from gateway.api.login import prove
from gateway.api.proving import TicketPurpose, new_ticket, party_of, prove_factor
from gateway.api.site import safe_path, see_other, site_of
from gateway.api.web import page, render
from gateway.ports import Owner, PasswordKeeper, PendingLogin
from shared.http import Operation

START = {True: "/regie/connexion", False: "/connexion"}
"""Where agents and citizens log in."""


class Verification:
    """Pages that ask for a proof."""

    def __init__(self, passwords: PasswordKeeper) -> None:
        """Check passwords with `passwords`."""
        self._passwords = passwords

    async def get_second_step(self, request: web.Request) -> web.StreamResponse:
        """Ask for the second factor that a login still needs."""
        pending = await pending_of(request)
        if pending is None:
            return see_other("/connexion")
        return await self._second_step(request, pending)

    async def post_second_step(self, request: web.Request) -> web.StreamResponse:
        """Open the session, when the second factor is right."""
        pending = await pending_of(request)
        if pending is None:
            return see_other("/connexion")
        means = await prove_factor(request, pending.owner, await read_form(request), "verify")
        if not means:
            return await self._second_step(request, pending, _wrong(request))
        site = site_of(request)
        async with site.open_portal() as portal:
            # Of two proofs at once, one session opens.
            is_open = await portal.end_pending(request.cookies[site.pending_cookie])
            if is_open and means == "secours":
                change = say(request, "connexion avec un code de secours")
                await tell(request, portal, pending.owner, "factor-changed", change)
        if not is_open:
            return see_other(START[pending.owner.is_agent])
        response = see_other(safe_path(pending.following))
        await enter(request, response, pending.owner, pending.method)
        return response

    async def get_proof(self, request: web.Request) -> web.StreamResponse:
        """Ask somebody who is logged in to prove again who they are."""
        place, holder = place_of(request), await holder_of(request)
        following = safe_path(request.query.get("suite", ""), place.base)
        return await self._proof(request, place, holder, following)

    async def post_proof(self, request: web.Request) -> web.StreamResponse:
        """Note that they did, and give the session a new secret (ASVS 7.2.4)."""
        place, holder = place_of(request), await holder_of(request)
        fields = await read_form(request)
        following = safe_path(fields.get("suite"), place.base)
        if not await self._proves(request, holder, fields):
            error = _wrong(request)
            return await self._proof(request, place, holder, following, error)
        site = site_of(request)
        secret = secrets.token_urlsafe(32)
        async with site.open_portal() as portal:
            await portal.renew_proof(holder.secret, secret, site.clock.now())
        response = see_other(following)
        site.keep(response, site.session_cookie, secret, SESSION_SECONDS)
        return response

    async def _proves(self, request: web.Request, holder: Holder, fields: Form) -> bool:
        if fields.get("moyen") != "motdepasse":
            return bool(await prove_factor(request, holder.owner, fields, "prove"))
        password = fields.get("password")
        if holder.owner.is_agent:
            agent = await prove(
                request,
                self._passwords,
                "agent",
                holder.name,
                password,
                lambda portal, name: portal.find_agent(name),
            )
            return agent is not None
        account = await prove(
            request,
            self._passwords,
            "password",
            str(holder.owner.account_id),
            password,
            lambda portal, name: portal.account(UUID(name)),
        )
        return account is not None

    async def _second_step(
        self, request: web.Request, pending: PendingLogin, error: str = ""
    ) -> web.StreamResponse:
        means = await _means(request, pending.owner, "verify")
        if not means["factors"]:
            # A new agent, who has nothing to prove yet.
            return see_other("/regie/activation" if pending.owner.is_agent else "/connexion")
        return render(
            request,
            "verification.html",
            status=401 if error else 200,
            action=VERIFICATION,
            start=START[pending.owner.is_agent],
            error=error,
            **means,
        )

    async def _proof(
        self,
        request: web.Request,
        place: Place,
        holder: Holder,
        following: str,
        error: str = "",
    ) -> web.StreamResponse:
        has_password, has_identity = holder.owner.is_agent, False
        if holder.owner.account_id is not None:
            async with site_of(request).open_portal() as portal:
                account = await portal.account(holder.owner.account_id)
                identity = await portal.identity_of(holder.owner.account_id)
            has_password = account is not None and account.password_hash is not None
            has_identity = identity is not None
        return render(
            request,
            "proof.html",
            status=401 if error else 200,
            place=place,
            action=f"{place.base}/preuve",
            following=following,
            error=error,
            has_password=has_password,
            has_identity=has_identity,
            **await _means(request, holder.owner, "prove"),
        )

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [
            page("GET", VERIFICATION, self.get_second_step, "Ask for a second factor."),
            page("POST", VERIFICATION, self.post_second_step, "Prove a second factor."),
            *(
                page(method, f"{place.base}/preuve", handler, "Prove again.", place.tag)
                for place in (CITIZENS, AGENTS)
                for method, handler in (("GET", self.get_proof), ("POST", self.post_proof))
            ),
        ]


async def _means(request: web.Request, owner: Owner, purpose: TicketPurpose) -> dict[str, object]:
    """Return what a page needs to know of the ways to prove a second factor."""
    async with site_of(request).open_portal() as portal:
        factors = await portal.factors(owner)
        passkeys = await portal.passkeys(owner)
        codes_left = await portal.recovery_codes_left(owner)
    party = party_of(request)
    challenge, ticket = new_ticket(request, purpose)
    return {
        "factors": factors,
        "has_totp": any(factor.kind == "totp" for factor in factors),
        "has_codes": codes_left > 0,
        "options": party.ask(challenge, passkeys) if passkeys and party.is_possible else "",
        "ticket": ticket,
    }


def _wrong(request: web.Request) -> str:
    """Return the one answer to whatever does not hold."""
    return say(request, "Ce n’est pas la bonne réponse. Vérifiez, puis recommencez.")
