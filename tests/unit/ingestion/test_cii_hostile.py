"""No file does worse to an e-invoice reader than a refusal, in bounded time."""

from collections.abc import Callable
from datetime import timedelta
from functools import cache
from io import BytesIO

import pikepdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from demo.samples import SAMPLES as PDF_SAMPLES
from ingestion.adapters import cii, facturx, ubl
from ingestion.domain import InvoiceDraft, Rejection, UnreadableDepositError
from ingestion.ports import Entry, FormatReader
from tests.unit.ingestion.e_invoices import (
    CII,
    SAMPLES,
    UBL,
    UBL_CREDIT_NOTE,
    ZUGFERD_1,
    Context,
    refusal_of,
)

DEADLINE = timedelta(seconds=10)
UBL_FILES = [path.read_bytes() for path in sorted((SAMPLES / "ubl").glob("*.xml"))]
CII_FILES = [path.read_bytes() for path in sorted((SAMPLES / "cii").glob("*.xml"))]
XML_FILES = [
    pytest.param(ubl.read_file, UBL_FILES, id="ubl"),
    pytest.param(cii.read_file, CII_FILES, id="cii"),
]
PDF_FILES = [path.read_bytes() for path in sorted(PDF_SAMPLES.glob("*.pdf"))]
TEXTS = st.one_of(
    st.sampled_from(["", " ", "-1", "1e5", "NaN", "99999999999999", "0.001", "2026-02-31", "USD"]),
    st.text(max_size=20),
)


def a_pdf(xml: bytes) -> bytes:
    """Return a PDF of one empty page that carries `xml` as its invoice."""
    with pikepdf.new() as document:
        document.add_blank_page()
        document.attachments["factur-x.xml"] = pikepdf.AttachedFileSpec(
            document, xml, filename="factur-x.xml"
        )
        written = BytesIO()
        document.save(written, static_id=True)
    return written.getvalue()


def in_pdf(xml: bytes) -> tuple[FormatReader, bytes]:
    return facturx.read_file, a_pdf(xml)


def in_ubl(xml: bytes) -> tuple[FormatReader, bytes]:
    return ubl.read_file, xml


def in_cii(xml: bytes) -> tuple[FormatReader, bytes]:
    return cii.read_file, xml


FORMS = [
    pytest.param(in_ubl, UBL.with_parts(), id="ubl"),
    pytest.param(in_ubl, UBL_CREDIT_NOTE.with_parts(), id="ubl credit note"),
    pytest.param(in_cii, CII.with_parts(), id="cii"),
    pytest.param(in_cii, ZUGFERD_1.with_parts(), id="zugferd 1"),
    pytest.param(in_pdf, CII.with_parts(), id="facturx"),
]


def declared(xml: bytes, doctype: bytes) -> bytes:
    """Return `xml` with a DOCTYPE, and the name of the payer coming from its entity `x`."""
    _, _, body = xml.partition(b"?>")
    return b'<?xml version="1.0"?>' + doctype + body.replace("Éloïse  Dupont".encode(), b"&x;")


def nested(xml: bytes) -> bytes:
    """Return `xml` with a hundred elements in one another before its last end tag."""
    body, _, end = xml.rstrip().rpartition(b"</")
    return body + b"<a>" * 100 + b"</a>" * 100 + b"</" + end


def many_laughs(depth: int) -> bytes:
    entities = "".join(f'<!ENTITY b{n} "&b{n - 1};&b{n - 1};">' for n in range(1, depth))
    return f'<!DOCTYPE a [<!ENTITY b0 "ha">{entities}<!ENTITY x "&b{depth - 1};">]>'.encode()


