"""Makes the files of closed days and leaves them where billers want them."""

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import timedelta

import structlog
from msgspec.structs import replace

from reconciliation.domain.closing import Total
from reconciliation.domain.collection_file_ports import (
    CollectionFile,
    Drops,
    FileSetting,
    OpenFiles,
    Shelf,
)
from reconciliation.domain.collection_files import (
    FileState,
    Row,
    control_of,
    next_attempt,
    render,
)
from reconciliation.domain.destinations import Download, DropError, joined
from reconciliation.handlers.order_collection_files import opened
from reconciliation.ports import Sealer
from shared import metrics
from shared.clock import Clock
from shared.errors import TransientError
from shared.events.invoice_generated import StoredFile
from shared.storage import CorruptObjectError, MissingObjectError

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

LEASE = timedelta(minutes=5)
"""Longer than a drop may take."""
PAUSE_WITHOUT_STORE = timedelta(minutes=1)


def csv_key(file: CollectionFile) -> str:
    """Return where the object store keeps the file."""
    return file.storage_key + ".csv"


def control_key(file: CollectionFile) -> str:
    """Return where the object store keeps what goes beside the file."""
    return file.storage_key + ".json"


class FileWriter:
    """What `shared.worker.Worker` claims and performs: files to make, and files to leave."""

    def __init__(
        self, open_files: OpenFiles, shelf: Shelf, drops: Drops, sealer: Sealer, clock: Clock
    ) -> None:
        """Keep files on `shelf` and leave them through `drops`."""
        self._open_files = open_files
        self._shelf = shelf
        self._drops = drops
        self._sealer = sealer
        self._clock = clock

    async def claim(self, limit: int) -> Sequence[CollectionFile]:
        """Hold at most `limit` files that are due."""
        async with self._open_files() as files:
            return await files.claim(self._clock.now(), LEASE, limit)

    async def perform(self, batch: Sequence[CollectionFile]) -> None:
        """Make or leave each file, and record each outcome by itself."""
        for file in batch:
            if file.state is FileState.PLANNED:
                outcome = await self._make(file)
            else:
                outcome = await self._drop(file)
            async with self._open_files() as files:
                await files.keep(outcome)
            self._tell(outcome)

    async def content(self, file: CollectionFile) -> tuple[bytes, bytes]:
        """Return a file that was made and what goes beside it, made again if the store lost it."""
        try:
            csv, control = await asyncio.gather(
                self._shelf.get_checked(_stored_file(csv_key(file), file.sha256)),
                self._shelf.get_checked(_stored_file(control_key(file), file.control_sha256)),
            )
        except (MissingObjectError, CorruptObjectError) as error:
            logger.warning("file made again", key=file.storage_key, reason=error.slug)
            return await self._stored(file)
        return csv, control

    async def _stored(self, file: CollectionFile) -> tuple[bytes, bytes]:
        """Write a file from the closed day, always with the same bytes, and store it."""
        async with self._open_files() as files:
            rows = await files.rows(file.authority, file.regie, file.day)
            [total] = await files.closed(file.authority, [file.regie], file.day, file.day)
        csv, control = await asyncio.to_thread(_written, file, rows, total)
        await self._shelf.put(csv_key(file), csv)
        await self._shelf.put(control_key(file), control)
        return csv, control

    async def _make(self, file: CollectionFile) -> CollectionFile:
        try:
            csv, control = await self._stored(file)
        except TransientError as error:
            return replace(
                file,
                problem_code=error.slug,
                problem_detail="Le fichier sera écrit dès que le stockage répond.",
                next_at=self._clock.now() + PAUSE_WITHOUT_STORE,
            )
        now = self._clock.now()
        setting = await self._setting(file)
        is_to_be_left = setting is not None and not isinstance(setting.destination, Download)
        return replace(
            file,
            state=FileState.WAITING if is_to_be_left else FileState.KEPT,
            size_bytes=len(csv),
            sha256=_sha256(csv),
            control_sha256=_sha256(control),
            problem_code="",
            problem_detail="",
            made_at=now,
            next_at=now,
        )

    async def _drop(self, file: CollectionFile) -> CollectionFile:
        setting = await self._setting(file)
        if setting is None or isinstance(setting.destination, Download):
            # It was to be left when it was made; since then its biller wants to fetch it.
            return replace(file, state=FileState.KEPT)
        try:
            secrets = opened(self._sealer, setting.secrets)
            csv, control = await self.content(file)
            left = [(file.name, csv)]
            if file.layout.control == "file":
                # Last: whoever sees it finds the file whole.
                left.append((file.name + ".json", control))
            await self._drops.leave(joined(setting.destination, secrets), left)
        except DropError as error:
            return self._failed(file, error)
        except TransientError as error:
            # Our own store or key: none of the biller's tries is used up.
            return replace(
                file,
                problem_code=error.slug,
                problem_detail="Le fichier sera déposé dès que notre service le peut.",
                next_at=self._clock.now() + PAUSE_WITHOUT_STORE,
            )
        now = self._clock.now()
        return replace(
            file,
            state=FileState.DROPPED,
            attempts=file.attempts + 1,
            problem_code="",
            problem_detail="",
            dropped_at=now,
        )

    def _failed(self, file: CollectionFile, error: DropError) -> CollectionFile:
        attempts = file.attempts + 1
        next_at = next_attempt(attempts, self._clock.now())
        return replace(
            file,
            state=FileState.WAITING if next_at else FileState.PARKED,
            attempts=attempts,
            problem_code=error.code,
            problem_detail=str(error),
            next_at=next_at or file.next_at,
        )

    async def _setting(self, file: CollectionFile) -> FileSetting | None:
        """Return what is set for the régie now: where its files go may have changed meanwhile."""
        async with self._open_files() as files:
            found = await files.settings(file.authority, [file.regie])
        return found[0] if found else None

    @staticmethod
    def _tell(file: CollectionFile) -> None:
        metrics.WORK_DONE.labels("collection_file", file.state).inc()
        write = logger.warning if file.problem_code else logger.info
        write(
            "collection file handled",
            authority=file.authority,
            regie=file.regie,
            day=file.day.isoformat(),
            state=file.state,
            attempts=file.attempts,
            problem=file.problem_code,
        )


def _written(file: CollectionFile, rows: Sequence[Row], total: Total) -> tuple[bytes, bytes]:
    csv = render(rows, file.layout, total)
    control = control_of(total, authority=file.authority, name=file.name, sha256=_sha256(csv))
    return csv, control


def _stored_file(key: str, sha256: str) -> StoredFile:
    # Only the digest is compared.
    return StoredFile(key=key, size_bytes=0, sha256=sha256)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
