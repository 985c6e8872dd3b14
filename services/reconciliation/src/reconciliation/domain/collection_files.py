"""The file of a régie's day: its layout, its cells, its name, and when it is tried again."""

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from string import Formatter
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from reconciliation.domain.closing import Total
from shared.clock import PARIS, paris_date
from shared.errors import PermanentError

Field = Literal[
    "event_id",
    "position",
    "kind",
    "number",
    "invoice_id",
    "amount",
    "means",
    "paid_on",
    "paid_at",
    "recorded_on",
    "provider",
    "provider_reference",
    "payment_id",
    "authority",
    "regie",
]
DateFormat = Literal["YYYY-MM-DD", "DD/MM/YYYY", "DD-MM-YYYY", "DD.MM.YYYY", "YYYYMMDD", "DDMMYYYY"]

_PYTHON_FORMATS: Mapping[str, str] = {
    "YYYY-MM-DD": "%Y-%m-%d",
    "DD/MM/YYYY": "%d/%m/%Y",
    "DD-MM-YYYY": "%d-%m-%Y",
    "DD.MM.YYYY": "%d.%m.%Y",
    "YYYYMMDD": "%Y%m%d",
    "DDMMYYYY": "%d%m%Y",
}
NAME_PARTS = frozenset({"authority", "regie", "day", "sequence"})
_UNSAFE_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]")
LONGEST_CODE_IN_NAMES = 60
"""With which no name is longer than any file system takes."""

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""With which a spreadsheet takes a cell for a formula (OWASP ASVS 1.2.10)."""

RETRY_DELAYS = tuple(
    timedelta(minutes=minutes) for minutes in (1, 5, 15, 30, 60, 120, 240, 480, 720, 720, 960, 960)
)
"""After each failure in turn: 72 hours but nine minutes in all, then the file is parked."""


class Column(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One column: what stands above it, and what in it."""

    heading: Annotated[str, msgspec.Meta(max_length=100)]
    field: Field


DEFAULT_COLUMNS = tuple(
    Column(heading=field, field=field)
    for field in (
        "event_id",
        "kind",
        "number",
        "amount",
        "means",
        "paid_on",
        "provider_reference",
        "payment_id",
    )
)


