"""A ZIP is opened with suspicion: bombs, broken directories and odd names are refused by name."""

import contextlib
import io
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestion.adapters.archive import Archive
from ingestion.domain import Rejection, UnreadableDepositError

LIMIT = 1_000_000


def a_zip(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return an archive of these files."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return target.getvalue()


GOOD = a_zip(
    ("index.json", b'{"invoices": []}'), ("pdf/a.pdf", b"%PDF-a"), ("pdf/b.pdf", b"%PDF-b")
)


def refused(content: bytes) -> str:
    """Return the code of the refusal of an archive."""
    with pytest.raises(UnreadableDepositError) as caught:
        Archive(io.BytesIO(content))
    return caught.value.code


def test_finds_a_file_by_its_path_or_by_its_name_alone() -> None:
    """As indexes name files: with their folder or without, with either slash, in any case."""
    archive = Archive(io.BytesIO(GOOD))

    found = [archive.find(name) for name in ("pdf/a.pdf", "A.PDF", ".\\pdf\\b.pdf", "c.pdf")]

    assert ["pdf/a.pdf", "pdf/a.pdf", "pdf/b.pdf", None] == found
    assert ["pdf/a.pdf", "pdf/b.pdf"] == archive.documents
    assert b"%PDF-b" == archive.read("pdf/b.pdf", LIMIT)


def test_a_name_that_two_files_have_means_neither() -> None:
    """Which of two is meant is not guessed."""
    archive = Archive(io.BytesIO(a_zip(("1/a.pdf", b"x"), ("2/a.pdf", b"y"))))

    assert archive.find("a.pdf") is None
    assert "2/a.pdf" == archive.find("2/a.pdf")


def test_a_file_larger_than_allowed_costs_itself() -> None:
    """The others can still be read."""
    archive = Archive(io.BytesIO(a_zip(("a.pdf", b"x" * 1000), ("b.pdf", b"y"))))

    too_large = archive.read("a.pdf", 999)

    assert isinstance(too_large, Rejection)
    assert "document_too_large" == too_large.code
    assert b"y" == archive.read("b.pdf", 999)


def test_a_directory_that_lies_about_a_size_is_found_out(tmp_path: Path) -> None:
    """What a member unfolds to is counted, whatever was said of it."""
    content = bytearray(a_zip(("index.json", b"0" * 900_000)))
    at = content.rfind(b"PK\x01\x02")
    struct.pack_into("<L", content, at + 24, 10)
    archive = Archive(io.BytesIO(bytes(content)))

    with pytest.raises(UnreadableDepositError) as caught:
        archive.extract_index(tmp_path / "index")

    assert caught.value.code in {"unreadable_zip", "zip_bomb"}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"PK\x03\x04", "unreadable_zip"),
        (GOOD[: len(GOOD) // 2], "unreadable_zip"),
        (a_zip(("a.csv", b"0" * 30_000_000)), "zip_bomb"),
        (a_zip(("a.pdf", b"x"), method=zipfile.ZIP_LZMA), "unreadable_zip"),
    ],
)
def test_what_is_no_honest_archive_is_refused(content: bytes, code: str) -> None:
    """Before anything of it is unfolded."""
    assert code == refused(content)


def test_members_that_share_their_bytes_are_a_bomb() -> None:
    """Many entries of the directory on one compressed member: how 10 MB become 281 TB."""
    one = a_zip(("a.csv", b"0" * 500_000))
    at, end = one.rfind(b"PK\x01\x02"), one.rfind(b"PK\x05\x06")
    entry = one[at:end]
    entries = b"".join(entry.replace(b"a.csv", b"%05d" % number) for number in range(200))
    tail = bytearray(one[end:])
    struct.pack_into("<HHLL", tail, 8, 200, 200, len(entries), at)

    assert "zip_bomb" == refused(one[:at] + entries + bytes(tail))


@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_mutation_raises_anything_but_a_refusal(tmp_path: Path, data: st.DataObject) -> None:
    """Bytes replaced, cut out or put in: an archive that can be read, or a refusal."""
    content = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    with contextlib.suppress(UnreadableDepositError):
        archive = Archive(io.BytesIO(bytes(content)))
        archive.extract_index(tmp_path / "index")
        for name in archive.documents:
            assert isinstance(archive.read(name, LIMIT), bytes | Rejection)
