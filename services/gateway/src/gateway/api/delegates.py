"""Letting somebody else see or pay one's invoices, for a time, with their own account (C6)."""

import secrets
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from uuid import UUID, uuid4

import msgspec
from aiohttp import web

from gateway.api.facts import facts_of
from gateway.api.forgery import Form, read_form
from gateway.api.language import language_of, moment_in, say
from gateway.api.letters import letter
from gateway.api.site import citizen_of, require_citizen, see_other, site_of, today
from gateway.api.throttling import by_address, by_name, knock
from gateway.api.typed import email_of, id_of
from gateway.api.web import page, render
from gateway.ports import Citizen, Facts
from gateway.ports.links import Delegation, Invitation, SeenPayer
from shared.clock import PARIS
from shared.http import Operation, ProblemError

DELEGATIONS_PATH = "/compte/delegations"
INVITATION = DELEGATIONS_PATH + "/invitation/{secret:[A-Za-z0-9_-]{43}}"
INVITED_FOR = timedelta(days=7)
LONGEST_DAYS = 730
"""Two years: who still needs it then says so again."""
RIGHTS = {"lire": (True, False), "payer": (False, True), "lire-payer": (True, True)}
"""What may be given: to read, to pay."""
ELSEWHERE = Facts(subscriber="", browser="")
"""What one person did is told to the other without where from."""
NO_REFERRER = {"Referrer-Policy": "no-referrer"}


class Typed(msgspec.Struct, frozen=True, kw_only=True):
    """An invitation as somebody typed it."""

    email: str = ""
    rights: str = "lire"
    ends_on: str = ""
    payer_ids: tuple[str, ...] = ()


class Delegates:
    """Pages of delegations."""

    async def get_delegations(self, request: web.Request) -> web.Response:
        """Show what was given and received, and offer to give more."""
        return await _show(request, Typed())

    async def post_invitation(self, request: web.Request) -> web.StreamResponse:
        """Invite somebody by e-mail; they get a secret that is good once, for a week.

        The answer is the same whether that address has an account (ASVS 6.3.8).
        """
        citizen = require_citizen(request)
        typed = _typed(await read_form(request))
        site = site_of(request)
        now = site.clock.now()
        async with site.open_portal() as portal:
            payers = await portal.seen_payers(citizen.account_id)
        chosen = [one for one in payers if str(one.payer_id) in typed.payer_ids]
        errors = _problems(request, citizen, typed, chosen)
        if errors:
            return await _show(request, typed, status=422, errors=errors)
        by_owner = by_name("invitation", str(citizen.account_id))
        await knock(request, by_owner, by_address(request, "invitation"))
        secret = secrets.token_urlsafe(32)
        can_read, can_pay = RIGHTS[typed.rights]
        invitation = Invitation(
            delegation_id=uuid4(),
            owner_id=citizen.account_id,
            payer_ids=tuple(sorted({one.payer_id for one in chosen})),
            email=email_of(typed.email) or "",
            can_read=can_read,
            can_pay=can_pay,
            ends_at=_end_of(date.fromisoformat(typed.ends_on)),
        )
        async with site.open_portal() as portal:
            await portal.invite(invitation, secret, now + INVITED_FOR, now)
            await portal.note(citizen.account_id, "delegate-invited", facts_of(request), now)
            account = await portal.account(citizen.account_id)
            language = account.language if account else language_of(request)
            await portal.publish(
                letter(
                    request,
                    "delegate-invited",
                    invitation.email,
                    language,
                    path=f"{DELEGATIONS_PATH}/invitation/{secret}",
                    lasts=INVITED_FOR,
                    details={
                        "inviter": citizen.email or (account.display_name if account else ""),
                        "authority": ", ".join(sorted({one.authority_name for one in chosen}))[
                            :300
                        ],
                        "until": moment_in(language, invitation.ends_at),
                        "rights": typed.rights,
                    },
                )
            )
        return see_other(f"{DELEGATIONS_PATH}?fait=invite")

    async def get_invitation(self, request: web.Request) -> web.Response:
        """Show what somebody is invited to; opening the page accepts nothing."""
        found = await _invitation(request)
        citizen = citizen_of(request)
        response = render(
            request,
            "invitation.html",
            delegation=found,
            is_owner=citizen is not None and citizen.account_id == found.owner_id,
        )
        # The secret stands in the address: nobody learns it.
        response.headers.update(NO_REFERRER)
        return response

    async def post_acceptance(self, request: web.Request) -> web.StreamResponse:
        """Accept with the account that is logged in; the secret is used up."""
        citizen = require_citizen(request)
        site = site_of(request)
        now, facts = site.clock.now(), facts_of(request)
        async with site.open_portal() as portal:
            found = await portal.accept(request.match_info["secret"], citizen.account_id, now)
            if found is not None:
                await portal.note(found.owner_id, "delegate-accepted", ELSEWHERE, now)
                await portal.note(citizen.account_id, "delegation-accepted", facts, now)
        if found is None:
            raise await refused(request)
        return see_other(f"{DELEGATIONS_PATH}?fait=accepte")

    async def post_end(self, request: web.Request) -> web.StreamResponse:
        """End a delegation, at once: its owner revokes it, or its delegate gives it up."""
        citizen = require_citizen(request)
        delegation_id = id_of(request.match_info["delegation_id"])
        site = site_of(request)
        now = site.clock.now()
        async with site.open_portal() as portal:
            is_ended = await portal.end_delegation(citizen.account_id, delegation_id, now)
            if is_ended:
                await portal.note(citizen.account_id, "delegation-ended", facts_of(request), now)
        if not is_ended:
            sentence = say(request, "Cette délégation n’existe pas, ou plus.")
            raise ProblemError(404, "unknown-delegation", sentence)
        return see_other(f"{DELEGATIONS_PATH}?fait=termine")

    def operations(self) -> list[Operation]:
        """Return what is served."""
        ended = f"{DELEGATIONS_PATH}/{{delegation_id}}/terminer"
        return [
            page("GET", DELEGATIONS_PATH, self.get_delegations, "Who may see or pay, and whose."),
            page("POST", DELEGATIONS_PATH, self.post_invitation, "Invite somebody by e-mail."),
            page("GET", INVITATION, self.get_invitation, "What one is invited to."),
            page("POST", INVITATION, self.post_acceptance, "Accept it."),
            page("POST", ended, self.post_end, "End a delegation."),
        ]


