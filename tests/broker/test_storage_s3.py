"""The object store on a real S3 server: what is kept is what was put, and errors have names."""

import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from shared.events.invoice_generated import StoredFile
from shared.storage import (
    CorruptObjectError,
    MissingObjectError,
    Storage,
    StorageUnavailableError,
)
from tests.s3 import SeaweedS3

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[SeaweedS3]:
    """Return a server that lives as long as the module, its owner's keys in the environment."""
    async with SeaweedS3() as started:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in started.environment.items():
                patch.setenv(name, value)
            yield started


@pytest.fixture
def storage(server: SeaweedS3) -> Storage:
    """Return the store as services open it."""
    return Storage(f"s3://{server.bucket}", endpoint=server.endpoint)


async def test_what_is_put_is_got_back(storage: Storage) -> None:
    """Bytes come back as they were, described by size and SHA-256."""
    content = "Facture n° 12 – 41,00 €".encode()

    file = await storage.put("deposits/1/facture.pdf", content)

    assert file == StoredFile(
        key="deposits/1/facture.pdf",
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    assert await storage.get(file.key) == content
    assert await storage.get_checked(file) == content


async def test_a_key_is_replaced(storage: Storage) -> None:
    """The last put under a key is what is there."""
    await storage.put("replaced", b"first")

    await storage.put("replaced", b"second")

    assert await storage.get("replaced") == b"second"


async def test_a_large_file_comes_back_whole(storage: Storage) -> None:
    """Forty megabytes, more than the server keeps in one piece."""
    content = os.urandom(1_000_000) * 40

    file = await storage.put("large", content)

    assert file.size_bytes == 40_000_000
    assert await storage.get_checked(file) == content


async def test_a_local_file_is_stored_and_fetched_without_being_held(
    storage: Storage, tmp_path: Path
) -> None:
    """A deposit of many megabytes passes in pieces, from disk to disk."""
    content = os.urandom(1_000_000) * 12
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()

    file = await storage.put_file("whole", source, sha256=digest, size_bytes=len(content))
    await storage.fetch_file("whole", target)

    assert file == StoredFile(key="whole", size_bytes=12_000_000, sha256=digest)
    assert target.read_bytes() == content
    with pytest.raises(MissingObjectError):
        await storage.fetch_file("never-put", tmp_path / "nothing")


class ReaderGoneError(Exception):
    """Whoever gave the pieces stopped giving."""


async def _pieces(count: int, *, breaks: bool = False) -> AsyncIterator[bytes]:
    for number in range(count):
        yield bytes([number]) * 1_000_000
    if breaks:
        raise ReaderGoneError


async def test_pieces_are_stored_as_one_object(storage: Storage) -> None:
    """In parts of the protocol's own, which end where no piece does."""
    size_bytes = await storage.put_pieces("pieces", _pieces(23))

    content = await storage.get("pieces")
    read = b"".join([piece async for piece in await storage.get_pieces("pieces")])
    assert size_bytes == len(content) == 23_000_000
    assert content == read == b"".join([piece async for piece in _pieces(23)])


async def test_pieces_that_break_off_store_nothing(storage: Storage) -> None:
    """A deposit whose sender hangs up in the middle never was."""
    with pytest.raises(ReaderGoneError):
        await storage.put_pieces("broken-off", _pieces(12, breaks=True))

    with pytest.raises(MissingObjectError):
        await storage.get("broken-off")


async def test_nothing_there_is_told_from_no_answer(storage: Storage) -> None:
    """A missing object is permanent: asking again cannot help."""
    with pytest.raises(MissingObjectError):
        await storage.get("never-put")


async def test_another_content_than_announced_is_refused(storage: Storage) -> None:
    """What an event announces is what is read, or nothing is."""
    file = await storage.put("announced", b"as announced")
    await storage.put("announced", b"another")

    with pytest.raises(CorruptObjectError):
        await storage.get_checked(file)


async def test_a_purge_may_run_twice(storage: Storage) -> None:
    """Deleting what is gone is no error."""
    await storage.put("purged", b"x")

    await storage.delete("purged")
    await storage.delete("purged")

    with pytest.raises(MissingObjectError):
        await storage.get("purged")


async def test_what_lies_below_a_key_goes_with_it(storage: Storage) -> None:
    """And nothing beside it, whose key only begins alike; twice is no error."""
    for name in ("v1/pages/1.webp", "v1/pages/2.webp", "v1/pages-of-another.webp", "v12/pages/1"):
        await storage.put(f"below/{name}", b"x")

    await storage.delete_below("below/v1/pages/")
    await storage.delete_below("below/v1/pages/")

    for name in ("v1/pages/1.webp", "v1/pages/2.webp"):
        with pytest.raises(MissingObjectError):
            await storage.get(f"below/{name}")
    assert await storage.get("below/v1/pages-of-another.webp") == b"x"
    assert await storage.get("below/v12/pages/1") == b"x"


async def test_it_is_ready_when_the_server_answers(storage: Storage) -> None:
    """Readiness asks for one object that need not be there."""
    await storage.ready()


async def test_it_is_not_ready_with_keys_that_the_server_does_not_know(
    server: SeaweedS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong keys are found before the first invoice is."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    storage = Storage(f"s3://{server.bucket}", endpoint=server.endpoint)

    with pytest.raises(StorageUnavailableError):
        await storage.ready()


async def test_a_reader_may_not_write(server: SeaweedS3, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the server forbids is told as a store that cannot be used now, and nothing is kept."""
    owner = Storage(f"s3://{server.bucket}", endpoint=server.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "reader")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-reader")
    reader = Storage(f"s3://{server.bucket}", endpoint=server.endpoint)

    with pytest.raises(StorageUnavailableError):
        await reader.put("forbidden", b"x")

    with pytest.raises(MissingObjectError):
        await owner.get("forbidden")


async def test_no_server_is_no_answer(unused_tcp_port: int) -> None:
    """A store that is away is transient: the same call may succeed later."""
    storage = Storage("s3://tests", endpoint=f"http://127.0.0.1:{unused_tcp_port}")

    with pytest.raises(StorageUnavailableError):
        await storage.get("anything")
