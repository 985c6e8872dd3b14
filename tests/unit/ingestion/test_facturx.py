"""The invoice inside a PDF is found, or the PDF is refused without harm."""

import hashlib
import pickle
import random
from datetime import date
from io import BytesIO

import pikepdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo.samples import SAMPLES
from ingestion.adapters import facturx
from ingestion.domain import Regie, Rejection, UnreadableDepositError, validate
from tests.unit.ingestion.e_invoices import Context, draft_of, entry_of

SAMPLE = (SAMPLES / "FNFE_Facture_FR_EN16931.pdf").read_bytes()
XML = facturx.extract(SAMPLE)


VALUES = {
    "EN16931_Einfach": ("invoice", "471102", 52987, date(2018, 3, 5), "GE2020211", None, 3),
    "EN16931_Gutschrift": ("invoice", "471102", 52987, date(2018, 3, 5), "GE2020211", None, 3),
    "EN16931_Miete": (
        "invoice",
        "9314110911/00/M/00/N",
        34096,
        date(2018, 10, 1),
        "9314110911",
        None,
        7,
    ),
    "EN16931_OEPNV": (
        "invoice",
        "E2018092011804",
        900,
        date(2018, 9, 20),
        "Liselotte Müllermann",
        None,
        2,
    ),
    "EN16931_Rabatte": ("invoice", "471102", 16507, date(2018, 6, 5), "GE2020211", None, 8),
    "EN16931_SEPA_Prenotification": (
        "invoice",
        "471102",
        52987,
        date(2018, 3, 5),
        "GE2020211",
        None,
        3,
    ),
    "FNFE_Avoir_FR_type381_EN16931": (
        "credit_note",
        "AV-2017-0005",
        23347,
        date(2017, 11, 16),
        "78787878400035",
        "alexandre.payet@majolieboutique.net",
        3,
    ),
    "FNFE_Facture_FR_EN16931": (
        "invoice",
        "FA-2017-0010",
        47015,
        date(2017, 11, 13),
        "78787878400035",
        "alexandre.payet@majolieboutique.net",
        5,
    ),
}
"""By sample: kind, number, cents owed, issue date, payer's reference and e-mail, count of lines."""


def a_pdf(*files: tuple[str, bytes], encryption: pikepdf.Encryption | None = None) -> bytes:
    """Return a PDF of one empty page with these files attached."""
    with pikepdf.new() as document:
        document.add_blank_page()
        for name, content in files:
            document.attachments[name] = pikepdf.AttachedFileSpec(document, content, filename=name)
        written = BytesIO()
        if encryption is None:
            document.save(written, static_id=True)
        else:
            document.save(written, encryption=encryption)
    return written.getvalue()


def code_of(pdf: bytes) -> str:
    """Return the code of the refusal of `pdf`."""
    with pytest.raises(UnreadableDepositError) as caught:
        facturx.extract(pdf)
    return caught.value.code


@pytest.mark.parametrize(("name", "expected"), VALUES.items())
def test_reads_the_files_of_other_software(name: str, expected: tuple[object, ...]) -> None:
    """Real files give what their XML says, and what they give passes the rules of entry."""
    pdf = (SAMPLES / f"{name}.pdf").read_bytes()

    draft = draft_of(facturx.read_file, pdf, Context("CANTINE"))

    problems = validate(
        draft,
        authority_regies={"CANTINE": Regie(code="CANTINE", route="regie")},
        today=date(2026, 11, 24),
    )
    assert problems == []
    assert expected == (
        draft.kind,
        draft.number,
        draft.amount_cents,
        draft.issued_on,
        draft.payer.reference,
        draft.payer.email,
        len(draft.lines),
    )


def test_every_sample_is_read_above() -> None:
    """A file added to the samples must be given its values."""
    names = {path.stem for path in SAMPLES.glob("*.pdf")}

    assert set(VALUES) == names


def test_the_draft_names_its_own_file() -> None:
    """The PDF is the document of the invoice, known by its SHA-256."""
    draft = draft_of(facturx.read_file, SAMPLE)

    assert draft.pdf == hashlib.sha256(SAMPLE).hexdigest()


def test_the_stream_reader_keeps_the_pdf_as_the_document() -> None:
    """A deposit that is a Factur-X is one invoice and its paper."""
    context = Context("CANTINE")

    draft = draft_of(facturx.read_file, SAMPLE, context)

    assert context.documents == [SAMPLE]
    assert (draft.regie, draft.number, draft.amount_cents) == ("CANTINE", "FA-2017-0010", 47015)


def test_a_pdf_that_cannot_be_kept_refuses_its_line() -> None:
    """What the keeper of documents says is what the biller is told."""
    refusal = Rejection(code="active_content", pointer="/pdf", message="Le PDF est actif.")

    class Refusing(Context):
        def keep_document(self, content: bytes) -> str | Rejection:
            return refusal

    entry = entry_of(facturx.read_file, SAMPLE, Refusing())

    assert entry.found == refusal


def test_a_fault_of_the_invoice_is_the_line_s() -> None:
    """The file can be read: its one line is refused, and no document is kept."""
    xml = XML.replace(b">470.15</ram:DuePayableAmount>", b">1.00</ram:DuePayableAmount>")
    assert xml != XML
    context = Context()

    entry = entry_of(facturx.read_file, a_pdf(("factur-x.xml", xml)), context)

    assert isinstance(entry.found, Rejection)
    assert entry.found.code == "totals_do_not_add_up"
    assert entry.place == "/rsm:CrossIndustryInvoice"
    assert entry.found.pointer.endswith("/ram:DuePayableAmount")
    assert context.documents == []


