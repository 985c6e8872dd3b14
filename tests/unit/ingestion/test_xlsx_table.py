"""A workbook is read as the clerk saw it, and none can take the process with it."""

import io
import zipfile
from collections.abc import Mapping
from datetime import date, datetime

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from ingestion.adapters import xlsx_guard, xlsx_table
from ingestion.adapters.table_cells import Cell
from ingestion.adapters.xlsx_table import recognises
from ingestion.domain import InvoiceDraft, UnreadableDepositError
from tests.unit.ingestion.table_builders import (
    HEADINGS,
    ROW,
    FakeContext,
    a_csv,
    a_workbook,
    draft_of,
    read_workbook,
    refusal_of,
    saved,
)
from tests.unit.ingestion.table_invoices import COLUMNS, drafts, row_of

NATIVE: tuple[Cell, ...] = ("F-1", date(2026, 11, 1), date(2026, 12, 1), 42.5, "Éloïse Lefèvre")
SHEET = "xl/worksheets/sheet1.xml"


def changed(workbook: bytes, replacements: Mapping[str, tuple[str, str]]) -> bytes:
    """Return a workbook with a text in some of its parts replaced."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook)) as source, zipfile.ZipFile(file, "w") as target:
        for name in source.namelist():
            content = source.read(name).decode()
            old, new = replacements.get(name, ("", ""))
            assert old in content
            target.writestr(name, content.replace(old, new) if old else content)
    return file.getvalue()


def refused_file(content: bytes) -> str:
    """Return the code with which a whole file is refused."""
    with pytest.raises(UnreadableDepositError) as caught:
        read_workbook(content)
    return caught.value.code


def outcome_of(content: bytes) -> str:
    """Return how many lines were found, or the sentence of the refusal."""
    try:
        return f"{len(read_workbook(content))} lines"
    except UnreadableDepositError as error:
        return error.detail


def test_reads_native_cells() -> None:
    """Dates are dates and amounts exact, whether typed as such or as text."""
    native, text, number = read_workbook(
        a_workbook(NATIVE, ROW, (2026001, 46327, datetime(2026, 12, 1, 8), 0.07, "Samba"))  # noqa: DTZ001 - as sheets have them
    )

    assert draft_of(native) == draft_of(text)
    assert draft_of(native).amount_cents == 4250
    assert draft_of(number).number == "2026001"
    assert draft_of(number).issued_on == date(2026, 11, 1)
    assert draft_of(number).due_on == date(2026, 12, 1)
    assert draft_of(number).amount_cents == 7
    assert [native.place, text.place, number.place] == ["/rows/2", "/rows/3", "/rows/4"]
    assert native.fields["/amount_cents"] == "Montant TTC"


@pytest.mark.parametrize(
    ("amount", "refusal"),
    [
        (12.345, ("amount_fraction", "/amount_cents")),
        (True, ("amount_format", "/amount_cents")),
        (date(2026, 11, 1), ("amount_format", "/amount_cents")),
        ("1.234", ("amount_ambiguous", "/amount_cents")),
        (None, ("missing_field", "/amount_cents")),
    ],
)
def test_refuses_an_amount_that_is_no_whole_number_of_cents(
    amount: Cell, refusal: tuple[str, str]
) -> None:
    """No rounding: the row is refused, and no other."""
    bad, good = read_workbook(a_workbook((*NATIVE[:3], amount, NATIVE[4]), NATIVE))

    assert refusal_of(bad) == refusal
    assert draft_of(good).amount_cents == 4250


def test_numbers_rows_as_the_sheet_does() -> None:
    """A title, rows left free and a margin of columns stand before the table."""
    workbook = openpyxl.Workbook()
    sheet = workbook.worksheets[0]
    sheet["B2"] = "Factures d’octobre"
    for column, (heading, cell) in enumerate(zip(HEADINGS, NATIVE, strict=True), start=3):
        sheet.cell(row=5, column=column, value=heading)
        sheet.cell(row=8, column=column, value=cell)

    (entry,) = read_workbook(saved(workbook))

    assert entry.place == "/rows/8"
    assert draft_of(entry).number == "F-1"


def test_reads_the_first_visible_sheet_with_the_headings() -> None:
    """A covering sheet and one of notes are passed over; a hidden one is never read."""
    workbook = openpyxl.Workbook()
    workbook.worksheets[0].title = "Couverture"
    hidden = workbook.create_sheet("Anciennes")
    notes = workbook.create_sheet("Notes")
    good = workbook.create_sheet("Factures")
    hidden.sheet_state = "hidden"
    for row in (HEADINGS, ("H-1", *NATIVE[1:])):
        hidden.append(list(row))
    notes.append(["À faire"])
    for row in (HEADINGS, NATIVE):
        good.append(list(row))

    entries = read_workbook(saved(workbook))

    assert [draft_of(entry).number for entry in entries] == ["F-1"]


def test_says_what_the_first_sheet_with_anything_lacks() -> None:
    """When no sheet has the headings, the clerk is told of the one that he sees first."""
    workbook = openpyxl.Workbook()
    workbook.create_sheet("Notes").append(["À faire"])

    with pytest.raises(UnreadableDepositError) as caught:
        read_workbook(saved(workbook))

    assert caught.value.code == "missing_columns"
    assert "« À faire »" in caught.value.detail


def test_refuses_a_row_with_a_formula_that_has_no_value() -> None:
    """Programs write formulas without results; to leave such a cell blank would lose it."""
    formula, good, error = read_workbook(
        a_workbook((*NATIVE[:3], "=40+2.5", NATIVE[4]), NATIVE, (*NATIVE[:4], "#N/A"))
    )

    assert refusal_of(formula) == ("formula_without_value", "")
    assert draft_of(good).amount_cents == 4250
    assert refusal_of(error) == ("formula_without_value", "")


def test_takes_the_value_that_a_formula_had_when_saved() -> None:
    """It is what the clerk saw; nothing is computed here."""
    content = changed(
        a_workbook((*NATIVE[:3], "=40+2.5", NATIVE[4])),
        {SHEET: ("<f>40+2.5</f><v></v>", "<f>40+2.5</f><v>42.5</v>")},
    )

    (entry,) = read_workbook(content)

    assert draft_of(entry).amount_cents == 4250


def test_refuses_text_that_a_spreadsheet_would_run() -> None:
    """Typed with an apostrophe it is text here, and a formula in the next CSV."""
    content = changed(a_workbook((*NATIVE[:4], "cmd|' /C calc'!A0")), {SHEET: ("cmd|", "=cmd|")})

    (entry,) = read_workbook(content)

    assert refusal_of(entry) == ("formula_cell", "/payer/name")


def test_does_not_take_numbers_for_days_counted_from_1904() -> None:
    """The same number is a day four years later in such a workbook; dates are read as dates."""
    workbook = openpyxl.Workbook()
    workbook.epoch = CALENDAR_MAC_1904
    sheet = workbook.worksheets[0]
    for row in (HEADINGS, NATIVE, ("F-2", 46327, *NATIVE[2:])):
        sheet.append(list(row))

    native, number = read_workbook(saved(workbook))

    assert draft_of(native).issued_on == date(2026, 11, 1)
    assert refusal_of(number) == ("date_format", "/issued_on")


def a_zip(**parts: bytes) -> bytes:
    """Return an archive of some parts beside an empty workbook; `__` stands for `/`."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        for name, content in parts.items():
            archive.writestr(name.replace("__", "/") + ".xml", content)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "unreadable_workbook"),
        (b"PK\x03\x04", "unreadable_workbook"),
        (a_workbook(NATIVE)[:-100], "unreadable_workbook"),
        (a_csv(ROW), "unreadable_workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504), "encrypted"),
        (a_zip(xl__media=b"\0" * (11 * 2**20)), "workbook_too_large"),
        (a_zip(xl__worksheets__1=b'<c r="A1"/><c r="XFD1048576"/>'), "workbook_too_large"),
        (a_zip(xl__worksheets__1=b"<c r='A1'/><c r = 'XFD1048576'/>"), "workbook_too_large"),
        (a_zip(xl__worksheets__1=b'<c r="A1"/><c r="xfd1048576"/>'), "workbook_too_large"),
        (a_zip(xl__worksheets__1=b'<c r="A1"/><c r="AAAAAAAA1"/>'), "workbook_too_large"),
        (a_zip(xl__worksheets__1=b'<c r="A1" r="XFD1048576"/>'), "workbook_too_large"),
        (a_zip(xl__worksheets__1=b'<c r="A1"/><c r="A99999999999"/>'), "workbook_too_large"),
        (a_zip(xl__worksheets__1=b'<x:c r="A1"/><x:c r="XFD1048576"/>'), "workbook_too_large"),
        (
            a_zip(xl__worksheets__1=b"<row>" + b"<c/>" * 2000 + b"</row><row/>" * 2000),
            "workbook_too_large",
        ),
        (a_zip(xl__worksheets__1=b"<row><c><f>1</f></c></row>"), "formula_without_value"),
        (a_zip(), "unreadable_workbook"),
        (a_workbook(), "no_invoices"),
    ],
)
def test_refuses_a_file_that_is_no_safe_workbook(content: bytes, code: str) -> None:
    """Archive bombs and rectangles of billions of cells are seen before the sheet is loaded."""
    assert code == refused_file(content)


