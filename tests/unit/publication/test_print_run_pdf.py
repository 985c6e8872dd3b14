"""Many letters become one file: in order, each as it was, in memory that does not grow."""

from io import BytesIO

import pikepdf
import pypdfium2
import pytest
from pikepdf import Array, Dictionary, Name, String

from demo.samples import SAMPLES
from publication.adapters import pdf_stamp, print_run_process, qr, render
from publication.adapters.errors import UnsafePdfError
from publication.adapters.print_run import BinderDiedError, ProcessBinder
from publication.adapters.print_run_jobs import (
    LENGTH_BYTES,
    Batch,
    BoundLetter,
    Opening,
    Piece,
    framed,
    piece_decoder,
)
from publication.adapters.print_run_pdf import Book
from publication.ports import BindingError, Manifest, PrintFile
from tests.unit.publication.publication_builders import (
    FakeStorage,
    a_pdf,
    an_invoice,
    codes_on,
    saved,
    texts_of,
)

BASE = "https://factures.example.fr/q/"


def bound(*letters: bytes, is_duplex: bool = False) -> bytes:
    book = Book("run", is_duplex=is_duplex)
    pieces = []
    for letter in letters:
        with pikepdf.open(BytesIO(letter)) as document:
            pages = len(document.pages)
        book.add(letter, pages)
        pieces.append(book.take())
    book.finish()
    return b"".join([*pieces, book.take()])


def rendered(content: bytes, page: int) -> bytes:
    """Return what a page (from 1) looks like, dot by dot."""
    document = pypdfium2.PdfDocument(content)
    try:
        return document[page - 1].render(scale=1.5).to_pil().tobytes()  # type: ignore[no-any-return]
    finally:
        document.close()


def test_letters_follow_each_other_page_by_page() -> None:
    """What is bound first lies first, and no page is lost."""
    content = bound(a_pdf("a1", "a2"), a_pdf("b1"), a_pdf("c1", "c2", "c3"))

    assert texts_of(content) == ["a1", "a2", "b1", "c1", "c2", "c3"]
    with pikepdf.open(BytesIO(content)) as document:
        assert document.check_pdf_syntax() == []
        assert document.get_warnings() == []
        assert len(document.pages) == 6


def test_a_duplex_letter_begins_on_the_front_of_a_sheet() -> None:
    """A blank page ends a letter of an odd number of pages, also the last one."""
    content = bound(a_pdf("a1"), a_pdf("b1", "b2"), a_pdf("c1"), is_duplex=True)

    assert texts_of(content) == ["a1", "", "b1", "b2", "c1", ""]
    with pikepdf.open(BytesIO(content)) as document:
        assert document.Root.ViewerPreferences.Duplex == Name.DuplexFlipLongEdge
        assert [list(map(int, page.mediabox)) for page in document.pages] == [[0, 0, 595, 842]] * 6


def test_the_code_of_every_letter_still_reads() -> None:
    """A telephone reads on the merged page what it would on the letter's own."""
    letters = []
    for number, path in enumerate(sorted(SAMPLES.glob("*.pdf"))):
        code = qr.make(f"{BASE}{number:022d}")
        stamped = pdf_stamp.stamp(path.read_bytes(), code, authority="Ville", is_payable=True)
        letters.append((stamped.content, stamped.page, code.url))
    code = qr.make(f"{BASE}{'r' * 22}")
    letters.append((render.render(an_invoice(), code), 1, code.url))

    content = bound(*(letter for letter, _, _ in letters))

    first = 1
    for letter, page, url in letters:
        assert url in codes_on(content, first + page - 1)
        with pikepdf.open(BytesIO(letter)) as document:
            first += len(document.pages)
    with pikepdf.open(BytesIO(content)) as document:
        assert len(document.pages) == first - 1


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.pdf")), ids=lambda path: path.stem)
def test_every_page_looks_as_it_did(path: pytest.Item) -> None:
    """Dot by dot, between two other letters."""
    letter = path.read_bytes()  # type: ignore[attr-defined]

    content = bound(a_pdf("x"), letter, a_pdf("y"))

    pages = len(texts_of(letter))
    assert len(texts_of(content)) == pages + 2
    for page in range(1, pages + 1):
        assert rendered(content, page + 1) == rendered(letter, page)


def test_what_letters_have_alike_is_written_once() -> None:
    """A hundred letters of one template carry its fonts and its logo one time."""
    logo = b"%" + b"logo" * 20_000
    letters = []
    for number in range(100):
        document = pikepdf.open(BytesIO(a_pdf(f"letter {number}")))
        form = pikepdf.Stream(document, logo)
        form.Type, form.Subtype, form.BBox = Name.XObject, Name.Form, Array([0, 0, 1, 1])
        document.pages[0].obj.Resources.XObject = Dictionary(L=document.make_indirect(form))
        output = BytesIO()
        document.save(output, compress_streams=False)
        letters.append(output.getvalue())

    content = bound(*letters)

    assert texts_of(content) == [f"letter {number}" for number in range(100)]
    assert content.count(logo) == 1
    assert len(content) < len(logo) + 100 * 1000


