"""The file of a day: what stands in it, byte by byte, in whichever layout a biller set."""

import csv
import hashlib
import io
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciliation.domain.closing import Total
from reconciliation.domain.collection_files import (
    FORMULA_STARTS,
    RETRY_DELAYS,
    Column,
    Field,
    Layout,
    LayoutError,
    Row,
    check_layout,
    control_of,
    encode,
    file_name,
    next_attempt,
    render,
)

DAY = date(2026, 11, 24)
NOW = datetime(2026, 11, 25, 0, 15, tzinfo=UTC)
EVENT = UUID("5a5c1b0e-0000-5000-8000-000000000001")
PAYMENT = UUID("00000000-0000-4000-8000-000000000002")
INVOICE = UUID("00000000-0000-4000-8000-000000000003")


def a_row(
    *,
    event_id: UUID = EVENT,
    kind: str = "payment",
    number: str = "F-2026-1",
    amount_cents: int = 4100,
    provider_reference: str = "ref-1",
    occurred_at: datetime = datetime(2026, 11, 23, 23, 30, tzinfo=UTC),
) -> Row:
    return Row(
        event_id=event_id,
        position=7,
        kind=kind,
        payment_id=PAYMENT,
        invoice_id=INVOICE,
        authority="saint-aubin",
        regie="CANTINE",
        number=number,
        amount_cents=amount_cents,
        means="card",
        provider="lyra",
        provider_reference=provider_reference,
        occurred_at=occurred_at,
        recorded_at=datetime(2026, 11, 24, 10, 0, tzinfo=UTC),
    )


def a_total(*, payment_count: int = 2, net_cents: int = 7100) -> Total:
    return Total(
        day=DAY,
        regie="CANTINE",
        payment_count=payment_count,
        payment_cents=8200,
        reversal_count=1,
        reversal_cents=1100,
        net_cents=net_cents,
        first_position=7,
        last_position=9,
        digest="ab" * 32,
        is_closed=True,
    )


def columns(*fields: Field) -> tuple[Column, ...]:
    return tuple(Column(heading=field, field=field) for field in fields)


def text_of(rows: list[Row], layout: Layout) -> str:
    return render(rows, layout, a_total()).decode(layout.encoding)


def test_a_file_has_a_layout_before_any_is_set() -> None:
    """Names as in the feed, semicolons, decimal commas: what a French spreadsheet opens."""
    assert text_of([a_row()], Layout()) == (
        "event_id;kind;number;amount;means;paid_on;provider_reference;payment_id\r\n"
        f"{EVENT};payment;F-2026-1;41,00;card;2026-11-24;ref-1;{PAYMENT}\r\n"
    )


def test_a_payment_after_midnight_in_france_is_of_the_new_day() -> None:
    """Half past eleven at night in UTC is half past midnight in Paris: dates are civil."""
    layout = Layout(columns=columns("paid_on", "paid_at"), header=False)

    assert text_of([a_row()], layout) == "2026-11-24;00:30:00\r\n"


@pytest.mark.parametrize(
    ("date_format", "expected"),
    [
        ("YYYY-MM-DD", "2026-11-24"),
        ("DD/MM/YYYY", "24/11/2026"),
        ("DD-MM-YYYY", "24-11-2026"),
        ("DD.MM.YYYY", "24.11.2026"),
        ("YYYYMMDD", "20261124"),
        ("DDMMYYYY", "24112026"),
    ],
)
def test_dates_are_written_as_the_biller_reads_them(date_format: str, expected: str) -> None:
    """One of six forms, for the day of payment and for the day of record alike."""
    layout = msgspec.convert(
        {
            "columns": [
                {"heading": "Payé", "field": "paid_on"},
                {"heading": "Saisi", "field": "recorded_on"},
            ],
            "date_format": date_format,
            "header": False,
        },
        Layout,
    )

    assert text_of([a_row()], layout) == f"{expected};{expected}\r\n"


@pytest.mark.parametrize(
    ("decimal", "payment", "reversal"),
    [("comma", "1234,05", "-0,07"), ("point", "1234.05", "-0.07"), ("cents", "123405", "-7")],
)
def test_amounts_add_up_in_one_column(decimal: str, payment: str, reversal: str) -> None:
    """A reversal is below zero; the sign of our own sums is not taken for a formula."""
    layout = msgspec.convert(
        {
            "columns": [{"heading": "", "field": "amount"}],
            "decimal": decimal,
            "header": False,
            "delimiter": "|",
        },
        Layout,
    )

    rows = [a_row(amount_cents=123_405), a_row(kind="reversal", amount_cents=7)]

    assert text_of(rows, layout) == f"{payment}\r\n{reversal}\r\n"


