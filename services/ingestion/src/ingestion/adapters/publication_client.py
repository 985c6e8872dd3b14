"""Asks the publication service, in the name of the biller who asks us."""

from uuid import UUID

import aiohttp
import msgspec
import structlog

from ingestion.ports import PublicationState
from shared.http import ProblemError

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

TIMEOUT = aiohttp.ClientTimeout(total=20)


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
            status, content = await self._get(invoice_id, "publication", authorization)
        except (aiohttp.ClientError, TimeoutError) as error:
            # The invoice's own state is worth answering without it.
            logger.warning("publication did not answer", error=repr(error))
            return None
        return msgspec.json.decode(content, type=PublicationState) if status == 200 else None

    async def print_file(self, invoice_id: UUID, authorization: str) -> bytes:
        """Return the PDF to print.

        Raises:
            ProblemError: publication's own refusal, or 503 when it does not answer.
        """
        try:
            status, content = await self._get(invoice_id, "print.pdf", authorization)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ProblemError(
                503,
                "publication-unavailable",
                "Le document ne peut être lu pour l’instant, réessayez dans quelques secondes.",
                headers={"Retry-After": "5"},
            ) from error
        if status != 200:
            try:
                problem = msgspec.json.decode(content, type=_Problem)
            except msgspec.DecodeError:
                problem = _Problem()
            raise ProblemError(status, problem.code, problem.detail)
        return content

    async def _get(self, invoice_id: UUID, what: str, authorization: str) -> tuple[int, bytes]:
        async with self._session.get(
            f"{self._base_url}/v1/invoices/{invoice_id}/{what}",
            headers={"Authorization": authorization},
            timeout=TIMEOUT,
            allow_redirects=False,
        ) as answer:
            return answer.status, await answer.read()
