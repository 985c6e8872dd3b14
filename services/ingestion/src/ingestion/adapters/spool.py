"""Where a deposit lies on this machine while it is received and read: one folder for each."""

import asyncio
import hashlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from ingestion.adapters.job_files import BODY, DOCUMENTS
from ingestion.domain import Rejection
from ingestion.ports import (
    DepositRow,
    Document,
    Files,
    Part,
    body_key,
    document_key,
    usable_documents,
)
from shared.http import ProblemError

MAXIMUM_PARTS = 10_001
CHUNK_BYTES = 262_144
INDEX_PART = "deposit"

_TOO_LARGE = Rejection(
    code="document_too_large", pointer="/pdf", message="Le PDF joint dépasse la taille permise."
)
_TWICE = Rejection(
    code="duplicate_part", pointer="/pdf", message="Deux parties du dépôt portent ce nom."
)


class Spooled(msgspec.Struct, kw_only=True):
    """What came: the body if any, the files beside it by name; `sha256` is that of all of it."""

    folder: Path
    has_body: bool = False
    declared: str = ""
    parts: dict[str, Part] = {}
    size_bytes: int = 0
    sha256: str = ""

    @property
    def body(self) -> Path:
        """Where the body is."""
        return self.folder / BODY

    def path(self, document: Document) -> Path:
        """Return where a file beside the body is."""
        return document_path(self.folder, document)


def new_folder() -> Path:
    """Return an empty folder that only this service can read."""
    folder = Path(tempfile.mkdtemp(prefix="deposit-"))
    (folder / DOCUMENTS).mkdir()
    return folder


async def remove(folder: Path) -> None:
    """Remove a folder with all that is in it."""
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def receive(request: web.Request, *, file_limit: int, total_limit: int) -> Spooled:
    """Write the body of a request to a new folder: as it is, or part by part (RFC 7578).

    In parts, the one named `deposit`, or one typed as text, JSON, XML or ZIP, is the body; every
    other part is a PDF. One that is larger than `file_limit` bytes is refused alone.

    Raises:
        ProblemError: 400 not readable as parts, 413 larger than `total_limit` bytes.
    """
    spooled = Spooled(folder=new_folder(), declared=request.content_type)
    try:
        if request.content_type == "multipart/form-data":
            await _receive_parts(request, spooled, file_limit, total_limit)
        else:
            digest = hashlib.sha256()
            await _write(request.content.iter_chunked(CHUNK_BYTES), spooled, digest, total_limit)
            spooled.sha256 = digest.hexdigest()
    except BaseException:
        await remove(spooled.folder)
        raise
    return spooled


async def receive_bytes(content: bytes) -> Spooled:
    """Write what came in one piece to a new folder."""
    spooled = Spooled(
        folder=new_folder(), has_body=True, size_bytes=len(content), declared="application/json"
    )
    spooled.sha256 = hashlib.sha256(content).hexdigest()
    await asyncio.to_thread(spooled.body.write_bytes, content)
    return spooled


async def _write(
    chunks: AsyncIterator[bytes], spooled: Spooled, digest: "hashlib._Hash", limit: int
) -> None:
    spooled.has_body = True
    with spooled.body.open("wb") as target:
        async for chunk in chunks:
            spooled.size_bytes += len(chunk)
            if spooled.size_bytes > limit:
                raise too_large()
            digest.update(chunk)
            target.write(chunk)


def too_large() -> ProblemError:
    """Return the refusal of a deposit that is larger than allowed as a whole."""
    return ProblemError(413, "too-large", "Le dépôt dépasse la taille permise.")


async def _receive_parts(
    request: web.Request, spooled: Spooled, file_limit: int, total_limit: int
) -> None:
    whole = hashlib.sha256()
    async for part in _each(request):
        # A quotation mark cannot stand in the header as it is (RFC 7578, section 2).
        name = (part.name or part.filename or "").replace("%22", '"')
        own = hashlib.sha256()
        before = spooled.size_bytes
        if _is_body(part, name):
            if spooled.has_body:
                raise ProblemError(
                    400, "unreadable-deposit", "Le dépôt contient deux parties à lire."
                )
            spooled.declared = part.headers.get("Content-Type", "").partition(";")[0].strip()
            await _write(_chunks(part), spooled, own, total_limit)
        else:
            await _write_document(part, name, spooled, own, (file_limit, total_limit))
        whole.update(f"{name}\n{spooled.size_bytes - before}\n{own.hexdigest()}\n".encode())
    spooled.sha256 = whole.hexdigest()


def _is_body(part: BodyPartReader, name: str) -> bool:
    media = part.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return name == INDEX_PART or media in {
        "application/json",
        "application/x-ndjson",
        "application/xml",
        "application/zip",
        "text/csv",
        "text/xml",
    }


async def _write_document(
    part: BodyPartReader,
    name: str,
    spooled: Spooled,
    digest: "hashlib._Hash",
    limits: tuple[int, int],
) -> None:
    file_limit, total_limit = limits
    size = 0
    path = spooled.folder / "incoming"
    with path.open("wb") as target:
        async for chunk in _chunks(part):
            size += len(chunk)
            if spooled.size_bytes + size > total_limit:
                raise too_large()
            digest.update(chunk)
            # What is too large is still read to its end, for the sake of the parts after it.
            if size <= file_limit:
                target.write(chunk)
    spooled.size_bytes += size
    if name in spooled.parts:
        spooled.parts[name] = _TWICE
    elif size > file_limit:
        spooled.parts[name] = _TOO_LARGE
    else:
        document = Document(digest.hexdigest(), size)
        path.replace(spooled.path(document))
        spooled.parts[name] = document


async def _chunks(part: BodyPartReader) -> AsyncIterator[bytes]:
    while chunk := await part.read_chunk(CHUNK_BYTES):
        yield bytes(chunk)


async def _each(request: web.Request) -> AsyncIterator[BodyPartReader]:
    try:
        reader = await request.multipart()
        count = 0
        while (part := await reader.next()) is not None:
            count += 1
            if count > MAXIMUM_PARTS or not isinstance(part, BodyPartReader):
                raise _unreadable()
            yield part
    except (ValueError, AssertionError, HttpProcessingError) as error:
        raise _unreadable() from error


def _unreadable() -> ProblemError:
    return ProblemError(
        400, "unreadable-deposit", "Le corps du dépôt n’est pas lisible en plusieurs parties."
    )


def document_path(folder: Path, document: Document) -> Path:
    """Return where a folder has a file."""
    return folder / DOCUMENTS / document.sha256


async def fetch(deposit: DepositRow, files: Files) -> Path:
    """Bring the files of a deposit from the store to a new folder.

    Raises:
        MissingObjectError: one is not there any more.
    """
    folder = new_folder()
    try:
        if deposit.has_body:
            await files.fetch_file(body_key(deposit), folder / BODY)
        for document in usable_documents(deposit.parts).values():
            await files.fetch_file(document_key(deposit, document), document_path(folder, document))
    except BaseException:
        await remove(folder)
        raise
    return folder
