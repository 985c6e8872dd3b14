"""Reads the body of a deposit: JSON alone, one PDF alone, or parts of both (RFC 7578)."""

import hashlib
from collections.abc import AsyncIterator
from io import BytesIO

import msgspec
import pikepdf
from aiohttp import BodyPartReader, web

from ingestion.domain import Rejection
from ingestion.ports import ReceivedFile
from shared.http import ProblemError

MAXIMUM_PARTS = 10_001
CHUNK_BYTES = 262_144
PDF_SIGNATURE = b"%PDF-"

_NOT_A_PDF = Rejection(
    code="not_a_pdf", pointer="/pdf", message="Le fichier joint n’est pas un PDF."
)
_ENCRYPTED = Rejection(
    code="encrypted", pointer="/pdf", message="Le PDF joint est chiffré ou protégé."
)
_TOO_LARGE = Rejection(
    code="document_too_large", pointer="/pdf", message="Le PDF joint dépasse la taille permise."
)
_TWICE = Rejection(
    code="duplicate_part", pointer="/pdf", message="Deux parties du dépôt portent ce nom."
)


class Parts(msgspec.Struct, kw_only=True):
    """What came in a body: the JSON if any, the usable files and the others, by part name."""

    index: bytes | None = None
    files: dict[str, ReceivedFile] = {}
    refused: dict[str, Rejection] = {}
    sha256: str = ""


async def read_parts(request: web.Request, *, file_limit: int, total_limit: int) -> Parts:
    """Return the parts of a `multipart/form-data` deposit.

    The part named `deposit`, or typed JSON, is the index; every other part is a PDF. A file that
    is no PDF, is encrypted or is larger than `file_limit` bytes is refused alone.

    Raises:
        ProblemError: 400 not readable as parts, 413 larger than `total_limit` bytes.
    """
    parts = Parts()
    digest = hashlib.sha256()
    remaining = total_limit
    async for part in _each(request):
        name = part.name or part.filename or ""
        is_index = name == "deposit" or part.headers.get("Content-Type", "").startswith(
            "application/json"
        )
        content, size = await _read(part, file_limit if not is_index else remaining)
        remaining -= size
        if remaining < 0:
            raise too_large()
        digest.update(f"{name}\n{size}\n".encode())
        digest.update(content if content is not None else b"")
        if is_index:
            if parts.index is not None:
                raise ProblemError(
                    400, "unreadable-deposit", "Le dépôt contient deux parties JSON."
                )
            parts.index = content
        else:
            _add_file(parts, name, content)
    parts.sha256 = digest.hexdigest()
    return parts


def too_large() -> ProblemError:
    """Return the refusal of a deposit that is larger than allowed as a whole."""
    return ProblemError(413, "too-large", "Le dépôt dépasse la taille permise.")


def check_file(content: bytes) -> Rejection | None:
    """Return why a file can be told at the door to be unusable, or None.

    Publication looks closer: this is what can be said at once without opening the file.
    """
    if not content.startswith(PDF_SIGNATURE):
        return _NOT_A_PDF
    # The word stands in every encrypted file, but also in innocent ones: then qpdf decides.
    if b"/Encrypt" in content and _is_encrypted(content):
        return _ENCRYPTED
    return None


def _is_encrypted(content: bytes) -> bool:
    try:
        with pikepdf.open(BytesIO(content), suppress_warnings=True) as pdf:
            return bool(pdf.is_encrypted)
    except pikepdf.PasswordError:
        return True
    except pikepdf.PdfError:
        # Damaged rather than encrypted: publication says so.
        return False


def _add_file(parts: Parts, name: str, content: bytes | None) -> None:
    if name in parts.files or name in parts.refused:
        parts.files.pop(name, None)
        parts.refused[name] = _TWICE
        return
    refusal = _TOO_LARGE if content is None else check_file(content)
    if refusal is not None or content is None:
        parts.refused[name] = refusal or _TOO_LARGE
        return
    sha256 = hashlib.sha256(content).hexdigest()
    file = ReceivedFile(name=name, sha256=sha256, content=content)
    parts.files[name] = file
    # A line may name its file by its fingerprint instead.
    parts.files.setdefault(sha256, file)


async def _each(request: web.Request) -> AsyncIterator[BodyPartReader]:
    try:
        reader = await request.multipart()
        count = 0
        while (part := await reader.next()) is not None:
            count += 1
            if count > MAXIMUM_PARTS or not isinstance(part, BodyPartReader):
                raise _unreadable()
            yield part
    except (ValueError, AssertionError) as error:
        raise _unreadable() from error


def _unreadable() -> ProblemError:
    return ProblemError(
        400, "unreadable-deposit", "Le corps du dépôt n’est pas lisible en plusieurs parties."
    )


async def _read(part: BodyPartReader, limit: int) -> tuple[bytes | None, int]:
    """Return the content, or None when it is larger than `limit`, and its size in bytes."""
    chunks: list[bytes] = []
    size = 0
    while chunk := await part.read_chunk(CHUNK_BYTES):
        size += len(chunk)
        if size <= limit:
            chunks.append(bytes(chunk))
        else:
            chunks.clear()
    return (b"".join(chunks) if size <= limit else None), size
