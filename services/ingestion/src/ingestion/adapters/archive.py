"""A ZIP as a deposit: one index in any format and the PDFs it names, or Factur-X PDFs alone."""

import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ingestion.domain import Rejection, UnreadableDepositError

MAXIMUM_MEMBERS = 10_001
INDEX_MAXIMUM_BYTES = 1_073_741_824
RATIO_FROM_BYTES = 1_048_576
MAXIMUM_RATIO = 200
"""Most that a member of more than `RATIO_FROM_BYTES` may unfold to, as a multiple of its size."""
CHUNK_BYTES = 262_144
_SUPPORTED = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED_FLAG = 0x1
BROKEN_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    NotImplementedError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    RuntimeError,
)
"""What the library raises when an archive is not what it says of itself."""


class Archive:
    """An open ZIP; names of members are only ever compared, never used as paths on disk."""

    def __init__(self, file: BinaryIO) -> None:
        """Open `file`, which stays the caller's to close.

        Raises:
            UnreadableDepositError: `unreadable_zip`, `too_many_files`, `zip_bomb`, `encrypted`,
                `duplicate_file`.
        """
        try:
            self._zip = zipfile.ZipFile(file)
        except BROKEN_ZIP as error:
            raise _unreadable() from error
        members = [
            member
            for member in self._zip.infolist()
            # Not `is_dir()`, which fails on an empty name.
            if not member.filename.endswith("/") and not _is_clutter(member.filename)
        ]
        if len(members) > MAXIMUM_MEMBERS:
            raise UnreadableDepositError(
                "too_many_files", "", "L’archive compte plus de 10 000 fichiers."
            )
        self._refuse_bomb(members, file)
        self._members = {member.filename: member for member in members}
        if len(self._members) < len(members):
            raise UnreadableDepositError(
                "duplicate_file", "", "Deux fichiers de l’archive portent le même nom."
            )

    def _refuse_bomb(self, members: list[zipfile.ZipInfo], file: BinaryIO) -> None:
        for member in members:
            if member.flag_bits & _ENCRYPTED_FLAG:
                raise UnreadableDepositError(
                    "encrypted", "", "L’archive ZIP est protégée par un mot de passe."
                )
            if member.compress_type not in _SUPPORTED:
                raise _unreadable()
            is_large = member.file_size > RATIO_FROM_BYTES
            if is_large and member.file_size > MAXIMUM_RATIO * max(1, member.compress_size):
                raise _bomb()
        # Members that share their bytes are how a small archive unfolds without end.
        size = file.seek(0, 2)
        if sum(member.compress_size for member in members) > size:
            raise _bomb()

    @property
    def documents(self) -> list[str]:
        """The names of the PDFs, in the order of the archive."""
        return [name for name in self._members if _is_pdf(name)]

    def extract_index(self, path: Path) -> bool:
        """Write the one file that is no PDF to `path`; False when there is none.

        Raises:
            UnreadableDepositError: `several_indexes`, `zip_bomb`, `unreadable_zip`.
        """
        indexes = [name for name in self._members if not _is_pdf(name)]
        if len(indexes) > 1:
            raise UnreadableDepositError(
                "several_indexes",
                "",
                "L’archive doit contenir un seul fichier d’index à côté des PDF.",
            )
        if not indexes:
            return False
        with path.open("wb") as target:
            for chunk in self._chunks(indexes[0], INDEX_MAXIMUM_BYTES):
                target.write(chunk)
        return True

    def find(self, name: str) -> str | None:
        """Return the member that an index means by `name`: its path, or its last part if alone."""
        wanted = name.replace("\\", "/").removeprefix("./")
        if wanted in self._members:
            return wanted
        last = PurePosixPath(wanted).name.casefold()
        found = [
            member for member in self._members if PurePosixPath(member).name.casefold() == last
        ]
        return found[0] if len(found) == 1 else None

    def read(self, member: str, limit: int) -> bytes | Rejection:
        """Return the content of a member, or why it cannot be used; `limit` is in bytes."""
        try:
            return b"".join(self._chunks(member, limit))
        except UnreadableDepositError as error:
            code = "document_too_large" if error.code == "zip_bomb" else "unreadable_document"
            return Rejection(code=code, pointer="/pdf", message=_SENTENCES[code])

    def _chunks(self, name: str, limit: int) -> Iterator[bytes]:
        size = 0
        try:
            with self._zip.open(self._members[name]) as source:
                while chunk := source.read(CHUNK_BYTES):
                    size += len(chunk)
                    # What the directory says of a size need not be true.
                    if size > limit:
                        raise _bomb()
                    yield chunk
        except BROKEN_ZIP as error:
            raise _unreadable() from error


_SENTENCES = {
    "document_too_large": "Le PDF joint dépasse la taille permise.",
    "unreadable_document": "Le PDF joint ne peut être lu dans l’archive.",
}


def _is_pdf(name: str) -> bool:
    return name.lower().endswith(".pdf")


def _is_clutter(name: str) -> bool:
    """Say whether a file was left there by an operating system."""
    path = PurePosixPath(name)
    return "__MACOSX" in path.parts or path.name in {".DS_Store", "Thumbs.db", "desktop.ini"}


def _unreadable() -> UnreadableDepositError:
    return UnreadableDepositError(
        "unreadable_zip",
        "",
        "L’archive ZIP est abîmée, incomplète ou d’un type non pris en charge.",
    )


def _bomb() -> UnreadableDepositError:
    return UnreadableDepositError("zip_bomb", "", "L’archive ZIP se déploie en un volume anormal.")
