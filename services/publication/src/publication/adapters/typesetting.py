"""Documents of our own, set by typst from templates; data is passed as data, never as source."""

from functools import cache
from pathlib import Path
from typing import Literal

import typst

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
    """Return the PDF of a template of ours; the compiler is kept for the next one."""
    document = _compiler(template).compile(
        format="pdf", sys_inputs=inputs, pdf_standards=list(standards)
    )
    if not isinstance(document, bytes):
        message = f"{template} is not one document"
        raise TypeError(message)
    return document
