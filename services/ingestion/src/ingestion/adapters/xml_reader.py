"""The one place where XML from outside is parsed: no DOCTYPE, no entities, no network, limits."""

import codecs
import re
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias, cast

import msgspec
from lxml import etree

from ingestion.domain import UnreadableDepositError

Element: TypeAlias = etree._Element  # noqa: SLF001 - lxml gives its element class no public name

MAXIMUM_XML_BYTES = 10 * 1024 * 1024
MAXIMUM_TAGS = 500_000
"""Most `<` in a file, two for each element: memory is bounded before anything is built."""
MAXIMUM_ATTRIBUTES = 300_000
"""Most `=` in a file: each attribute has one, and costs far more memory than it has bytes."""
MAXIMUM_DEPTH = 64

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8", frozenset({"utf-8"})),
    (codecs.BOM_UTF16_LE, "utf-16-le", frozenset({"utf-16", "utf-16-le"})),
    (codecs.BOM_UTF16_BE, "utf-16-be", frozenset({"utf-16", "utf-16-be"})),
)
_ENCODINGS = frozenset({"utf-8", "ascii", "iso8859-1", "iso8859-15", "cp1252"})
"""Python's names of the encodings read without a mark: in each, a `<` is the byte of a `<`."""
_DECLARATION = re.compile(r"<\?xml[ \t\r\n][^>]{0,200}?\?>")
_DECLARED_ENCODING = re.compile(r"""encoding[ \t\r\n]*=[ \t\r\n]*["']([^"']*)["']""")
_PROLOG_PART = re.compile(r"[ \t\r\n]+|<!--.*?-->|<\?.*?\?>", re.DOTALL)

_string_value = etree.XPath("string()")
_too_deep = etree.XPath("boolean(" + "/*" * (MAXIMUM_DEPTH + 1) + ")")
_schema_lock = Lock()


class SchemaFault(msgspec.Struct, frozen=True, kw_only=True):
    """The first place where a document leaves its schema: XPath of the node, line in the file."""

    path: str
    line: int


def parse(body: bytes, *, limit_bytes: int = MAXIMUM_XML_BYTES) -> Element:
    """Return the root of an XML document from outside, or refuse it.

    The text is decoded here and the prolog read before the parser sees it, because a parser that
    resolves nothing still accepts a DOCTYPE and silently empties the fields that use it.

    Raises:
        UnreadableDepositError: `xml_too_large` (more bytes than `limit_bytes`, or too many tags),
            `xml_encoding`, `doctype`, `xml_too_deep`, `unreadable_xml`.
    """
    if len(body) > limit_bytes:
        raise _refuse(code="xml_too_large", detail="Le fichier XML est trop volumineux.")
    text = _decode(body)
    if text.count("<") > MAXIMUM_TAGS or text.count("=") > MAXIMUM_ATTRIBUTES:
        raise _refuse(code="xml_too_large", detail="Le fichier XML compte trop d’éléments.")
    _refuse_doctype(text)
    try:
        root = etree.fromstring(text.encode(), _parser())
    except etree.XMLSyntaxError as error:
        raise _refuse(
            code="unreadable_xml", detail="Le fichier n’est pas du XML correct."
        ) from error
    # The second half of the check above: the parser must have met no DOCTYPE either.
    if root.getroottree().docinfo.internalDTD is not None:
        raise _doctype_error()
    if _too_deep(root):
        raise _refuse(code="xml_too_deep", detail="Le fichier XML imbrique trop d’éléments.")
    return root


def text_of(element: Element) -> str:
    """Return the whole text of an element, without the space around it.

    A comment inside does not cut it: `10<!-- -->0.00` reads `100.00`, as XPath `string()` says.
    """
    return cast("str", _string_value(element)).strip()


def schema_fault(root: Element, schema_path: Path) -> SchemaFault | None:
    """Return where the document first leaves the XSD in the trusted file `schema_path`, or None."""
    schema = _schema(schema_path)
    # The error log belongs to the schema, not to the call: two threads would mix theirs.
    with _schema_lock:
        if schema(root):
            return None
        fault = cast("Any", schema.error_log)[0]
        return SchemaFault(path=fault.path or "", line=fault.line)


@cache
def _schema(path: Path) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(str(path), etree.XMLParser(no_network=True)))


def _parser() -> etree.XMLParser:
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        no_network=True,
        huge_tree=False,
        recover=False,
        collect_ids=False,
    )


def _decode(body: bytes) -> str:
    """Return the document as text without its XML declaration, which spoke of the bytes."""
    for mark, encoding, declarable in _BYTE_ORDER_MARKS:
        if body.startswith(mark):
            text = _strictly(body.removeprefix(mark), encoding)
            declaration = _DECLARATION.match(text)
            declared = _declared_encoding(declaration)
            if declared is not None and declared not in declarable:
                raise _encoding_error()
            return text[declaration.end() :] if declaration else text
    declaration = _DECLARATION.match(body[:300].decode("latin-1"))
    encoding = _declared_encoding(declaration) or "utf-8"
    if encoding not in _ENCODINGS:
        raise _encoding_error()
    return _strictly(body[declaration.end() :] if declaration else body, encoding)


def _strictly(body: bytes, encoding: str) -> str:
    try:
        return body.decode(encoding)
    except UnicodeDecodeError as error:
        raise _encoding_error() from error


def _declared_encoding(declaration: re.Match[str] | None) -> str | None:
    declared = _DECLARED_ENCODING.search(declaration.group()) if declaration else None
    if declared is None:
        return None
    try:
        return codecs.lookup(declared.group(1)).name
    except (LookupError, ValueError) as error:
        raise _encoding_error() from error


def _refuse_doctype(text: str) -> None:
    """Refuse a DOCTYPE, which XML allows only between the declaration and the first element."""
    position = 0
    while part := _PROLOG_PART.match(text, position):
        position = part.end()
    if text.startswith("<!DOCTYPE", position):
        raise _doctype_error()


def _doctype_error() -> UnreadableDepositError:
    return _refuse(
        code="doctype", detail="Le fichier XML contient une DOCTYPE, ce qui est interdit."
    )


def _encoding_error() -> UnreadableDepositError:
    return _refuse(
        code="xml_encoding", detail="Le fichier XML n’est pas dans l’encodage qu’il déclare."
    )


def _refuse(*, code: str, detail: str) -> UnreadableDepositError:
    return UnreadableDepositError(code=code, pointer="", detail=detail)