def test_refuses_a_document_of_another_kind() -> None:
    """A text document is an Office archive too."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", "<document/>")

    assert "not_a_workbook" == refused_file(file.getvalue())


@pytest.mark.parametrize("target", ["other/cells.dat", "/XL/Other/CELLS.dat", "other\\\\cells.dat"])
def test_looks_at_sheets_wherever_they_are(target: str) -> None:
    """The workbook says where a sheet is; the library loads it from there, whatever its name."""
    good = a_workbook(NATIVE)
    moved = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(good)) as source, zipfile.ZipFile(moved, "w") as archive:
        for name in source.namelist():
            content = source.read(name).decode()
            if name == "xl/_rels/workbook.xml.rels":
                content = content.replace("/xl/worksheets/sheet1.xml", target)
            if name == SHEET:
                content = content.replace('r="E2"', 'r="XFD1048576"')
                name = "xl/other/cells.dat"  # noqa: PLW2901 - moved
            archive.writestr(name, content)

    assert "workbook_too_large" == refused_file(moved.getvalue())


def test_measures_what_an_archive_unfolds_to_and_not_what_it_says() -> None:
    """The size in the directory is the sender's word: here it says one byte."""
    content = bytearray(a_zip(xl__media=b"\0" * (11 * 2**20)))
    for start in (content.find(b"xl/media") - 8, content.rfind(b"xl/media") - 22):
        content[start : start + 4] = (1).to_bytes(4, "little")

    assert "workbook_too_large" == refused_file(bytes(content))


