"""Which payments are receipted when, the sum in words, and how a quittance reads."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from io import BytesIO
from typing import Any
from uuid import UUID

import msgspec
import pikepdf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciliation.adapters.printing import TypstPrinter, french_date
from reconciliation.domain.receipts import PaidPart, Receipt, ReceiptName, ReceiptPart, settle
from reconciliation.domain.words import in_words, sum_in_words
from tests.unit.publication.publication_builders import texts_of

PAID_AT = datetime(2026, 12, 1, 9, tzinfo=UTC)
NAME = ReceiptName(UUID(int=1), "ville", "CANTINE")


def a_part(invoice: int = 1, **changes: Any) -> PaidPart:
    content: dict[str, Any] = {
        "payment_id": NAME.payment_id,
        "authority": NAME.authority,
        "regie": NAME.regie,
        "invoice_id": UUID(int=100 + invoice),
        "invoice_number": f"F-{invoice}",
        "amount_cents": 4150,
        "means": "card",
        "provider_reference": "LYRA-0815",
        "paid_at": PAID_AT,
        "version": 1,
        "route": "regie",
        "authority_name": "Ville",
        "regie_label": "Cantine",
        "subject": "Repas",
        "payer_name": "Camille Martin",
    }
    return PaidPart(**(content | changes))


def a_receipt(*parts: ReceiptPart, **changes: Any) -> Receipt:
    content: dict[str, Any] = {
        "authority": "ville",
        "regie": "CANTINE",
        "year": 2026,
        "number": 42,
        "payment_id": NAME.payment_id,
        "authority_name": "Ville de <Saint-Aubin> #1",
        "regie_label": "Restauration $scolaire$",
        "means": "card",
        "provider_reference": "LYRA-0815",
        "paid_at": PAID_AT,
        "issued_at": PAID_AT,
        "parts": parts or (a_receipt_part(),),
    }
    return Receipt(**(content | changes))


def a_receipt_part(number: int = 1, **changes: Any) -> ReceiptPart:
    content: dict[str, Any] = {
        "invoice_id": UUID(int=100 + number),
        "invoice_number": f"F-{number}",
        "subject": "Repas *du* midi",
        "payer_name": "Camille Martin",
        "amount_cents": 4150,
    }
    return ReceiptPart(**(content | changes))


@pytest.fixture
async def printer() -> AsyncIterator[TypstPrinter]:
    printer = TypstPrinter()
    yield printer
    printer.close()


def test_a_payment_whose_invoices_are_known_is_due() -> None:
    """All of its parts on one quittance."""
    settled = settle([NAME], [a_part(2), a_part(1)])

    assert [[part.invoice_number for part in group] for group in settled.due] == [["F-1", "F-2"]]
    assert settled.done == (NAME,)


def test_one_unknown_invoice_keeps_the_whole_payment_waiting() -> None:
    """Its route may be the treasury's: a number that was given cannot be taken back."""
    settled = settle([NAME], [a_part(1), a_part(2, version=0)])

    assert (settled.due, settled.done) == ((), ())


def test_the_treasurys_part_is_left_out() -> None:
    """And a payment that is the treasury's alone waits no longer, without a number."""
    mixed = settle([NAME], [a_part(1), a_part(2, route="treasury")])
    alone = settle([NAME], [a_part(1, route="treasury")])

    assert [[part.invoice_number for part in group] for group in mixed.due] == [["F-1"]]
    assert (alone.due, alone.done) == ((), (NAME,))


def test_what_does_not_wait_is_not_receipted_again() -> None:
    """The rows that wait decide, whatever else the books tell of the payment."""
    settled = settle([], [a_part(1)])

    assert (settled.due, settled.done) == ((), ())


@given(st.permutations(range(6)))
def test_numbers_follow_the_hour_of_the_payment(order: list[int]) -> None:
    """Not the order in which the facts lie in a batch."""
    names = [ReceiptName(UUID(int=n + 1), "ville", "CANTINE") for n in range(6)]
    parts = [
        a_part(payment_id=names[n].payment_id, paid_at=PAID_AT.replace(minute=n)) for n in order
    ]

    settled = settle(names, parts)

    assert [group[0].paid_at.minute for group in settled.due] == list(range(6))


