"""Foreign PDFs are opened with care, nothing printed is covered, and every code reads."""

from datetime import UTC, date, datetime
from io import BytesIO
from uuid import UUID

import msgspec
import pikepdf
import pypdfium2
import pytest
import zxingcpp
from pikepdf import Array, Dictionary, Name, String
from structlog.testing import capture_logs

from demo.samples import SAMPLES
from publication.adapters import jobs, paper, pdf_check, pdf_stamp, qr, render
from publication.adapters.errors import SENTENCES, UnsafePdfError
from publication.adapters.jobs import Limits, Place
from shared.events import InvoiceGenerated
from shared.events.invoice_generated import Line, Payer

URL = "https://factures.example.fr/q/abcdefghijklmnopqrstuv"


def an_invoice(**changes: object) -> InvoiceGenerated:
    content = {
        "invoice_id": UUID(int=1),
        "version": 1,
        "deposit_id": UUID(int=2),
        "authority": "town",
        "authority_name": "Ville d’Été",
        "regie": "R",
        "regie_label": "Cantine",
        "number": "2026-1",
        "kind": "invoice",
        "route": "regie",
        "subject": "Repas",
        "issued_on": date(2026, 11, 1),
        "due_on": date(2026, 12, 1),
        "amount_cents": 4100,
        "currency": "EUR",
        "payer": Payer(reference="F", name="Élise"),
        "generated_at": datetime(2026, 11, 1, tzinfo=UTC),
    }
    return InvoiceGenerated(**(content | changes))  # type: ignore[arg-type]


def a_pdf(*, pages: int = 1, rotate: int = 0, ink: bytes = b"", **root: object) -> bytes:
    document = pikepdf.new()
    for _ in range(pages):
        page = document.add_blank_page(page_size=(595, 842))
        page.obj.Contents = pikepdf.Stream(document, ink)
        if rotate:
            page.obj.Rotate = rotate
    for name, value in root.items():
        document.Root[f"/{name}"] = value
    return saved(document)


def saved(document: pikepdf.Pdf, **options: object) -> bytes:
    output = BytesIO()
    document.save(output, **options)  # type: ignore[arg-type]
    return output.getvalue()


def with_annotation(action: Dictionary) -> bytes:
    document = pikepdf.open(BytesIO(a_pdf()))
    annotation = Dictionary(
        Type=Name.Annot, Subtype=Name.Link, Rect=Array([0, 0, 10, 10]), A=action
    )
    document.pages[0].obj.Annots = Array([document.make_indirect(annotation)])
    return saved(document)


def with_attachment(name: str, content: bytes) -> bytes:
    document = pikepdf.open(BytesIO(a_pdf()))
    document.attachments[name] = content
    return saved(document)


def encrypted(**keys: str) -> bytes:
    document = pikepdf.open(BytesIO(a_pdf()))
    return saved(document, encryption=pikepdf.Encryption(R=6, **keys))  # type: ignore[arg-type]


