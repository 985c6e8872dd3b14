"""Writes many letters into one PDF, letter by letter, in a process of its own with limits.

qpdf and PDFium merge in memory: 90 to 250 kB for each letter here, gigabytes for a town's invoices.
A PDF may be written from its beginning to its end, though, with the positions of its objects last
(ISO 32000-1, 7.5). So each letter is read by qpdf within the limits for a foreign file, its objects
get new numbers and are written out as they are, and what is held is one letter and a table of
positions. Fonts, logos and whatever else many letters have alike are written once.
"""

import re
from array import array
from collections import OrderedDict
from collections.abc import Iterator
from hashlib import blake2b

import msgspec
import pikepdf

from publication.adapters.errors import UnsafePdfError
from publication.adapters.pdf_check import opened

CATALOG, ROOT = 1, 2
GROUP_PAGES = 256
"""Pages under one node of the tree: a reader finds page 20 000 without reading all before it."""
LARGEST_BYTES = 10_000_000_000
"""A position has ten digits (ISO 32000-1, 7.5.4)."""
REMEMBERED = 50_000
"""Objects of which the number is remembered, to write the same one once."""
INHERITED = ("/Resources", "/MediaBox", "/CropBox", "/Rotate")
# What a printed page does not need, or what would lead out of the page into the whole document.
DROPPED = (
    *("/Parent", "/B", "/StructParents", "/Tabs", "/PieceInfo", "/Metadata", "/Thumb", "/AA"),
    *("/Dur", "/Trans", "/PresSteps", "/TemplateInstantiated", "/SeparationInfo", "/LastModified"),
)

# In the normal form that qpdf writes, parentheses in strings are escaped and nothing is a comment.
_TOKEN = re.compile(
    rb"\((?:[^()\\]|\\.)*\)|<[0-9A-Fa-f]*>|/[^\s()<>\[\]{}/%]+|\b([0-9]+) ([0-9]+) R\b", re.DOTALL
)
_LENGTH = re.compile(rb"/Length [0-9]+(?: [0-9]+ R)?(?= )")
# Things that are themselves even when they look alike.
_OWN = re.compile(rb"/Rect\b|/Type /(?:Annot|Page|Pages|OCG|OCMD|Action|StructElem)\b")

Name = tuple[int, int]
"""How a source names an object: number and generation."""


class _Entry(msgspec.Struct):
    """An object of a source that is being copied."""

    head: bytes
    stream: bytes | None
    references: list[Name]


