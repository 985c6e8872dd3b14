"""A CSV file is read in the encoding and with the delimiter that it was written in."""

import csv
import io
import tracemalloc
from collections.abc import Iterator
from datetime import date
from typing import BinaryIO, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.adapters import csv_table
from ingestion.adapters.csv_table import MAXIMUM_ROW_CHARACTERS, recognises
from ingestion.domain import InvoiceDraft, Payer, UnreadableDepositError
from tests.unit.ingestion.table_builders import (
    HEADINGS,
    ROW,
    SAMPLES,
    FakeContext,
    a_csv,
    draft_of,
    read_csv,
    refusal_of,
)
from tests.unit.ingestion.table_invoices import COLUMNS, drafts, row_of

GOOD = a_csv(ROW, ROW)


def refused_file(content: bytes) -> str:
    """Return the code with which a whole file is refused."""
    with pytest.raises(UnreadableDepositError) as caught:
        read_csv(content)
    return caught.value.code


def outcome_of(content: bytes) -> str:
    """Return how many lines were found, or the sentence of the refusal."""
    try:
        return f"{len(read_csv(content))} lines"
    except UnreadableDepositError as error:
        return error.detail


def test_reads_an_export_of_french_excel() -> None:
    """Windows-1252, semicolons, no-break spaces, zeros that Excel took, a total below."""
    first, second, total = read_csv((SAMPLES / "excel_fr.csv").read_bytes())

    assert draft_of(first) == InvoiceDraft(
        regie="CANTINE",
        number="2026-0001",
        issued_on=date(2026, 11, 1),
        due_on=date(2026, 12, 1),
        amount_cents=123456,
        currency="EUR",
        subject="Restauration scolaire – octobre",
        route="regie",
        payer=Payer(
            reference="1042",
            name="Mme LEFÈVRE Éloïse",
            email="eloise.lefevre@example.org",
            phone="0612345678",
            address=("12 rue de l’Église", "Bât. A", "76000 Rouen"),
        ),
    )
    assert draft_of(second).payer == Payer(
        reference="1043",
        name="M. N’Diaye Samba",
        phone="06 12 34 56 79",
        address=('Résidence "Les Œillets"', "01000 Bourg-en-Bresse"),
    )
    assert refusal_of(total) == ("missing_number", "/number")
    assert total.place == "/rows/4"


def test_reads_an_export_of_libreoffice() -> None:
    """UTF-8, commas inside and outside quotes, an address of three lines in one cell."""
    first, second = read_csv((SAMPLES / "libreoffice.csv").read_bytes())

    draft = draft_of(first)
    assert (draft.amount_cents, draft.subject) == (123456, "Accueil de loisirs, octobre")
    assert draft.payer.address == ("12 rue de l’Église", "Bât. A", "76000 Rouen")
    assert (second.place, draft_of(second).amount_cents) == ("/rows/3", 4250)


def test_reads_an_export_of_google_sheets() -> None:
    """A title stands above the headings, and the last row has no line end."""
    first, second = read_csv((SAMPLES / "google_sheets.csv").read_bytes())

    assert (first.place, draft_of(first).amount_cents) == ("/rows/4", 123456)
    assert (second.place, draft_of(second).payer.email) == ("/rows/5", None)


def test_reads_an_export_of_noethys_once_told_which_amount() -> None:
    """Its `Solde` is below zero while something is owed: another column must be chosen."""
    content = (SAMPLES / "noethys.csv").read_bytes()
    context = FakeContext(mapping={"amount": "Total"})

    unasked = [draft_of(entry).amount_cents for entry in read_csv(content)]
    first, second = (draft_of(entry) for entry in read_csv(content, context))

    assert unasked == [-123456, -4250]
    assert (first.amount_cents, second.amount_cents) == (123456, 4250)
    assert (first.number, first.payer.name) == ("000101", "LEFÈVRE Éloïse et Marc")
    assert first.due_on == date(2026, 12, 1)


def test_reads_the_unicode_text_of_excel() -> None:
    """UTF-16 with a byte order mark, tabulations, years of two digits."""
    (entry,) = read_csv((SAMPLES / "excel_unicode_text.txt").read_bytes())

    draft = draft_of(entry)
    assert (draft.number, draft.amount_cents) == ("77", 123456)
    assert draft.issued_on == date(2026, 11, 1)
    assert draft.payer == Payer(reference="R-9", name="Éloïse Lefèvre")