def test_an_extract_shows_what_it_is_asked_for() -> None:
    """And nothing at all of none of its invoices."""
    receipt = a_receipt(a_receipt_part(1), a_receipt_part(2, amount_cents=100))

    shown = receipt.about(frozenset({UUID(int=102)}))

    assert shown is not None
    assert (shown.reference, shown.amount_cents) == ("CANTINE-2026-000042", 100)
    assert receipt.about(frozenset()) is None


@pytest.mark.parametrize(
    ("cents", "words"),
    [
        (0, "zéro euro"),
        (1, "un centime"),
        (100, "un euro"),
        (101, "un euro et un centime"),
        (2100, "vingt et un euros"),
        (4150, "quarante et un euros et cinquante centimes"),
        (7000, "soixante-dix euros"),
        (7171, "soixante et onze euros et soixante et onze centimes"),
        (8000, "quatre-vingts euros"),
        (8181, "quatre-vingt-un euros et quatre-vingt-un centimes"),
        (9199, "quatre-vingt-onze euros et quatre-vingt-dix-neuf centimes"),
        (20000, "deux cents euros"),
        (20100, "deux cent un euros"),
        (28000, "deux cent quatre-vingts euros"),
        (100000, "mille euros"),
        (20000000, "deux cent mille euros"),
        (8000000, "quatre-vingt mille euros"),
        (100000000, "un million d’euros"),
        (200000100, "deux millions un euros"),
        (
            9999999999,
            (
                "quatre-vingt-dix-neuf millions neuf cent quatre-vingt-dix-neuf mille neuf cent"
                " quatre-vingt-dix-neuf euros et quatre-vingt-dix-neuf centimes"
            ),
        ),
    ],
)
def test_a_sum_is_written_in_words(cents: int, words: str) -> None:
    """As French cheques are written; the largest is the largest that an invoice may ask."""
    assert sum_in_words(cents) == words


@given(st.integers(0, 99_999_999))
def test_no_two_numbers_have_the_same_words(number: int) -> None:
    """Read back by adding up, the words give the number again."""
    assert value_of(in_words(number)) == number


@pytest.mark.parametrize("cents", [-1, 100_000_000_000])
def test_a_sum_without_words_is_refused(cents: int) -> None:
    """Rather than a quittance whose words say something else than its figures."""
    with pytest.raises(ValueError, match="no words"):
        sum_in_words(cents)


def test_the_first_of_a_month_is_an_ordinal() -> None:
    """1er mars, 2 mars."""
    assert french_date(date(2026, 3, 1)) == "1er mars 2026"
    assert french_date(date(2026, 3, 21)) == "21 mars 2026"


async def test_what_people_wrote_is_set_as_they_wrote_it(printer: TypstPrinter) -> None:
    """Names and subjects are data: nothing in them is taken for the typesetter's own language."""
    part = a_receipt_part(subject='#read("/etc/passwd") $x$ <b>', payer_name="*Ça* [d'Été]_")

    pdf = await printer.receipt(a_receipt(part), is_extract=False, is_named=True)

    [page] = texts_of(pdf)
    text = " ".join(page.split())
    for words in (
        "Ville de <Saint-Aubin> #1",
        "Restauration $scolaire$",
        '#read("/etc/passwd") $x$ <b>',
        "*Ça* [d'Été]_",
    ):
        assert words in text


@pytest.mark.parametrize("name", ["王小明", "สมชาย", "Léa 🎉"])
async def test_signs_that_no_font_of_ours_has_keep_nobody_from_their_proof(
    printer: TypstPrinter, name: str
) -> None:
    """Deposits may hold any sign that can be printed: the sum is told all the same."""
    receipt = a_receipt(a_receipt_part(payer_name=name))

    quittance = await printer.receipt(receipt, is_extract=False, is_named=True)
    attestation = await printer.statement([receipt], 2026, PAID_AT)

    for pdf in (quittance, attestation):
        assert "quarante et un euros et cinquante centimes" in " ".join(texts_of(pdf)[0].split())