class Book:
    """One PDF that grows by letters; each call returns the next bytes of it."""

    def __init__(self, identity: str, *, is_duplex: bool) -> None:
        """Begin a file; `identity` makes its identifier, so the same letters give the same file."""
        self._identity = blake2b(identity.encode(), digest_size=16).hexdigest().encode()
        self._is_duplex = is_duplex
        self._positions = array("Q", [0, 0, 0])
        self._written = 0
        self._output = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
        self._known: OrderedDict[bytes, int] = OrderedDict()
        self._groups: list[tuple[int, int]] = []
        self._group = 0
        self._kids: list[int] = []
        self._layers: list[int] = []
        self._hidden: list[int] = []

    def add(self, pdf: bytes, pages: int) -> None:
        """Append a letter, and a blank page when it must end on the back of a sheet.

        Raises:
            UnsafePdfError: it is encrypted, damaged, or has another number of pages.
        """
        with opened(pdf) as document:
            if len(document.pages) != pages:
                raise UnsafePdfError("damaged", f"{len(document.pages)} pages, not {pages}")
            form = document.Root.get("/AcroForm")
            if isinstance(form, pikepdf.Dictionary):
                # Without its form a field is not shown: it becomes part of the page.
                if form.get("/NeedAppearances", False):
                    document.generate_appearance_streams()
                document.flatten_annotations("print")
            _Copy(self, document).add_pages(is_padded=self._is_duplex and pages % 2 == 1)

    def take(self) -> bytes:
        """Return what was written since the last call."""
        taken = bytes(self._output)
        self._written += len(taken)
        self._output.clear()
        return taken

    def finish(self) -> None:
        """Write what ends the file: the tree of pages, and where everything is.

        Raises:
            UnsafePdfError: the file is larger than any reader could find its way in.
        """
        self._close_group()
        kids = b" ".join(b"%d 0 R" % number for number, _ in self._groups)
        count = sum(pages for _, pages in self._groups)
        self.write(ROOT, b"<< /Type /Pages /Count %d /Kids [ %s ] >>" % (count, kids))
        # Printed as it is, on both sides or on one: no reader shrinks it to its own margins.
        duplex = b"DuplexFlipLongEdge" if self._is_duplex else b"Simplex"
        view = b"/ViewerPreferences << /Duplex /%s /PrintScaling /None >>" % duplex
        catalog = b"<< /Type /Catalog /Pages %d 0 R %s %s>>" % (ROOT, view, self._optional())
        self.write(CATALOG, catalog)
        start = self._written + len(self._output)
        if start >= LARGEST_BYTES:
            raise UnsafePdfError("too_large", f"{start} bytes")
        self._output += b"xref\n0 %d\n0000000000 65535 f \n" % len(self._positions)
        for position in self._positions[1:]:
            self._output += b"%010d 00000 n \n" % position
        self._output += (
            b"trailer\n<< /Size %d /Root %d 0 R /ID [ <%s> <%s> ] >>\nstartxref\n%d\n%%%%EOF\n"
            % (len(self._positions), CATALOG, self._identity, self._identity, start)
        )

    def reserve(self) -> int:
        """Return the number of an object that will be written."""
        self._positions.append(0)
        return len(self._positions) - 1

    def write(self, number: int, head: bytes, stream: bytes | None = None) -> None:
        """Write an object under a number that was reserved."""
        self._positions[number] = self._written + len(self._output)
        self._output += b"%d 0 obj\n" % number + head
        if stream is not None:
            self._output += b"\nstream\n" + stream + b"\nendstream"
        self._output += b"\nendobj\n"

    def write_shared(self, head: bytes, stream: bytes | None) -> int:
        """Write an object, unless the same one stands in the file already; return its number."""
        digest = blake2b(head + b"\n" + (stream or b""), digest_size=16).digest()
        number = self._known.get(digest)
        if number is None:
            number = self.reserve()
            self.write(number, head, stream)
            self._known[digest] = number
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(digest)
        return number

    def write_page(self, number: int, entries: bytes) -> None:
        """Write a page, of which `entries` says all but the parent, as the next one."""
        if not self._group:
            self._group = self.reserve()
        self.write(number, b"<< /Type /Page /Parent %d 0 R %s >>" % (self._group, entries))
        self._kids.append(number)
        if len(self._kids) == GROUP_PAGES:
            self._close_group()

    def keep_layer(self, number: int, *, is_hidden: bool) -> None:
        """Remember a layer, and whether it is shown when the file is opened."""
        self._layers.append(number)
        if is_hidden:
            self._hidden.append(number)

    def _close_group(self) -> None:
        if not self._kids:
            return
        kids = b" ".join(b"%d 0 R" % number for number in self._kids)
        self.write(
            self._group,
            b"<< /Type /Pages /Parent %d 0 R /Count %d /Kids [ %s ] >>"
            % (ROOT, len(self._kids), kids),
        )
        self._groups.append((self._group, len(self._kids)))
        self._group, self._kids = 0, []

    def _optional(self) -> bytes:
        if not self._layers:
            return b""
        layers, hidden = (
            b" ".join(b"%d 0 R" % number for number in numbers)
            for numbers in (self._layers, self._hidden)
        )
        return b"/OCProperties << /OCGs [ %s ] /D << /OFF [ %s ] >> >> " % (layers, hidden)


