"""Reads a PES file element by element: hardened as `xml_reader`, in memory that stays bounded.

Nothing but the elements asked for and what is still open stays in memory. The parser itself ends a
text or an attribute at ten million bytes, and nesting at 256 elements, as `huge_tree` is off.
"""

import codecs
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

import msgspec
from lxml import etree

from ingestion.adapters.xml_reader import Element
from ingestion.domain import UnreadableDepositError

CHUNK_BYTES = 65_536
MAXIMUM_OPEN_TAGS = 200_000
"""Most `<` in one unit of the file (a piece, an attachment): what must be in memory at once."""
MAXIMUM_OPEN_ATTRIBUTES = 200_000
"""Most `=` in one unit: an attribute costs far more memory than it has bytes."""

ATTACHMENTS = "PES_PJ"
"""The part of a file that holds its attachments, which stands after the pieces."""

REFERENCE = "PJRef"
"""What names an attachment, in a piece or in one of its lines."""
REVENUE = "PES_RecetteAller"
BORDEREAU = "Bordereau"

_ROOT = "PES_Aller"
_NAMESPACE = "http://www.minefi.gouv.fr/cp/helios/pes_v2/"
_CONTAINERS = (
    frozenset({_ROOT}),
    frozenset({REVENUE, "PES_DepenseAller", ATTACHMENTS}),
    frozenset({BORDEREAU}),
)
"""What is emptied while it is read, level by level; its children are the units."""

_DECLARATION = re.compile(r"<\?xml[ \t\r\n][^>]{0,200}?\?>")
_DECLARED_ENCODING = re.compile(r"""encoding[ \t\r\n]*=[ \t\r\n]*["']([^"']*)["']""")
_PROLOG_PART = re.compile(r"[ \t\r\n]+|<!--.*?-->|<\?.*?\?>", re.DOTALL)
_ROOT_TAG = re.compile(rf"<(?:[A-Za-z_][\w.-]*:)?{_ROOT}[ \t\r\n/>]")
_SINGLE_BYTE_ENCODINGS = frozenset({"iso8859-1", "iso8859-15", "cp1252"})
_ENCODINGS = _SINGLE_BYTE_ENCODINGS | {"utf-8", "ascii"}
_C1_CONTROLS = bytes(range(0x80, 0xA0))


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """What must be known of a file before it is parsed.

    `encoding` is the one its bytes are in; `start` is where the XML declaration ends, which spoke
    of the bytes; `has_attachments` and `has_references` (to attachments) are False only when there
    are certainly none.
    """

    encoding: str
    start: int
    has_attachments: bool
    has_references: bool


def recognises(head: bytes) -> bool:
    """Say whether a file that begins with `head` has the root of a PES file.

    One with a DOCTYPE is recognised too: it is refused for that, not as an unknown format.
    """
    text = head.removeprefix(codecs.BOM_UTF8).decode("latin-1")
    position = _after_prolog(text)
    if text.startswith("<!DOCTYPE", position):
        return _ROOT_TAG.search(text, position) is not None
    return _ROOT_TAG.match(text, position) is not None


def survey(file: BinaryIO) -> Source:
    """Look through the bytes of a file once, without parsing it.

    Producers declare ISO-8859-1 and write UTF-8, or the other Windows code page: bytes that are
    all UTF-8 are read as such, because accented French text is never so by chance; and the control
    characters of ISO-8859-1, which no text has, are those of Windows-1252.

    Raises:
        UnreadableDepositError: `xml_encoding`, `doctype`.
    """
    file.seek(0)
    head = file.read(CHUNK_BYTES)
    mark = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
    text = head[mark:].decode("latin-1")
    declaration = _DECLARATION.match(text)
    declared = "utf-8" if mark else _declared_encoding(declaration)
    # A prolog that does not end within the first bytes read is no prolog of a PES file.
    if text.startswith("<!DOCTYPE", _after_prolog(text)):
        raise doctype_error()
    start = mark + (declaration.end() if declaration else 0)
    file.seek(start)
    is_utf8, has_controls, words = _scan(file)
    encoding = "utf-8"
    if not is_utf8:
        if declared not in _SINGLE_BYTE_ENCODINGS:
            raise _encoding_error()
        encoding = "cp1252" if has_controls and declared == "iso8859-1" else declared
    return Source(
        encoding=encoding,
        start=start,
        has_attachments=ATTACHMENTS.encode() in words,
        has_references=REFERENCE.encode() in words,
    )


def elements(file: BinaryIO, source: Source, names: frozenset[str]) -> Iterator[Element]:
    """Yield, in order, the elements of a local name in `names`, each complete.

    An element may be looked at, with what is above it, until the next one is asked for.

    Raises:
        UnreadableDepositError: `doctype`, `unreadable_xml`, `xml_encoding`, `xml_too_large`,
            `wrong_root`.
    """
    parser = _parser(names)
    events = cast("Iterator[tuple[str, Element]]", parser.read_events())
    budget = _Budget()
    try:
        for chunk in _chunks(file, source):
            parser.feed(chunk)
            for event, element in events:
                if budget.root is None:
                    budget.root = _checked_root(element)
                if event == "end" and local_name(element) != _ROOT:
                    yield element
            budget.spend(chunk)
        root = parser.close()
    except etree.XMLSyntaxError as error:
        raise _syntax_error(error) from error
    _checked_root(root)


def local_name(element: Element) -> str:
    """Return the name of an element without its namespace."""
    return element.tag.rpartition("}")[2]


def values(element: Element) -> dict[str, str]:
    """Return the values of an element's children by local name; the last one if two are alike.

    In PES every value is the attribute `V` of an empty element; an empty value is as good as none.
    """
    found = {child.tag: value for child in element if (value := child.get("V"))}
    if "{" in next(iter(found), ""):
        return {tag.rpartition("}")[2]: value for tag, value in found.items()}
    return found


