"""Invitations by agents: the third way to tie an account to a payer (C5).

An agent who knows that an address is a payer's sends a link there; whoever accepts it with their
account sees that payer's invoices. Which agent vouched stays beside what was accepted.
"""

import secrets
from collections.abc import Sequence
from uuid import uuid4

import msgspec
from aiohttp import web

from gateway.api.delegates import INVITED_FOR, refused
from gateway.api.forgery import Form, read_form
from gateway.api.language import language_of, say
from gateway.api.letters import letter
from gateway.api.linking import add_link
from gateway.api.paper import PAYERS_PATH
from gateway.api.retrieving import LONGEST_REFERENCE, folded
from gateway.api.site import require_agent, require_citizen, see_other, site_of
from gateway.api.throttling import by_name, knock
from gateway.api.typed import cents_of, email_of, id_of
from gateway.api.web import page, render
from gateway.ports import Bucket, Portal, Visitor
from gateway.ports.invitations import NewPayerInvitation, NumberedInvoice
from gateway.ports.links import NewLink
from shared.http import Operation, ProblemError

INVITATIONS_PATH = "/regie/invitations"
ACCEPTANCE_PATH = "/compte/invitation-redevable"
ACCEPTANCE = ACCEPTANCE_PATH + "/{secret:[A-Za-z0-9_-]{43}}"
FREE_BY_AGENT = 20
"""In a quarter of an hour: a morning at the counter, and no mailing to a whole town."""
LONGEST_BY_AGENT_SECONDS = 900


class Typed(msgspec.Struct, frozen=True, kw_only=True):
    """An invitation as an agent typed it."""

    number: str = ""
    amount: str = ""
    email: str = ""
    invoice_id: str = ""
    is_checked: bool = False


class Invitations:
    """Pages of agents' invitations, on both sides."""

    async def get_invitations(self, request: web.Request) -> web.Response:
        """Show the invitations of the agent's authority, and offer to send one."""
        return await _show(request, require_agent(request), Typed())

    async def post_invitation(self, request: web.Request) -> web.StreamResponse:
        """Invite who reads an address to the payer of an invoice of the agent's own authority.

        The answer is the same whether that address has an account (ASVS 6.3.8).

        Raises:
            ProblemError: 429, this agent sent too many, or too many go to that address.
        """
        agent = require_agent(request)
        typed = _typed(await read_form(request))
        site = site_of(request)
        reference, email = folded(typed.number), email_of(typed.email)
        cents = cents_of(typed.amount)
        async with site.open_portal() as portal:
            numbered = await portal.numbered(agent.authority, reference) if reference else []
        # A slip of the pen is another person's number: its sum is not that of the paper.
        found = [one for one in numbered if one.amount_cents == cents]
        chosen = _chosen(typed, found)
        errors = _problems(request, typed, numbered, found, chosen)
        if errors or chosen is None or email is None:
            return await _show(request, agent, typed, errors=errors, found=found)
        await knock(request, _by_agent(agent), by_name("payer-invited", email))
        new = NewPayerInvitation(
            invitation_id=uuid4(),
            authority=agent.authority,
            invoice_id=chosen.invoice_id,
            email=email.lower(),
            agent_login=agent.login,
            expires_at=site.clock.now() + INVITED_FOR,
        )
        async with site.open_portal() as portal:
            is_sent = await _send(request, portal, agent, new)
        if not is_sent:
            # It was withdrawn a moment ago.
            errors = {"numero": _unknown_number(request)}
            return await _show(request, agent, typed, errors=errors)
        return see_other(f"{INVITATIONS_PATH}?fait=invite")

    async def post_cancellation(self, request: web.Request) -> web.StreamResponse:
        """Make an invitation of the agent's own authority worthless, at once.

        Raises:
            ProblemError: 404, there is no such one, or it is not pending any more.
        """
        agent = require_agent(request)
        invitation_id = id_of(request.match_info["invitation_id"])
        site = site_of(request)
        now = site.clock.now()
        async with site.open_portal() as portal:
            is_ended = await portal.cancel_payer_invitation(agent.authority, invitation_id, now)
        if not is_ended:
            sentence = say(request, "Cette invitation n’existe pas, ou n’est plus en attente.")
            raise ProblemError(404, "unknown-invitation", sentence)
        return see_other(f"{INVITATIONS_PATH}?fait=annule")

    async def get_acceptance(self, request: web.Request) -> web.Response:
        """Show who invites and what will happen; opening the page accepts nothing.

        Raises:
            ProblemError: 410, no such invitation, or not any more; 429, too many of these.
        """
        site = site_of(request)
        async with site.open_portal() as portal:
            found = await portal.payer_invitation(request.match_info["secret"], site.clock.now())
        if found is None:
            raise await refused(request)
        return render(request, "payer_invitation.html", invited=found)

    async def post_acceptance(self, request: web.Request) -> web.StreamResponse:
        """Tie the account that is logged in to the payer; the secret is used up.

        A delegate may accept too: the authority itself says whose address it is.

        Raises:
            ProblemError: 410, no such invitation, or not any more; 429, too many of these.
        """
        citizen = require_citizen(request)
        site = site_of(request)
        secret, account_id = request.match_info["secret"], citizen.account_id
        async with site.open_portal() as portal:
            found = await portal.accept_payer_invitation(secret, account_id, site.clock.now())
            if found is not None:
                new = NewLink(account_id=account_id, evidence="agent")
                await add_link(request, portal, new, found.invoice_id, found.authority_name)
        if found is None:
            raise await refused(request)
        return see_other(f"{PAYERS_PATH}?fait=ajoute")

    def operations(self) -> list[Operation]:
        """Return what is served."""
        cancelled = f"{INVITATIONS_PATH}/{{invitation_id}}/annuler"
        return [
            page("GET", INVITATIONS_PATH, self.get_invitations, "Who was invited.", "agents"),
            page("POST", INVITATIONS_PATH, self.post_invitation, "Invite a payer.", "agents"),
            page("POST", cancelled, self.post_cancellation, "Take an invitation back.", "agents"),
            page("GET", ACCEPTANCE, self.get_acceptance, "What an authority invites to."),
            page("POST", ACCEPTANCE, self.post_acceptance, "Accept it."),
        ]


