"""A PES file from outside is read in bounded memory, in its real encoding, or refused."""

import gzip
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.adapters import pes, pes_stream
from ingestion.adapters.pes_stream import CHUNK_BYTES, MAXIMUM_OPEN_TAGS, elements, survey
from ingestion.domain import UnreadableDepositError
from tests.samples.pes_builder import (
    a_bordereau,
    a_line,
    a_pes,
    a_piece,
    a_tiers,
    an_attachment,
    write_large_pes,
)
from tests.unit.ingestion.pes_context import draft_of, read_pes

SAMPLE = (Path(__file__).parents[2] / "samples" / "pes" / "pes-ormc-3.xml").read_bytes()
WITH_ATTACHMENT = a_pes(
    [a_bordereau([a_piece(attachments=["A"])])], [an_attachment("A", b"%PDF-1.7 A")]
)


def code_of(content: bytes) -> str:
    """Return the code of the refusal of a file."""
    with pytest.raises(UnreadableDepositError) as caught:
        read_pes(content)
    return caught.value.code


@pytest.mark.parametrize(
    "doctype",
    [
        "<!DOCTYPE a>",
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd">',
        '<!DOCTYPE a [<!ENTITY b0 "ha">'
        + "".join(f'<!ENTITY b{n} "&b{n - 1};&b{n - 1};">' for n in range(1, 40))
        + "]>",
        '<!-- before --> <?target words?>\n<!DOCTYPE a [<!ATTLIST MtHT V CDATA "1.00">]>',
        f"<!-- {'x' * 70_000} --><!DOCTYPE a>",
    ],
)
def test_refuses_every_doctype(doctype: str) -> None:
    """No PES file needs one, and no entity is ever looked at."""
    assert code_of(a_pes(prolog=doctype)) == "doctype"


