"""What a biller sets and asks for about its files."""

from datetime import date, datetime
from uuid import UUID, uuid5

import msgspec
from msgspec.structs import replace

from reconciliation.domain.collection_file_ports import (
    CollectionFile,
    CollectionFiles,
    Drops,
    FileSetting,
    NoDestinationError,
    OpenFiles,
    UnknownDayError,
)
from reconciliation.domain.collection_files import FileState, Layout, check_layout, file_name
from reconciliation.domain.destinations import Destination, Download, split, with_kept_secrets
from reconciliation.ports import Sealer
from shared.clock import Clock

KEY_NAMESPACE = UUID("6f6b0c34-6c6b-5f39-9c0f-0f3f5f6e4f2e")
"""Régie codes may hold anything: keys of the store are made from them, never of them."""


class CollectionFileDesk:
    """What billers ask for about their files; see `FileDesk`."""

    def __init__(self, open_files: OpenFiles, drops: Drops, sealer: Sealer, clock: Clock) -> None:
        """Keep settings and orders through `open_files`."""
        self._open_files = open_files
        self._drops = drops
        self._sealer = sealer
        self._clock = clock

    async def set_up(
        self, authority: str, regie: str, layout: Layout, destination: Destination
    ) -> FileSetting:
        """Set what a régie's files look like and where they are left, from the next on.

        Raises:
            LayoutError: the layout cannot be followed.
            DestinationError: the destination cannot be used.
        """
        check_layout(layout)
        async with self._open_files() as files:
            for kept in await files.settings(authority, [regie]):
                secrets = opened(self._sealer, kept.secrets)
                destination = with_kept_secrets(destination, kept.destination, secrets)
            self._drops.check(destination)
            plain, secrets = split(destination)
            setting = FileSetting(
                authority=authority,
                regie=regie,
                layout=layout,
                destination=plain,
                secrets=sealed(self._sealer, secrets),
                set_at=self._clock.now(),
            )
            await files.keep_setting(setting)
        return setting

    async def order(self, authority: str, regie: str, day: date) -> CollectionFile:
        """Have a day's file left once more, as if it had never been tried; make it if need be.

        Raises:
            UnknownDayError: there is no file of that day, and none can be made.
            NoDestinationError: it is made, and there is nowhere to leave it.
        """
        async with self._open_files() as files:
            # Two who ask at once must not plan the file twice.
            await files.lock_days(authority)
            file = await files.find(authority, regie, day)
            settings = await files.settings(authority, [regie])
            if file is None:
                if not settings or not await files.closed(authority, [regie], day, day):
                    reason = "Ce jour n’est pas clos pour cette régie, ou elle n’a pas de fichiers."
                    raise UnknownDayError(reason)
                return await plan_file(files, settings[0], day, self._clock.now())
            if not settings or isinstance(settings[0].destination, Download):
                reason = "Aucune destination n’est réglée pour les fichiers de cette régie."
                raise NoDestinationError(reason)
            if file.state is not FileState.PLANNED:
                file = _as_if_never_tried(file, self._clock.now())
                await files.keep(file)
        return file


def _as_if_never_tried(file: CollectionFile, now: datetime) -> CollectionFile:
    return replace(
        file,
        state=FileState.WAITING,
        attempts=0,
        next_at=now,
        problem_code="",
        problem_detail="",
    )


async def plan_file(
    files: CollectionFiles, setting: FileSetting, day: date, now: datetime
) -> CollectionFile:
    """Plan the file of a closed day; the days of the authority must be locked."""
    sequence = 1 + await files.last_sequence(setting.authority, setting.regie)
    name = uuid5(KEY_NAMESPACE, f"{setting.authority}\n{setting.regie}\n{day}")
    file = CollectionFile(
        authority=setting.authority,
        regie=setting.regie,
        day=day,
        sequence=sequence,
        name=file_name(
            setting.layout,
            authority=setting.authority,
            regie=setting.regie,
            day=day,
            sequence=sequence,
        ),
        layout=setting.layout,
        state=FileState.PLANNED,
        storage_key=f"collection-files/{day:%Y/%m}/{name}",
        next_at=now,
        planned_at=now,
    )
    await files.add(file)
    return file


def sealed(sealer: Sealer, secrets: dict[str, str]) -> bytes:
    """Return secrets as they are stored."""
    return sealer.seal(msgspec.json.encode(secrets))


def opened(sealer: Sealer, secrets: bytes) -> dict[str, str]:
    """Return secrets as they are used."""
    return msgspec.json.decode(sealer.open(secrets), type=dict[str, str])