async def _show(
    request: web.Request,
    agent: Visitor,
    typed: Typed,
    *,
    errors: dict[str, str] | None = None,
    found: Sequence[NumberedInvoice] = (),
) -> web.Response:
    site = site_of(request)
    async with site.open_portal() as portal:
        invitations = await portal.payer_invitations(agent.authority)
    return render(
        request,
        "agent_invitations.html",
        status=422 if errors else 200,
        agent=agent,
        typed=typed,
        errors=errors or {},
        choices=found if _has_several_payers(found) else (),
        invitations=invitations,
        now=site.clock.now(),
        done=request.query.get("fait", ""),
    )


async def _send(
    request: web.Request, portal: Portal, agent: Visitor, new: NewPayerInvitation
) -> bool:
    """Keep an invitation and let its letter leave; False when the invoice is there no more.

    The letter names the authority and nobody: it may reach whom it is not for.
    """
    secret = secrets.token_urlsafe(32)
    if not await portal.invite_payer(new, secret, site_of(request).clock.now()):
        return False
    account = await portal.find_account(new.email)
    await portal.publish(
        letter(
            request,
            "payer-invited",
            new.email,
            account.language if account else language_of(request),
            path=f"{ACCEPTANCE_PATH}/{secret}",
            lasts=INVITED_FOR,
            details={"authority": agent.authority_name},
        )
    )
    return True


def _typed(fields: Form) -> Typed:
    return Typed(
        number=fields.get("numero").strip()[: LONGEST_REFERENCE * 2],
        amount=fields.get("montant").strip()[:20],
        email=fields.get("email").strip()[:100],
        invoice_id=fields.get("facture"),
        is_checked=fields.get("verifie") == "oui",
    )


def _has_several_payers(found: Sequence[NumberedInvoice]) -> bool:
    """Tell whether a number is of several people: régies and years each count from one.

    Two billing applications of a town may give one reference to two people, hence the name.
    """
    return len({(one.payer_id, one.payer_name) for one in found}) > 1


def _chosen(typed: Typed, found: Sequence[NumberedInvoice]) -> NumberedInvoice | None:
    """Return the invoice that is meant: the newest, or the chosen one where it could be several."""
    if _has_several_payers(found):
        return next((one for one in found if str(one.invoice_id) == typed.invoice_id), None)
    return found[0] if found else None


def _problems(
    request: web.Request,
    typed: Typed,
    numbered: Sequence[NumberedInvoice],
    found: Sequence[NumberedInvoice],
    chosen: NumberedInvoice | None,
) -> dict[str, str]:
    """Return what is wrong, by field."""
    problems: dict[str, str] = {}
    if not numbered:
        problems["numero"] = _unknown_number(request)
    elif not found:
        problems["montant"] = say(
            request, "Écrivez le montant total imprimé sur cette facture, par exemple 45,50."
        )
    elif chosen is None:
        problems["facture"] = say(
            request,
            "Plusieurs factures portent ce numéro et ce montant : choisissez celle du redevable.",
        )
    if email_of(typed.email) is None:
        problems["email"] = say(request, "Écrivez l’adresse électronique complète du redevable.")
    if not typed.is_checked:
        problems["verifie"] = say(
            request, "Vérifiez que cette adresse est celle du redevable, puis cochez la case."
        )
    return problems


def _unknown_number(request: web.Request) -> str:
    return say(request, "Aucune facture publiée de votre collectivité ne porte ce numéro.")


def _by_agent(agent: Visitor) -> Bucket:
    return Bucket(
        name=f"agent-invitation:name:{agent.login}",
        free=FREE_BY_AGENT,
        longest_seconds=LONGEST_BY_AGENT_SECONDS,
    )
