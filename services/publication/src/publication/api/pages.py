"""The doors of pages: a document as pictures, with its text for whoever cannot see them."""

import re
from collections.abc import Awaitable, Callable
from uuid import UUID

from aiohttp import web

from publication.api.documents import find_folder, gone, require_open
from publication.domain import WIDTHS, Pages
from publication.ports import Folder, Reading, UndrawableError
from shared.http import Operation, ProblemError, json_response
from shared.storage import MissingObjectError

WEBP = "image/webp"
NUMBER = re.compile(r"[1-9][0-9]{0,3}")
ShowPages = Callable[[UUID, str], Awaitable[Pages]]
ShowPicture = Callable[[UUID, str, int, int], Awaitable[bytes]]
PRIVATE = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}


class PageDoors:
    """The operations of pages."""

    def __init__(self, reading: Reading, *, pages: ShowPages, picture: ShowPicture) -> None:
        """Show what `reading` finds: of an invoice and the key of its document."""
        self._reading = reading
        self._pages = pages
        self._picture = picture

    async def get_pages(self, request: web.Request) -> web.Response:
        """Return how large the pages are, and what stands on each."""
        folder = await find_folder(request, self._reading)
        key = require_open(folder, folder.document_key)
        try:
            pages = await self._pages(folder.invoice_id, key)
        except UndrawableError as error:
            raise _undrawable() from error
        except MissingObjectError as error:
            raise gone() from error
        return json_response(pages, headers=PRIVATE)

    async def get_picture(self, request: web.Request) -> web.Response:
        """Return the picture of a page."""
        folder = await find_folder(request, self._reading)
        number, width = request.match_info["number"], request.query.get("width", str(WIDTHS[0]))
        if not NUMBER.fullmatch(number) or width not in {str(known) for known in WIDTHS}:
            raise ProblemError(404, "unknown-page", "Cette page n’existe pas.")
        key = require_open(folder, folder.document_key)
        headers = PRIVATE | {"ETag": _etag(folder, number, width)}
        if request.headers.get("If-None-Match") == headers["ETag"]:
            return web.Response(status=304, headers=headers)
        try:
            picture = await self._picture(folder.invoice_id, key, int(number), int(width))
        except UndrawableError as error:
            raise _undrawable() from error
        except MissingObjectError as error:
            raise ProblemError(404, "unknown-page", "Cette page n’existe pas.") from error
        return web.Response(body=picture, content_type=WEBP, headers=headers)

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [
            Operation(
                method="GET",
                path="/v1/invoices/{invoice_id}/pages",
                handler=self.get_pages,
                summary="The pages of the published PDF: sizes and texts, for the portal.",
                scope="documents:read",
                responses={200: Pages},
            ),
            Operation(
                method="GET",
                path="/v1/invoices/{invoice_id}/pages/{number}.webp",
                handler=self.get_picture,
                summary="The picture of one of its pages, for the portal.",
                scope="documents:read",
                query={"width": " or ".join(str(width) for width in WIDTHS) + " pixels."},
                responses={200: WEBP},
            ),
        ]


def _etag(folder: Folder, number: str, width: str) -> str:
    """Return the name of a picture: the same document gives the same pictures (RFC 9110, 8.8.3)."""
    return f'"{(folder.document_sha256 or "")[:32]}-{number}-{width}"'


def _undrawable() -> ProblemError:
    sentence = "Ce document ne peut être montré en images."
    return ProblemError(422, UndrawableError.slug, sentence)
