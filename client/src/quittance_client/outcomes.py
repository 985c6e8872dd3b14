"""Tells what became of deposits: totals, rejected lines, and a report of every line as a file."""

import csv
import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from quittance_client import documents
from quittance_client.documents import Document
from quittance_client.errors import SettingsError
from quittance_client.screen import Screen

LINE_COLUMNS = ("position", "regie", "number", "code", "pointer", "message")
TOTAL_COLUMNS = (
    "day",
    "regie",
    "payment_count",
    "payment_cents",
    "reversal_count",
    "reversal_cents",
    "net_cents",
    "is_closed",
)
REPORT_COLUMNS = (
    "file",
    "deposit_id",
    "position",
    "regie",
    "number",
    "invoice_id",
    "version",
    "status",
    "code",
    "pointer",
    "message",
)


def tell(screen: Screen, name: str, deposit: Document, rejected: list[Document]) -> None:
    """Tell people the totals of a deposit and each of its rejected lines."""
    deposit_id = documents.text(deposit, "deposit_id")
    if deposit.get("status") == "failed":
        problem = deposit.get("problem") or {}
        screen.say(
            "failed",
            name=name,
            deposit_id=deposit_id,
            code=problem.get("code", ""),
            detail=problem.get("detail", ""),
        )
        if problem.get("pointer"):
            screen.say("at", pointer=problem["pointer"])
        return
    counts = {
        field: documents.number(deposit, field)
        for field in ("total", "created", "unchanged", "superseded", "rejected")
    }
    amount = screen.words.euros(documents.number(deposit, "amount_cents"))
    screen.say("totals", name=name, amount=amount, **counts)
    if rejected:
        screen.table(LINE_COLUMNS, rejected)
    if deposit.get("is_dry_run"):
        screen.say("dry-run")
    elif deposit.get("release") == "held":
        screen.say("held", deposit_id=deposit_id)
    elif deposit.get("release") == "cancelled":
        screen.say("cancelled")


def tell_preview(screen: Screen, preview: Document) -> None:
    """Tell people what a held deposit would publish: sums, and the lines drawn at random."""
    if screen.is_json:
        screen.document(preview)
        return
    screen.table(("regie", "count", "amount_cents"), documents.rows(preview, "totals"))
    lines = []
    for line in documents.rows(preview, "lines"):
        invoice = line.get("invoice") or {}
        payer = invoice.get("payer") or {}
        lines.append(invoice | {"position": line.get("position"), "payer_name": payer.get("name")})
    columns = ("position", "regie", "number", "amount_cents", "due_on", "payer_name")
    screen.table(columns, lines)


def tell_totals(screen: Screen, totals: Document) -> None:
    """Tell people what each day and régie brought; machines also get what it is checked with."""
    if screen.is_json:
        screen.document(totals)
    elif items := documents.rows(totals, "items"):
        screen.table(TOTAL_COLUMNS, items)
    else:
        screen.say("nothing")


class Report:
    """A CSV file of outcomes, in place only once it is whole; use it as a context manager.

    With semicolons and a byte order mark: spreadsheets in France open it as a table.
    """

    def __init__(self, path: Path) -> None:
        """Write to `path` in the end."""
        self._path = path
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}")
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        """Begin; the folder must exist."""
        try:
            self._file = self._temporary.open("w", encoding="utf-8-sig", newline="")
            csv.writer(self._file, delimiter=";").writerow(REPORT_COLUMNS)
        except OSError as error:
            raise self._unwritable(error) from error
        return self

    def add(self, name: str, deposit_id: str, lines: Iterable[Document]) -> None:
        """Add the lines of a deposit."""
        if self._file is None:
            return
        writer = csv.DictWriter(self._file, REPORT_COLUMNS, delimiter=";", extrasaction="ignore")
        try:
            for line in lines:
                writer.writerow({**line, "file": name, "deposit_id": deposit_id})
        except OSError as error:
            raise self._unwritable(error) from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Put the file in place, or leave the one that was there when something went wrong."""
        if self._file is None:
            return
        try:
            self._file.close()
            if error is None:
                self._temporary.replace(self._path)
        except OSError as failure:
            raise self._unwritable(failure) from failure
        finally:
            self._temporary.unlink(missing_ok=True)

    def _unwritable(self, error: OSError) -> SettingsError:
        return SettingsError("file-unwritable", path=self._path, reason=error.strerror)
