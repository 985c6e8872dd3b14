"""One invoice's paper from beginning to end, in a process of its own with limits."""

import random
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import msgspec
from structlog.contextvars import bound_contextvars

from publication.adapters import page_pictures, pdf_check, pdf_stamp, preview_mark, qr, render
from publication.adapters.errors import UnsafePdfError
from publication.adapters.jobs import (
    DrawJob,
    DrawResult,
    Job,
    LookJob,
    LookResult,
    PaperJob,
    PaperResult,
    Result,
)


def limit_process(memory_bytes: int) -> None:
    """Bound the memory of this process: a hostile file ends in an error, not in a dead machine."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    signal.signal(signal.SIGPROF, _too_slow)
    # The parent decides when this process ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _too_slow(_number: int, _frame: FrameType | None) -> None:
    raise UnsafePdfError("resource_limit", "time")


def do(job: Job) -> Result:
    """Return what a job asks for, within its processor time."""
    if isinstance(job, LookJob):
        return look(job)
    return draw(job) if isinstance(job, DrawJob) else make(job)


def make(job: PaperJob) -> PaperResult:
    """Return the paper of one job within its processor time."""
    try:
        # What is logged meanwhile says of which invoice.
        invoice_id = str(job.invoice.invoice_id)
        with _within(job.seconds), bound_contextvars(invoice=invoice_id):
            result = _render(job) if job.pdf is None else _stamp(job, job.pdf)
            return _marked(result) if job.is_preview else result
    except UnsafePdfError as error:
        return PaperResult(refusal_code=error.code, refusal_detail=error.sentence)


def look(job: LookJob) -> LookResult:
    """Return which pages a document has."""
    try:
        with _within(job.seconds):
            return LookResult(pages=page_pictures.look(job.pdf, job.widest))
    except UnsafePdfError as error:
        return LookResult(refusal_code=error.code)


def draw(job: DrawJob) -> DrawResult:
    """Return the picture of a page."""
    try:
        with _within(job.seconds):
            return DrawResult(picture=page_pictures.draw(job.pdf, job.number, job.width))
    except UnsafePdfError as error:
        return DrawResult(refusal_code=error.code)


@contextmanager
def _within(seconds: int) -> Iterator[None]:
    """Give the block so much processor time.

    Raises:
        UnsafePdfError: it took longer, or more memory than there is.
    """
    # A call that never returns to Python is stopped by the harder limit, which ends the process.
    used = int(time.process_time())
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (used + 2 * seconds + 1, hard))
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    except MemoryError as error:
        raise UnsafePdfError("resource_limit", "memory") from error
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _render(job: PaperJob) -> PaperResult:
    code = qr.make(job.url)
    document = render.render(job.invoice, code)
    layout = f"rendered-{len(job.invoice.lines) > 0}"
    _verify(job, document, layout, page=None)
    with pdf_check.opened(document) as opened:
        pages = len(opened.pages)
    return PaperResult(document=document, pages=pages, layout=layout)


def _stamp(job: PaperJob, pdf: bytes) -> PaperResult:
    checked = pdf_check.check(pdf, job.limits)
    code = qr.make(job.url)
    authority = job.invoice.authority_name
    is_payable = job.invoice.kind == "invoice"
    if checked.is_signed:
        # Not one byte of a signed file changes: its code stands on a sheet beside it.
        sheet = pdf_stamp.companion(code, authority, is_payable=is_payable)
        print_file = pdf_stamp.joined(pdf, sheet)
        _verify(job, sheet, "companion", page=1)
        return PaperResult(
            document=pdf, print_file=print_file, pages=checked.pages + 1, layout="companion"
        )
    stamped = pdf_stamp.stamp(
        pdf,
        code,
        authority=authority,
        is_payable=is_payable,
        wanted=job.wanted,
        earlier=job.known.get(checked.layout),
    )
    _verify(job, stamped.content, checked.layout, page=stamped.page)
    return PaperResult(
        document=stamped.content,
        pages=checked.pages if stamped.place else checked.pages + 1,
        layout=checked.layout,
        place=stamped.place,
    )


def _marked(result: PaperResult) -> PaperResult:
    # What goes by post is what the biller wants to see: a signed file with its sheet.
    shown = result.document if result.print_file is None else result.print_file
    return msgspec.structs.replace(result, document=preview_mark.mark(shown), print_file=None)


def _verify(job: PaperJob, document: bytes, layout: str, *, page: int | None) -> None:
    """Read the code from the rendered page: for the first of each layout, and a sample."""
    if layout in job.known and random.random() >= job.sample:  # noqa: S311 - a sample, no secret
        return
    if page is None:
        with pdf_check.opened(document) as opened:
            page = len(opened.pages)
    pdf_stamp.verify_rendered(document, page, job.url)
