"""Tying invoices to people: what a code or a sum proves, which payers an account sees and why."""

from datetime import timedelta
from uuid import UUID

from aiohttp import web

from gateway.api.entry import tell
from gateway.api.facts import facts_of
from gateway.api.forgery import read_form
from gateway.api.invoices import InvoicePages
from gateway.api.language import moment_in, say
from gateway.api.letters import letter
from gateway.api.paper import PAYERS_PATH, PaperForms, paper_states, unknown_payer
from gateway.api.retrieving import browser_of
from gateway.api.site import require_citizen, see_other, site_of
from gateway.api.throttling import alarm, by_address, by_name, knock
from gateway.api.typed import cents_of, id_of
from gateway.api.web import page, render
from gateway.ports import Owner, Portal
from gateway.ports.links import NewLink, SeenPayer
from shared.http import Operation, ProblemError

PAYER = PAYERS_PATH + "/{payer_id}"
OTHERS_TOLD_EVERY = timedelta(days=1)
"""Whoever adds and removes the same invoice over and over does not fill others' mailboxes."""


class Linking:
    """Pages of links."""

    def __init__(self, invoices: InvoicePages) -> None:
        """Find the invoice of a code through `invoices`."""
        self._invoices = invoices
        self._paper = PaperForms(self.payers_page)

    async def post_attachment(self, request: web.Request) -> web.StreamResponse:
        """Link the account to the payer of the invoice that this code, or this sum, has opened.

        Codes are passed on with papers: whoever sees this payer already is told of it.

        Raises:
            ProblemError: 403, the account sees this payer by a delegation: a right that was lent
                with an end does not become one without.
        """
        citizen = require_citizen(request)
        token = request.match_info["token"]
        invoice = await self._invoices.by_token(request, token)
        if invoice.is_sealed:
            # What the code alone may not show, it cannot put into an account either (K9).
            return see_other(f"/q/{token}/preuve")
        site = site_of(request)
        now = site.clock.now()
        async with site.open_portal() as portal:
            if await portal.is_lent(citizen.account_id, invoice.invoice_id, now):
                raise _lent(request)
            found = await portal.opened(token, browser_of(request), now)
            new = NewLink(
                account_id=citizen.account_id,
                evidence="paper_code" if found is None else "reference_amount",
            )
            await add_link(request, portal, new, invoice.invoice_id, invoice.authority_name)
        return see_other(f"/factures/{invoice.invoice_id}")

    async def get_payers(self, request: web.Request) -> web.Response:
        """Show whose invoices the account shows and why, and whose they may be."""
        return await self.payers_page(request)

    async def payers_page(
        self,
        request: web.Request,
        *,
        status: int = 200,
        wrong: UUID | None = None,
        error: str = "",
    ) -> web.Response:
        """Return the page, with the proposal whose sum was wrong, or what else was."""
        citizen = require_citizen(request)
        async with site_of(request).open_portal() as portal:
            seen = await portal.seen_payers(citizen.account_id)
            past = await portal.past_links(citizen.account_id)
            proposals = await portal.proposals(citizen.account_id)
            delegations = await portal.delegations_of(citizen.account_id)
            paper = await paper_states(portal, citizen)
        now = site_of(request).clock.now()
        return render(
            request,
            "payers.html",
            status=status,
            payers=_by_payer(seen),
            past=past,
            proposals=proposals,
            received=[
                one
                for one in delegations
                if one.owner_id != citizen.account_id and one.state(now) == "valid"
            ],
            wrong=wrong,
            error=error,
            paper=paper,
            done=request.query.get("fait", ""),
        )

    async def get_revocation(self, request: web.Request) -> web.Response:
        """Ask whether the invoices of a payer shall be seen no more."""
        return render(request, "payer_revocation.html", payer=await _own_payer(request))

    async def post_revocation(self, request: web.Request) -> web.StreamResponse:
        """See the invoices of a payer no more."""
        citizen = require_citizen(request)
        site = site_of(request)
        now = site.clock.now()
        async with site.open_portal() as portal:
            if not await portal.revoke(citizen.account_id, _payer_id(request), "owner", now):
                raise unknown_payer(request)
            await portal.note(citizen.account_id, "link-revoked", facts_of(request), now)
        return see_other(f"{PAYERS_PATH}?fait=retire")

    async def post_confirmation(self, request: web.Request) -> web.StreamResponse:
        """Link the account to a payer proposed to it, whose sum of an invoice was given.

        A payer who is not proposed answers as a wrong sum does (ASVS 6.3.8).
        """
        citizen = require_citizen(request)
        payer_id = _payer_id(request)
        name = f"{citizen.account_id} {payer_id}"
        await knock(request, by_name("proposal", name), by_address(request, "proposal"))
        cents = cents_of((await read_form(request)).get("montant"))
        site = site_of(request)
        now = site.clock.now()
        async with site.open_portal() as portal:
            is_linked = await portal.confirm(citizen.account_id, payer_id, cents or 0, now)
            if is_linked:
                await portal.forgive(by_name("proposal", name), (by_address(request, "proposal"),))
                owner = Owner(account_id=citizen.account_id)
                change = say(request, "Ajout de factures confirmées par leur montant")
                await tell(request, portal, owner, "link-added", change)
        if not is_linked:
            await alarm(request, "reference")
            return await self.payers_page(request, status=422, wrong=payer_id)
        return see_other(f"{PAYERS_PATH}?fait=ajoute")

    async def post_refusal(self, request: web.Request) -> web.StreamResponse:
        """Propose a payer no more."""
        citizen = require_citizen(request)
        site = site_of(request)
        now = site.clock.now()
        async with site.open_portal() as portal:
            if not await portal.refuse(citizen.account_id, _payer_id(request), now):
                raise unknown_payer(request)
            await portal.note(citizen.account_id, "link-refused", facts_of(request), now)
        return see_other(f"{PAYERS_PATH}?fait=ecarte")

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [
            page("POST", "/q/{token}/rattacher", self.post_attachment, "Keep it in the account."),
            page("GET", PAYERS_PATH, self.get_payers, "Whose invoices the account shows, and why."),
            page("GET", f"{PAYER}/retirer", self.get_revocation, "Ask before a link ends."),
            page(
                "POST", f"{PAYER}/retirer", self.post_revocation, "See a payer's invoices no more."
            ),
            page(
                "POST", f"{PAYER}/confirmer", self.post_confirmation, "Prove a proposal by a sum."
            ),
            page("POST", f"{PAYER}/ecarter", self.post_refusal, "Propose a payer no more."),
            *self._paper.operations(),
        ]


