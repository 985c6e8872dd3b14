"""The doors of billers to the files of closed days."""

from datetime import date, datetime

import msgspec
from aiohttp import web

from reconciliation.api.totals import biller, read_day, require_regie
from reconciliation.domain.collection_file_ports import (
    CollectionFile,
    FileDesk,
    FileSetting,
    OpenFiles,
    ReadFile,
)
from reconciliation.domain.collection_files import (
    Column,
    DateFormat,
    FileState,
    Layout,
    LayoutError,
)
from reconciliation.domain.destinations import Destination, DestinationError, Download
from shared.http import Operation, ProblemError, json_response, read_json

FILES_LISTED = 500
CHARSETS = {"cp1252": "windows-1252"}


class FileSettingBody(Layout, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a régie's files look like, and where they are left."""

    destination: Destination = Download()


class FileSettingAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The same as it is kept: secrets are never shown again."""

    regie: str
    columns: tuple[Column, ...]
    delimiter: str
    encoding: str
    decimal: str
    date_format: DateFormat
    header: bool
    file_name: str
    control: str
    destination: Destination
    set_at: datetime


class DropProblem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a file was not left the last time."""

    code: str
    detail: str


class FileEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One régie's file of one day; `attempts` counts the tries to leave it."""

    regie: str
    day: date
    sequence: int
    name: str
    state: FileState
    size_bytes: int
    sha256: str
    control_sha256: str
    attempts: int
    next_attempt_at: datetime | None
    problem: DropProblem | None
    made_at: datetime | None
    dropped_at: datetime | None


class FileList(msgspec.Struct, frozen=True, kw_only=True):
    """Files, the last days first; `next` is the `before` of the page that follows."""

    files: tuple[FileEntry, ...]
    next: date | None


class FileDoors:
    """The operations, over settings and files."""

    def __init__(self, open_files: OpenFiles, desk: FileDesk, read_file: ReadFile) -> None:
        """Read through `open_files` and `read_file`, and ask `desk` for the rest."""
        self._open_files = open_files
        self._desk = desk
        self._read_file = read_file

    async def put_setting(self, request: web.Request) -> web.Response:
        """Set what a régie's files look like and where they are left."""
        caller, regie = biller(request), request.match_info["regie"]
        require_regie(caller, regie)
        body = await read_json(request, FileSettingBody)
        layout = Layout(**{name: getattr(body, name) for name in Layout.__struct_fields__})
        try:
            setting = await self._desk.set_up(caller.authority, regie, layout, body.destination)
        except (LayoutError, DestinationError) as error:
            raise ProblemError(422, error.slug, str(error), pointer=error.pointer) from error
        return json_response(_setting(setting))

    async def get_setting(self, request: web.Request) -> web.Response:
        """Return what is set, without secrets."""
        caller, regie = biller(request), request.match_info["regie"]
        require_regie(caller, regie)
        async with self._open_files() as files:
            found = await files.settings(caller.authority, [regie])
        if not found:
            raise _nothing_set()
        return json_response(_setting(found[0]))

    async def delete_setting(self, request: web.Request) -> web.Response:
        """Make no file for a régie any more; those that were made stay."""
        caller, regie = biller(request), request.match_info["regie"]
        require_regie(caller, regie)
        async with self._open_files() as files:
            if not await files.forget_setting(caller.authority, regie):
                raise _nothing_set()
        return web.Response(status=204)

    async def get_files(self, request: web.Request) -> web.Response:
        """Return the files of the caller's régies."""
        caller = biller(request)
        regies = [request.query["regie"]] if "regie" in request.query else list(caller.regies)
        for regie in regies:
            require_regie(caller, regie)
        day, before = (
            read_day(request.query[name]) if name in request.query else None
            for name in ("day", "before")
        )
        async with self._open_files() as files:
            found = await files.files(
                caller.authority, regies, day=day, before=before, limit=FILES_LISTED
            )
        is_more = len(found) == FILES_LISTED
        if is_more:
            # A page ends with a whole day, so that `before` misses none.
            found = [file for file in found if file.day > found[-1].day] or found
        return json_response(
            FileList(
                files=tuple(_entry(file) for file in found),
                next=found[-1].day if is_more else None,
            )
        )

    async def get_csv(self, request: web.Request) -> web.Response:
        """Return a day's file, byte for byte as it was made."""
        file = await self._made(request)
        csv, _ = await self._read_file(file)
        encoding = file.layout.encoding
        return web.Response(
            body=csv,
            content_type="text/csv",
            charset=CHARSETS.get(encoding, "utf-8"),
            headers=_named(file.name, file.sha256),
        )

    async def get_control(self, request: web.Request) -> web.Response:
        """Return what goes beside a day's file: count, sums, digest."""
        file = await self._made(request)
        _, control = await self._read_file(file)
        return web.Response(
            body=control,
            content_type="application/json",
            headers=_named(file.name + ".json", file.control_sha256),
        )

    async def post_drop(self, request: web.Request) -> web.Response:
        """Have a day's file left once more."""
        caller, regie = biller(request), request.match_info["regie"]
        require_regie(caller, regie)
        day = read_day(request.match_info["day"])
        file = await self._desk.order(caller.authority, regie, day)
        return json_response(_entry(file), status=202)

    async def _made(self, request: web.Request) -> CollectionFile:
        caller, regie = biller(request), request.match_info["regie"]
        require_regie(caller, regie)
        async with self._open_files() as files:
            file = await files.find(caller.authority, regie, read_day(request.match_info["day"]))
        if file is None:
            raise ProblemError(404, "unknown-file", "Il n’y a pas de fichier pour ce jour.")
        if file.made_at is None:
            raise ProblemError(409, "not-ready", "Le fichier de ce jour est en préparation.")
        return file

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [*self._reading(), *self._setting_up()]

    def _reading(self) -> list[Operation]:
        return [
            Operation(
                method="GET",
                path="/v1/collection-files",
                handler=self.get_files,
                summary="The files of closed days, the last first.",
                scope="collections:read",
                query={
                    "regie": "One régie only.",
                    "day": "One day only.",
                    "before": "Days before this one: `next` of the last page.",
                },
                responses={200: FileList},
            ),
            Operation(
                method="GET",
                path="/v1/collection-files/{regie}/{day}.csv",
                handler=self.get_csv,
                summary="One day's file.",
                scope="collections:read",
                responses={200: "text/csv"},
            ),
            Operation(
                method="GET",
                path="/v1/collection-files/{regie}/{day}.json",
                handler=self.get_control,
                summary="Count, sums and digest of one day's file.",
                scope="collections:read",
                responses={200: "application/json"},
            ),
        ]

    def _setting_up(self) -> list[Operation]:
        return [
            Operation(
                method="PUT",
                path="/v1/collection-files/{regie}",
                handler=self.put_setting,
                summary="Set what a régie's files look like and where they are left.",
                scope="webhooks:write",
                request=FileSettingBody,
                responses={200: FileSettingAnswer},
            ),
            Operation(
                method="GET",
                path="/v1/collection-files/{regie}",
                handler=self.get_setting,
                summary="What is set, without secrets.",
                scope="webhooks:write",
                responses={200: FileSettingAnswer},
            ),
            Operation(
                method="DELETE",
                path="/v1/collection-files/{regie}",
                handler=self.delete_setting,
                summary="Make no file any more; those that were made stay.",
                scope="webhooks:write",
                responses={},
            ),
            Operation(
                method="POST",
                path="/v1/collection-files/{regie}/{day}/drop",
                handler=self.post_drop,
                summary="Have a day's file left once more; made first if its day has none.",
                scope="webhooks:write",
                responses={202: FileEntry},
            ),
        ]


def _nothing_set() -> ProblemError:
    return ProblemError(404, "no-setting", "Aucun fichier n’est réglé pour cette régie.")


def _named(name: str, digest: str) -> dict[str, str]:
    # Names are made of letters, digits, `.`, `_` and `-`: nothing to escape.
    return {"Content-Disposition": f'attachment; filename="{name}"', "ETag": f'"{digest}"'}


def _setting(setting: FileSetting) -> FileSettingAnswer:
    layout = setting.layout
    return FileSettingAnswer(
        regie=setting.regie,
        columns=layout.columns,
        delimiter=layout.delimiter,
        encoding=layout.encoding,
        decimal=layout.decimal,
        date_format=layout.date_format,
        header=layout.header,
        file_name=layout.file_name,
        control=layout.control,
        destination=setting.destination,
        set_at=setting.set_at,
    )


def _entry(file: CollectionFile) -> FileEntry:
    is_due = file.state in (FileState.PLANNED, FileState.WAITING)
    problem = DropProblem(code=file.problem_code, detail=file.problem_detail)
    return FileEntry(
        regie=file.regie,
        day=file.day,
        sequence=file.sequence,
        name=file.name,
        state=file.state,
        size_bytes=file.size_bytes,
        sha256=file.sha256,
        control_sha256=file.control_sha256,
        attempts=file.attempts,
        next_attempt_at=file.next_at if is_due else None,
        problem=problem if file.problem_code else None,
        made_at=file.made_at,
        dropped_at=file.dropped_at,
    )
