"""Files that are handed to a browser: their names, their headers, piece by piece or whole."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import quote

import structlog
from aiohttp import ClientError, web

from gateway.api.site import site_of
from gateway.api.web import PAPER_PATH, protective_headers
from gateway.ports import ServiceUnavailableError

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

PDF = "application/pdf"
ZIP = "application/zip"
STREAM_ERRORS = (ClientError, TimeoutError, ConnectionError)
LONGEST_NAME = 80
STALLED_SECONDS = 60.0
FILE_HEADERS = {
    "Cache-Control": "private, no-store",
    # A browser's own reader needs styles and objects; nothing else may run beside the document.
    "Content-Security-Policy": "default-src 'none'; object-src 'self'; style-src 'unsafe-inline';"
    " img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Robots-Tag": "noindex, nofollow",
}


def safe_name(text: str) -> str:
    """Return a part of a file name that no system takes for anything else."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in text)
    return kept.strip("-")[:LONGEST_NAME] or "document"


def disposition(name: str, *, is_attachment: bool, spoken_name: str = "") -> str:
    """Return how a browser is to take a file (RFC 6266).

    `name` is plain ASCII, for every browser; `spoken_name` may have any letters.
    """
    kind = "attachment" if is_attachment else "inline"
    header = f'{kind}; filename="{name}"'
    if spoken_name and spoken_name != name:
        header += f"; filename*=UTF-8''{quote(spoken_name, safe='')}"
    return header


def headers_of(request: web.Request, content_disposition: str) -> dict[str, str]:
    """Return the headers of a file: kept by nobody on the way, run by nothing."""
    headers = FILE_HEADERS | protective_headers(site_of(request))
    if request.path.startswith(PAPER_PATH):
        headers["Referrer-Policy"] = "no-referrer"
    return headers | {"Content-Disposition": content_disposition}


async def send_pieces(
    request: web.Request,
    pieces: AsyncIterator[bytes],
    *,
    content_type: str,
    content_disposition: str,
) -> web.StreamResponse:
    """Hand through what comes piece by piece, no faster than it is taken.

    The first piece comes before our own answer: until then a failure is still told by a page.

    Raises:
        ServiceUnavailableError: it failed before the first piece.
    """
    first = await anext(pieces, b"")
    response = web.StreamResponse(headers=headers_of(request, content_disposition))
    response.content_type = content_type
    await response.prepare(request)
    try:
        await _write(response, first)
        async for piece in pieces:
            await _write(response, piece)
    except (ServiceUnavailableError, *STREAM_ERRORS):
        # Cut the connection, so that nobody takes half a file for a whole one.
        logger.warning("file cut short", path=request.match_info.route.name or "", first=len(first))
        if request.transport is not None:
            request.transport.abort()
        return response
    await response.write_eof()
    return response


async def _write(response: web.StreamResponse, piece: bytes) -> None:
    # Who takes nothing for so long does not hold what sends it for ever.
    async with asyncio.timeout(STALLED_SECONDS):
        await response.write(piece)


def send_whole(
    request: web.Request, content: bytes, *, content_type: str, content_disposition: str
) -> web.Response:
    """Return a file that is small."""
    return web.Response(
        body=content,
        content_type=content_type,
        headers=headers_of(request, content_disposition),
    )