SCRIPT = Dictionary(S=Name.JavaScript, JS=String("app.alert(1)"))
HOSTILE = {
    "html first": (b"<html>" + a_pdf(), "not_a_pdf"),
    "png": (b"\x89PNG\r\n", "not_a_pdf"),
    "user password": (encrypted(owner="o", user="u"), "encrypted"),
    "owner password only": (encrypted(owner="o", user=""), "encrypted"),
    "script when opened": (a_pdf(OpenAction=SCRIPT), "active_content"),
    "script in the name tree": (
        a_pdf(Names=Dictionary(JavaScript=Dictionary(Names=Array([String("x"), SCRIPT])))),
        "active_content",
    ),
    "launch": (with_annotation(Dictionary(S=Name.Launch, F=String("cmd.exe"))), "active_content"),
    "submit": (with_annotation(Dictionary(S=Name.SubmitForm, F=String("x"))), "active_content"),
    "script address": (
        with_annotation(Dictionary(S=Name.URI, URI=String(" JavaScript:alert(1)"))),
        "active_content",
    ),
    "xfa": (a_pdf(AcroForm=Dictionary(XFA=String("<x/>"), Fields=Array([]))), "active_content"),
    "attached program": (with_attachment("a.exe", b"MZ"), "embedded_file"),
    "program named as invoice": (with_attachment("factur-x.xml", b"MZ\x00"), "embedded_file"),
    "too many pages": (a_pdf(pages=6), "too_many_pages"),
    "no page": (saved(pikepdf.new()), "no_page"),
    "cut": (a_pdf(pages=3)[:400], "damaged"),
    "bomb": (a_pdf(ink=b" " * 80_000_000), "resource_limit"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_refuses_what_could_harm_a_reader(name: str) -> None:
    """Each with its own stable code, which has a sentence for the biller."""
    content, code = HOSTILE[name]

    with pytest.raises(UnsafePdfError) as raised:
        pdf_check.check(content, Limits(maximum_pages=5))

    assert raised.value.code == code
    assert raised.value.sentence == SENTENCES[code]


def test_refuses_a_file_over_the_limit() -> None:
    """Told before it is opened."""
    with pytest.raises(UnsafePdfError, match="too_large"):
        pdf_check.check(a_pdf(), Limits(maximum_bytes=100))


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.pdf")), ids=lambda path: path.stem)
def test_publishes_every_real_sample(path: pytest.Item) -> None:
    """Its code reads from the rendered page and its XML is still inside, byte for byte."""
    content = path.read_bytes()  # type: ignore[attr-defined]
    code = qr.make(URL)

    stamped = pdf_stamp.stamp(content, code, authority="Ville", is_payable=True)

    pdf_check.check(stamped.content, Limits())
    pdf_stamp.verify_rendered(stamped.content, stamped.page, URL)
    assert attachments(content) == attachments(stamped.content)
    assert stamped.place is not None


def attachments(content: bytes) -> dict[str, bytes]:
    with pikepdf.open(BytesIO(content)) as document:
        return {name: f.get_file().read_bytes() for name, f in document.attachments.items()}


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_the_code_reads_upright_on_a_turned_page(rotate: int) -> None:
    """The place is meant on the page as it is shown."""
    wanted = Place(x_mm=100, y_mm=50, size_mm=30)

    stamped = pdf_stamp.stamp(
        a_pdf(rotate=rotate), qr.make(URL), authority="V", is_payable=True, wanted=wanted
    )

    [barcode] = barcodes(stamped.content, 1)
    assert stamped.place == wanted
    assert barcode.text == URL
    # Three points a pixel-scale unit: 100 mm from the left and 50 mm from the top, quiet zone in.
    assert abs(barcode.position.top_left.x - (100 + 30 * 4 / 41) * 72 / 25.4 * 3) < 6
    assert abs(barcode.position.top_left.y - (50 + 30 * 4 / 41) * 72 / 25.4 * 3) < 6


def barcodes(content: bytes, page: int) -> list[zxingcpp.Barcode]:
    document = pypdfium2.PdfDocument(content)
    image = document[page - 1].render(scale=3, grayscale=True).to_pil()
    document.close()
    return zxingcpp.read_barcodes(image)


def test_a_place_where_something_is_printed_is_not_used() -> None:
    """The régie's own place yields to what the biller printed there."""
    ink = b"0 g 280 560 120 120 re f"
    wanted = Place(x_mm=100, y_mm=60, size_mm=30)

    stamped = pdf_stamp.stamp(
        a_pdf(ink=ink), qr.make(URL), authority="V", is_payable=True, wanted=wanted
    )

    assert stamped.place is not None
    assert stamped.place != wanted
    pdf_stamp.verify_rendered(stamped.content, stamped.page, URL)


def test_a_full_page_gets_another_one() -> None:
    """No room: the code stands on a page of its own, and nothing is covered."""
    stamped = pdf_stamp.stamp(
        a_pdf(ink=b"0.5 g 0 0 595 842 re f"), qr.make(URL), authority="V", is_payable=True
    )

    assert stamped.place is None
    assert stamped.page == 2
    pdf_stamp.verify_rendered(stamped.content, 2, URL)


def test_a_code_that_was_damaged_is_not_stamped() -> None:
    """An independent reader says what the bitmap really says."""
    good = qr.make(URL)
    rows = tuple(tuple(not module for module in row) for row in good.rows[:20]) + good.rows[20:]

    with pytest.raises(UnsafePdfError, match="unreadable_code"):
        qr.verify(qr.QrCode(URL, rows))


def test_data_alone_becomes_a_readable_invoice() -> None:
    """Tagged, with its amounts, its code, and text that stays text."""
    invoice = an_invoice(
        subject='#import "x" *[gras]* $1$',
        lines=(Line(label="Repas @ref <b>", quantity="10", amount_cents=4100),),
    )

    content = render.render(invoice, qr.make(URL))

    document = pypdfium2.PdfDocument(content)
    text = document[0].get_textpage().get_text_bounded().replace("\u202f", " ")
    document.close()
    assert '#import "x" *[gras]* $1$' in text
    assert "Repas @ref <b>" in text
    assert "41,00" in text
    pdf_stamp.verify_rendered(content, 1, URL)
    with pikepdf.open(BytesIO(content)) as opened:
        assert opened.Root.MarkInfo.Marked
        assert str(opened.Root.Lang) == "fr-FR"


def a_job(pdf: bytes | None) -> jobs.PaperJob:
    return jobs.PaperJob(
        invoice=an_invoice(),
        url=URL,
        pdf=pdf,
        wanted=None,
        known={},
        sample=1.0,
        limits=Limits(),
        seconds=20,
    )


@pytest.mark.parametrize("sign", ["🎉", "陈", "ก"])
def test_a_sign_that_no_font_has_keeps_no_invoice_from_being_published(sign: str) -> None:
    """Neither PDF/A-2b nor PDF/UA-1 allows it: the invoice is set without, and a log says so."""
    invoice = an_invoice(subject=f"Fête {sign}", payer=Payer(reference="F", name=f"Élise {sign}"))
    job = msgspec.structs.replace(a_job(None), invoice=invoice)

    with capture_logs() as logs:
        result = paper.make(job)

    assert (result.refusal_code, result.pages) == ("", 1)
    pdf_stamp.verify_rendered(result.document, 1, URL)
    with pikepdf.open(BytesIO(result.document)) as opened:
        assert opened.Root.MarkInfo.Marked
    assert [(line["log_level"], line["event"], line["template"]) for line in logs] == [
        ("warning", "set outside the standards", "invoice.typ")
    ]
    # The sign is of the name: no log keeps one.
    assert sign not in str(logs)


def test_a_town_whose_name_no_font_has_gets_its_sheet() -> None:
    """The sheet beside a signed file is set by the same rule."""
    with capture_logs() as logs:
        sheet = pdf_stamp.companion(qr.make(URL), "陈 Ville", is_payable=True)

    pdf_stamp.verify_rendered(sheet, 1, URL)
    assert [line["template"] for line in logs] == ["sheet.typ"]


def test_a_refusal_is_a_result_with_words_for_the_biller() -> None:
    """A bad document never costs those that the same process makes."""
    results = [paper.make(a_job(pdf)) for pdf in (a_pdf(), b"no", None)]

    assert [result.refusal_code for result in results] == ["", "not_a_pdf", ""]
    assert results[1].refusal_detail == "Le fichier n’est pas un PDF."
    assert results[0].document.startswith(b"%PDF-")


def test_a_signed_file_is_not_changed_by_one_byte() -> None:
    """Its code stands on a sheet beside it; both are printed together."""
    signature = Dictionary(FT=Name.Sig, T=String("s"), V=Dictionary(Type=Name.Sig))
    signed = a_pdf(AcroForm=Dictionary(SigFlags=3, Fields=Array([signature])))

    result = paper.make(a_job(signed))

    assert result.document == signed
    assert result.print_file is not None
    pdf_stamp.verify_rendered(result.print_file, 2, URL)
