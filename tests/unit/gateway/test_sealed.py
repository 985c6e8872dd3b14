"""A second proof before the document, where the authority asks for it (K9)."""

from datetime import timedelta

import pytest
import pytest_asyncio

from gateway.store import PostgresPeople
from gateway.town_file import read
from shared.events.invoice_generated import Kind
from tests.unit.gateway.door import (
    INVOICE_ID,
    OTHER_INVOICE_ID,
    OTHER_TOKEN,
    TOKEN,
    Door,
    a_withdrawal,
    an_invoice,
)
from tests.unit.gateway.fakes import FakeServices

pytestmark = pytest.mark.enable_socket

PAPER = f"/q/{TOKEN}"
PROOF = f"{PAPER}/preuve"
RIGHT = {"numero": "2026-0042", "montant": "41,50"}


@pytest_asyncio.fixture
async def sealed(door: Door) -> Door:
    """Return a browser before a town that asks, with one invoice."""
    await door.add_town()
    await ask(door, b'{"regies":[],"second_proof":true}')
    await door.publish(an_invoice())
    return door


async def ask(door: Door, content: bytes) -> None:
    async with door.database.transaction() as transaction:
        people = PostgresPeople(transaction.connection)
        await people.keep_authority("saint-aubin", "Ville de Saint-Aubin", 2, content)


async def test_the_code_alone_shows_what_is_owed_and_takes_payment(
    sealed: Door, services: FakeServices
) -> None:
    """Status, sum, date and button; neither number nor name nor a page of the document."""
    page = await sealed.get(PAPER)

    assert page.status == 200
    assert "41,50 €" in page.text
    assert "/payer" in page.actions()
    assert "2026-0042" not in page.content.decode()
    assert "Martin" not in page.content.decode()
    assert page.elements("//img[@class='document-page']") == []
    assert page.elements(f"//a[@href='{PROOF}']") != []
    assert services.pictured == []


@pytest.mark.parametrize("path", [PAPER, f"{PAPER}/payer"])
@pytest.mark.parametrize(("kind", "word"), [("invoice", "Facture"), ("credit_note", "Avoir")])
async def test_what_an_invoice_is_for_waits_with_the_rest(
    sealed: Door, path: str, kind: Kind, word: str
) -> None:
    """K9: status, sum and date; billers write whose meals or lessons they are into the subject."""
    paid_for = "Cantine de Léa Martin"
    await sealed.publish(an_invoice(version=2, kind=kind, subject=paid_for))

    page = await sealed.get(path)
    await sealed.submit(PROOF, RIGHT)
    opened = await sealed.get(PAPER)

    assert paid_for not in page.content.decode()
    assert word in page.text
    assert paid_for in opened.text


@pytest.mark.parametrize("path", [f"{PAPER}/payer", f"{PAPER}/preuve"])
async def test_no_other_page_of_the_paper_gives_the_number_away(sealed: Door, path: str) -> None:
    """Whoever needs to type it must not be able to read it one page further."""
    page = await sealed.get(path)

    assert page.status == 200
    assert "2026-0042" not in page.content.decode()


async def test_neither_file_nor_picture_is_given(sealed: Door, services: FakeServices) -> None:
    """The file leads to the question; a picture is refused."""
    file = await sealed.get(f"{PAPER}/facture.pdf")
    picture = await sealed.get(f"{PAPER}/pages/1.webp?width=800")

    assert (file.status, file.location) == (303, PROOF)
    assert picture.status == 403
    assert services.pictured == []


async def test_number_and_sum_open_it_for_half_an_hour_in_this_browser(sealed: Door) -> None:
    """Spaces, dashes and case tell nothing apart; another browser is asked again."""
    form = await sealed.get(PROOF)
    answer = await sealed.send(form, PROOF, numero=" 2026 0042 ", montant="41.50 €")
    opened = await sealed.get(PAPER)
    file = await sealed.get(f"{PAPER}/facture.pdf")
    held = sealed.cookie("opening")
    sealed.forget_cookies()
    elsewhere = await sealed.get(f"{PAPER}/facture.pdf")
    sealed.set_cookie("opening", held)
    sealed.clock.advance(timedelta(minutes=30))
    later = await sealed.get(f"{PAPER}/facture.pdf")

    assert (answer.status, answer.location) == (303, PAPER)
    assert "2026-0042" in opened.text
    assert len(opened.elements("//img[@class='document-page']")) == 2
    assert file.status == 200
    assert (elsewhere.status, later.status) == (303, 303)


