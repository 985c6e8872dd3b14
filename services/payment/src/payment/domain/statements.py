"""Providers' own lists, read: the CSV of a back office, or JSON."""

import csv
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from io import StringIO
from typing import Any, ClassVar

import msgspec

from payment.domain.parity import State, TheirLine
from shared.clock import PARIS
from shared.errors import PermanentError
from shared.money import AmountError, parse_euros

MAXIMUM_LINES = 100_000


class UnreadableStatementError(PermanentError):
    """The file is no list of payments that is known; the text says which line and column."""

    slug: ClassVar[str] = "unreadable-statement"


HEADINGS: Mapping[str, frozenset[str]] = {
    "order": frozenset(
        {"order_id", "vads_order_id", "référence commande", "commande", "orderid", "refdet"}
    ),
    "reference": frozenset(
        {"trans_uuid", "vads_trans_uuid", "uuid", "uuid transaction", "transaction", "idop", "id"}
    ),
    "state": frozenset({"status", "vads_trans_status", "statut", "état", "state", "resultrans"}),
    "cents": frozenset({"amount", "amount_cents", "vads_amount", "montant en centimes"}),
    "euros": frozenset({"montant", "montant de la transaction", "montant (eur)"}),
    "kind": frozenset({"operation_type", "vads_operation_type", "type", "opération"}),
    "at": frozenset(
        {"created_at", "ended_at", "date", "date de création", "vads_effective_creation_date"}
    ),
}
"""What the columns are called. Back offices let people choose and rename them."""

CAPTURED = frozenset(
    {"AUTHORISED", "CAPTURED", "ACCEPTED", "PAID", "P", "V", "REMIS", "REMISÉ", "ACCEPTÉ"}
)
BACK = frozenset({"CREDIT", "REFUND", "REMBOURSEMENT", "CRÉDIT"})
LYRA_DATE = re.compile("[0-9]{14}")
"""In UTC, unlike what is shown to people."""
DATES = ("%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d/%m/%Y")


def read_statement(content: bytes) -> list[TheirLine]:
    """Return the lines of a provider's list.

    Raises:
        UnreadableStatementError: it is neither JSON nor CSV with columns that are known.
    """
    if len(rows := _rows(content)) > MAXIMUM_LINES:
        message = f"more than {MAXIMUM_LINES} lines"
        raise UnreadableStatementError(message)
    return [_line(number, row) for number, row in enumerate(rows, start=1)]


def _rows(content: bytes) -> list[dict[str, str]]:
    if content.lstrip()[:1] == b"[":
        try:
            found: list[dict[str, Any]] = msgspec.json.decode(content, type=list[dict[str, Any]])
        except msgspec.DecodeError as error:
            raise UnreadableStatementError(str(error)) from error
        return [_plain(row) for row in found]
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        # What French back offices write for Excel.
        text = content.decode("cp1252", errors="replace")
    separator = ";" if text.partition("\n")[0].count(";") else ","
    try:
        reader = csv.DictReader(StringIO(text), delimiter=separator)
        names = {name.strip().lower() for name in reader.fieldnames or ()}
        rows = [_plain(row) for row in reader]
    except csv.Error as error:
        raise UnreadableStatementError(str(error)) from error
    if not names & (HEADINGS["order"] | HEADINGS["reference"]) or not names & HEADINGS["state"]:
        message = "no column is an order or a reference, or none a status"
        raise UnreadableStatementError(message)
    return rows


def _plain(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        str(name).strip().lower(): str(value).strip()
        for name, value in row.items()
        if isinstance(value, str | int) and not isinstance(value, bool)
    }


def _value(row: Mapping[str, str], column: str) -> str:
    return next((row[name] for name in HEADINGS[column] if row.get(name)), "")


def _line(number: int, row: Mapping[str, str]) -> TheirLine:
    order, reference = _value(row, "order"), _value(row, "reference")
    if not (order or reference):
        message = f"line {number}: no order and no reference"
        raise UnreadableStatementError(message)
    return TheirLine(
        order=order or reference,
        reference=reference or order,
        state=_state(row),
        amount_cents=_cents(number, row),
        at=_at(number, _value(row, "at")),
    )


def _state(row: Mapping[str, str]) -> State:
    status = _value(row, "state").upper()
    # PayFiP's list says how it stands, and the result in a column of its own.
    told = {status, row.get("resultrans", "").upper()}
    if not told & CAPTURED:
        return "open"
    return "reversed" if _value(row, "kind").upper() in BACK else "captured"


def _cents(number: int, row: Mapping[str, str]) -> int:
    cents, euros = _value(row, "cents"), _value(row, "euros")
    try:
        if cents:
            return int(cents)
        return parse_euros(euros.replace("\u202f", "").replace(" ", "").replace(",", "."))
    except (ValueError, AmountError) as error:
        message = f"line {number}: no amount"
        raise UnreadableStatementError(message) from error


def _at(number: int, text: str) -> datetime:
    if LYRA_DATE.fullmatch(text):
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = _written_in_french(number, text)
    return found if found.tzinfo else found.replace(tzinfo=PARIS)


def _written_in_french(number: int, text: str) -> datetime:
    for form in DATES:
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007 - the caller says which zone
        except ValueError:
            continue
    message = f"line {number}: no date"
    raise UnreadableStatementError(message)