def test_refuses_two_parts_of_one_name() -> None:
    """Which of them is read would depend on the program."""
    file = io.BytesIO(a_workbook(NATIVE))
    with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(SHEET, "<worksheet/>")

    assert "unreadable_workbook" == refused_file(file.getvalue())


@pytest.mark.parametrize(
    ("limit", "value"),
    [
        ("MAXIMUM_FILE_BYTES", 100),
        ("MAXIMUM_PARTS", 3),
        ("MAXIMUM_CELLS", 9),
        ("MAXIMUM_ROW_BYTES", 50),
    ],
)
def test_refuses_a_workbook_beyond_a_limit(
    limit: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each limit is a named one; a table of two rows and five columns has ten cells."""
    monkeypatch.setattr(xlsx_guard, limit, value)

    assert "workbook_too_large" == refused_file(a_workbook(NATIVE))


def test_refuses_a_workbook_of_too_many_sheets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sheet is loaded to look for the headings."""
    monkeypatch.setattr(xlsx_table, "MAXIMUM_SHEETS", 1)
    workbook = openpyxl.Workbook()
    workbook.create_sheet("Notes")

    assert "too_many_sheets" == refused_file(saved(workbook))


def test_ignores_what_a_workbook_brings_beside_its_cells() -> None:
    """Macros and links to other files are neither read nor refused."""
    file = io.BytesIO(a_workbook(NATIVE))
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("xl/vbaProject.bin", b"\xd0\xcf\x11\xe0")
        archive.writestr("xl/externalLinks/externalLink1.xml", "<externalLink/>")

    (entry,) = read_workbook(file.getvalue())

    assert draft_of(entry).number == "F-1"


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (a_workbook(NATIVE), True),
        (a_workbook(NATIVE)[:200], True),
        (b"PK\x03\x04", False),
        (a_csv(ROW), False),
        (b"%PDF-1.7", False),
        (b"", False),
    ],
)
def test_recognises_an_office_archive(head: bytes, expected: bool) -> None:
    """The first part of the archive tells."""
    assert expected == recognises(head)