def test_nothing_is_kept_of_a_letter_that_was_written() -> None:
    """After a thousand letters the table of positions has grown, and nothing else."""
    book = Book("run", is_duplex=False)
    for number in range(1000):
        book.add(a_pdf(f"letter {number}"), 1)
        book.take()

    assert len(book._output) == 0
    # Page and content of each, one font for all, and one node of the tree for 256 pages.
    assert len(book._positions) == 3 + 2 * 1000 + 4
    assert len(book._known) == 1000


def with_form_field(shown: str) -> bytes:
    document = pikepdf.open(BytesIO(a_pdf("form")))
    look = pikepdf.Stream(document, b"BT /F 20 Tf 2 5 Td (%s) Tj ET" % shown.encode())
    look.Type, look.Subtype, look.BBox = Name.XObject, Name.Form, Array([0, 0, 200, 30])
    look.Resources = document.pages[0].obj.Resources
    field = document.make_indirect(
        Dictionary(
            Type=Name.Annot,
            Subtype=Name.Widget,
            FT=Name.Tx,
            F=4,
            T=String("t"),
            V=String(shown),
            Rect=Array([60, 300, 260, 330]),
            AP=Dictionary(N=document.make_indirect(look)),
        )
    )
    document.pages[0].obj.Annots = Array([field])
    document.Root.AcroForm = Dictionary(Fields=Array([field]))
    return saved(document)


def test_a_form_field_is_printed_with_what_stands_in_it() -> None:
    """The merged file has no form: the field becomes part of the page."""
    [text] = texts_of(bound(with_form_field("filled in")))

    assert "filled in" in text


def with_layers() -> bytes:
    document = pikepdf.open(BytesIO(a_pdf("always")))
    page = document.pages[0].obj
    groups = [
        document.make_indirect(Dictionary(Type=Name.OCG, Name=String(name)))
        for name in ("on", "off")
    ]
    page.Resources.Properties = Dictionary(On=groups[0], Off=groups[1])
    ink = (
        b"/OC /On BDC 0 0 1 rg 100 100 50 50 re f EMC /OC /Off BDC 1 0 0 rg 300 100 50 50 re f EMC"
    )
    page.Contents = pikepdf.Stream(document, ink)
    document.Root.OCProperties = Dictionary(
        OCGs=Array(groups), D=Dictionary(OFF=Array([groups[1]]))
    )
    return saved(document)


def test_a_hidden_layer_stays_hidden() -> None:
    """Which layers are shown stands in a file's catalogue, of which the run has only one."""
    letter = with_layers()

    content = bound(a_pdf("x"), letter, letter)

    assert rendered(content, 2) == rendered(letter, 1)
    assert rendered(content, 3) == rendered(letter, 1)
    with pikepdf.open(BytesIO(content)) as document:
        assert len(document.Root.OCProperties.OCGs) == 4
        assert len(document.Root.OCProperties.D.OFF) == 2


def test_what_a_page_inherits_goes_with_it() -> None:
    """Size, rotation and fonts may stand above the page in its own file (ISO 32000-1, 7.7.3.4)."""
    document = pikepdf.open(BytesIO(a_pdf("turned")))
    page = document.pages[0].obj
    parent = document.Root.Pages
    parent.MediaBox, parent.Resources, parent.Rotate = page.MediaBox, page.Resources, 90
    del page.MediaBox
    del page.Resources
    output = BytesIO()
    document.save(output)
    letter = output.getvalue()

    content = bound(letter)

    assert rendered(content, 1) == rendered(letter, 1)
    with pikepdf.open(BytesIO(content)) as merged:
        assert int(merged.pages[0].obj.Rotate) == 90


def with_ring() -> bytes:
    """A letter of which two objects refer to each other, and one refers to its page."""
    document = pikepdf.open(BytesIO(a_pdf("ring")))
    page = document.pages[0].obj
    one = document.make_indirect(Dictionary(A=String("(one) \\ 1 0 R")))
    two = document.make_indirect(Dictionary(One=one, Three=Array([one, one]), Page=page))
    one.Two = two
    one.Four = document.make_indirect(Dictionary(Two=two))
    page.Resources.Ring = one
    return saved(document)


def test_objects_that_refer_to_each_other_are_copied_whole() -> None:
    """A ring has no end to begin at; text that looks like a reference is left alone."""
    content = bound(a_pdf("x"), with_ring())

    with pikepdf.open(BytesIO(content)) as document:
        page = document.pages[1].obj
        one = page.Resources.Ring
        assert str(one.A) == "(one) \\ 1 0 R"
        assert one.Two.One.objgen == one.objgen
        assert one.Four.Two.objgen == one.Two.objgen
        assert one.Two.Three[1].objgen == one.objgen
        assert one.Two.Page.objgen == page.objgen
        assert document.check_pdf_syntax() == []