@pytest.mark.parametrize(
    "typed",
    [
        {"numero": "2026-0043"},
        {"montant": "41,51"},
        {"montant": "-41,50"},
        {"montant": ""},
        {"numero": ""},
        {"numero": "2026-0042" * 50},
        {"numero": "•••"},
    ],
)
async def test_every_wrong_answer_is_answered_alike(sealed: Door, typed: dict[str, str]) -> None:
    """Nobody learns whether it was the number or the sum; nothing opens."""
    answer = await sealed.submit(PROOF, RIGHT | typed)

    assert answer.status == 422
    told = answer.element("//p[@role='alert']").text_content()
    assert told.startswith("Ce numéro et ce montant ne sont pas ceux de cette facture.")
    assert await sealed.count("opening") == 0
    assert (await sealed.get(f"{PAPER}/facture.pdf")).status == 303


async def test_guesses_are_few(sealed: Door) -> None:
    """Numbers follow each other: five for an invoice, from wherever, then ever longer waits."""
    wrong = [await sealed.submit(PROOF, RIGHT | {"numero": str(n)}) for n in range(5)]
    sixth = await sealed.submit(PROOF, RIGHT)
    sealed.clock.advance(timedelta(minutes=6))
    after = await sealed.submit(PROOF, RIGHT)

    assert {answer.status for answer in wrong} == {422}
    assert sixth.status == 429
    assert int(sixth.headers["Retry-After"]) > 0
    assert after.status == 303


async def test_an_opening_is_of_one_invoice(sealed: Door) -> None:
    """IDOR: what was proved of one paper opens no other."""
    await sealed.publish(
        an_invoice(invoice_id=OTHER_INVOICE_ID, token=OTHER_TOKEN, number="2026-0099")
    )
    await sealed.submit(PROOF, RIGHT)

    assert (await sealed.get(f"{PAPER}/facture.pdf")).status == 200
    assert (await sealed.get(f"/q/{OTHER_TOKEN}/facture.pdf")).status == 303


async def test_a_form_without_our_seal_opens_nothing(sealed: Door) -> None:
    """CSRF."""
    answer = await sealed.post(PROOF, RIGHT)

    assert answer.status == 403
    assert await sealed.count("opening") == 0


async def test_a_sealed_invoice_goes_into_no_account_by_its_code(sealed: Door) -> None:
    """An account shows names and documents: the code alone must not lead around the question."""
    await sealed.log_in(email="quelquun@exemple.test")

    refused = await sealed.submit(f"{PAPER}/rattacher")
    hidden = await sealed.get(f"/factures/{INVOICE_ID}")
    await sealed.submit(PROOF, RIGHT)
    taken = await sealed.submit(f"{PAPER}/rattacher")

    assert (refused.status, refused.location) == (303, PROOF)
    assert hidden.status == 404
    assert (taken.status, taken.location) == (303, f"/factures/{INVOICE_ID}")


async def test_a_withdrawn_invoice_is_told_without_its_number(sealed: Door) -> None:
    """410 as ever."""
    async with sealed.portal() as portal:
        await portal.withdraw([a_withdrawal()])

    page = await sealed.get(PAPER)

    assert page.status == 410
    assert "2026-0042" not in page.text


@pytest.mark.parametrize("content", [b'{"regies":[]}', b'{"regies":[],"second_proof":false}'])
async def test_nothing_is_asked_unless_the_authority_wants_it(sealed: Door, content: bytes) -> None:
    """Off by default: the paper carries the same data as the document."""
    await ask(sealed, content)

    page = await sealed.get(PAPER)
    question = await sealed.get(PROOF)

    assert "2026-0042" in page.text
    assert (await sealed.get(f"{PAPER}/facture.pdf")).status == 200
    assert (question.status, question.location) == (303, PAPER)


def test_a_town_file_says_whether_it_is_asked() -> None:
    """`second_proof`, off when it is not there."""
    regies = b'"regies":[{"code":"C","label":"Cantine","route":"regie"}]'
    told = read(
        b'{"authorities":['
        b'{"authority":"aa","name":"A",' + regies + b',"second_proof":true},'
        b'{"authority":"bb","name":"B",' + regies + b"}]}"
    )

    assert [entry.second_proof for entry in told.authorities] == [True, False]
