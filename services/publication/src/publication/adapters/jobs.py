"""What goes to the processes that make paper, and what comes back.

This side of the hand-over loads none of the PDF libraries: only the processes that need them do.
"""

import msgspec

from shared.events import InvoiceGenerated

DEFAULT_SIZE_MM = 28.0
"""Side of the code with its quiet zone: 0.7 mm a module, which any telephone reads from paper."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How large a document may be."""

    maximum_bytes: int = 20 * 1024 * 1024
    maximum_pages: int = 100


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where the block (code and caption) stands: page from 1, millimetres from the top left."""

    page: int = 1
    x_mm: float
    y_mm: float
    size_mm: float = DEFAULT_SIZE_MM


class PaperJob(msgspec.Struct, frozen=True, kw_only=True):
    """What to publish: the biller's PDF, or None to render one; `known` maps layouts to places."""

    invoice: InvoiceGenerated
    url: str
    pdf: bytes | None
    wanted: Place | None
    known: dict[str, Place | None]
    sample: float
    limits: Limits
    seconds: int


class PaperResult(msgspec.Struct, frozen=True, kw_only=True):
    """The documents, or why there are none; `print_file` is None when the document is printed."""

    document: bytes = b""
    print_file: bytes | None = None
    layout: str = ""
    place: Place | None = None
    refusal_code: str = ""
    refusal_detail: str = ""


def make_all(jobs: list[PaperJob]) -> list[PaperResult]:
    """Return the paper of each job, in order; a refusal is a result, never an error."""
    # Runs in a process of its own, which alone pays for these libraries.
    from publication.adapters import paper  # noqa: PLC0415

    return [paper.make(job) for job in jobs]


def limit_process(memory_bytes: int) -> None:
    """Bound the memory of the process that this runs in."""
    from publication.adapters import paper  # noqa: PLC0415

    paper.limit_process(memory_bytes)