SPOILERS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "file entity": (
        lambda xml: declared(xml, b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>'),
        "doctype",
    ),
    "internal address": (
        lambda xml: declared(xml, b'<!DOCTYPE a [<!ENTITY x SYSTEM "http://127.0.0.1:9/x">]>'),
        "doctype",
    ),
    "parameter entity": (
        lambda xml: declared(xml, b'<!DOCTYPE a [<!ENTITY % p SYSTEM "file:///dev/zero"> %p;]>'),
        "doctype",
    ),
    "billion laughs": (lambda xml: declared(xml, many_laughs(40)), "doctype"),
    "harmless doctype": (lambda xml: declared(xml, b"<!DOCTYPE a>"), "doctype"),
    "undeclared entity": (lambda xml: declared(xml, b""), "unreadable_xml"),
    "another encoding": (lambda xml: xml.decode().encode("latin-1", "replace"), "xml_encoding"),
    "encoding unknown": (lambda xml: xml.replace(b"UTF-8", b"UTF-7", 1), "xml_encoding"),
    "truncated": (lambda xml: xml[: len(xml) * 2 // 3], "unreadable_xml"),
    "empty": (lambda _xml: b"", "unreadable_xml"),
    "space": (lambda _xml: b" \n", "unreadable_xml"),
    "twelve megabytes": (lambda xml: xml + b" " * 12_000_000, "xml_too_large"),
    "twelve megabytes of text": (
        lambda xml: xml.replace(b"2026-001", b"9" * 12_000_000),
        "xml_too_large",
    ),
    "many tags": (lambda _xml: b"<a>" + b"<b/>" * 600_000 + b"</a>", "xml_too_large"),
    "deep": (nested, "xml_too_deep"),
    "another root": (lambda _xml: b"<Invoice/>", "wrong_root"),
    "no json": (lambda _xml: b'{"invoices": []}', "unreadable_xml"),
}


@pytest.mark.parametrize(("form", "xml"), FORMS)
@pytest.mark.parametrize("spoiler", SPOILERS)
def test_each_kind_of_bad_file_has_its_code(
    form: Callable[[bytes], tuple[FormatReader, bytes]], xml: bytes, spoiler: str
) -> None:
    """Nothing is fetched, unfolded or guessed, in any of the formats."""
    spoil, expected = SPOILERS[spoiler]

    code, pointer = refusal_of(*form(spoil(xml)))

    assert (code, pointer) == (expected, "")


@pytest.mark.parametrize("content", [b"", b"%PDF-1.7", b"PK\x03\x04", b"<a/>", PDF_FILES[0][:5000]])
def test_a_broken_pdf_has_its_code(content: bytes) -> None:
    """What is no PDF and what is half of one are told apart."""
    code, _ = refusal_of(facturx.read_file, content)

    assert code == ("unreadable_pdf" if content.startswith(b"%PDF-") else "not_a_pdf")


def assert_does_no_harm(reader: FormatReader, content: bytes) -> None:
    """Read, and check that what comes out is a draft in whole cents or a refusal of our own."""
    try:
        entries = list(reader(BytesIO(content), Context()))
    except UnreadableDepositError as error:
        refused = Rejection(code=error.code, pointer=error.pointer, message=error.detail)
        entries = [Entry(place="", found=refused)]
    assert len(entries) == 1
    found = entries[0].found
    if isinstance(found, Rejection):
        assert found.code
        assert found.message
        return
    assert type(found.amount_cents) is int
    assert found.amount_cents >= 0 or found.kind == "credit_note"
    assert all(type(line.amount_cents) is int for line in found.lines)
    assert all(type(line.unit_amount_cents) in {int, type(None)} for line in found.lines)
    total = sum(line.amount_cents for line in found.lines)
    assert not found.lines or total == found.amount_cents
    assert isinstance(found, InvoiceDraft)
    assert found.issued_on <= found.due_on


def damaged(data: st.DataObject, content: bytes) -> bytes:
    """Return `content` with bytes flipped, lost and put in."""
    body = bytearray(content)
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(body)))
        length = data.draw(st.integers(0, 20))
        body[place : place + length] = data.draw(st.binary(max_size=20))
    return bytes(body)


def rewritten(data: st.DataObject, content: bytes) -> bytes:
    """Return `content` with elements taken out, repeated and filled with other text."""
    root = etree.fromstring(content)
    for _ in range(data.draw(st.integers(1, 4))):
        elements = [element for element in root.iter(etree.Element) if element is not root]
        if not elements:
            break
        element = data.draw(st.sampled_from(elements))
        parent = element.getparent()
        assert parent is not None
        match data.draw(st.sampled_from(["remove", "repeat", "fill", "mark"])):
            case "remove":
                parent.remove(element)
            case "repeat":
                parent.append(etree.fromstring(etree.tostring(element, with_tail=False)))
            case "fill":
                element.text = data.draw(TEXTS.map(without_controls))
            case _:
                element.set("currencyID", data.draw(st.sampled_from(["USD", "EUR", ""])))
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def without_controls(text: str) -> str:
    """Return the characters that XML can hold."""
    return "".join(character for character in text if character.isprintable())


@cache
def embedded(pdf: bytes) -> bytes:
    return facturx.extract(pdf)


@pytest.mark.parametrize(("reader", "files"), XML_FILES)
@given(data=st.data())
@settings(max_examples=150, deadline=DEADLINE)
def test_no_damage_to_bytes_does_worse_than_a_refusal(
    reader: FormatReader, files: list[bytes], data: st.DataObject
) -> None:
    """Real files whose bytes were changed, lost or repeated anywhere."""
    content = damaged(data, data.draw(st.sampled_from(files)))

    assert_does_no_harm(reader, content)


@pytest.mark.parametrize(("reader", "files"), XML_FILES)
@given(data=st.data())
@settings(max_examples=200, deadline=DEADLINE)
def test_no_change_of_elements_does_worse_than_a_refusal(
    reader: FormatReader, files: list[bytes], data: st.DataObject
) -> None:
    """Real files that stay XML, with elements lost, repeated or saying something else."""
    content = rewritten(data, data.draw(st.sampled_from(files)))

    assert_does_no_harm(reader, content)


@given(data=st.data())
@settings(max_examples=60, deadline=DEADLINE)
def test_no_damage_to_a_pdf_does_worse_than_a_refusal(data: st.DataObject) -> None:
    """Damage to the file itself, and to the invoice that it carries."""
    pdf = data.draw(st.sampled_from(PDF_FILES))

    assert_does_no_harm(facturx.read_file, damaged(data, pdf))
    assert_does_no_harm(facturx.read_file, a_pdf(rewritten(data, embedded(pdf))))


@pytest.mark.parametrize(
    "reader", [ubl.read_file, cii.read_file, facturx.read_file], ids=["ubl", "cii", "facturx"]
)
@given(
    content=st.one_of(st.binary(max_size=500), st.binary(max_size=100).map(b"%PDF-1.7\n".__add__))
)
@settings(deadline=DEADLINE)
def test_noise_is_refused(reader: FormatReader, content: bytes) -> None:
    """Any bytes at all."""
    assert_does_no_harm(reader, content)