async def test_a_word_without_end_lies_over_no_sum(printer: TypstPrinter) -> None:
    """Subjects have up to 200 characters, and nothing says that there is a space in them."""
    receipt = a_receipt(a_receipt_part(subject="x" * 200))

    quittance = await printer.receipt(receipt, is_extract=False, is_named=True)
    attestation = await printer.statement([receipt], 2026, PAID_AT)

    for pdf in (quittance, attestation):
        [page] = texts_of(pdf)
        assert max(line.count("x") for line in page.splitlines()) < 100
        assert page.count("x") == 200


async def test_a_quittance_without_a_name_opens_no_invoice(printer: TypstPrinter) -> None:
    """Who may not know who owes may not know the number either: with the sum it opens the rest."""
    named = await printer.receipt(a_receipt(), is_extract=False, is_named=True)
    unnamed = await printer.receipt(a_receipt(), is_extract=False, is_named=False)

    assert "Camille Martin" in texts_of(named)[0]
    assert "F-1" in texts_of(named)[0]
    assert "Camille Martin" not in texts_of(unnamed)[0]
    assert "F-1" not in texts_of(unnamed)[0]
    assert "Repas *du* midi" in texts_of(unnamed)[0]


async def test_a_quittance_can_be_read_aloud(printer: TypstPrinter) -> None:
    """PDF/UA-1 and PDF/A-2b: tagged, in French, with a title (RGAA 13.3)."""
    pdf = await printer.receipt(a_receipt(), is_extract=False, is_named=True)

    with pikepdf.open(BytesIO(pdf)) as document:
        root = document.Root
        metadata = document.open_metadata()
        assert bool(root.MarkInfo.Marked)
        assert str(root.Lang).startswith("fr")
        assert metadata["pdfuaid:part"] == "1"
        assert (metadata["pdfaid:part"], metadata["pdfaid:conformance"]) == ("2", "B")
        assert metadata["dc:title"] == "Quittance n° CANTINE-2026-000042"


async def test_a_long_attestation_goes_on_over_the_page(printer: TypstPrinter) -> None:
    """A thousand payments of a year, each with its quittance."""
    receipts = [
        msgspec.structs.replace(a_receipt(a_receipt_part(n)), number=n) for n in range(1, 1001)
    ]

    pdf = await printer.statement(receipts, 2026, PAID_AT)

    pages = texts_of(pdf)
    assert len(pages) > 20
    assert "CANTINE-2026-001000" in " ".join(pages)
    assert "quarante et un mille cinq cents euros" in " ".join(pages[0].split())


async def test_an_attestation_names_every_regie_and_takes_off_what_went_back(
    printer: TypstPrinter,
) -> None:
    """One line for each invoice paid; a payment that went back counts for nothing."""
    music = a_receipt(
        a_receipt_part(2, returned_cents=4150), regie="MUSIQUE", regie_label="École de musique"
    )

    pdf = await printer.statement([a_receipt(regie_label="Cantine"), music], 2026, PAID_AT)

    text = " ".join(texts_of(pdf)[0].split())
    assert "Cantine, École de musique" in text
    assert "quarante et un euros et cinquante centimes" in text
    assert "annulé : somme rendue" in text


def value_of(words: str) -> int:
    """Return the number that words say, by the rules of a reader and not those of the writer."""
    values = {"zéro": 0, "un": 1, "deux": 2, "trois": 3, "quatre": 4, "cinq": 5, "six": 6}
    values |= {"sept": 7, "huit": 8, "neuf": 9, "dix": 10, "onze": 11, "douze": 12, "treize": 13}
    values |= {"quatorze": 14, "quinze": 15, "seize": 16, "vingt": 20, "trente": 30}
    values |= {"quarante": 40, "cinquante": 50, "soixante": 60}
    total = group = 0
    for word in words.replace("-", " ").split():
        if word == "et":
            continue
        if word in ("million", "millions"):
            total, group = total + group * 1_000_000, 0
        elif word == "mille":
            total, group = total + max(group, 1) * 1000, 0
        elif word in ("cent", "cents"):
            group = max(group, 1) * 100
        elif word in ("vingt", "vingts") and group % 100 == 4:
            group += 76
        else:
            group += values[word]
    return total + group