@pytest.mark.parametrize("start", FORMULA_STARTS)
def test_no_spreadsheet_computes_what_a_stranger_wrote(start: str) -> None:
    """A text that starts as a formula gets an apostrophe (S22), in a heading too."""
    layout = Layout(
        columns=(
            Column(heading="=heading", field="number"),
            Column(heading="reference", field="provider_reference"),
        )
    )
    rows = [a_row(number=f"{start}cmd|' /C calc'!A0", provider_reference=f"{start}1")]

    [heading, cells] = csv.reader(io.StringIO(text_of(rows, layout), newline=""), delimiter=";")

    assert heading == ["'=heading", "reference"]
    assert cells == [f"'{start}cmd|' /C calc'!A0", f"'{start}1"]


def test_a_letter_that_the_encoding_has_not_loses_its_accent_only() -> None:
    """Windows-1252 has é and œ, not ễ: the name stays readable, and what is no letter is `?`."""
    assert encode("Nguyễn, Cœur, Éléonore, Şahin, 李", "cp1252") == (
        "Nguyen, Cœur, Éléonore, Sahin, ?".encode("cp1252")
    )


def test_an_accent_apart_from_its_letter_is_joined_to_it() -> None:
    """`e` and a combining acute accent are the é that Windows-1252 has; ours came from a Mac."""
    assert encode("Régie ễ", "cp1252") == "Régie e".encode("cp1252")


def test_a_file_for_excel_starts_with_a_byte_order_mark() -> None:
    """By which a spreadsheet knows UTF-8; without it accents are lost."""
    layout = Layout(columns=columns("number"), header=False, encoding="utf-8-sig")

    content = render([a_row(number="É-1")], layout, a_total())

    assert content == b"\xef\xbb\xbf\xc3\x89-1\r\n"


def test_a_last_line_tells_count_sum_and_digest_when_it_is_wanted() -> None:
    """For readers that take one file only."""
    layout = Layout(columns=columns("number", "amount"), control="line")

    assert text_of([a_row()], layout) == (
        f"number;amount\r\nF-2026-1;41,00\r\nTOTAL;1;71,00;{'ab' * 32}\r\n"
    )


def test_a_day_without_movement_has_a_file_too() -> None:
    """An empty file says that nothing came in; no file would say nothing."""
    assert text_of([], Layout(columns=columns("number"))) == "number\r\n"


def test_what_goes_beside_a_file_tells_all_that_a_reader_compares() -> None:
    """Count, sums, positions, the digest of the events and that of the file."""
    content = render([a_row()], Layout(), a_total())

    control = control_of(
        a_total(),
        authority="saint-aubin",
        name="x.csv",
        sha256=hashlib.sha256(content).hexdigest(),
    )

    assert msgspec.json.decode(control) == {
        "authority": "saint-aubin",
        "regie": "CANTINE",
        "day": "2026-11-24",
        "file": "x.csv",
        "sha256": hashlib.sha256(content).hexdigest(),
        "rows": 3,
        "payment_count": 2,
        "payment_cents": 8200,
        "reversal_count": 1,
        "reversal_cents": 1100,
        "net_cents": 7100,
        "first_position": 7,
        "last_position": 9,
        "digest": "ab" * 32,
    }


def test_a_name_is_made_of_the_parts_that_were_asked() -> None:
    """Authority, régie, day and the file's number; a code with other letters becomes safe."""
    layout = Layout(file_name="ENC-{authority}-{regie}-{day}-{sequence}.txt")

    name = file_name(layout, authority="saint-aubin", regie="École / 2", day=DAY, sequence=12)

    assert name == "ENC-saint-aubin-_cole___2-2026-11-24-12.txt"


def test_a_code_neither_hides_a_file_nor_makes_its_name_too_long() -> None:
    """Codes of régies may hold anything; a file system takes 255 letters."""
    layout = Layout(file_name="{regie}_{day}.csv")

    dotted = file_name(layout, authority="a", regie="..", day=DAY, sequence=1)
    long = file_name(layout, authority="a", regie="R" * 300, day=DAY, sequence=1)

    assert dotted == "_._2026-11-24.csv"
    assert long == "R" * 60 + "_2026-11-24.csv"