def doctype_error() -> UnreadableDepositError:
    """Return the refusal of a DOCTYPE: no PES file needs one, and it is how XML attacks."""
    return _refuse("doctype", "Le fichier XML contient une DOCTYPE, ce qui est interdit.")


class _Budget:
    """Forgets what was read, and bounds what cannot be forgotten yet."""

    def __init__(self) -> None:
        self.root: Element | None = None
        self._unit: Element | None = None
        self._tags = 0
        self._attributes = 0

    def spend(self, chunk: bytes) -> None:
        """Free all but the unit that is still open, and refuse one that grew too large."""
        unit = self._prune()
        if unit is not self._unit:
            # It began in this chunk: what came before is no longer in memory.
            self._tags = self._attributes = 0
            self._unit = unit
        self._tags += chunk.count(b"<")
        self._attributes += chunk.count(b"=")
        if self._tags > MAXIMUM_OPEN_TAGS or self._attributes > MAXIMUM_OPEN_ATTRIBUTES:
            raise _too_large_error()

    def _prune(self) -> Element | None:
        """Remove what is closed; return the unit, whose content stays."""
        unit = self.root
        for names in _CONTAINERS:
            if unit is None or len(unit) == 0 or local_name(unit) not in names:
                break
            # The last child may still be open, and what is open may not be taken away.
            del unit[:-1]
            unit = unit[-1]
        return unit


def _parser(names: frozenset[str]) -> etree.XMLPullParser:
    return etree.XMLPullParser(
        # The start of the root lets memory be freed from there on, whatever is asked for.
        events=("start", "end"),
        tag=[f"{{*}}{name}" for name in sorted(names | {_ROOT})],
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        no_network=True,
        huge_tree=False,
        recover=False,
        collect_ids=False,
        remove_comments=True,
        remove_pis=True,
        remove_blank_text=True,
    )


def _checked_root(element: Element) -> Element:
    tree = element.getroottree()
    # The second half of the check of the prolog: the parser must have met no DOCTYPE either.
    if cast("object", tree.docinfo.internalDTD) is not None:
        raise doctype_error()
    root: Element = tree.getroot()
    namespace, _, name = str(root.tag).rpartition("}")
    if name != _ROOT or (namespace and not namespace.startswith(f"{{{_NAMESPACE}")):
        raise _refuse("wrong_root", "Le fichier XML n’est pas un fichier PES (PES_Aller).")
    return root


def _chunks(file: BinaryIO, source: Source) -> Iterator[bytes]:
    """Yield the document in UTF-8, whatever it was written in."""
    file.seek(source.start)
    while chunk := file.read(CHUNK_BYTES):
        if source.encoding == "utf-8" or chunk.isascii():
            yield chunk
            continue
        try:
            yield chunk.decode(source.encoding).encode()
        except UnicodeDecodeError as error:
            raise _encoding_error() from error


def _scan(file: BinaryIO) -> tuple[bool, bool, set[bytes]]:
    """Say whether the rest is UTF-8, has C1 controls, and which of the names looked for."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    missing = {ATTACHMENTS.encode(), REFERENCE.encode()}
    found: set[bytes] = set()
    is_utf8, has_controls = True, False
    tail = b""
    while chunk := file.read(4 * CHUNK_BYTES):
        for word in tuple(missing):
            if word in tail + chunk[: len(word)] or word in chunk:
                missing.remove(word)
                found.add(word)
        tail = chunk[-len(ATTACHMENTS) :]
        # Nearly all of a file is ASCII, which says nothing of the encoding.
        if chunk.isascii() and not decoder.getstate()[0]:
            continue
        is_utf8 = is_utf8 and _decodes(decoder, chunk)
        has_controls = has_controls or len(chunk.translate(None, _C1_CONTROLS)) < len(chunk)
    if is_utf8:
        is_utf8 = _decodes(decoder, b"", is_final=True)
    return is_utf8, has_controls, found


def _decodes(decoder: codecs.IncrementalDecoder, chunk: bytes, *, is_final: bool = False) -> bool:
    try:
        decoder.decode(chunk, is_final)
    except UnicodeDecodeError:
        return False
    return True


def _after_prolog(text: str) -> int:
    """Return where the first tag or DOCTYPE stands: XML allows nothing else before it."""
    position = 0
    while part := _PROLOG_PART.match(text, position):
        position = part.end()
    return position


def _declared_encoding(declaration: re.Match[str] | None) -> str:
    declared = _DECLARED_ENCODING.search(declaration.group()) if declaration else None
    if declared is None:
        return "utf-8"
    try:
        encoding = codecs.lookup(declared.group(1)).name
    except (LookupError, ValueError) as error:
        raise _encoding_error() from error
    if encoding not in _ENCODINGS:
        raise _encoding_error()
    return encoding


def _syntax_error(error: etree.XMLSyntaxError) -> UnreadableDepositError:
    # The stubs do not know the code.
    if cast("Any", error).code == etree.ErrorTypes.ERR_RESOURCE_LIMIT:
        return _too_large_error()
    return _refuse("unreadable_xml", "Le fichier n’est pas du XML correct, ou il est incomplet.")


def _too_large_error() -> UnreadableDepositError:
    return _refuse(
        "xml_too_large", "Une pièce ou une pièce jointe du fichier est trop volumineuse."
    )


def _encoding_error() -> UnreadableDepositError:
    return _refuse("xml_encoding", "Le fichier XML n’est pas dans l’encodage qu’il déclare.")


def _refuse(code: str, detail: str) -> UnreadableDepositError:
    return UnreadableDepositError(code=code, pointer="", detail=detail)
