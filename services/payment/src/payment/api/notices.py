"""Where the providers' notices come in."""

from collections.abc import Awaitable, Callable
from hashlib import sha256

import structlog
from aiohttp import web

from payment.ports import (
    MalformedNoticeError,
    NoticeRefusedError,
    Provider,
    Providers,
    RawNotice,
)
from shared import metrics
from shared.http import Operation, ProblemError

MAXIMUM_BODY_BYTES = 65_536
STATEMENT_BYTES = 16_777_216
FORM = "application/x-www-form-urlencoded"
logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

Take = Callable[[RawNotice, Provider], Awaitable[None]]


class NoticeDoor:
    """Hears the providers."""

    def __init__(self, take: Take, providers: Providers) -> None:
        """Hand what an account of `providers` says to `take`."""
        self._take = take
        self._providers = providers

    async def hear(self, request: web.Request) -> web.Response:
        """Hear a provider: kept and acted on in one transaction, answered at once."""
        provider = self._providers.by_account(
            request.match_info["provider"], request.match_info["account"]
        )
        if provider is None:
            raise ProblemError(404, "unknown-account", "Ce compte n’est pas connu.")
        body = await _bounded(request)
        if request.method == "GET" and not request.query:
            raise ProblemError(405, "method-not-allowed", "Cette méthode n’est pas permise ici.")
        if body and request.content_type != FORM:
            raise ProblemError(415, "not-a-form", "Une notification est un formulaire.")
        raw = RawNotice(
            body=body,
            query=request.rel_url.raw_query_string,
            content_type=request.headers.get("Content-Type", ""),
        )
        try:
            await self._take(raw, provider)
        except (MalformedNoticeError, NoticeRefusedError) as error:
            raise _unproven(error, provider, raw) from error
        return web.Response(text="OK")

    def operations(self) -> list[Operation]:
        """Return what is served; some providers speak by GET."""
        return [
            Operation(
                method=method,
                path="/payments/notify/{provider}/{account}",
                handler=self.hear,
                summary="A provider's notice.",
                request_types=(FORM,),
                responses={200: "text/plain"},
            )
            for method in ("POST", "GET")
        ]


async def _bounded(request: web.Request) -> bytes:
    """Return the body; a sender that does not say its length cannot fill the memory."""
    body = bytearray()
    async for chunk in request.content.iter_chunked(MAXIMUM_BODY_BYTES):
        body += chunk
        if len(body) > MAXIMUM_BODY_BYTES:
            raise ProblemError(413, "too-large", "Le contenu envoyé dépasse la taille permise.")
    return bytes(body)


def _unproven(
    error: MalformedNoticeError | NoticeRefusedError, provider: Provider, raw: RawNotice
) -> ProblemError:
    """Log a fingerprint of what anybody may have sent, and tell the sender little."""
    metrics.WORK_DONE.labels("notice", error.slug).inc()
    logger.warning(
        "notice refused",
        account=provider.account,
        reason=str(error),
        sha256=sha256(raw.body or raw.query.encode()).hexdigest(),
    )
    if isinstance(error, MalformedNoticeError):
        return ProblemError(400, error.slug, "Ceci n’est pas une notification du prestataire.")
    return ProblemError(
        403, error.slug, "La notification ne prouve pas qu’elle vient du prestataire."
    )