@pytest.mark.parametrize(
    "pattern",
    [
        "../{day}.csv",
        "a/{day}.csv",
        ".{day}",
        "{day",
        "{day}{other}.csv",
        "{day!r}.csv",
        "{day:%Y}.csv",
        "{0}{day}.csv",
        "{day.year}{sequence}.csv",
        "always-the-same.csv",
        "{regie}.csv",
        "{day}{day}.csv",
        "été-{day}.csv",
        "{day}\n.csv",
        "",
    ],
)
def test_a_name_that_leads_elsewhere_or_is_always_the_same_is_refused(pattern: str) -> None:
    """A file never leaves its folder, and never replaces that of another day."""
    with pytest.raises(LayoutError) as refusal:
        check_layout(Layout(file_name=pattern))

    assert refusal.value.pointer == "/file_name"


@pytest.mark.parametrize("pattern", ["{day}.csv", "R{sequence}", "{authority}_{regie}_{day}.csv"])
def test_a_name_that_differs_by_day_is_taken(pattern: str) -> None:
    """Either the day or the number tells two files apart."""
    check_layout(Layout(file_name=pattern))


@pytest.mark.parametrize(
    "body",
    [
        {"columns": []},
        {"columns": [{"heading": "a", "field": "payer_name"}]},
        {"columns": [{"heading": "a", "field": "number", "width": 3}]},
        {"delimiter": ";;"},
        {"encoding": "latin-1"},
        {"decimal": "dot"},
        {"date_format": "%d/%m/%Y"},
        {"seperator": ";"},
    ],
)
def test_a_layout_that_says_something_else_is_refused(body: dict[str, object]) -> None:
    """A word that is not known is a mistake, never left out in silence."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(body, Layout)


def test_a_drop_is_tried_for_three_days_and_no_longer() -> None:
    """Twelve waits that grow, 71 hours and 51 minutes in all; then the file is parked."""
    waits = [next_attempt(failures, NOW) for failures in range(1, len(RETRY_DELAYS) + 1)]

    assert [wait - NOW for wait in waits if wait] == sorted(RETRY_DELAYS)
    assert sum(RETRY_DELAYS, timedelta()) == timedelta(hours=71, minutes=51)
    assert next_attempt(len(RETRY_DELAYS) + 1, NOW) is None


# Whatever a database text may hold: everything but NUL and half characters.
texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
rows = st.lists(
    st.builds(
        a_row,
        kind=st.sampled_from(["payment", "reversal"]),
        number=texts,
        provider_reference=texts,
        amount_cents=st.integers(1, 10**11),
        occurred_at=st.datetimes(
            datetime(2020, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
            datetime(2040, 1, 1),  # noqa: DTZ001
            timezones=st.just(UTC),
        ),
    ),
    max_size=8,
)
layouts = st.builds(
    Layout,
    columns=st.just(columns("number", "amount", "provider_reference")),
    delimiter=st.sampled_from([";", ",", "\t", "|"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig"]),
    decimal=st.sampled_from(["comma", "point", "cents"]),
)


@given(rows=rows, layout=layouts)
def test_any_rows_are_read_back_as_they_were(rows: list[Row], layout: Layout) -> None:
    """Delimiters, quotes and line breaks in a cell change no other; amounts are exact."""
    content = render(rows, layout, a_total())

    read = list(
        csv.reader(
            io.StringIO(content.decode(layout.encoding), newline=""), delimiter=layout.delimiter
        )
    )

    assert read[0] == ["number", "amount", "provider_reference"]
    assert len(read) == len(rows) + 1
    for row, (number, amount, reference) in zip(rows, read[1:], strict=True):
        assert number.removeprefix("'") == row.number.removeprefix("'")
        assert reference.removeprefix("'") == row.provider_reference.removeprefix("'")
        assert not number.startswith(FORMULA_STARTS)
        assert not reference.startswith(FORMULA_STARTS)
        digits = int(amount.replace(",", "").replace(".", ""))
        assert digits == (row.amount_cents if row.kind == "payment" else -row.amount_cents)


@given(rows=rows, layout=layouts)
def test_the_same_rows_give_the_same_bytes(rows: list[Row], layout: Layout) -> None:
    """A file that is made again replaces itself."""
    assert render(rows, layout, a_total()) == render(list(rows), layout, a_total())


@given(texts)
def test_any_text_can_be_written_in_windows_1252(text: str) -> None:
    """No name stops a night's file, and one that fits is not touched."""
    encoded = encode(text, "cp1252")

    fits = all(_fits(letter) for letter in text)
    assert (encoded.decode("cp1252") == text) is fits


def _fits(letter: str) -> bool:
    try:
        letter.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True
