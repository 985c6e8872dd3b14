"""What one deposit sends: a file as it is, or an index with its PDFs as parts (RFC 7578).

Files are read twice, in chunks: once for the fingerprint that makes repetition harmless, once while
they are sent. What changed in between is never deposited.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from quittance_client.errors import SettingsError

CHUNK_BYTES = 262_144
ANY_TYPE = "application/octet-stream"
MEDIA_TYPES = {
    ".json": "application/json",
    ".ndjson": "application/x-ndjson",
    ".jsonl": "application/x-ndjson",
    ".csv": "text/csv",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".zip": "application/zip",
    ".xml": "application/xml",
    ".pdf": "application/pdf",
}
"""Said for politeness: the door looks at the content. Not the platform's table: those differ."""
INDEX_PART = "deposit"

Sent = Callable[[int], None]
"""Told how many bytes of the body have gone."""


@dataclass(frozen=True, kw_only=True)
class File:
    """A file as it was when it was looked at first."""

    path: Path
    size: int
    sha256: str

    @property
    def media_type(self) -> str:
        """Return what its name says that it is."""
        return MEDIA_TYPES.get(self.path.suffix.lower(), ANY_TYPE)

    def chunks(self) -> Iterator[bytes]:
        """Yield the content; the last chunk only if all of it is what was looked at.

        Raises:
            SettingsError: the file changed or cannot be read any more.
        """
        digest = hashlib.sha256()
        size = 0
        pending = b""
        for chunk in _read(self.path):
            digest.update(chunk)
            size += len(chunk)
            if size > self.size:
                break
            if pending:
                yield pending
            pending = chunk
        if digest.hexdigest() != self.sha256:
            # The door, which was promised more bytes, drops what it has.
            raise SettingsError("file-changed", path=self.path)
        yield pending


@dataclass(frozen=True, kw_only=True)
class Body:
    """The bytes of one deposit, in order, and what they are."""

    name: str
    media_type: str
    segments: tuple[bytes | File, ...]
    sha256: str

    @property
    def size(self) -> int:
        """Return the number of bytes."""
        return sum(
            segment.size if isinstance(segment, File) else len(segment) for segment in self.segments
        )

    def chunks(self, sent: Sent) -> Iterator[bytes]:
        """Yield the bytes from the beginning, telling how many are gone.

        Raises:
            SettingsError: a file changed or cannot be read any more.
        """
        gone = 0
        sent(gone)
        for segment in self.segments:
            for chunk in segment.chunks() if isinstance(segment, File) else (segment,):
                yield chunk
                gone += len(chunk)
                sent(gone)


def look_at(path: Path) -> File:
    """Return a file with its size and fingerprint.

    Raises:
        SettingsError: it cannot be read.
    """
    digest = hashlib.sha256()
    size = 0
    for chunk in _read(path):
        digest.update(chunk)
        size += len(chunk)
    return File(path=path, size=size, sha256=digest.hexdigest())


def _read(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise SettingsError("file-unreadable", path=path, reason=error.strerror) from error


def from_path(path: Path, companions: Sequence[Path] = ()) -> Body:
    """Return the deposit that a file, a file with its companions, or a folder makes.

    Raises:
        SettingsError: a file cannot be read, a folder is empty or has several indexes, or two
            files have one name.
    """
    if path.is_dir():
        return _from_folder(path, companions)
    if companions:
        return _of_parts(path.name, look_at(path), [(found.name, found) for found in companions])
    file = look_at(path)
    return Body(name=path.name, media_type=file.media_type, segments=(file,), sha256=file.sha256)


def _from_folder(folder: Path, companions: Sequence[Path]) -> Body:
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not any(part.startswith(".") for part in path.parts[len(folder.parts) :])
    )
    if not found:
        raise SettingsError("folder-empty", path=folder)
    indexes = [path for path in found if path.suffix.lower() != ".pdf"]
    if len(indexes) > 1:
        names = ", ".join(path.name for path in indexes[:5])
        raise SettingsError("folder-many-indexes", path=folder, names=names)
    named = [(path.relative_to(folder).as_posix(), path) for path in found if path not in indexes]
    named += [(path.name, path) for path in companions]
    index = look_at(indexes[0]) if indexes else None
    return _of_parts(folder.resolve().name, index, named)


def _of_parts(name: str, index: File | None, named: Sequence[tuple[str, Path]]) -> Body:
    """Return the parts, each named as its file: that is how an index speaks of them."""
    parts = [(INDEX_PART, index.path.name, index)] if index is not None else []
    taken: set[str] = {INDEX_PART}
    for part_name, path in named:
        if part_name in taken:
            raise SettingsError("name-twice", name=part_name)
        taken.add(part_name)
        parts.append((part_name, part_name, look_at(path)))
    told = "\n".join(f"{part} {file.size} {file.sha256}" for part, _, file in parts)
    sha256 = hashlib.sha256(told.encode()).hexdigest()
    # From the content, so that a repetition has the same bytes; no file can hold its own digest.
    boundary = f"quittance-{sha256[:48]}"
    segments: list[bytes | File] = []
    for part, file_name, file in parts:
        names = f'name="{_quoted(part)}"; filename="{_quoted(file_name)}"'
        heading = (
            f"--{boundary}\r\nContent-Disposition: form-data; {names}\r\n"
            f"Content-Type: {file.media_type}\r\n\r\n"
        )
        segments += [heading.encode(), file, b"\r\n"]
    segments.append(f"--{boundary}--\r\n".encode())
    return Body(
        name=name,
        media_type=f"multipart/form-data; boundary={boundary}",
        segments=tuple(segments),
        sha256=sha256,
    )


def _quoted(name: str) -> str:
    """Return a name as forms write it (HTML, 4.10.22.8)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
