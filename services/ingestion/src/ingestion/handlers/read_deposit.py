"""A deposit is read: each line gets its outcome, the new ones are published or held."""

from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path

import msgspec
import structlog

from ingestion import domain
from ingestion.domain import PublishMode, Rejection, Release
from ingestion.handlers.receive_deposit import remove_files
from ingestion.handlers.recording import Recording, record
from ingestion.ports import (
    AuthorityRow,
    DepositRow,
    Document,
    Files,
    LostClaimError,
    OpenUnit,
    Reader,
    ReadingJob,
    ReadingResult,
    document_key,
    usable_documents,
)
from shared.clock import Clock, paris_date

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much one file and one reading may take."""

    document_maximum_bytes: int
    seconds: int


class ReadingRoom:
    """Reads deposits, one call for each, with what all of them need."""

    def __init__(
        self,
        *,
        open_unit: OpenUnit,
        reader: Reader,
        files: Files,
        clock: Clock,
        instance: str,
        limits: Limits,
        documents_in: Callable[[Path, Document], Path],
    ) -> None:
        """Keep the parts; `documents_in` tells where a folder has a file."""
        self._open_unit = open_unit
        self._reader = reader
        self._files = files
        self._clock = clock
        self._instance = instance
        self._limits = limits
        self._documents_in = documents_in

    async def read(self, deposit: DepositRow, folder: Path, declared: str = "") -> None:
        """Read the deposit that lies in `folder` and record what became of it.

        All lines are recorded in one transaction, after the last was read: a deposit that cannot
        be read to its end leaves nothing.

        Raises:
            LostClaimError: another process has taken it over.
        """
        authority = await self._authority(deposit)
        job = await self._job(deposit, authority, folder, declared)
        result = await self._reader.read(job, self._reporter(deposit))
        if result.problem is not None:
            await self._fail(deposit, result, result.problem)
            return
        stored = await self._store_new(deposit, folder)
        recording = Recording(
            deposit=deposit,
            authority=authority,
            release=_release(deposit, paris_date(self._clock.now())),
            at=self._clock.now(),
        )
        async with self._open_unit() as unit:
            totals, kept = await record(self._reader.lines(folder), recording, unit)
            if job.regie is not None and result.mapping and not deposit.is_dry_run:
                await unit.deposits.keep_mapping(
                    deposit.authority, job.regie, result.mapping, recording.at
                )
            is_ours = await unit.deposits.finish(
                deposit.deposit_id,
                instance=self._instance,
                result=result,
                totals=totals,
                release=recording.release,
            )
            if not is_ours:
                raise LostClaimError(str(deposit.deposit_id))
        # After any error but our own the commit may have happened, so the files stay.
        await self._tidy(deposit, stored, kept)
        logger.info("deposit read", deposit=str(deposit.deposit_id), lines=result.total)

    async def fail(self, deposit: DepositRow, why: Rejection) -> None:
        """Close a deposit that no try could read."""
        await self._fail(deposit, ReadingResult(format=""), why)

    async def _fail(self, deposit: DepositRow, result: ReadingResult, why: Rejection) -> None:
        async with self._open_unit() as unit:
            is_ours = await unit.deposits.fail(
                deposit.deposit_id, instance=self._instance, form=result.format, why=why
            )
        if is_ours:
            await remove_files(deposit, set(), self._files)
        logger.info("deposit failed", deposit=str(deposit.deposit_id), code=why.code)

    async def _authority(self, deposit: DepositRow) -> AuthorityRow:
        async with self._open_unit() as unit:
            authority = await unit.deposits.authority(deposit.authority)
        # It was known when the deposit was taken, and none is ever removed.
        return authority or AuthorityRow(name=deposit.authority, regies={})

    async def _job(
        self, deposit: DepositRow, authority: AuthorityRow, folder: Path, declared: str
    ) -> ReadingJob:
        mapping = {}
        if deposit.regie is not None:
            async with self._open_unit() as unit:
                mapping = dict(await unit.deposits.mapping(deposit.authority, deposit.regie))
        return ReadingJob(
            folder=folder,
            has_body=deposit.has_body,
            size_bytes=deposit.size_bytes,
            declared=declared,
            parts=deposit.parts,
            authority=deposit.authority,
            regie=deposit.regie,
            version=deposit.version,
            regies={
                code: domain.Regie(
                    code=code,
                    route=row.route,
                    is_allowed=code in deposit.regies,
                )
                for code, row in authority.regies.items()
            },
            mapping=mapping,
            today=paris_date(deposit.received_at),
            document_maximum_bytes=self._limits.document_maximum_bytes,
            seconds=self._limits.seconds,
        )

    def _reporter(self, deposit: DepositRow) -> Callable[[int, int], Awaitable[None]]:
        async def report(read_bytes: int, total: int) -> None:
            async with self._open_unit() as unit:
                await unit.deposits.report(deposit.deposit_id, read_bytes=read_bytes, total=total)

        return report

    async def _store_new(self, deposit: DepositRow, folder: Path) -> dict[str, Document]:
        """Store the files that were found inside the body; those beside it are stored already."""
        known = usable_documents(deposit.parts)
        stored: dict[str, Document] = {}
        if deposit.is_dry_run:
            return stored
        for batch in self._reader.lines(folder):
            for line in batch:
                document = line.document
                if document is None or document.sha256 in known or document.sha256 in stored:
                    continue
                await self._files.put_file(
                    document_key(deposit, document),
                    self._documents_in(folder, document),
                    sha256=document.sha256,
                    size_bytes=document.size_bytes,
                )
                stored[document.sha256] = document
        return stored

    async def _tidy(self, deposit: DepositRow, stored: dict[str, Document], kept: set[str]) -> None:
        await remove_files(deposit, kept, self._files)
        for sha256, document in stored.items():
            if sha256 not in kept:
                await self._files.delete(document_key(deposit, document))


def _release(deposit: DepositRow, today: date) -> Release:
    if deposit.is_dry_run:
        return Release.NONE
    is_later = deposit.publish_on is not None and deposit.publish_on > today
    if deposit.publish is PublishMode.MANUAL or (deposit.publish is PublishMode.AT and is_later):
        return Release.HELD
    return Release.RELEASED
