"""The account's page of what can be kept: all documents at once, attestations by year."""

from aiohttp import web

from gateway.api.archive import ARCHIVE_PATH, MOST_FILES
from gateway.api.language import say
from gateway.api.reading import is_readable
from gateway.api.sending import PDF, disposition, safe_name, send_whole
from gateway.api.site import require_citizen, see_other, site_of
from gateway.api.web import page, render
from gateway.ports import OtherServices, RefusedError, StatementDemand
from shared.http import Operation, ProblemError

DOWNLOADS_PATH = "/compte/documents"
STATEMENT_PATH = "/factures/attestation"


class Downloads:
    """What an account may keep."""

    def __init__(self, services: OtherServices) -> None:
        """Ask reconciliation through `services`."""
        self._services = services

    async def get_page(self, request: web.Request) -> web.Response:
        """Offer the documents and the attestations of the account."""
        citizen = require_citizen(request)
        async with site_of(request).open_portal() as portal:
            invoices = await portal.own_invoices(citizen.account_id)
            paid = await portal.paid_years([one.invoice_id for one in invoices if one.can_read])
        readable = [one for one in invoices if is_readable(request, one) and one.can_read]
        return render(
            request,
            "downloads.html",
            archive_path=ARCHIVE_PATH,
            statement_path=STATEMENT_PATH,
            readable_count=len(readable),
            most_files=MOST_FILES,
            years=sorted({one.issued_on.year for one in readable}, reverse=True),
            authorities=sorted({(one.authority_name, one.authority) for one in readable}),
            paid=paid,
        )

    async def get_statement(self, request: web.Request) -> web.StreamResponse:
        """Give an attestation of what was paid to an authority in a year.

        It lists the account's own invoices alone; what is not asked for leads to where it is.
        """
        citizen = require_citizen(request)
        authority, year = request.query.get("autorite", ""), request.query.get("annee", "")
        if not authority or not year:
            return see_other(DOWNLOADS_PATH)
        async with site_of(request).open_portal() as portal:
            invoices = await portal.own_invoices(citizen.account_id)
        ids = tuple(
            one.invoice_id for one in invoices if one.can_read and one.authority == authority
        )
        if not ids or not (len(year) == 4 and year.isdecimal() and year.isascii()):
            raise _nothing_paid(request)
        demand = StatementDemand(authority=authority, year=int(year), invoice_ids=ids)
        try:
            content = await self._services.statement(demand)
        except RefusedError as error:
            raise _nothing_paid(request) from error
        return send_whole(
            request,
            content,
            content_type=PDF,
            content_disposition=disposition(
                f"attestation-{safe_name(authority)}-{year}.pdf", is_attachment=False
            ),
        )

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [
            page("GET", DOWNLOADS_PATH, self.get_page, "What the account may keep."),
            Operation(
                method="GET",
                path=STATEMENT_PATH,
                handler=self.get_statement,
                summary="An attestation of what was paid in a year.",
                query={"annee": "Year of payment, in France.", "autorite": "The authority."},
                responses={200: PDF},
                tags=("portal",),
            ),
        ]


def _nothing_paid(request: web.Request) -> ProblemError:
    sentence = say(request, "Aucun paiement n’est connu pour cette collectivité et cette année.")
    return ProblemError(404, "nothing-paid", sentence)