class Layout(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a biller wants the file; with nothing set, a table that names its columns as the feed.

    `amount` is above zero for a payment and below for a reversal, so that the column adds up.
    `control` is how count, sums and digest come along: a JSON file beside it, or a last line.
    """

    columns: Annotated[tuple[Column, ...], msgspec.Meta(min_length=1, max_length=50)] = (
        DEFAULT_COLUMNS
    )
    delimiter: Literal[";", ",", "\t", "|"] = ";"
    encoding: Literal["utf-8", "utf-8-sig", "cp1252"] = "utf-8"
    decimal: Literal["comma", "point", "cents"] = "comma"
    date_format: DateFormat = "YYYY-MM-DD"
    header: bool = True
    file_name: Annotated[str, msgspec.Meta(max_length=100)] = "{authority}_{regie}_{day}.csv"
    control: Literal["file", "line"] = "file"


class LayoutError(PermanentError):
    """The layout cannot be followed; `pointer` says which part, the text why, in French."""

    slug = "invalid-layout"

    def __init__(self, pointer: str, detail: str) -> None:
        """Refuse the part at `pointer`."""
        super().__init__(detail)
        self.pointer = pointer


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One fact of the feed, as a file may show it."""

    event_id: UUID
    position: int
    kind: str
    payment_id: UUID
    invoice_id: UUID
    authority: str
    regie: str
    number: str
    amount_cents: int
    means: str
    provider: str
    provider_reference: str
    occurred_at: datetime
    recorded_at: datetime


class FileState(StrEnum):
    """Where a file stands."""

    PLANNED = "planned"
    """Its day is closed; it is made next."""
    WAITING = "waiting"
    """Made; it is to be left at its destination."""
    DROPPED = "dropped"
    """Left at its destination."""
    PARKED = "parked"
    """Given up after 72 hours; dropped when somebody asks."""
    KEPT = "kept"
    """Made, and there to be downloaded: it has no destination."""


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """What stands beside a file, for its reader to compare."""

    authority: str
    regie: str
    day: date
    file: str
    sha256: str
    rows: int
    payment_count: int
    payment_cents: int
    reversal_count: int
    reversal_cents: int
    net_cents: int
    first_position: int | None
    last_position: int | None
    digest: str


def check_layout(layout: Layout) -> None:
    """Refuse a file name that is none, or that would be the same every day.

    Raises:
        LayoutError: says why.
    """
    try:
        parts = list(Formatter().parse(layout.file_name))
    except ValueError as error:
        raise LayoutError("/file_name", "Les accolades du nom ne vont pas par deux.") from error
    named = [name for _, name, _, _ in parts if name is not None]
    is_plain = not any(spec or conversion for _, _, spec, conversion in parts)
    if set(named) - NAME_PARTS or len(named) > len(set(named)) or not is_plain:
        known = ", ".join(f"{{{name}}}" for name in sorted(NAME_PARTS))
        raise LayoutError("/file_name", f"Le nom du fichier connaît, une fois chacun, {known}.")
    if not {"day", "sequence"} & set(named):
        raise LayoutError("/file_name", "Le nom du fichier porte {day} ou {sequence}.")
    fixed = "".join(text for text, _, _, _ in parts)
    if _UNSAFE_IN_NAMES.search(fixed) or layout.file_name.startswith("."):
        raise LayoutError(
            "/file_name",
            "Le nom du fichier s’écrit avec des lettres sans accent, des chiffres, « . », « _ »"
            " et « - », et ne commence pas par un point.",
        )


def file_name(layout: Layout, *, authority: str, regie: str, day: date, sequence: int) -> str:
    """Return the name of a day's file: letters, digits, `.`, `_` and `-` only, whatever a code."""
    name = layout.file_name.format(
        authority=authority,
        regie=regie[:LONGEST_CODE_IN_NAMES],
        day=day.isoformat(),
        sequence=sequence,
    )
    # A code may begin with a dot, a file that is seen may not.
    return re.sub(r"^\.", "_", _UNSAFE_IN_NAMES.sub("_", name))


def render(rows: Sequence[Row], layout: Layout, total: Total) -> bytes:
    """Return the file; the same rows in the same layout give the same bytes."""
    target = io.StringIO(newline="")
    writer = csv.writer(target, delimiter=layout.delimiter, lineterminator="\r\n")
    if layout.header:
        writer.writerow([_guarded(column.heading) for column in layout.columns])
    writer.writerows(
        [_CELLS[column.field](row, layout) for column in layout.columns] for row in rows
    )
    if layout.control == "line":
        writer.writerow(
            ["TOTAL", str(len(rows)), amount_text(total.net_cents, layout), total.digest]
        )
    return encode(target.getvalue(), layout.encoding)


def control_of(total: Total, *, authority: str, name: str, sha256: str) -> bytes:
    """Return the JSON that goes beside a file."""
    control = Control(
        authority=authority,
        regie=total.regie,
        day=total.day,
        file=name,
        sha256=sha256,
        rows=total.payment_count + total.reversal_count,
        payment_count=total.payment_count,
        payment_cents=total.payment_cents,
        reversal_count=total.reversal_count,
        reversal_cents=total.reversal_cents,
        net_cents=total.net_cents,
        first_position=total.first_position,
        last_position=total.last_position,
        digest=total.digest,
    )
    return msgspec.json.format(msgspec.json.encode(control), indent=2) + b"\n"


def encode(text: str, encoding: str) -> bytes:
    """Return `text` in `encoding`; a letter it has not loses its accent, or becomes `?`."""
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:
        # Composed first, so that a letter and its accent are one where the encoding has the two.
        composed = unicodedata.normalize("NFC", text)
        return "".join(_within(letter, encoding) for letter in composed).encode(encoding)


def _within(letter: str, encoding: str) -> str:
    plain = "".join(
        part for part in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(part)
    )
    for candidate in (letter, plain):
        try:
            candidate.encode(encoding)
        except UnicodeEncodeError:
            continue
        # A combining accent alone has nothing plain about it and vanishes.
        return candidate
    return "?"


def amount_text(cents: int, layout: Layout) -> str:
    """Return an amount as the layout wants it, exactly."""
    if layout.decimal == "cents":
        return str(cents)
    whole, rest = divmod(abs(cents), 100)
    separator = "," if layout.decimal == "comma" else "."
    return f"{'-' if cents < 0 else ''}{whole}{separator}{rest:02d}"


def _date_text(day: date, layout: Layout) -> str:
    return day.strftime(_PYTHON_FORMATS[layout.date_format])


def _guarded(text: str) -> str:
    """Return text from outside so that no spreadsheet computes it; our own sums need no guard."""
    return "'" + text if text.startswith(FORMULA_STARTS) else text


def _signed_cents(row: Row) -> int:
    return row.amount_cents if row.kind == "payment" else -row.amount_cents


_CELLS: Mapping[Field, Callable[[Row, Layout], str]] = {
    "event_id": lambda row, _: str(row.event_id),
    "position": lambda row, _: str(row.position),
    "kind": lambda row, _: row.kind,
    "number": lambda row, _: _guarded(row.number),
    "invoice_id": lambda row, _: str(row.invoice_id),
    "amount": lambda row, layout: amount_text(_signed_cents(row), layout),
    "means": lambda row, _: _guarded(row.means),
    "paid_on": lambda row, layout: _date_text(paris_date(row.occurred_at), layout),
    "paid_at": lambda row, _: f"{row.occurred_at.astimezone(PARIS):%H:%M:%S}",
    "recorded_on": lambda row, layout: _date_text(paris_date(row.recorded_at), layout),
    "provider": lambda row, _: _guarded(row.provider),
    "provider_reference": lambda row, _: _guarded(row.provider_reference),
    "payment_id": lambda row, _: str(row.payment_id),
    "authority": lambda row, _: _guarded(row.authority),
    "regie": lambda row, _: _guarded(row.regie),
}


def next_attempt(failures: int, now: datetime) -> datetime | None:
    """Return when to try again after so many failures in a row, or None to park the file."""
    return now + RETRY_DELAYS[failures - 1] if failures <= len(RETRY_DELAYS) else None
