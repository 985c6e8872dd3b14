"""Reads the collections feed at least once: its place is kept only after the items were written."""

import csv
from collections.abc import Iterator, Mapping
from typing import Literal, Protocol

from quittance_client import documents, state
from quittance_client.documents import Document
from quittance_client.doors import Call, Doors
from quittance_client.errors import SettingsError, UnavailableError
from quittance_client.pace import FIRST_IDLE_SECONDS, LONGEST_IDLE_SECONDS, Pace, growing
from quittance_client.screen import Screen, plain
from quittance_client.state import State

Format = Literal["table", "csv", "json"]
BEGINNING = "0"
COLUMNS: Mapping[str, int] = {
    "occurred_at": 25,
    "kind": 9,
    "regie": 12,
    "number": 20,
    "amount_cents": 14,
    "means": 10,
}
"""What people see of an item, and how wide."""
CSV_COLUMNS = (
    "event_id",
    "position",
    "kind",
    "payment_id",
    "invoice_id",
    "regie",
    "number",
    "amount_cents",
    "currency",
    "means",
    "provider",
    "provider_reference",
    "occurred_at",
    "recorded_at",
)


class ItemWriter(Protocol):
    """Writes items in one format."""

    def begin(self) -> None:
        """Write what stands before all items."""
        ...

    def write(self, item: Document) -> None:
        """Write one item."""
        ...


class _Json:
    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def begin(self) -> None:
        """Nothing stands before the first line."""

    def write(self, item: Document) -> None:
        self._screen.document(item)


class _Csv:
    def __init__(self, screen: Screen) -> None:
        self._writer = csv.DictWriter(screen.out, CSV_COLUMNS, extrasaction="ignore")

    def begin(self) -> None:
        self._writer.writeheader()

    def write(self, item: Document) -> None:
        self._writer.writerow(item)


class _Table:
    """Columns of fixed width, since the next items are not known yet."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def begin(self) -> None:
        self._row({name: self._screen.words.heading(name) for name in COLUMNS})

    def write(self, item: Document) -> None:
        amount = self._screen.words.euros(documents.number(item, "amount_cents"))
        self._row({**item, "amount_cents": amount})

    def _row(self, item: Document) -> None:
        cells = (
            f"{plain(str(item.get(name) or '')):{'>' if name == 'amount_cents' else '<'}{width}}"
            for name, width in COLUMNS.items()
        )
        self._screen.out.write("  ".join(cells).rstrip() + "\n")


WRITERS: Mapping[Format, type[_Json | _Csv | _Table]] = {
    "json": _Json,
    "csv": _Csv,
    "table": _Table,
}


class Feed:
    """The feed of one profile."""

    def __init__(self, doors: Doors, kept: State, screen: Screen, pace: Pace) -> None:
        """Keep the place in `kept`."""
        self._doors = doors
        self._kept = kept
        self._screen = screen
        self._pace = pace
        self._base = f"{doors.profile.collections_url}/v1/collections"
        self._name = state.fingerprint(doors.profile.collections_url, doors.profile.client_id)

    def read(
        self, form: Format, *, after: str | None, is_followed: bool, is_acknowledged: bool
    ) -> None:
        """Write every item from `after`, or from where the last run ended, and keep the place.

        With `is_acknowledged` the place is kept by the door instead. With `is_followed` it goes on
        until it is interrupted.

        Raises:
            RefusedError, UnavailableError: as `Doors.ask`.
            SettingsError: another run reads the feed of this profile, or the items cannot be
                written; the place stays before them.
            BrokenPipeError: who read the items has left; likewise.
        """
        with self._kept.hold(f"cursor-{self._name}", wait=False):
            if after is None and not is_acknowledged:
                after = self._kept.cursor(self._name) or BEGINNING
            writer: ItemWriter = WRITERS[form](self._screen)
            writer.begin()
            for items, cursor in self._pages(after, is_followed=is_followed):
                self._write(items, writer)
                # The order is the promise: written, flushed, and only then left behind.
                if is_acknowledged:
                    self._acknowledge(cursor)
                else:
                    self._kept.keep_cursor(self._name, cursor)

    def _write(self, items: list[Document], writer: ItemWriter) -> None:
        try:
            for item in items:
                writer.write(item)
            self._screen.out.flush()
        except BrokenPipeError:
            # Whoever read has left: there is nobody to tell.
            raise
        except OSError as error:
            raise SettingsError("output-lost", reason=error.strerror) from error

    def _pages(
        self, after: str | None, *, is_followed: bool
    ) -> Iterator[tuple[list[Document], str]]:
        waits = growing(FIRST_IDLE_SECONDS, LONGEST_IDLE_SECONDS)
        while True:
            query = {} if after is None else {"after": after}
            try:
                page = self._doors.ask(Call(method="GET", url=self._base, query=query))
            except UnavailableError as error:
                # Who follows a feed wants it after the outage too; a wrong certificate stays wrong.
                if not is_followed or error.slug == "untrusted":
                    raise
                self._screen.error(error)
                self._pace.sleep(LONGEST_IDLE_SECONDS)
                continue
            items = documents.rows(page, "items")
            if items:
                after = documents.text(page, "next")
                yield items, after
                waits = growing(FIRST_IDLE_SECONDS, LONGEST_IDLE_SECONDS)
            elif is_followed:
                self._pace.sleep(next(waits))
            else:
                return

    def _acknowledge(self, cursor: str) -> None:
        self._doors.ask(
            Call(method="POST", url=f"{self._base}/acknowledge", json={"cursor": cursor})
        )

    def totals(self, first: str, last: str) -> Document:
        """Return count and sum of each day and régie.

        Raises:
            RefusedError, UnavailableError: as `Doors.ask`.
        """
        return self._doors.ask(
            Call(method="GET", url=f"{self._base}/totals", query={"from": first, "to": last})
        )