def test_does_not_take_an_archive_with_a_workbook_inside_for_one() -> None:
    """A deposit of an index and PDFs may have a workbook as its index."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("index.xlsx", a_workbook(NATIVE))

    assert not recognises(file.getvalue())


@settings(max_examples=25, deadline=None)
@given(st.lists(drafts(), min_size=1, max_size=4), st.booleans())
def test_reads_back_every_invoice_written(written: list[InvoiceDraft], is_native: bool) -> None:
    """Law: valid invoices written as native cells or as text are read back equal."""
    rows: list[list[Cell]] = []
    for draft in written:
        row: list[Cell] = [*row_of(draft, dates="iso")]
        if is_native:
            row[2:5] = [draft.issued_on, draft.due_on, draft.amount_cents / 100]
            row[12:14] = [draft.version, draft.fiscal_year]
        rows.append(row)

    entries = read_workbook(a_workbook(*rows, headings=COLUMNS), FakeContext())

    assert [draft_of(entry) for entry in entries] == written


WORKBOOK = a_workbook(NATIVE, NATIVE, (*NATIVE[:3], "=1+1", NATIVE[4]))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(WORKBOOK) - 1), st.binary(max_size=3)), min_size=1, max_size=5
    )
)
def test_refuses_damaged_archives_in_words(changes: list[tuple[int, bytes]]) -> None:
    """Law: nothing but the one error comes out of a damaged file."""
    content = bytearray(WORKBOOK)
    for position, replacement in changes:
        content[position : position + 1] = replacement
    outcome = outcome_of(bytes(content))

    assert outcome


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([SHEET, "xl/workbook.xml", "xl/styles.xml", "xl/_rels/workbook.xml.rels"]),
    st.integers(0, 4000),
    st.integers(0, 8),
    st.sampled_from(["", "<", ">", '"', "-1", "99999999999", 't="e"', "&#x0;", "NaN", "1e400"]),
)
def test_refuses_damaged_parts_in_words(name: str, start: int, length: int, new: str) -> None:
    """Law: the same for an archive that is sound and says nonsense."""
    with zipfile.ZipFile(io.BytesIO(WORKBOOK)) as archive:
        text = archive.read(name).decode()
    start %= len(text)
    content = changed(WORKBOOK, {name: (text, text[:start] + new + text[start + length :])})
    outcome = outcome_of(content)

    assert outcome


@settings(max_examples=50)
@given(st.binary(max_size=300))
def test_refuses_random_bytes_in_words(content: bytes) -> None:
    """Law: and for bytes that are no archive at all, or only begin as one."""
    for start in (b"", b"PK\x03\x04"):
        with pytest.raises(UnreadableDepositError):
            read_workbook(start + content)
