"""A merged file was asked for: bind it, store it, and record that it is there."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import structlog

from publication.ports import Archive, Binder, BindingError, OpenPrintRuns, PrintRunClaim
from shared import metrics
from shared.clock import Clock
from shared.storage import MissingObjectError

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

LEASE = timedelta(seconds=60)
TRIES = 3
"""A run that ended its process, or found the store away, this often is given up until asked."""


class _NotWantedError(Exception):
    """An invoice of the run was withdrawn, purged or replaced meanwhile."""


class PrintRunBinder:
    """Binds claimed print runs, one at a time."""

    def __init__(
        self,
        *,
        instance: str,
        open_runs: OpenPrintRuns,
        archive: Archive,
        binder: Binder,
        clock: Clock,
    ) -> None:
        """Work as `instance`, whose claims nobody else frees before the lease ends."""
        self._instance = instance
        self._open_runs = open_runs
        self._archive = archive
        self._binder = binder
        self._clock = clock

    async def claim(self, limit: int) -> Sequence[PrintRunClaim]:
        """Hold at most `limit` runs that are wanted."""
        async with self._open_runs() as runs:
            return await runs.claim(
                instance=self._instance, now=self._clock.now(), lease=LEASE, limit=limit
            )

    async def perform(self, claims: Sequence[PrintRunClaim]) -> None:
        """Bind each run; one that cannot be bound is marked with the reason."""
        for claim in claims:
            await self._bind(claim)

    async def _bind(self, claim: PrintRunClaim) -> None:
        if claim.attempts > TRIES:
            await self._give_up(claim, "resource_limit")
            return
        try:
            pieces = self._renewing(claim)
            size_bytes = await self._archive.put_pieces(claim.key, pieces)
        except _NotWantedError:
            logger.info("print run not wanted any more", key=claim.key)
            return
        except (BindingError, MissingObjectError) as error:
            logger.exception("print run not bound", key=claim.key)
            await self._give_up(claim, str(error))
            return
        async with self._open_runs() as runs:
            is_wanted = await runs.made(claim.key, self._instance, size_bytes)
        if not is_wanted:
            await self._archive.delete(claim.key)
        metrics.WORK_DONE.labels("print run", "made").inc()

    async def _renewing(self, claim: PrintRunClaim) -> AsyncIterator[bytes]:
        """Yield the merged file, holding the claim as long as it grows."""
        renewed_at = self._clock.now()
        async for piece in self._binder.bind(claim.manifest, self._archive.get):
            yield piece
            now = self._clock.now()
            if now - renewed_at > LEASE / 4:
                renewed_at = now
                async with self._open_runs() as runs:
                    if not await runs.renew(claim.key, self._instance, now + LEASE):
                        raise _NotWantedError

    async def _give_up(self, claim: PrintRunClaim, failure: str) -> None:
        async with self._open_runs() as runs:
            await runs.failed(claim.key, self._instance, failure[:200])
        metrics.WORK_DONE.labels("print run", "failed").inc()
