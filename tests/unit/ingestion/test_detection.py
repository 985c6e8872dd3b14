"""A format is told by its content."""

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.adapters.detection import detect
from ingestion.domain import UnreadableDepositError

FORMATS = {"json", "ndjson", "csv", "xlsx", "zip", "pes", "rolmre", "ubl", "cii", "facturx"}


def a_zip(*names: str) -> bytes:
    """Return an archive with members of these names."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return target.getvalue()


@pytest.mark.parametrize(
    ("content", "form"),
    [
        (b'{"invoices": []}', "json"),
        (b'\xef\xbb\xbf \n{\n "invoices" : [', "json"),
        (b'{"other": 1, "invoices": []}', "json"),
        (b'{\n "number": 1\n}', "json"),
        (b'[{"number": 1}]', "json"),
        (b'{"number": "1"}\n{"number": "2"}\n', "ndjson"),
        (b'{"number": "1"}', "ndjson"),
        (b"{nope", "json"),
        (b'{"number": "' + b"9" * 100_000, "ndjson"),
        (b"%PDF-1.7\n", "facturx"),
        (b'<?xml version="1.0"?><!-- x --><n:PES_Aller xmlns:n="u"/>', "pes"),
        (b'<Invoice xmlns="urn:oasis:names:specification:ubl:schema:xsd:Invoice-2"/>', "ubl"),
        (b"<ubl:CreditNote xmlns:ubl='u'>", "ubl"),
        (b"<rsm:CrossIndustryInvoice xmlns:rsm='u'>", "cii"),
        (b"<rsm:CrossIndustryDocument xmlns:rsm='u'>", "cii"),
        ("\ufeff<Invoice/>".encode("utf-16-le"), "ubl"),
        (b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><Invoice/>', "ubl"),
        (b"Numero;Montant\n1;2\n", "csv"),
        ("\ufeffN°;Montant\n".encode("utf-16-le"), "csv"),
        (a_zip("index.csv", "a.pdf"), "zip"),
        (a_zip("[Content_Types].xml", "xl/workbook.xml"), "xlsx"),
    ],
)
def test_tells_each_format(content: bytes, form: str) -> None:
    """From the first bytes, and leaves the file at its beginning."""
    file = io.BytesIO(content)

    assert form == detect(file)
    assert 0 == file.tell()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "no_invoices"),
        (b" \r\n\t", "no_invoices"),
        (b"<html><body/></html>", "unsupported_format"),
        (b"<", "unsupported_format"),
        (b"GIF89a\x00\x00", "unsupported_format"),
        (b"PK\x03\x04 cut off", "unreadable_zip"),
    ],
)
def test_says_what_it_does_not_know(content: bytes, code: str) -> None:
    """With a code and a sentence that lists what is read."""
    with pytest.raises(UnreadableDepositError) as caught:
        detect(io.BytesIO(content))

    assert code == caught.value.code


def test_what_is_said_to_be_json_is_refused_as_json() -> None:
    """The media type decides in whose words a text is refused that is nothing."""
    assert "json" == detect(io.BytesIO(b"hello"), "application/json")
    assert "csv" == detect(io.BytesIO(b"hello"))


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(content: bytes) -> None:
    """A format that is read, or a refusal."""
    try:
        form = detect(io.BytesIO(content))
    except UnreadableDepositError as error:
        form = error.code

    assert form in FORMATS | {"no_invoices", "unsupported_format", "unreadable_zip"}