@pytest.mark.parametrize("end", [0, 1, 40, 1000, len(SAMPLE) // 2, len(SAMPLE) - 5])
def test_a_truncated_file_is_refused_as_a_whole(end: int) -> None:
    """However many of its pieces were complete."""
    assert code_of(SAMPLE[:end]) == "unreadable_xml"


@pytest.mark.parametrize("content", [b"<Invoice/>", a_pes().replace(b"pes_v2/Rev0", b"other")])
def test_another_document_is_not_read(content: bytes) -> None:
    """The root says what a file is."""
    assert code_of(content) == "wrong_root"


@pytest.mark.parametrize(
    ("declared", "real"),
    [
        ("ISO-8859-1", "iso-8859-1"),
        ("ISO-8859-15", "iso-8859-15"),
        ("windows-1252", "cp1252"),
        ("UTF-8", "utf-8"),
        ("", "utf-8"),
        ("UTF-8", "utf-8-sig"),
        ("ISO-8859-1", "utf-8"),
    ],
)
def test_accents_arrive_whatever_is_declared(declared: str, real: str) -> None:
    """UTF-8 in a file that declares ISO-8859-1 is seen, also where a chunk ends within a letter."""
    line = a_line(tiers=a_tiers(Nom="BÉRANGER", Prenom="HÉLÈNE"))
    pieces = [a_piece(str(number), lines=[line]) for number in range(1, 201)]
    content = a_pes([a_bordereau(pieces, "2500.00")], encoding=declared)
    text = content.decode(declared or "utf-8")

    drafts = [draft_of(entry) for entry in read_pes(text.encode(real))]

    assert {draft.payer.name for draft in drafts} == {"Mme HÉLÈNE BÉRANGER"}
    assert len(drafts) == 200


def test_windows_characters_in_a_file_of_iso_8859_1_are_read() -> None:
    """Those bytes are control characters by the standard, and quotes in practice."""
    line = a_line(tiers=a_tiers(Nom="D’HÔTEL"))
    content = a_pes([a_bordereau([a_piece(lines=[line])])], encoding="cp1252")

    draft = draft_of(read_pes(content.replace(b"cp1252", b"ISO-8859-1"))[0])

    assert draft.payer.name == "Mme ELOISE D’HÔTEL"


@pytest.mark.parametrize("encoding", ["UTF-8", "US-ASCII", "UTF-16", "EBCDIC-CP-FR", "klingon"])
def test_bytes_that_are_not_in_the_encoding_are_refused(encoding: str) -> None:
    """A name is never half read."""
    content = a_pes().replace(b"DUPONT", b"B\xe9RANGER").replace(b"ISO-8859-1", encoding.encode())

    assert code_of(content) == "xml_encoding"


@pytest.mark.parametrize(
    "bomb",
    [
        f"<Piece>{'<a/>' * (MAXIMUM_OPEN_TAGS + 1)}</Piece>",
        "<a " + " ".join(f"b{number}=''" for number in range(300_000)) + "/>",
        "<Piece>" * 300 + "</Piece>" * 300,
        f'<a V="{"x" * 11_000_000}"/>',
        "x" * 11_000_000,
        f"<Piece>{'<Piece/>' * MAXIMUM_OPEN_TAGS}</Piece>",
    ],
)
def test_what_would_fill_the_memory_is_refused(bomb: str) -> None:
    """Wherever it stands: tags, attributes, depth and lengths are bounded."""
    content = a_pes([a_bordereau([a_piece(), bomb], "12.50", NbrPce="1")])

    assert code_of(content) == "xml_too_large"


def test_what_was_read_is_forgotten() -> None:
    """A file of any length never has more in memory than a chunk holds, junk included."""
    file = BytesIO()
    write_large_pes(file, 2000)
    content = file.getvalue().replace(b"<Piece>", b"<Junk/><Piece>")
    file = BytesIO(content)
    left: list[int] = []

    for piece in elements(file, survey(file), frozenset({"Piece"})):
        bordereau = piece.getparent()
        assert bordereau is not None
        left.append(len(bordereau))

    assert len(left) == 2000
    assert max(left) < 2 * 2 * CHUNK_BYTES * 2000 / len(content)


@pytest.mark.parametrize("pdf", [None, b"%PDF-1.7"])
def test_the_limit_is_that_of_a_piece_and_not_of_a_file(
    pdf: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while the attachments are looked for, which stand behind all pieces."""
    monkeypatch.setattr(pes_stream, "MAXIMUM_OPEN_TAGS", 4000)
    file = BytesIO()
    write_large_pes(file, 500, pdf=pdf)

    drafts = [draft_of(entry) for entry in read_pes(file.getvalue())]

    assert len({draft.pdf for draft in drafts}) == (500 if pdf else 1)
    assert len(drafts) == 500


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    """Nothing but the one error leaves the reader."""
    with suppress(UnreadableDepositError):
        read_pes(content)
    pes.recognises(content)


@given(st.data())
def test_any_damage_is_read_or_refused(data: st.DataObject) -> None:
    """Bytes taken away, changed or said twice, anywhere in a good file."""
    content = data.draw(st.sampled_from([SAMPLE, WITH_ATTACHMENT]))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(start, min(len(content), start + 200)))
        middle = data.draw(
            st.one_of(
                st.binary(max_size=20),
                st.just(content[start:end] * 2),
                st.sampled_from([b"", b"<", b'"/>', b"&#0;", b"&x;", b"-", b"9" * 30, b"\xe9"]),
            )
        )
        content = content[:start] + middle + content[end:]

    with suppress(UnreadableDepositError):
        read_pes(content)


@given(
    st.sampled_from(
        ["MtHT", "NumDette", "Per", "Cle1", "Cle2", "DteAsp", "Nom", "MtBordHt", "Exer"]
    ),
    st.text(alphabet=st.characters(codec="iso-8859-1", categories=["L", "N", "P", "Z"])),
)
def test_any_value_is_read_or_refused(name: str, value: str) -> None:
    """A value that a field cannot have costs a piece, or the file, and never more."""
    pattern = f'<{name} V="'.encode()
    before, found, rest = a_pes([a_bordereau([a_piece(DteAsp="2026-03-06")])]).partition(pattern)
    safe = value.replace("&", "").replace("<", "").replace('"', "").encode("iso-8859-1")

    with suppress(UnreadableDepositError):
        read_pes(before + found + safe + rest[rest.index(b'"') :])


def test_gzip_itself_is_no_pes() -> None:
    """A compressed file is not opened in passing."""
    assert code_of(gzip.compress(SAMPLE)) == "xml_encoding"


@pytest.mark.parametrize(
    ("head", "is_pes"),
    [
        (SAMPLE, True),
        (b"\xef\xbb\xbf<PES_Aller/>", True),
        (b'<?xml version="1.0"?><!-- <a> --><x:PES_Aller xmlns:x="y">', True),
        (b"<!DOCTYPE PES_Aller [ ]><PES_Aller/>", True),
        (b"<PES_AllerRetour/>", False),
        (b"<Invoice><PES_Aller/></Invoice>", False),
        (b"<!-- <PES_Aller> --><Invoice/>", False),
        (b"PES_Aller", False),
        (b"", False),
        (b"%PDF-1.7", False),
    ],
)
def test_recognises_its_root_and_nothing_else(head: bytes, is_pes: bool) -> None:
    """A file with a DOCTYPE is recognised, to be refused for it."""
    assert pes.recognises(head) is is_pes
