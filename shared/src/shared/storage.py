"""The object store: S3 in production, a local folder by default, one library for both."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.store import LocalStore, ObjectStore, S3Store

from shared.errors import PermanentError, TransientError
from shared.events.invoice_generated import StoredFile

if TYPE_CHECKING:
    # These exist for the type checker alone.
    from obstore.store import ClientConfig, RetryConfig


CONNECT_TIMEOUT = timedelta(seconds=3)
REQUEST_TIMEOUT = timedelta(seconds=15)
RETRY_TIMEOUT = timedelta(seconds=10)
PIECE_BYTES = 1_048_576
PIECES_AT_ONCE = 2
HASHED_AT_ONCE_BYTES = 1024 * 1024
"""Beyond this, hashing would keep the loop for longer than going to a thread and back costs."""


class MissingObjectError(PermanentError):
    """Nothing is stored under that key."""

    slug = "missing-object"


class CorruptObjectError(PermanentError):
    """What is stored is not what the event announced."""

    slug = "corrupt-object"


class StorageUnavailableError(TransientError):
    """The store did not answer."""

    slug = "storage-unavailable"


class Storage:
    """Keeps files by key; keys are ours, never a user's path."""

    def __init__(self, url: str, *, endpoint: str = "", region: str = "") -> None:
        """Open `file:///folder` or `s3://bucket`; S3 credentials come from the AWS_* variables."""
        self._store: ObjectStore
        if url.startswith("file://"):
            folder = Path(url.removeprefix("file://"))
            folder.mkdir(parents=True, exist_ok=True)
            self._store = LocalStore(prefix=folder)
        else:
            # Only a store inside the cluster is spoken to without TLS, when its address says so.
            place = region or "us-east-1"
            # Bounded well below a worker's lease: what cannot be stored now is put off by us.
            patience: RetryConfig = {"max_retries": 3, "retry_timeout": RETRY_TIMEOUT}
            client: ClientConfig = {
                "allow_http": endpoint.startswith("http://"),
                "connect_timeout": CONNECT_TIMEOUT,
                "timeout": REQUEST_TIMEOUT,
            }
            self._store = (
                S3Store.from_url(
                    url,
                    region=place,
                    endpoint=endpoint,
                    client_options=client,
                    retry_config=patience,
                )
                if endpoint
                else S3Store.from_url(
                    url, region=place, client_options=client, retry_config=patience
                )
            )

    async def put(self, key: str, content: bytes) -> StoredFile:
        """Store `content` under `key`, replacing what was there, and return its description."""
        digest = await _sha256(content)
        try:
            await obstore.put_async(self._store, key, content)
        except (obstore.exceptions.BaseError, OSError) as error:
            raise StorageUnavailableError(str(error)) from error
        return StoredFile(key=key, size_bytes=len(content), sha256=digest)

    async def put_file(self, key: str, path: Path, *, sha256: str, size_bytes: int) -> StoredFile:
        """Store a local file, of which digest and size are known, and return its description."""
        try:
            await obstore.put_async(self._store, key, path)
        except (obstore.exceptions.BaseError, OSError) as error:
            raise StorageUnavailableError(str(error)) from error
        return StoredFile(key=key, size_bytes=size_bytes, sha256=sha256)

    async def fetch_file(self, key: str, path: Path) -> None:
        """Write the content of `key` to a local file, in pieces.

        Raises:
            MissingObjectError: nothing there.
            StorageUnavailableError: the store did not answer.
        """
        try:
            answer = await obstore.get_async(self._store, key)
            with path.open("wb") as target:
                async for piece in answer.stream(min_chunk_size=PIECE_BYTES):
                    target.write(piece)
        except (FileNotFoundError, obstore.exceptions.NotFoundError) as error:
            raise MissingObjectError(key) from error
        except (obstore.exceptions.BaseError, OSError) as error:
            raise StorageUnavailableError(str(error)) from error

    async def put_pieces(self, key: str, pieces: AsyncIterator[bytes]) -> int:
        """Store what comes piece by piece, holding few of them, and return its size in bytes.

        What `pieces` raises is raised here, and nothing is stored.
        """
        size_bytes = 0

        async def counted() -> AsyncIterator[bytes]:
            nonlocal size_bytes
            async for piece in pieces:
                size_bytes += len(piece)
                yield piece

        try:
            await obstore.put_async(self._store, key, counted(), max_concurrency=PIECES_AT_ONCE)
        except (obstore.exceptions.BaseError, OSError) as error:
            raise StorageUnavailableError(str(error)) from error
        return size_bytes

    async def get_pieces(self, key: str) -> AsyncIterator[bytes]:
        """Open `key` and return its content piece by piece.

        Raises:
            MissingObjectError: nothing there.
            StorageUnavailableError: the store did not answer.
        """
        try:
            answer = await obstore.get_async(self._store, key)
        except (FileNotFoundError, obstore.exceptions.NotFoundError) as error:
            raise MissingObjectError(key) from error
        except (obstore.exceptions.BaseError, OSError) as error:
            raise StorageUnavailableError(str(error)) from error
        return aiter(answer.stream(min_chunk_size=PIECE_BYTES))

    async def get(self, key: str) -> bytes:
        """Return the content of `key`.

        Raises:
            MissingObjectError: nothing there.
            StorageUnavailableError: the store did not answer.
        """
        try:
            answer = await obstore.get_async(self._store, key)
            return bytes(await answer.bytes_async())
        except (FileNotFoundError, obstore.exceptions.NotFoundError) as error:
            raise MissingObjectError(key) from error
        except (obstore.exceptions.BaseError, OSError) as error:
            raise StorageUnavailableError(str(error)) from error

    async def get_checked(self, file: StoredFile) -> bytes:
        """Return the content of `file`, whose size and SHA-256 are those announced.

        Raises:
            CorruptObjectError: the store holds something else.
        """
        content = await self.get(file.key)
        digest = await _sha256(content)
        if digest != file.sha256:
            raise CorruptObjectError(file.key)
        return content

    async def delete(self, key: str) -> None:
        """Remove `key`; nothing there is fine, since a purge may be run twice."""
        try:
            await obstore.delete_async(self._store, key)
        except (FileNotFoundError, obstore.exceptions.NotFoundError):
            return
        except (obstore.exceptions.BaseError, OSError) as error:
            raise StorageUnavailableError(str(error)) from error

    async def delete_below(self, prefix: str) -> None:
        """Remove every key that starts with `prefix`, which ends with a slash; none is fine."""
        try:
            async for entries in obstore.list(self._store, prefix):
                for entry in entries:
                    await self.delete(entry["path"])
        except (obstore.exceptions.BaseError, OSError) as error:
            raise StorageUnavailableError(str(error)) from error

    async def ready(self) -> None:
        """Return when the store answers.

        Raises:
            StorageUnavailableError: it does not.
        """
        try:
            await obstore.head_async(self._store, "readiness-probe")
        except (FileNotFoundError, obstore.exceptions.NotFoundError):
            return
        except (obstore.exceptions.BaseError, OSError) as error:
            raise StorageUnavailableError(str(error)) from error


async def _sha256(content: bytes) -> str:
    if len(content) <= HASHED_AT_ONCE_BYTES:
        return hashlib.sha256(content).hexdigest()
    return await asyncio.to_thread(lambda: hashlib.sha256(content).hexdigest())
