"""One invoice a line, as a stream: a bad line costs itself."""

import io
import json
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.adapters import ndjson
from ingestion.adapters.ndjson import LINE_BYTES
from ingestion.domain import InvoiceDraft, Payer, Rejection
from ingestion.ports import Entry
from tests.unit.ingestion.reading_builders import a_context

INVOICE = {
    "regie": "CANTINE",
    "number": "2026-001",
    "issued_on": "2026-11-01",
    "due_on": "2026-12-01",
    "amount_cents": 4250,
    "currency": "EUR",
    "subject": "Restauration scolaire – octobre",
    "route": "regie",
    "payer": {"reference": "F-17", "name": "Éloïse"},
}
DRAFT = InvoiceDraft(
    regie="CANTINE",
    number="2026-001",
    issued_on=date(2026, 11, 1),
    due_on=date(2026, 12, 1),
    amount_cents=4250,
    currency="EUR",
    subject="Restauration scolaire – octobre",
    route="regie",
    payer=Payer(reference="F-17", name="Éloïse"),
)
LINE = json.dumps(INVOICE, ensure_ascii=False).encode()


def entries(content: bytes) -> list[Entry]:
    """Return what is read of a file."""
    return list(ndjson.read_file(io.BytesIO(content), a_context()))


def codes(content: bytes) -> list[tuple[str, str]]:
    """Return place and code of each line, `ok` for a draft."""
    return [
        (entry.place, entry.found.code if isinstance(entry.found, Rejection) else "ok")
        for entry in entries(content)
    ]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_reads_each_line(end: bytes) -> None:
    """Whatever ends a line; the last one may end with nothing."""
    found = entries(b"\xef\xbb\xbf" + LINE + b"\n" + b"\n" + LINE + end)

    assert [("/lines/1", DRAFT), ("/lines/3", DRAFT)] == [(e.place, e.found) for e in found]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (LINE[:50], "malformed_json"),
        (b"{}", "missing_field"),
        (b"[]", "wrong_type"),
        (LINE.replace("É".encode(), b"\xe9"), "not_utf8"),
        (LINE.replace(b"4250", b"42.50"), "wrong_type"),
        (LINE.replace(b"2026-12-01", b"2026-02-31"), "invalid_date"),
        (LINE[:-1] + b', "number": "other"}', "duplicate_key"),
        (LINE[:-1] + b', "number" \t: "other"}', "duplicate_key"),
        (LINE.replace(b'"F-17"', b'"F-17", "reference": "F-18"'), "duplicate_key"),
        (b"[" * 5000, "wrong_type"),
        (b"9" * (LINE_BYTES + 1), "line_too_long"),
        (b'"' + b"x" * (3 * LINE_BYTES) + b'"', "line_too_long"),
    ],
)
def test_a_bad_line_costs_no_other(line: bytes, code: str) -> None:
    """Its neighbours are read, and it keeps its number."""
    found = codes(LINE + b"\n" + line + b"\n" + LINE)

    assert [("/lines/1", "ok"), ("/lines/2", code), ("/lines/3", "ok")] == found


def test_a_colon_after_a_quote_inside_a_text_is_no_key() -> None:
    """The quick look for keys written twice only ever asks for a second one."""
    subject = 'dit "bonjour": oui'
    line = json.dumps(INVOICE | {"subject": subject}).encode()

    [entry] = entries(line)

    assert isinstance(entry.found, InvoiceDraft)
    assert subject == entry.found.subject


@given(st.binary(max_size=400))
def test_no_bytes_raise(content: bytes) -> None:
    """Whatever the line is, it has an outcome."""
    for entry in entries(content):
        assert isinstance(entry.found, InvoiceDraft | Rejection)


@given(st.integers(0, len(LINE) - 1), st.binary(max_size=3))
def test_no_mutation_raises_or_reaches_its_neighbours(at: int, bytes_put: bytes) -> None:
    """A line with some bytes replaced is one line, or as many as it now has."""
    mutated = LINE[:at] + bytes_put + LINE[at + 1 :]

    found = entries(LINE + b"\n" + mutated + b"\n" + LINE)

    assert DRAFT == found[0].found
    assert DRAFT == found[-1].found
