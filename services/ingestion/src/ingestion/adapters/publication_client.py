"""Asks the publication service, in the name of the biller who asks us."""

from collections.abc import Mapping
from uuid import UUID

import aiohttp
import msgspec
import structlog
from aiohttp import web

from ingestion.ports import PublicationState
from shared.events import InvoiceGenerated
from shared.http import ProblemError

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

TIMEOUT = aiohttp.ClientTimeout(total=20)
FORWARD_TIMEOUT = aiohttp.ClientTimeout(total=120, sock_read=30)
CHUNK_BYTES = 262_144
_FORWARDED = (
    "Content-Type",
    "Content-Length",
    "Content-Disposition",
    "Cache-Control",
    "Retry-After",
    "X-Content-Type-Options",
)


class _Problem(msgspec.Struct):
    code: str = "unavailable"
    detail: str = ""


class PublicationClient:
    """Publication's doors, called with the biller's own token."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str) -> None:
        """Call publication at `base_url` through `session`."""
        self._session = session
        self._base_url = base_url.rstrip("/")

    async def state(self, invoice_id: UUID, authorization: str) -> PublicationState | None:
        """Return how far the publication is, or None when nothing is known or nobody answers."""
        try:
            async with self._session.get(
                f"{self._base_url}/v1/invoices/{invoice_id}/publication",
                headers={"Authorization": authorization},
                timeout=TIMEOUT,
                allow_redirects=False,
            ) as answer:
                content = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            # The invoice's own state is worth answering without it.
            logger.warning("publication did not answer", error=repr(error))
            return None
        if answer.status != 200:
            return None
        return msgspec.json.decode(content, type=PublicationState)

    async def forward(
        self, request: web.Request, path: str, query: Mapping[str, str] | None = None
    ) -> web.StreamResponse:
        """Answer with what publication answers at `path`, as it comes.

        Raises:
            ProblemError: 503 when it does not answer.
        """
        try:
            async with self._session.get(
                self._base_url + path,
                params=query or {},
                headers={"Authorization": request.headers["Authorization"]},
                timeout=FORWARD_TIMEOUT,
                allow_redirects=False,
            ) as answer:
                # A large file never lies in memory here.
                response = web.StreamResponse(
                    status=answer.status,
                    headers={
                        name: answer.headers[name] for name in _FORWARDED if name in answer.headers
                    },
                )
                await response.prepare(request)
                async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
                    await response.write(chunk)
                await response.write_eof()
                return response
        except (aiohttp.ClientConnectionError, TimeoutError) as error:
            raise _unavailable() from error

    async def preview(self, event: InvoiceGenerated, authorization: str) -> bytes:
        """Return what the document of an invoice would look like.

        Raises:
            ProblemError: publication's own refusal, or 503 when it does not answer.
        """
        try:
            async with self._session.post(
                f"{self._base_url}/v1/preview",
                data=msgspec.json.encode(event),
                headers={"Authorization": authorization, "Content-Type": "application/json"},
                timeout=TIMEOUT,
                allow_redirects=False,
            ) as answer:
                content = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _unavailable() from error
        if answer.status != 200:
            try:
                problem = msgspec.json.decode(content, type=_Problem)
            except msgspec.DecodeError:
                problem = _Problem()
            raise ProblemError(answer.status, problem.code, problem.detail)
        return content


def _unavailable() -> ProblemError:
    return ProblemError(
        503,
        "publication-unavailable",
        "Le document ne peut être lu pour l’instant, réessayez dans quelques secondes.",
        headers={"Retry-After": "5"},
    )