def test_reads_several_rows_an_invoice_below_a_line_for_excel() -> None:
    """`sep=;` is no row: Excel hides it, and numbers the heading 1."""
    first, second = read_csv((SAMPLES / "lines.csv").read_bytes())

    assert (first.place, second.place) == ("/rows/2", "/rows/4")
    assert draft_of(first).amount_cents == 4850
    assert [(line.label, line.quantity) for line in draft_of(first).lines] == [
        ("Cantine", "18"),
        ("Garderie", "2.5"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
def test_finds_encoding_line_ends_and_delimiter(
    encoding: str, line_end: str, delimiter: str
) -> None:
    """All combinations give the same invoice, commas of amounts being quoted where needed."""
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=line_end).writerows([HEADINGS, ROW])
    mark = "\ufeff" if encoding == "utf-16-be" else ""

    (entry,) = read_csv((mark + text.getvalue()).encode(encoding))

    draft = draft_of(entry)
    assert (draft.amount_cents, draft.payer.name) == (4250, "Éloïse Lefèvre")


def test_finds_the_encoding_by_the_first_accent_however_far() -> None:
    """Hundreds of kilobytes of plain ASCII say nothing of what follows."""
    headings = ("number", "issued_on", "due_on", "amount", "payer_name")
    plain = [(f"F-{index}", *ROW[1:4], "Dupont") for index in range(8000)]
    rows = [*plain, ROW]

    read = [
        draft_of(read_csv(a_csv(*rows, headings=headings, encoding=encoding))[-1]).payer.name
        for encoding in ("utf-8", "cp1252")
    ]

    assert read == ["Éloïse Lefèvre", "Éloïse Lefèvre"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (a_csv(*[ROW] * 4000) + "F-9;É".encode("cp1252"), "encoding"),
        (GOOD.decode().encode("cp1252") + b"F-9;\x81", "encoding"),
        (a_csv(ROW, encoding="utf-16")[:-1], "encoding"),
        (a_csv(ROW).replace(b"Lef", b"L\0f"), "nul_character"),
        (a_csv(ROW, encoding="utf-16-le"), "nul_character"),
        (GOOD + b'F-9;01/11/2026;01/12/2026;1,00;"Cut', "unclosed_quote"),
        (GOOD + b'F-9;"01/11/2026;' + b"\nF-8;x" * 200, "unclosed_quote"),
        (GOOD + b'F-9;"a\nb"c;01/12/2026;1,00;X\n', "unclosed_quote"),
        (GOOD + b"F-9;01/11/2026;01/", "truncated"),
        (GOOD + b"F-9;" + b"x" * (MAXIMUM_ROW_CHARACTERS + 1), "row_too_long"),
        (GOOD + b"F-9" + b';"\n"' * (MAXIMUM_ROW_CHARACTERS // 3), "unclosed_quote"),
        (GOOD + b"F-9" + b";" * (MAXIMUM_ROW_CHARACTERS + 1), "row_too_long"),
    ],
)
def test_refuses_a_file_of_which_rows_may_be_lost(content: bytes, code: str) -> None:
    """Damage that hides rows is no fault of one line: nothing of the file is kept."""
    assert code == refused_file(content)


def test_refuses_a_row_with_quotes_in_the_wrong_place_alone() -> None:
    """The row ends where its line ends, so its neighbours are sure."""
    content = (
        GOOD + b'F-8;01/11/2026;01/12/2026;"1,00"x;"Le "petit" nuage"\n' + a_csv(ROW, headings=ROW)
    )

    entries = read_csv(content)

    assert refusal_of(entries[2]) == ("malformed_row", "")
    assert [draft_of(entry).number for entry in entries[:2] + entries[3:]] == ["F-1"] * 4


def test_leaves_the_file_open_and_reads_it_again() -> None:
    """The file belongs to the caller, who may have put it anywhere."""
    file = io.BytesIO(GOOD)
    file.seek(7)

    first = list(csv_table.read_file(file, FakeContext()))
    again = list(csv_table.read_file(file, FakeContext()))

    assert first == again
    assert not file.closed


class Endless(io.RawIOBase):
    """A file of one heading and rows, or one row, made as it is read."""

    def __init__(self, head: bytes, body: bytes, repetitions: int) -> None:
        self._head = head
        self._body = body
        self._size = len(head) + len(body) * repetitions
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        assert whence == 0
        self._position = offset
        return offset

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast("bytearray", buffer))
        count = min(len(view), self._size - self._position)
        content = self._head + self._body * (count // len(self._body) + 2)
        start = self._position
        if start >= len(self._head):
            start = len(self._head) + (start - len(self._head)) % len(self._body)
        view[:count] = content[start : start + count]
        self._position += count
        return count


def peak_bytes(entries: Iterator[object]) -> int:
    """Return the most memory that reading took."""
    tracemalloc.start()
    try:
        for _ in entries:
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_takes_no_more_memory_for_a_longer_file() -> None:
    """A stream: four times the rows in the same memory."""
    head, body = a_csv(), ";".join(ROW).encode() + b"\n"

    short, long = (
        peak_bytes(
            csv_table.read_file(
                cast("BinaryIO", io.BufferedReader(Endless(head, body, rows))), FakeContext()
            )
        )
        for rows in (3_000, 12_000)
    )

    assert long < short + 100_000


def test_takes_no_memory_for_an_endless_line() -> None:
    """A gigabyte without a line end is refused after its first row's worth."""
    file = cast("BinaryIO", io.BufferedReader(Endless(a_csv(), b"x" * 64, 2**24)))
    entries = csv_table.read_file(file, FakeContext())

    tracemalloc.start()
    with pytest.raises(UnreadableDepositError) as caught:
        list(entries)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert caught.value.code == "row_too_long"
    assert peak < 4 * 2**20


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (GOOD, True),
        (a_csv(ROW, encoding="cp1252"), True),
        (a_csv(ROW, encoding="utf-16"), True),
        (b"sep=;\r\n" + GOOD, True),
        (b"Titre\n\na;b\n", True),
        (b"", False),
        (b"one column\nonly", False),
        (b'{"invoices": [1, 2]}', False),
        (b"  <a;b>", False),
        (b"%PDF-1.7;", False),
        (b"PK\x03\x04;,", False),
        (b"a;b\0c", False),
        (b"a;\x81", False),
    ],
)
def test_recognises_what_may_be_csv(head: bytes, expected: bool) -> None:
    """A weak sign, for when no other format is recognised."""
    assert expected == recognises(head)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(drafts(), min_size=1, max_size=6),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    st.sampled_from([";", ",", "\t", "|"]),
    st.sampled_from(["\r\n", "\n", "\r"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    st.sampled_from(["iso", "french", "serial"]),
)
def test_reads_back_every_invoice_written(
    written: list[InvoiceDraft],
    encoding: str,
    delimiter: str,
    line_end: str,
    quoting: int,
    dates: str,
) -> None:
    """Law: whatever dialect valid invoices are written in, they are read back equal."""
    if line_end == "\r":
        # Python 3.11 would write the line feeds of an address without quotes then.
        quoting = csv.QUOTE_ALL
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=line_end, quoting=quoting)  # type: ignore[arg-type] # the stub wants the literals
    writer.writerow(COLUMNS)
    writer.writerows(row_of(draft, dates=dates) for draft in written)

    entries = read_csv(text.getvalue().encode(encoding))

    assert [draft_of(entry) for entry in entries] == written
    assert [entry.place for entry in entries] == [f"/rows/{i + 2}" for i in range(len(written))]


@given(st.binary(max_size=400))
def test_refuses_random_bytes_in_words(content: bytes) -> None:
    """Law: nothing but the one error comes out, whatever goes in."""
    outcome = outcome_of(content)

    assert outcome


@given(
    st.sampled_from(sorted(SAMPLES.glob("*.csv"))),
    st.lists(st.tuples(st.integers(0, 2000), st.binary(max_size=3)), min_size=1, max_size=6),
)
def test_refuses_mutated_files_in_words(path: object, changes: list[tuple[int, bytes]]) -> None:
    """Law: a damaged export gives entries, refusals or the one error."""
    content = bytearray((SAMPLES / str(path)).read_bytes())
    for position, replacement in changes:
        content[position : position + 1] = replacement
    outcome = outcome_of(bytes(content))

    assert outcome
