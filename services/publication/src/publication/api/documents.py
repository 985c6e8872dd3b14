"""The doors of documents: for the portal and for the post, and the state for billers."""

from datetime import date, datetime
from uuid import UUID

import msgspec
from aiohttp import web

from publication.domain import FolderState
from publication.ports import Folder, Reading
from shared.http import Operation, ProblemError, json_response, principal
from shared.storage import MissingObjectError, Storage


class Publication(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far the publication of an invoice is."""

    invoice_id: UUID
    version: int
    state: FolderState
    published_version: int | None = None
    published_at: datetime | None = None
    readable_until: date | None = None
    public_url: str | None = None
    refusal_code: str | None = None
    refusal_detail: str | None = None


def operations(reading: Reading, storage: Storage, public_url: str) -> list[Operation]:
    """Return what publication serves."""

    async def get_publication(request: web.Request) -> web.Response:
        folder = await find_folder(request, reading)
        shown = folder.state is FolderState.PUBLISHED
        return json_response(
            Publication(
                invoice_id=folder.invoice_id,
                version=folder.version,
                state=folder.state,
                published_version=folder.published_version,
                published_at=folder.published_at,
                readable_until=folder.readable_until,
                public_url=f"{public_url}/q/{folder.token}" if shown else None,
                refusal_code=folder.refusal_code,
                refusal_detail=folder.refusal_detail,
            )
        )

    async def get_document(request: web.Request) -> web.Response:
        folder = await find_folder(request, reading)
        return await _pdf(storage, folder, folder.document_key)

    async def get_print(request: web.Request) -> web.Response:
        folder = await find_folder(request, reading)
        return await _pdf(storage, folder, folder.print_key)

    return [
        Operation(
            method="GET",
            path="/v1/invoices/{invoice_id}/publication",
            handler=get_publication,
            summary="How far the publication of an invoice is.",
            scope="deposits:read",
            responses={200: Publication},
        ),
        Operation(
            method="GET",
            path="/v1/invoices/{invoice_id}/document.pdf",
            handler=get_document,
            summary="The published PDF, for the portal.",
            scope="documents:read",
            responses={200: "application/pdf"},
        ),
        Operation(
            method="GET",
            path="/v1/invoices/{invoice_id}/print.pdf",
            handler=get_print,
            summary="The PDF to print and post, with its QR code.",
            scope="deposits:read",
            responses={200: "application/pdf"},
        ),
    ]


async def find_folder(request: web.Request, reading: Reading) -> Folder:
    """Return the folder that a request names.

    Raises:
        ProblemError: 404, it is not there or of another town, which is answered alike.
    """
    try:
        invoice_id = UUID(request.match_info["invoice_id"])
    except ValueError as error:
        raise _unknown() from error
    async with reading() as folders:
        folder = await folders.find(invoice_id)
    # Another town's invoice is answered as one that does not exist.
    if folder is None or not principal(request).may_act_for(folder.authority, folder.regie):
        raise _unknown()
    return folder


def _unknown() -> ProblemError:
    return ProblemError(404, "unknown-invoice", "Cette facture n’est pas connue.")


def require_open(folder: Folder, key: str | None) -> str:
    """Return where a file of a folder is kept, which may be read now.

    Raises:
        ProblemError: 410 withdrawn or past its 90 days, 404 not published yet.
    """
    if folder.state is FolderState.WITHDRAWN:
        raise ProblemError(410, "invoice-withdrawn", "Cette facture a été retirée.")
    if folder.state is FolderState.PURGED:
        raise ProblemError(
            410, "document-expired", "Le document n’est plus consultable : le délai est passé."
        )
    if key is None:
        raise ProblemError(404, "not-published", "Cette facture n’est pas encore publiée.")
    return key


def gone() -> ProblemError:
    """Return the answer for a file that was replaced or purged between two reads."""
    return ProblemError(404, "not-published", "Ce document n’est pas disponible.")


async def _pdf(storage: Storage, folder: Folder, key: str | None) -> web.Response:
    try:
        content = await storage.get(require_open(folder, key))
    except MissingObjectError as error:
        raise gone() from error
    return web.Response(
        body=content,
        content_type="application/pdf",
        headers={
            "Cache-Control": "private, no-store",
            "Content-Disposition": 'inline; filename="facture.pdf"',
            "X-Content-Type-Options": "nosniff",
        },
    )