def test_needs_to_be_told_the_regie() -> None:
    """No invoice names it: the deposit's address does."""
    with pytest.raises(UnreadableDepositError) as caught:
        entry_of(facturx.read_file, SAMPLE, Context(None))

    assert caught.value.code == "missing_regie"


@pytest.mark.parametrize(
    "name",
    ["factur-x.xml", "FACTUR-X.XML", "zugferd-invoice.xml", "ZUGFeRD-invoice.xml", "xrechnung.xml"],
)
def test_finds_the_invoice_under_each_of_its_names(name: str) -> None:
    """Factur-X, ZUGFeRD 2 and XRechnung name the same file differently."""
    pdf = a_pdf(("conditions.txt", b"..."), (name, XML))

    xml = facturx.extract(pdf)

    assert xml == XML


def test_finds_an_invoice_that_is_only_associated() -> None:
    """PDF/A-3 lists associated files in /AF; some producers write no name tree."""
    with pikepdf.open(BytesIO(a_pdf(("factur-x.xml", XML)))) as document:
        document.Root.AF = pikepdf.Array([document.attachments["factur-x.xml"].obj])
        del document.Root.Names
        written = BytesIO()
        document.save(written)

    xml = facturx.extract(written.getvalue())

    assert xml == XML


def test_the_same_invoice_twice_is_one_invoice() -> None:
    """A file may carry it under the old name and the new one."""
    pdf = a_pdf(("factur-x.xml", XML), ("zugferd-invoice.xml", XML))

    xml = facturx.extract(pdf)

    assert xml == XML


@pytest.mark.parametrize(
    ("pdf", "expected"),
    [
        (b"", "not_a_pdf"),
        (b"<html>%PDF-1.7", "not_a_pdf"),
        (b"\x89PNG\r\n\x1a\n", "not_a_pdf"),
        (b"%PDF-1.7\n", "unreadable_pdf"),
        (b"%PDF-1.7\n" + random.Random(1).randbytes(50_000), "unreadable_pdf"),
        (b"%PDF-1.7\n" + b"0" * 20 * 1024 * 1024, "pdf_too_large"),
        (a_pdf(), "no_embedded_invoice"),
        (a_pdf(("facture.xml", XML)), "no_embedded_invoice"),
        (a_pdf(("order-x.xml", XML)), "no_embedded_invoice"),
        (a_pdf(("factur-x.xml", XML), ("xrechnung.xml", XML + b" ")), "several_embedded_invoices"),
        (
            a_pdf(("factur-x.xml", XML), encryption=pikepdf.Encryption(user="u", owner="o")),
            "encrypted",
        ),
        (
            a_pdf(("factur-x.xml", XML), encryption=pikepdf.Encryption(user="", owner="o")),
            "encrypted",
        ),
        (a_pdf(("factur-x.xml", b" " * 11_000_000)), "xml_too_large"),
        (a_pdf(("factur-x.xml", b" " * 70_000_000)), "pdf_limit"),
        (a_pdf(*((f"{number}.txt", b"x") for number in range(101))), "pdf_limit"),
    ],
    ids=[
        "nothing",
        "html first",
        "png",
        "header only",
        "noise",
        "too large",
        "no attachment",
        "another name",
        "an order",
        "two different",
        "user password",
        "owner password",
        "large xml",
        "bomb",
        "many attachments",
    ],
)
def test_refuses_a_pdf_that_holds_no_usable_invoice(pdf: bytes, expected: str) -> None:
    """Each way of being unusable has its code, and none costs memory or time."""
    code = code_of(pdf)

    assert code == expected


@pytest.mark.parametrize(
    "spoiled",
    [
        "3",
        "[1 2 3]",
        "<< /EmbeddedFiles 3 >>",
        "<< /EmbeddedFiles << /Names [(factur-x.xml)] >> >>",
        "<< /EmbeddedFiles << /Names [(factur-x.xml) 7] >> >>",
        "<< /EmbeddedFiles << /Names [(factur-x.xml) << /EF 1 /UF 2 >>] >> >>",
    ],
)
def test_objects_of_the_wrong_kind_do_no_harm(spoiled: str) -> None:
    """A damaged or hostile catalogue is refused like an empty one."""
    with pikepdf.open(BytesIO(a_pdf())) as document:
        document.Root.Names = pikepdf.Object.parse(spoiled.encode())
        written = BytesIO()
        document.save(written)

    code = code_of(written.getvalue())

    assert code in {"unreadable_pdf", "no_embedded_invoice"}


def test_hostile_xml_inside_is_refused_as_xml() -> None:
    """What the PDF carries goes through the same reader as bare XML."""
    hostile = b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>'

    with pytest.raises(UnreadableDepositError) as caught:
        entry_of(facturx.read_file, a_pdf(("factur-x.xml", hostile)))

    assert caught.value.code == "doctype"


def test_a_refusal_crosses_a_process_boundary() -> None:
    """PDFs are read in another process: the error must come back whole."""
    with pytest.raises(UnreadableDepositError) as caught:
        entry_of(facturx.read_file, b"")

    error = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own bytes

    assert (error.code, error.pointer) == ("not_a_pdf", "")
    assert error.detail == "Le fichier n’est pas un PDF."


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_no_damage_does_worse_than_a_refusal(data: st.DataObject) -> None:
    """Bytes changed, lost or repeated anywhere: an invoice with its amount, or our own error."""
    pdf = bytearray(a_pdf(("factur-x.xml", XML)))
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(5, len(pdf) - 1))
        length = data.draw(st.integers(0, 20))
        pdf[place : place + length] = data.draw(st.binary(max_size=20))

    try:
        answer = str(entry_of(facturx.read_file, bytes(pdf)).found)
    except UnreadableDepositError as error:
        answer = error.code

    assert answer