class _Copy:
    """The way of one letter's objects into the book."""

    def __init__(self, book: Book, document: pikepdf.Pdf) -> None:
        self._book = book
        self._document = document
        self._numbers: dict[Name, int] = {}

    def add_pages(self, *, is_padded: bool) -> None:
        pages = [page.obj for page in self._document.pages]
        for page in pages:
            # Links from one page of the letter to another are met before that page is written.
            self._numbers[page.objgen] = self._book.reserve()
        for page in pages:
            self._write_page(page)
        self._keep_layers()
        if is_padded:
            kept = ("/MediaBox", "/CropBox", "/Rotate", "/UserUnit")
            blank = pikepdf.Dictionary({key: pages[-1][key] for key in kept if key in pages[-1]})
            blank.Resources = pikepdf.Dictionary()
            self._book.write_page(self._book.reserve(), self._copied(_entries(blank)))

    def _write_page(self, page: pikepdf.Object) -> None:
        for key in INHERITED:
            value = _inherited(page, key)
            if value is not None:
                page[key] = value
        for key in (*DROPPED, "/Type"):
            if key in page:
                del page[key]
        self._book.write_page(self._numbers[page.objgen], self._copied(_entries(page)))

    def _copied(self, head: bytes) -> bytes:
        """Write what `head` refers to, and return it with the new numbers."""
        for name in _references(head):
            self._copy(name)
        return self._renumbered(head)

    def _copy(self, name: Name) -> None:
        """Write an object after all that it refers to, without recursion: chains may be long."""
        open_entries: dict[Name, _Entry] = {}
        path = [(name, False)]
        while path:
            current, is_left = path.pop()
            if is_left:
                self._close(current, open_entries.pop(current))
            elif current not in self._numbers and current not in open_entries:
                entry = open_entries[current] = self._entry(current)
                path.append((current, True))
                path += [(reference, False) for reference in entry.references]

    def _close(self, name: Name, entry: _Entry) -> None:
        for reference in entry.references:
            # A ring: the number is needed before the object is written.
            if reference not in self._numbers:
                self._numbers[reference] = self._book.reserve()
        head = self._renumbered(entry.head)
        if name not in self._numbers and not _OWN.search(head):
            self._numbers[name] = self._book.write_shared(head, entry.stream)
            return
        if name not in self._numbers:
            self._numbers[name] = self._book.reserve()
        self._book.write(self._numbers[name], head, entry.stream)

    def _entry(self, name: Name) -> _Entry:
        found = self._document.get_object(name)
        if isinstance(found, pikepdf.Stream):
            stream = found.read_raw_bytes()
            head = _LENGTH.sub(b"", found.stream_dict.unparse(resolved=True)).removeprefix(b"<<")
            head = b"<< /Length %d" % len(stream) + head
            return _Entry(head, stream, list(_references(head)))
        head = found.unparse(resolved=True)
        return _Entry(head, None, list(_references(head)))

    def _renumbered(self, head: bytes) -> bytes:
        def renumber(token: re.Match[bytes]) -> bytes:
            if token[1] is None:
                return token[0]
            return b"%d 0 R" % self._numbers[int(token[1]), int(token[2])]

        return _TOKEN.sub(renumber, head)

    def _keep_layers(self) -> None:
        properties = self._document.Root.get("/OCProperties")
        if not isinstance(properties, pikepdf.Dictionary):
            return
        default = properties.get("/D", pikepdf.Dictionary())
        is_off = default.get("/BaseState") == pikepdf.Name.OFF
        others = {layer.objgen for layer in default.get("/ON" if is_off else "/OFF", [])}
        for layer in properties.get("/OCGs", []):
            number = self._numbers.get(layer.objgen)
            # A layer that no page of the letter uses is not copied.
            if number is not None:
                self._book.keep_layer(number, is_hidden=is_off != (layer.objgen in others))


def _references(head: bytes) -> Iterator[Name]:
    for token in _TOKEN.finditer(head):
        if token[1] is not None:
            yield int(token[1]), int(token[2])


def _entries(dictionary: pikepdf.Object) -> bytes:
    return dictionary.unparse(resolved=True).removeprefix(b"<<").removesuffix(b">>").strip()


def _inherited(page: pikepdf.Object, key: str) -> pikepdf.Object | None:
    node: pikepdf.Object | None = page
    # A tree of pages is seldom deeper than five; a ring in a damaged one must end as well.
    for _ in range(50):
        if node is None:
            return None
        if key in node:
            return node[key]
        node = node.get("/Parent")
    return None