def test_a_long_chain_of_objects_is_copied() -> None:
    """Deeper than Python would go by calling itself."""
    document = pikepdf.open(BytesIO(a_pdf("chain")))
    link = document.make_indirect(Dictionary(End=True))
    for _ in range(5000):
        link = document.make_indirect(Dictionary(Next=link))
    document.pages[0].obj.Resources.Chain = link

    content = bound(saved(document))

    with pikepdf.open(BytesIO(content)) as merged:
        node, steps = merged.pages[0].obj.Resources.Chain, 0
        while "/Next" in node:
            node, steps = node.Next, steps + 1
        assert (steps, bool(node.End)) == (5000, True)


def encrypted() -> bytes:
    output = BytesIO()
    pikepdf.open(BytesIO(a_pdf("secret"))).save(
        output, encryption=pikepdf.Encryption(owner="o", user="")
    )
    return output.getvalue()


@pytest.mark.parametrize(
    ("letter", "pages", "code"),
    [(encrypted(), 1, "encrypted"), (a_pdf("a", "b"), 1, "damaged"), (b"no", 1, "damaged")],
)
def test_refuses_what_would_shift_or_spoil_the_run(letter: bytes, pages: int, code: str) -> None:
    """Encrypted, damaged, or of another number of pages than the index says."""
    with pytest.raises(UnsafePdfError) as raised:
        Book("run", is_duplex=False).add(letter, pages)

    assert raised.value.code == code


def test_the_same_letters_give_the_same_bytes() -> None:
    """So a run that is made twice is stored once."""
    assert bound(a_pdf("a"), with_ring()) == bound(a_pdf("a"), with_ring())


def a_batch(*letters: bytes, is_last: bool) -> bytes:
    return framed(
        Batch(letters=[BoundLetter(pdf=letter, pages=1) for letter in letters], is_last=is_last)
    )


def answers(content: bytes) -> list[Piece]:
    found, source = [], BytesIO(content)
    while length := source.read(LENGTH_BYTES):
        found.append(piece_decoder.decode(source.read(int.from_bytes(length))))
    return found


OPENING = framed(Opening(identity="run", is_duplex=False, seconds=20))


def test_a_process_keeps_one_book_from_batch_to_batch() -> None:
    """What is handed over are letters, and what each batch adds."""
    batches = a_batch(a_pdf("a"), is_last=False) + a_batch(a_pdf("b"), a_pdf("c"), is_last=True)
    target = BytesIO()

    print_run_process.work(BytesIO(OPENING + batches), target)

    pieces = answers(target.getvalue())
    assert [piece.refusal_code for piece in pieces] == ["", ""]
    assert texts_of(b"".join(piece.content for piece in pieces)) == ["a", "b", "c"]


def test_a_process_ends_when_nobody_sends_any_more() -> None:
    """The parent is gone, and what it asked for with it."""
    target = BytesIO()

    print_run_process.work(BytesIO(OPENING + a_batch(a_pdf("a"), is_last=False)), target)

    assert len(answers(target.getvalue())) == 1


def a_manifest(storage: FakeStorage, *, is_duplex: bool = False) -> Manifest:
    return Manifest(
        is_duplex=is_duplex,
        files=tuple(
            PrintFile(key=key, pages=1, size_bytes=len(content))
            for key, content in storage.files.items()
        ),
    )


async def test_binds_in_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batch by batch, in the order of the manifest."""
    monkeypatch.setattr("publication.adapters.print_run.BATCH_LETTERS", 2)
    storage = FakeStorage(**{f"k{number}": a_pdf(f"t{number}") for number in range(5)})
    binder = ProcessBinder(memory_bytes=1 << 30, seconds=20)

    pieces = [piece async for piece in binder.bind(a_manifest(storage), storage.get)]

    assert len(pieces) == 3
    assert texts_of(b"".join(pieces)) == ["t0", "t1", "t2", "t3", "t4"]


async def test_a_letter_that_cannot_be_bound_ends_the_run_with_its_code() -> None:
    """Rather none than a run that lacks a letter."""
    storage = FakeStorage(good=a_pdf("good"), bad=b"%PDF-1.7 nothing")
    binder = ProcessBinder(memory_bytes=1 << 30, seconds=20)

    with pytest.raises(BindingError, match="damaged"):
        async for _ in binder.bind(a_manifest(storage), storage.get):
            pass


async def test_a_process_that_ends_is_told_from_a_letter_that_is_bad(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another try may succeed, so the run is not given up."""
    monkeypatch.setattr("sys.executable", "/bin/false")
    storage = FakeStorage(good=a_pdf("good"))
    binder = ProcessBinder(memory_bytes=1 << 30, seconds=20)

    with pytest.raises(BinderDiedError):
        async for _ in binder.bind(a_manifest(storage), storage.get):
            pass
