"""Finds the PDF that an invoice in XML carries as its own readable form."""

import base64
import binascii
import re

import msgspec

from ingestion.adapters.en16931_fields import Paths
from ingestion.adapters.xml_reader import Element, text_of

_READABLE_FORM = frozenset({"lisible", "commercialinvoice", "creditnote", "primaryimage"})
"""How an attachment is described that shows the invoice itself (BT-123).

`LISIBLE` is France's code for it (XP Z12-012, rules BR-FR-17 and 18); the others are what Belgian
(UBL.BE) and Dutch (SI-UBL) programs write.
"""
_NOT_THE_INVOICE = frozenset({"50", "130"})
"""UNTDID 1001 in BT-122 and BT-18: a tender, and the object that is invoiced, such as a meter."""


class Attachments(msgspec.Struct, frozen=True, kw_only=True):
    """Where a document has what is attached to it (BG-24); all but `path` starts at one of them."""

    path: str
    reference: str
    """BT-122."""
    type_code: str
    descriptions: tuple[str, ...]
    """BT-123."""
    content: str
    """BT-125."""


def attached_document(
    root: Element, paths: Paths, attachments: Attachments, *, number: str, type_code: str
) -> bytes | None:
    """Return the one attached PDF that is marked as the invoice itself, or None.

    It is so marked by its description, by the invoice's own type code, or by the invoice's number
    as its reference or as the name of its file. A PDF without a mark may be anything, such as a
    time sheet; and which of two is the right one is not guessed. What is no Base64 comes back as it
    is: it is for the keeper of documents to refuse.
    """
    wanted = _plain(number)
    found = set()
    for attachment in paths.every(root, attachments.path):
        content = paths.first(attachment, attachments.content)
        if content is None or content.get("mimeCode", "").lower() != "application/pdf":
            continue
        text = text_of(content)
        if not text:
            continue
        code = paths.text(attachment, attachments.type_code)
        descriptions = (paths.text(attachment, path) for path in attachments.descriptions)
        names = (paths.text(attachment, attachments.reference), content.get("filename", ""))
        is_marked = code == type_code or any(
            description.casefold() in _READABLE_FORM for description in descriptions
        )
        is_named = wanted in {_plain(name) for name in names} - {""}
        if code not in _NOT_THE_INVOICE and (is_marked or is_named):
            found.add(_decoded(text))
    return found.pop() if len(found) == 1 else None


def _plain(name: str) -> str:
    """Return what is left of a number once it has been the name of a file."""
    return re.sub(r"[\W_]", "", name.casefold().removesuffix(".pdf"))


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return text.encode()
