"""What a command writes: sentences, tables and bars for people, or JSON for machines."""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, TextIO

import rich.box
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from quittance_client.documents import Document, tables
from quittance_client.errors import ClientError, RefusedError, SettingsError
from quittance_client.words import Words

FILE_WIDTH = 200
"""Columns of a table that goes into a file or another program."""


class Bar(Protocol):
    """Moves a bar."""

    def __call__(self, done: int, total: int | None, word: str = "") -> None:
        """Show `done` of `total` bytes, if that is known, with a word beside it."""
        ...


class Screen:
    """Where a command writes; results go to `out`, everything about the way there to `err`."""

    def __init__(self, out: TextIO, err: TextIO, words: Words, *, is_json: bool) -> None:
        """Write in the language of `words`; with `is_json` nothing but JSON goes to `out`."""
        self.out = out
        self.words = words
        self.is_json = is_json
        self._out = _console(out)
        self._err = _console(err)

    def say(self, slug: str, **values: object) -> None:
        """Tell a result; machines get it in their document instead."""
        if not self.is_json:
            self._out.print(Text(self._sentence(slug, values)), soft_wrap=True)

    def note(self, slug: str, **values: object) -> None:
        """Tell something about the way there."""
        self._err.print(Text(self._sentence(slug, values)), soft_wrap=True)

    def document(self, document: Document) -> None:
        """Write a document for machines, on one line."""
        self.out.write(json.dumps(document, ensure_ascii=False) + "\n")
        self.out.flush()

    def show(self, document: Document) -> None:
        """Write any document: its values by name, its lists as tables."""
        if self.is_json:
            self.document(document)
            return
        lists = dict(tables(document))
        for name, value in document.items():
            if name not in lists and value not in (None, [], {}):
                line = f"{self.words.heading(name)} : {self._cell(name, value)}"
                self._out.print(Text(line), soft_wrap=True)
        for rows in lists.values():
            columns = list(dict.fromkeys(name for row in rows for name in row))
            self.table(columns, rows)
        if not document:
            self.say("nothing")

    def lines(self, name: str, documents: Sequence[Document]) -> None:
        """Write one field of each document, one a line, whole for other programs.

        Raises:
            SettingsError: they cannot be written.
            BrokenPipeError: who read them has left.
        """
        try:
            for document in documents:
                if self.is_json:
                    self.out.write(json.dumps(document, ensure_ascii=False) + "\n")
                else:
                    self.out.write(plain(str(document.get(name, ""))) + "\n")
            self.out.flush()
        except BrokenPipeError:
            # Whoever read has left: there is nobody to tell.
            raise
        except OSError as error:
            raise SettingsError("list-lost", reason=error.strerror) from error

    def table(self, columns: Sequence[str], rows: Sequence[Document]) -> None:
        """Write a table of the named fields of each row."""
        table = Table(box=rich.box.SIMPLE_HEAD, pad_edge=False)
        for name in columns:
            is_number = name.endswith(("_cents", "count")) or name == "position"
            table.add_column(
                self.words.heading(name), justify="right" if is_number else "left", overflow="fold"
            )
        for row in rows:
            table.add_row(*(Text(self._cell(name, row.get(name))) for name in columns))
        self._out.print(table)

    def _cell(self, name: str, value: object) -> str:
        if value is None:
            return ""
        if name.endswith("_cents") and isinstance(value, int):
            return self.words.euros(value)
        if isinstance(value, bool):
            return self.words("yes") if value else self.words("no")
        if isinstance(value, dict | list):
            return plain(json.dumps(value, ensure_ascii=False))
        return plain(str(value))

    def _sentence(self, slug: str, values: Mapping[str, object]) -> str:
        return self.words(slug, **{name: plain(str(value)) for name, value in values.items()})

    def error(self, error: ClientError) -> None:
        """Tell what ended the command, with the code that programs go by."""
        if self.is_json:
            self._err.file.write(json.dumps({"error": error_document(error, self.words)}) + "\n")
            return
        self.note(error.slug, **error.values)
        if isinstance(error, RefusedError):
            if error.pointer:
                self.note("at", pointer=error.pointer)
            if error.trace_id:
                self.note("trace", trace_id=error.trace_id)

    @contextlib.contextmanager
    def bar(self, label: str) -> Iterator[Bar]:
        """Show a bar while bytes go by, where somebody is looking; else nothing moves."""
        with Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[word]}", markup=False),
            console=self._err,
            disable=not self._err.is_terminal,
            transient=True,
        ) as progress:
            task = progress.add_task(plain(label), total=None, word="")

            def move(done: int, total: int | None, word: str = "") -> None:
                progress.update(task, completed=done, total=total, word=plain(word))

            yield move


def error_document(error: ClientError, words: Words) -> Document:
    """Return an error for machines."""
    if isinstance(error, RefusedError):
        return {
            "status": error.status,
            "code": error.code,
            "detail": error.detail,
            "pointer": error.pointer,
        }
    return {"code": error.slug, "detail": words(error.slug, **error.values)}


def plain(text: str) -> str:
    """Return a text that moves no cursor and changes no colour, whatever file it came from."""
    return "".join(mark if mark.isprintable() or mark == "\u00a0" else "\ufffd" for mark in text)


def _console(stream: TextIO) -> Console:
    return Console(
        file=stream,
        width=None if stream.isatty() else FILE_WIDTH,
        # Not what variables of the environment claim: bars are for eyes, not for files.
        force_terminal=stream.isatty(),
        markup=False,
        highlight=False,
        emoji=False,
    )
