"""Paper or none: what a person chooses for each of their payers."""

from collections.abc import Awaitable
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

import msgspec
from aiohttp import web

from gateway.api.facts import facts_of
from gateway.api.forgery import read_form
from gateway.api.language import say
from gateway.api.site import require_citizen, see_other, site_of
from gateway.api.web import page
from gateway.ports import Citizen, Portal, Wish
from shared.http import Operation, ProblemError

PAYERS_PATH = "/compte/payeurs"
ANNOUNCED: Wish = ("invoice", "email")
"""What must reach a person before paper stops: else nothing would announce an invoice to them."""


class PaperState(msgspec.Struct, frozen=True, kw_only=True):
    """How paper stands for a payer, and what keeps this account from stopping it."""

    since: datetime | None
    """Since when there is none; None while there is."""
    authority: str
    obstacle: Literal["address", "alerts"] | None


class PayersPage(Protocol):
    """Returns the page of payers, with what was wrong."""

    def __call__(
        self, request: web.Request, *, status: int = 200, error: str = ""
    ) -> Awaitable[web.Response]:
        """Return it."""
        ...


class PaperForms:
    """The form of each payer."""

    def __init__(self, payers_page: PayersPage) -> None:
        """Show on `payers_page` what keeps paper from being stopped."""
        self._payers_page = payers_page

    async def post_paper(self, request: web.Request) -> web.StreamResponse:
        """Stop a payer's paper, or give it again; twice is the same as once.

        Raises:
            ProblemError: 404, the payer is not this account's to choose for: a stranger's, one seen
                by a delegation alone, or one whom the biller did not number; 400, unreadable form.
        """
        citizen = require_citizen(request)
        wanted = (await read_form(request)).get("papier")
        if wanted not in ("oui", "non"):
            sentence = say(request, "Le formulaire reçu n’est pas lisible.")
            raise ProblemError(400, "unreadable-form", sentence)
        site = site_of(request)
        now = site.clock.now()
        account_id = citizen.account_id
        async with site.open_portal() as portal:
            states = await paper_states(portal, citizen)
            payer_id = next((one for one in states if str(one) == _named(request)), None)
            if payer_id is None:
                raise unknown_payer(request)
            state = states[payer_id]
            if wanted == "oui":
                if await portal.resume_paper(account_id, payer_id):
                    await portal.note(account_id, "paper-resumed", facts_of(request), now)
            elif state.since is None and state.obstacle is None:
                await portal.stop_paper(account_id, payer_id, now)
                await portal.note(account_id, "paper-stopped", facts_of(request), now)
        if wanted == "non" and state.since is None and state.obstacle is not None:
            error = say(
                request, "Le papier continue : rien d’autre ne vous annoncerait ces factures."
            )
            return await self._payers_page(request, status=409, error=error)
        done = "papier" if wanted == "oui" else "sans-papier"
        return see_other(f"{PAYERS_PATH}?fait={done}")

    def operations(self) -> list[Operation]:
        """Return what is served."""
        path = PAYERS_PATH + "/{payer_id}/papier"
        return [page("POST", path, self.post_paper, "Stop a payer's paper, or give it again.")]


async def paper_states(portal: Portal, citizen: Citizen) -> dict[UUID, PaperState]:
    """Return how paper stands for each payer whom an account may choose for."""
    choices = await portal.paper_choices(citizen.account_id)
    preferences = await portal.preferences(citizen.account_id)

    def obstacle(authority: str) -> Literal["address", "alerts"] | None:
        if not citizen.is_verified:
            return "address"
        return None if ANNOUNCED in preferences.wanted(authority) else "alerts"

    return {
        choice.payer_id: PaperState(
            since=choice.since,
            authority=choice.authority,
            obstacle=obstacle(choice.authority),
        )
        for choice in choices
    }


def unknown_payer(request: web.Request) -> ProblemError:
    """Return the answer to who names a payer whom their account does not show."""
    sentence = say(request, "Ces factures ne sont pas dans votre compte.")
    return ProblemError(404, "unknown-payer", sentence)


def _named(request: web.Request) -> str:
    return request.match_info["payer_id"].lower()
