"""The door of previews: an invoice as it would be published, of which nothing is kept."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from publication.ports import UnpublishableError
from shared.events import InvoiceGenerated
from shared.http import Operation, ProblemError, principal, read_json

PDF = "application/pdf"
DEPOSITED = "deposits/"
"""Where ingestion keeps what was deposited; a biller has no business with any other file."""

Preview = Callable[[InvoiceGenerated], Awaitable[bytes]]


def operations(preview: Preview) -> list[Operation]:
    """Return the door of previews, with `preview` behind it."""

    async def post_preview(request: web.Request) -> web.Response:
        invoice = await read_json(request, InvoiceGenerated)
        if not principal(request).may_act_for(invoice.authority, invoice.regie):
            raise ProblemError(
                403, "not-your-regie", "Le jeton d’accès ne vaut pas pour cette régie."
            )
        document = invoice.document
        if document is not None and not _is_deposited(document.key):
            raise ProblemError(
                422, "not-deposited", "Ce fichier n’a pas été déposé.", pointer="/document/key"
            )
        try:
            content = await preview(invoice)
        except UnpublishableError as error:
            raise ProblemError(422, error.code, error.sentence) from error
        return web.Response(
            body=content,
            content_type=PDF,
            headers={
                "Cache-Control": "private, no-store",
                "Content-Disposition": 'inline; filename="apercu.pdf"',
                "X-Content-Type-Options": "nosniff",
            },
        )

    return [
        Operation(
            method="POST",
            path="/v1/preview",
            handler=post_preview,
            summary="The PDF of an invoice as it would be published, marked as a preview.",
            scope="deposits:read",
            request=InvoiceGenerated,
            responses={200: PDF},
        )
    ]


def _is_deposited(key: str) -> bool:
    return key.startswith(DEPOSITED) and ".." not in key
