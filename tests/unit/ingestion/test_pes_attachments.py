"""The PDFs inside a PES file are kept, and tied to the piece that names them."""

import base64
import gzip
import hashlib
import zlib

import pytest

from ingestion.domain import UnreadableDepositError
from tests.samples.pes_builder import a_bordereau, a_pes, a_piece, an_attachment, element
from tests.unit.ingestion.pes_context import Context, draft_of, read_pes, rejection_of

PDF = b"%PDF-1.7\ninvoice"
POINTER = "/BlocPiece/PJRef"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def a_file(*attachments: str, named: tuple[str, ...] = ("A",)) -> bytes:
    """Return a file of one piece that names attachments."""
    return a_pes([a_bordereau([a_piece(attachments=named)])], attachments)


def test_each_of_five_hundred_pieces_gets_its_own_pdf() -> None:
    """The attachments stand after the pieces, in an order of their own."""
    debts = [str(1000 + number) for number in range(500)]
    pieces = [a_piece(debt, attachments=[f"PJ{debt}"]) for debt in debts]
    attachments = [an_attachment(f"PJ{debt}", PDF + debt.encode()) for debt in reversed(debts)]
    context = Context()

    entries = read_pes(a_pes([a_bordereau(pieces, "6250.00")], attachments), context)

    drafts = [draft_of(entry) for entry in entries]
    assert [draft.number for draft in drafts] == debts
    assert [context.kept[draft.pdf or ""] for draft in drafts] == [
        PDF + debt.encode() for debt in debts
    ]


def test_the_invoice_is_chosen_among_the_attachments() -> None:
    """An ORMC invoice (007) comes before a PESFacture (006); what completes it is not shown."""
    attachments = [
        an_attachment("A", PDF + b"002", "002"),
        an_attachment("B", PDF + b"006", "006"),
        an_attachment("C", PDF + b"007", "007"),
        an_attachment("D", PDF + b"011", "011"),
    ]
    context = Context()

    draft = draft_of(read_pes(a_file(*attachments, named=("A", "B", "C", "D")), context)[0])

    assert draft.pdf == sha256(PDF + b"007")
    assert sorted(context.kept.values()) == [PDF + b"006", PDF + b"007"]


@pytest.mark.parametrize("kind", ["002", "008", "011", ""])
def test_a_piece_with_nothing_to_show_has_no_pdf(kind: str) -> None:
    """Publication makes one from the data."""
    assert draft_of(read_pes(a_file(an_attachment("A", PDF, kind)))[0]).pdf is None


def test_an_avis_in_xml_is_not_a_pdf_with_a_fault() -> None:
    """Type 006 is also the avis des sommes à payer as XML, from which the State prints."""
    file = a_file(an_attachment("A", b'<?xml version="1.0"?><n:PES_ASAP/>', "006"))

    assert draft_of(read_pes(file)[0]).pdf is None


def test_a_pdf_that_was_not_compressed_is_taken() -> None:
    """Against the rule, and harmless."""
    file = a_file(an_attachment("A", b"", packed=base64.encodebytes(PDF).decode()))

    assert draft_of(read_pes(file)[0]).pdf == sha256(PDF)


def bomb() -> str:
    """Return 64 MiB of zeros in 64 KiB."""
    packer = zlib.compressobj(9, wbits=31)
    return base64.b64encode(packer.compress(bytes(64 * 1024 * 1024)) + packer.flush()).decode()


@pytest.mark.parametrize(
    ("packed", "code"),
    [
        (bomb(), "document_too_large"),
        ("", "broken_document"),
        ("%%%", "broken_document"),
        ("é", "broken_document"),
        (base64.b64encode(gzip.compress(PDF)[:-9]).decode(), "broken_document"),
        (base64.b64encode(b"\x1f\x8bnot gzip").decode(), "broken_document"),
        (base64.b64encode(gzip.compress(b"")).decode(), "broken_document"),
        (base64.b64encode(gzip.compress(b"GIF89a")).decode(), "not_a_pdf"),
    ],
)
def test_an_attachment_that_cannot_be_shown_costs_its_piece(packed: str, code: str) -> None:
    """A bomb is stopped at twenty mebibytes; the other pieces go on."""
    pieces = [a_piece("1", attachments=["A"]), a_piece("2", attachments=["B"])]
    attachments = [an_attachment("A", b"", packed=packed), an_attachment("B", PDF)]

    entries = read_pes(a_pes([a_bordereau(pieces, "25.00")], attachments))

    assert rejection_of(entries[0]) == (code, POINTER)
    assert draft_of(entries[1]).pdf == sha256(PDF)


def test_an_attachment_that_is_announced_must_be_there() -> None:
    """Unless it was sent by another way (Support)."""
    elsewhere = element("PJRef", {"Support": "02", "IdUnique": "A"})
    piece = a_piece().replace("<BlocPiece>\n", f"<BlocPiece>\n{elsewhere}")

    assert rejection_of(read_pes(a_file())[0]) == ("missing_document", POINTER)
    assert draft_of(read_pes(a_pes([a_bordereau([piece])]))[0]).pdf is None


def test_two_attachments_of_one_name_are_neither() -> None:
    """The same one twice is one; another under the same name could be somebody else's."""
    once = an_attachment("A", PDF)

    assert draft_of(read_pes(a_file(once, once))[0]).pdf == sha256(PDF)
    for other in (an_attachment("A", PDF + b"!"), an_attachment("A", PDF, "002")):
        assert rejection_of(read_pes(a_file(once, other))[0]) == ("duplicate_document", POINTER)


def test_an_attachment_of_ten_million_characters_ends_the_file() -> None:
    """The parser bounds a text, before anything is decoded."""
    with pytest.raises(UnreadableDepositError) as caught:
        read_pes(a_file(an_attachment("A", b"", packed="A" * 11_000_000)))

    assert caught.value.code == "xml_too_large"
