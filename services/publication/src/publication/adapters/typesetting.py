"""Documents of our own, set by typst from templates; data is passed as data, never as source."""

from functools import cache
from pathlib import Path
from typing import Literal

import structlog
import typst

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

TEMPLATES = Path(__file__).parents[1] / "templates"
Standard = Literal["ua-1", "a-2b"]
ACCESSIBLE: tuple[Standard, ...] = ("ua-1", "a-2b")
"""PDF/UA-1 (tagged, for screen readers) and PDF/A-2b (archives) at once."""


@cache
def _compiler(template: str) -> typst.Compiler:
    return typst.Compiler(
        TEMPLATES / template, root=TEMPLATES, ignore_system_fonts=True, font_paths=[]
    )


def typeset(template: str, inputs: dict[str, str], standards: tuple[Standard, ...]) -> bytes:
    """Return the PDF of a template of ours; the compiler is kept for the next one.

    It keeps to no standard if a name or a subject has a sign that no font here has.
    """
    compiler = _compiler(template)
    try:
        document = compiler.compile(format="pdf", sys_inputs=inputs, pdf_standards=list(standards))
    except typst.TypstError:
        # Neither standard allows such a sign. A box in its place is better than no invoice. The
        # error quotes the text, which may be a name; one of another cause comes again below.
        logger.warning("set outside the standards", template=template)
        document = compiler.compile(format="pdf", sys_inputs=inputs)
    if not isinstance(document, bytes):
        message = f"{template} is not one document"
        raise TypeError(message)
    return document
