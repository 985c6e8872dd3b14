"""Reads one deposit from beginning to end, in a process of its own: format, lines, rules.

What is read goes to a file of checked lines in the folder of the job, so that memory stays flat and
nothing is recorded of a deposit that turns out to be unreadable at its end.
"""

import importlib
from collections.abc import Iterator, Mapping
from typing import BinaryIO, cast

import msgspec

from ingestion import domain
from ingestion.adapters import detection, job_files
from ingestion.adapters.archive import Archive
from ingestion.adapters.documents import Documents
from ingestion.domain import InvoiceDraft, Rejection, Route, UnreadableDepositError
from ingestion.ports import (
    CheckedLine,
    Document,
    Entry,
    FormatReader,
    ReadingJob,
    ReadingResult,
)

SHOWN_LENGTH = 300
_READERS = {
    "json": "json_deposit",
    "ndjson": "ndjson",
    "csv": "csv_table",
    "xlsx": "xlsx_table",
    "pes": "pes",
    "rolmre": "rolmre",
    "ubl": "ubl",
    "cii": "cii",
    "facturx": "facturx",
}
"""The module of each format; its `read_file` is a `FormatReader`."""


def read(job: ReadingJob) -> ReadingResult:
    """Read a deposit whose files are in `job.folder`; a problem is a result, never an error.

    May end the process it runs in: it takes no more processor time than `job.seconds`.
    """
    job_files.limit_time(job.seconds)
    context = _Context(job)
    try:
        with job_files.Output(job.folder) as output:
            for entry, position in _entries(job, context):
                output.add(_check(entry, job, context), position)
    except UnreadableDepositError as error:
        return ReadingResult(format=context.form, problem=_why(error))
    if output.total == 0:
        why = Rejection(code="no_invoices", pointer="", message="Le dépôt ne contient rien.")
        return ReadingResult(format=context.form, problem=why)
    return ReadingResult(format=context.form, total=output.total, mapping=context.used_mapping)


class _Context:
    """What readers know; see `ports.ReadingContext`."""

    def __init__(self, job: ReadingJob) -> None:
        self.regie = job.regie
        self.mapping = job.mapping
        self.used_mapping: Mapping[str, str] = {}
        self.form = ""
        self.documents: Documents | None = None
        self._regies = job.regies

    def route(self, regie: str) -> Route:
        known = self._regies.get(regie)
        return known.route if known else "regie"

    def keep_document(self, content: bytes) -> str | Rejection:
        if self.documents is None:
            message = "no deposit is open"
            raise ValueError(message)
        return self.documents.keep(content)

    def remember_mapping(self, mapping: Mapping[str, str]) -> None:
        self.used_mapping = dict(mapping)


def _entries(job: ReadingJob, context: _Context) -> Iterator[tuple[Entry, int]]:
    """Yield entries, each with the bytes read so far."""
    if not job.has_body:
        documents = Documents(job.folder, job.parts, job.document_maximum_bytes, None)
        context.documents, context.form = documents, "facturx"
        yield from _documents_alone(list(job.parts), documents, context)
        return
    with (job.folder / job_files.BODY).open("rb") as body:
        context.form = detection.detect(body, job.declared)
        if context.form != "zip":
            context.documents = Documents(job.folder, job.parts, job.document_maximum_bytes, None)
            for entry in _reader(context.form)(body, context):
                yield entry, body.tell()
            return
        archive = Archive(body)
        documents = Documents(job.folder, job.parts, job.document_maximum_bytes, archive)
        context.documents = documents
        index = job.folder / "index"
        if not archive.extract_index(index):
            yield from _documents_alone(archive.documents, documents, context)
            return
        with index.open("rb") as source:
            yield from _indexed(source, body, context)


def _indexed(source: BinaryIO, body: BinaryIO, context: _Context) -> Iterator[tuple[Entry, int]]:
    inner = detection.detect(source)
    if inner == "zip":
        raise UnreadableDepositError("nested_zip", "", "Une archive ne peut en contenir une autre.")
    for entry in _reader(inner)(source, context):
        yield entry, body.tell()


def _documents_alone(
    names: list[str], documents: Documents, context: _Context
) -> Iterator[tuple[Entry, int]]:
    """Read each PDF as the invoice that it carries inside."""
    position = 0
    for name in names:
        found = documents.resolve(name)
        place = "/" + name.replace("~", "~0").replace("/", "~1")
        if isinstance(found, Rejection):
            yield Entry(place=place, found=found), position
            continue
        position += found.size_bytes
        with documents.path(found).open("rb") as file:
            try:
                for entry in _reader("facturx")(file, context):
                    yield msgspec.structs.replace(entry, place=place), position
            except UnreadableDepositError as error:
                # Of several files one that cannot be read is one line, not the deposit.
                yield Entry(place=place, found=_why(error)), position


def _why(error: UnreadableDepositError) -> Rejection:
    return Rejection(code=error.code, pointer=error.pointer, message=error.detail)


def _reader(form: str) -> FormatReader:
    # Only the process that meets a format pays for its libraries.
    module = importlib.import_module(f"ingestion.adapters.{_READERS[form]}")
    return cast("FormatReader", module.read_file)


def _check(entry: Entry, job: ReadingJob, context: _Context) -> CheckedLine:
    """Return the line as the rules see it."""
    draft = entry.found
    if isinstance(draft, Rejection):
        return CheckedLine(place=_shown(entry.place), rejection=_named(draft, entry))
    if job.version is not None:
        draft = msgspec.structs.replace(draft, version=job.version)
    problems = domain.validate(draft, authority_regies=job.regies, today=job.today)
    if problems:
        return _refused(draft, problems[0], entry)
    document: Document | None = None
    if draft.pdf is not None and context.documents is not None:
        found = context.documents.resolve(draft.pdf)
        if isinstance(found, Rejection):
            return _refused(draft, found, entry)
        document = found
    return CheckedLine(
        place=_shown(entry.place),
        draft=draft,
        invoice_id=domain.invoice_id(job.authority, draft.regie, draft.number),
        fingerprint=domain.fingerprint(draft, document.sha256 if document else None),
        document=document,
    )


def _refused(draft: InvoiceDraft, problem: Rejection, entry: Entry) -> CheckedLine:
    return CheckedLine(
        place=_shown(entry.place),
        rejection=_named(problem, entry),
        regie=_shown(draft.regie)[: domain.NUMBER_LENGTH],
        number=_shown(draft.number)[: domain.NUMBER_LENGTH],
    )


def _named(problem: Rejection, entry: Entry) -> Rejection:
    """Return a refusal under the name that the file itself has for the field."""
    name = entry.fields.get(problem.pointer)
    pointer = "/" + name.replace("~", "~0").replace("/", "~1") if name else problem.pointer
    return msgspec.structs.replace(problem, pointer=_shown(pointer))


def _shown(text: str) -> str:
    """Return what came from outside as it may be stored and shown: cut to size, all of it visible.

    PostgreSQL takes no U+0000 in a text, and a terminal should not take an escape sequence.
    """
    if len(text) <= SHOWN_LENGTH and text.isprintable():
        return text
    shown = "".join(c if c.isprintable() or c in "\u00a0\u202f" else "\ufffd" for c in text)
    return shown[:SHOWN_LENGTH]
