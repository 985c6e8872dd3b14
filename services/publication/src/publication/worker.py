"""Makes the paper of claimed invoices: reads, works in other processes, stores, then records."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

import structlog

from publication.domain import document_key, published_event, refused_event
from publication.ports import Claim, Paper, PaperMaker, PublishedPaper, PublishingUnit, Shelf
from shared import metrics
from shared.clock import Clock
from shared.errors import PermanentError
from shared.events import Event
from shared.events.invoice_generated import StoredFile
from shared.storage import CorruptObjectError, MissingObjectError

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

LEASE = timedelta(seconds=60)
RETRY_AFTER = timedelta(seconds=5)
HANDFUL = 4
"""Documents that are read, made and stored together; a whole batch would fill the memory."""
HANDS = 3
"""While one handful is in the press the next is read and the last is stored."""

OpenUnit = Callable[[], AbstractAsyncContextManager[PublishingUnit]]


class Publisher:
    """Publishes claimed invoices, a batch at a time."""

    def __init__(
        self,
        *,
        instance: str,
        open_unit: OpenUnit,
        shelf: Shelf,
        paper: PaperMaker,
        clock: Clock,
        readable_days: int,
        hands: int = HANDS,
    ) -> None:
        """Work as `instance`, whose claims nobody else frees before the lease ends.

        At most `hands` handfuls of documents are in memory at once.
        """
        self._instance = instance
        self._open_unit = open_unit
        self._shelf = shelf
        self._paper = paper
        self._clock = clock
        self._readable_days = readable_days
        self._hands = asyncio.Semaphore(hands)

    async def claim(self, limit: int) -> Sequence[Claim]:
        """Hold at most `limit` waiting invoices."""
        async with self._open_unit() as unit:
            return await unit.folders.claim(
                instance=self._instance, now=self._clock.now(), lease=LEASE, limit=limit
            )

    async def perform(self, claims: Sequence[Claim]) -> None:
        """Make the paper of each claim, store it, and record all in one transaction.

        What cannot be had now (the store is away, a process died) is left for later; what cannot
        be published ever is refused with its reason.
        """
        handfuls = [claims[start : start + HANDFUL] for start in range(0, len(claims), HANDFUL)]
        shelved = await asyncio.gather(*(self._publish(handful) for handful in handfuls))
        await self._record(
            list(zip(claims, [one for handful in shelved for one in handful], strict=True))
        )

    async def _publish(self, claims: Sequence[Claim]) -> "list[_Shelved]":
        # What waits for its turn waits in the store, not in memory.
        async with self._hands:
            originals = await asyncio.gather(*(self._original(claim) for claim in claims))
            papers = await self._paper.make(claims, [found.content for found in originals])
            return await asyncio.gather(
                *(
                    self._shelve(claim, original.refusal or paper)
                    for claim, original, paper in zip(claims, originals, papers, strict=True)
                )
            )

    async def _original(self, claim: Claim) -> "_Original":
        document = claim.request.document
        if document is None:
            return _Original(None, None)
        try:
            return _Original(await self._shelf.get_checked(document), None)
        except (MissingObjectError, CorruptObjectError) as error:
            logger.exception("original not usable", invoice=str(claim.request.invoice_id))
            return _Original(b"", _lost(error))

    async def _shelve(self, claim: Claim, paper: Paper | None) -> "_Shelved":
        if paper is None:
            return _Shelved(None, None, None)
        if paper.refusal_code:
            return _Shelved(None, None, paper)
        request = claim.request
        key = document_key(request.invoice_id, request.version, "facture")
        document = await self._shelf.put(key, paper.document)
        printed = document
        if paper.print_file is not None:
            print_key = document_key(request.invoice_id, request.version, "impression")
            printed = await self._shelf.put(print_key, paper.print_file)
        return _Shelved(document, printed, paper)

    async def _record(self, results: "list[tuple[Claim, _Shelved]]") -> None:
        now = self._clock.now()
        published: list[tuple[Claim, PublishedPaper]] = []
        refused: list[tuple[Claim, Paper]] = []
        postponed = []
        for claim, shelved in results:
            if shelved.document is not None and shelved.printed is not None:
                event = published_event(
                    claim.request,
                    token=claim.token,
                    document=shelved.document,
                    at=now,
                    readable_days=self._readable_days,
                )
                paper = PublishedPaper(
                    event=event,
                    deposit_id=claim.request.deposit_id,
                    printed=shelved.printed,
                    pages=shelved.paper.pages if shelved.paper else 0,
                )
                published.append((claim, paper))
            elif shelved.paper is not None:
                refused.append((claim, shelved.paper))
            else:
                postponed.append(claim.request.invoice_id)
        async with self._open_unit() as unit:
            wanted = await unit.folders.publish([paper for _, paper in published])
            events: list[tuple[Event, Claim]] = [
                (paper.event, claim)
                for claim, paper in published
                if paper.event.invoice_id in wanted
            ]
            for claim, refusing in refused:
                request = claim.request
                if await unit.folders.refuse(
                    request.invoice_id,
                    request.version,
                    refusing.refusal_code,
                    refusing.refusal_detail,
                ):
                    refusal = refused_event(
                        request, code=refusing.refusal_code, detail=refusing.refusal_detail, at=now
                    )
                    events.append((refusal, claim))
            # Withdrawn or replaced while its paper was made: the file is let go.
            await unit.folders.discard(
                [
                    key
                    for _, paper in published
                    if paper.event.invoice_id not in wanted
                    for key in {paper.event.document.key, paper.printed.key}
                ]
            )
            await unit.folders.postpone(postponed, now + RETRY_AFTER)
            await unit.publish([(event, claim.cause) for event, claim in events])
        metrics.WORK_DONE.labels("paper", "published").inc(len(published))
        metrics.WORK_DONE.labels("paper", "refused").inc(len(refused))
        metrics.WORK_DONE.labels("paper", "postponed").inc(len(postponed))


class _Original:
    """The biller's PDF, or why it cannot be had."""

    def __init__(self, content: bytes | None, refusal: Paper | None) -> None:
        self.content = content
        self.refusal = refusal


class _Shelved:
    """What is stored for a claim; with neither document nor paper it is to be tried again."""

    def __init__(
        self, document: StoredFile | None, printed: StoredFile | None, paper: Paper | None
    ) -> None:
        self.document = document
        self.printed = printed
        self.paper = paper


def _lost(error: PermanentError) -> Paper:
    return Paper(
        refusal_code=error.slug.replace("-", "_"),
        refusal_detail="Le PDF déposé n’est plus disponible : déposez la facture à nouveau.",
    )