def _by_payer(seen: list[SeenPayer]) -> list[tuple[SeenPayer, list[SeenPayer]]]:
    """Return each payer once, with every reason why they are seen."""
    found: dict[UUID, list[SeenPayer]] = {}
    for one in seen:
        found.setdefault(one.payer_id, []).append(one)
    return [(max(reasons, key=lambda one: one.count), reasons) for reasons in found.values()]


async def add_link(
    request: web.Request, portal: Portal, new: NewLink, invoice_id: UUID, authority_name: str
) -> None:
    """Tie an account to the payer of an invoice; its owner and who sees the payer too are told.

    What was tied before stays as it was, and nobody is told.
    """
    if not await portal.link(invoice_id, new, site_of(request).clock.now()):
        return
    sentence = say(request, "Ajout des factures de %(authority)s", authority=authority_name)
    await tell(request, portal, Owner(account_id=new.account_id), "link-added", sentence)
    await _tell_others(request, portal, new.account_id, invoice_id, authority_name)


async def _tell_others(
    request: web.Request, portal: Portal, account_id: UUID, invoice_id: UUID, authority_name: str
) -> None:
    """Let who sees these invoices know that one more account does; not whose it is."""
    now = site_of(request).clock.now()
    others = await portal.note_others(account_id, invoice_id, "link-shared", now)
    name = f"link-shared {account_id} {invoice_id}"
    if not others or not await portal.is_first_within(name, OTHERS_TOLD_EVERY, now):
        return
    letters = [
        letter(
            request,
            "link-added",
            other.email,
            other.language,
            path=PAYERS_PATH,
            details={
                "authority": authority_name,
                "moment": moment_in(other.language, now),
                "account": "other",
            },
        )
        for other in others
    ]
    await portal.publish(*letters)


async def _own_payer(request: web.Request) -> SeenPayer:
    citizen = require_citizen(request)
    payer_id = _payer_id(request)
    async with site_of(request).open_portal() as portal:
        seen = await portal.seen_payers(citizen.account_id)
    found = next((one for one in seen if one.payer_id == payer_id), None)
    if found is None:
        raise unknown_payer(request)
    return found


def _payer_id(request: web.Request) -> UUID:
    return id_of(request.match_info["payer_id"])


def _lent(request: web.Request) -> ProblemError:
    return ProblemError(
        403,
        "lent-invoice",
        say(
            request,
            "Cette facture vous est confiée par une délégation : vous ne pouvez pas l’ajouter à"
            " votre compte. Demandez à la personne qui vous l’a confiée si elle veut prolonger la"
            " délégation.",
        ),
    )
