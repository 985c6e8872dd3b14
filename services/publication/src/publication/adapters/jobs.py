"""What goes to the processes that make paper, and what comes back.

This side of the hand-over loads none of the PDF libraries: only the processes that need them do.
"""

import msgspec

from publication.domain import Pages
from shared.events import InvoiceGenerated

DEFAULT_SIZE_MM = 28.0
"""Side of the code with its quiet zone: 0.7 mm a module, which any telephone reads from paper."""
LENGTH_BYTES = 8
"""Before each message stands its length."""
STARTED = b"+"
"""What a process says once it waits for its first job."""


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


class PaperJob(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What to publish: the biller's PDF, or None to render one; `known` maps layouts to places."""

    invoice: InvoiceGenerated
    url: str
    pdf: bytes | None
    wanted: Place | None
    known: dict[str, Place | None]
    sample: float
    limits: Limits
    seconds: int
    is_preview: bool = False


class PaperResult(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The documents, or why there are none; `print_file` is None when the document is printed.

    `pages` counts those of the file that is printed.
    """

    document: bytes = b""
    print_file: bytes | None = None
    pages: int = 0
    layout: str = ""
    place: Place | None = None
    refusal_code: str = ""
    refusal_detail: str = ""


class LookJob(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Which pages a published document has, drawn `widest` pixels wide."""

    pdf: bytes
    widest: int
    seconds: int


class DrawJob(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Draw a page, from 1."""

    pdf: bytes
    number: int
    width: int
    seconds: int


class LookResult(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The pages, or why they cannot be shown."""

    pages: Pages | None = None
    refusal_code: str = ""


class DrawResult(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The picture, or why there is none."""

    picture: bytes = b""
    refusal_code: str = ""


Job = PaperJob | LookJob | DrawJob
Result = PaperResult | LookResult | DrawResult

encoder = msgspec.msgpack.Encoder()
job_decoder = msgspec.msgpack.Decoder(Job)
# Not pickle: what a hostile file made of its process may lie to us, but never run here.
result_decoder = msgspec.msgpack.Decoder(Result)