async def _show(
    request: web.Request,
    typed: Typed,
    *,
    status: int = 200,
    errors: dict[str, str] | None = None,
) -> web.Response:
    citizen = require_citizen(request)
    async with site_of(request).open_portal() as portal:
        delegations = await portal.delegations_of(citizen.account_id)
        payers = await portal.seen_payers(citizen.account_id)
    reasons: dict[UUID, list[SeenPayer]] = {}
    for one in payers:
        reasons.setdefault(one.payer_id, []).append(one)
    return render(
        request,
        "delegations.html",
        status=status,
        given=[one for one in delegations if one.owner_id == citizen.account_id],
        received=[one for one in delegations if one.owner_id != citizen.account_id],
        payers=[found[0] for found in reasons.values()],
        now=site_of(request).clock.now(),
        last_day=today(request) + timedelta(days=LONGEST_DAYS),
        typed=typed,
        errors=errors or {},
        done=request.query.get("fait", ""),
    )


def _typed(fields: Form) -> Typed:
    return Typed(
        email=fields.get("email").strip()[:100],
        rights=fields.get("droits"),
        ends_on=fields.get("fin").strip()[:10],
        payer_ids=tuple(fields.all("payeur")),
    )


def _problems(
    request: web.Request, citizen: Citizen, typed: Typed, chosen: Sequence[SeenPayer]
) -> dict[str, str]:
    """Return what is wrong, by field."""
    found: dict[str, str] = {}
    # Nobody gives what they do not see by themselves: a delegate cannot delegate further.
    if not chosen or len({str(one.payer_id) for one in chosen}) < len(set(typed.payer_ids)):
        found["payeur"] = say(request, "Choisissez au moins un redevable de votre liste.")
    email = email_of(typed.email)
    if email is None or email.lower() == citizen.email.lower():
        found["email"] = say(
            request, "Écrivez l’adresse électronique complète d’une autre personne."
        )
    if typed.rights not in RIGHTS:
        found["droits"] = say(request, "Choisissez ce que cette personne pourra faire.")
    day = _day_of(typed.ends_on)
    if day is None or not today(request) <= day <= today(request) + timedelta(days=LONGEST_DAYS):
        found["fin"] = say(request, "Choisissez une date de fin, dans deux ans au plus tard.")
    return found


def _day_of(typed: str) -> date | None:
    try:
        return date.fromisoformat(typed) if len(typed) == 10 else None
    except ValueError:
        return None


def _end_of(day: date) -> datetime:
    """Return the last minute of a day in France."""
    return datetime.combine(day, time(23, 59), PARIS)


async def _invitation(request: web.Request) -> Delegation:
    """Return the invitation of the address.

    Raises:
        ProblemError: 410, no such one, or not any more; 429, too many of these from one place.
    """
    site = site_of(request)
    async with site.open_portal() as portal:
        found = await portal.invitation(request.match_info["secret"], site.clock.now())
    if found is None:
        raise await refused(request)
    return found


async def refused(request: web.Request) -> ProblemError:
    """Return what every secret that invites to nothing is answered, used, ended or guessed.

    Raises:
        ProblemError: 429, too many of these from one place.
    """
    await knock(request, by_address(request, "invited"))
    sentence = say(
        request,
        "Cette invitation n’est plus valable : elle a déjà servi, a été retirée ou date de plus de"
        " sept jours. Demandez-en une autre à la personne qui vous a invité.",
    )
    return ProblemError(410, "invitation-ended", sentence)
