"""Finding an invoice by what is printed on it, with neither account nor code (C3).

What is printed is its reference, its year and its sum. Every failure answers alike and asks the
same questions, so that nobody learns from it whether a reference exists (ASVS 6.3.8).
"""

import hmac
import math
import secrets
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import msgspec
from aiohttp import web

from gateway.api.forgery import Form, read_form
from gateway.api.language import say
from gateway.api.site import see_other, site_of
from gateway.api.throttling import alarm, by_address, knock, too_many
from gateway.api.typed import NOBODY, cents_of
from gateway.api.web import page, render
from gateway.ports import Bucket
from shared.http import Operation

RETRIEVAL_PATH = "/retrouver"
OPEN_FOR = timedelta(minutes=30)
LONGEST_REFERENCE = 64
LONGEST_TYPED = 100
FREE_BY_AUTHORITY = 300
LONGEST_BY_AUTHORITY_SECONDS = 60
"""A crowd that guesses for one town waits, and so do its citizens: never for long."""
SECRET_LENGTH = 43


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody copied from a paper, as they typed it."""

    authority: str = ""
    reference: str = ""
    year: str = ""
    amount: str = ""


class Retrieving:
    """The form and what it opens."""

    async def get_form(self, request: web.Request) -> web.Response:
        """Ask for what is printed."""
        return await _form(request, Wanted(authority=request.query.get("collectivite", "")))

    async def post_form(self, request: web.Request) -> web.StreamResponse:
        """Open the invoice in this browser for half an hour, under an address that is secret.

        Raises:
            ProblemError: 429, too many attempts from here, for this reference or for this town.
        """
        wanted = _wanted(await read_form(request))
        reference = folded(wanted.reference)
        cents, year = cents_of(wanted.amount), _year_of(wanted.year)
        if not (wanted.authority and reference and cents and year):
            return await _form(request, wanted, status=422, error=_incomplete(request))
        site = site_of(request)
        now = site.clock.now()
        await knock(request, by_address(request, "reference"), _by_authority(wanted.authority))
        async with site.open_portal() as portal:
            wait = await portal.locked_for(wanted.authority, reference, now)
        if wait:
            raise too_many(request, timedelta(seconds=math.ceil(wait)))
        secret, browser = secrets.token_urlsafe(32), browser_of(request) or _new_browser()
        async with site.open_portal() as portal:
            printed = await portal.printed(wanted.authority, reference)
            invoice_id = _match(printed, year, cents)
            if invoice_id is not None:
                await portal.unlock(wanted.authority, reference)
                await portal.open_for_browser(secret, browser, invoice_id, now + OPEN_FOR)
        if invoice_id is None:
            await alarm(request, "reference", wanted.authority)
            return await _form(request, wanted, status=404, error=_not_found(request))
        response = see_other(f"/q/{secret}")
        site.keep(response, site.opening_cookie, browser, int(OPEN_FOR.total_seconds()))
        return response

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [
            page("GET", RETRIEVAL_PATH, self.get_form, "Find an invoice by what is printed on it."),
            page("POST", RETRIEVAL_PATH, self.post_form, "Open the invoice that was found."),
        ]


def browser_of(request: web.Request) -> str:
    """Return what a browser holds to open what it has found; empty without."""
    held = request.cookies.get(site_of(request).opening_cookie, "")
    return held if len(held) == SECRET_LENGTH and held.isascii() else ""


def folded(reference: str) -> str:
    """Return a printed reference as it is compared: spaces, dashes and case tell nothing apart."""
    return "".join(c for c in reference if c.isalnum()).upper()


def _new_browser() -> str:
    return secrets.token_urlsafe(32)


def _wanted(fields: Form) -> Wanted:
    return Wanted(
        authority=fields.get("collectivite").strip()[:LONGEST_TYPED],
        reference=fields.get("reference").strip()[: LONGEST_REFERENCE * 2],
        year=fields.get("annee").strip()[:10],
        amount=fields.get("montant").strip()[:20],
    )


def _year_of(typed: str) -> int | None:
    return int(typed) if len(typed) == 4 and typed.isascii() and typed.isdecimal() else None


def _by_authority(authority: str) -> Bucket:
    return Bucket(
        # Not of the kind that an alarm makes smaller: a whole town would share three attempts.
        name=f"reference-authority:{authority.lower()}",
        free=FREE_BY_AUTHORITY,
        longest_seconds=LONGEST_BY_AUTHORITY_SECONDS,
    )


def _match(printed: Sequence[tuple[UUID, int, int]], year: int, cents: int) -> UUID | None:
    """Return the one invoice of that year and sum; compared in constant time.

    A number may be used by several régies: the year and the sum tell them apart, or nothing does.
    """
    expected = f"{year} {cents}".encode()
    # One that never matches, so that a reference nobody has is compared too.
    candidates = [*printed, (NOBODY, 0, -1)]
    found = [
        invoice_id
        for invoice_id, its_year, its_cents in candidates
        if hmac.compare_digest(f"{its_year} {its_cents}".encode(), expected)
    ]
    return found[0] if len(found) == 1 else None


async def _form(
    request: web.Request, wanted: Wanted, *, status: int = 200, error: str = ""
) -> web.Response:
    async with site_of(request).open_portal() as portal:
        authorities = await portal.authorities()
    return render(
        request,
        "retrieval.html",
        status=status,
        wanted=wanted,
        authorities=authorities,
        error=error,
    )


def _incomplete(request: web.Request) -> str:
    return say(
        request,
        "Remplissez les quatre champs : l’année s’écrit en quatre chiffres, le montant comme sur la"
        " facture, par exemple 41,50.",
    )


def _not_found(request: web.Request) -> str:
    return say(
        request,
        "Aucune facture ne correspond à ces quatre informations. Vérifiez-les sur votre facture ;"
        " une facture toute récente peut demander quelques minutes.",
    )
