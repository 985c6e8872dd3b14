"""Quittances, proofs of payment and attestations: for whoever may see the invoice, and no other."""

from datetime import timedelta
from uuid import UUID, uuid4

import msgspec
import pytest

from gateway.api.departure import Departure, encode
from gateway.ports import Movement, StatementDemand
from shared.events import InvoicePublished
from tests.unit.gateway.door import (
    EMAIL,
    INVOICE_ID,
    NOW,
    OTHER_INVOICE_ID,
    OTHER_TOKEN,
    TOKEN,
    Door,
    an_invoice,
)
from tests.unit.gateway.fakes import FakeServices

pytestmark = pytest.mark.enable_socket

PAYMENT_ID = UUID("00000000-0000-4000-8000-00000000000a")
OWN = f"/factures/{INVOICE_ID}/recus/{PAYMENT_ID}"
PAPER = f"/q/{TOKEN}/recus/{PAYMENT_ID}"
FORM_KEY = b"a key of tests"


async def pay(
    door: Door,
    *invoice_ids: UUID,
    payment_id: UUID = PAYMENT_ID,
    amount_cents: int = 4150,
    means: str = "card",
    days: int = 0,
) -> None:
    """Let the events tell that money came in, or went back."""
    async with door.portal() as portal:
        await portal.keep_movements(
            [
                Movement(
                    fact=f"{payment_id}:{invoice_id}:{amount_cents}",
                    invoice_id=invoice_id,
                    payment_id=payment_id,
                    amount_cents=amount_cents,
                    means=means,
                    occurred_at=NOW + timedelta(days=days),
                )
                for invoice_id in invoice_ids
            ]
        )


def another(*, email: str | None = EMAIL, number: str = "2026-0043") -> InvoicePublished:
    return an_invoice(invoice_id=OTHER_INVOICE_ID, token=OTHER_TOKEN, email=email, number=number)


@pytest.mark.parametrize("path", [OWN, PAPER])
async def test_a_payment_has_its_quittance(door: Door, services: FakeServices, path: str) -> None:
    """B9: as a PDF that nobody keeps on the way."""
    await door.publish(an_invoice())
    await door.log_in()
    await pay(door, INVOICE_ID)
    services.receipted = {PAYMENT_ID: 4150}

    page = await door.get(f"{path}.pdf")

    assert (page.status, page.content) == (200, b"%PDF-1.7 a quittance")
    assert page.headers["Content-Type"] == "application/pdf"
    assert page.headers["Cache-Control"] == "private, no-store"
    assert page.headers["X-Robots-Tag"] == "noindex, nofollow"
    assert page.headers["Content-Disposition"] == 'inline; filename="quittance-00000000.pdf"'
    assert services.receipts_asked == [(PAYMENT_ID, (INVOICE_ID,), True)]


async def test_the_history_of_an_invoice_leads_to_it(door: Door) -> None:
    """Beside each payment, and not beside what went back."""
    await door.publish(an_invoice())
    await door.log_in()
    await pay(door, INVOICE_ID)
    await pay(door, INVOICE_ID, amount_cents=-100)

    page = await door.get(f"/factures/{INVOICE_ID}")

    assert [link.get("href") for link in page.elements("//a[contains(@href, '/recus/')]")] == [
        f"{OWN}.pdf"
    ]


@pytest.mark.parametrize("token", ["", TOKEN])
async def test_the_page_after_a_payment_leads_to_it(
    door: Door, services: FakeServices, token: str
) -> None:
    """Also for who paid from paper, without an account."""
    await door.publish(an_invoice())
    await door.log_in()
    form = await door.get(f"/q/{token}" if token else f"/factures/{INVOICE_ID}")
    await door.send(form, "/payer")
    [state] = services.states.values()
    services.states[state.payment_id] = type(state)(
        payment_id=state.payment_id, state="captured", amount_cents=4150, invoices=state.invoices
    )

    page = await door.get("/payer/retour")

    base = f"/q/{token}" if token else f"/factures/{INVOICE_ID}"
    assert [link.get("href") for link in page.elements("//a[contains(@href, '/recus/')]")] == [
        f"{base}/recus/{state.payment_id}.pdf"
    ]


async def test_an_account_is_told_of_its_own_part_of_a_basket_alone(
    door: Door, services: FakeServices
) -> None:
    """Who sees one invoice of a payment does not see the others'."""
    await door.publish(an_invoice(), another(email="quelquun@exemple.test"))
    await door.log_in()
    await pay(door, INVOICE_ID, OTHER_INVOICE_ID)
    services.receipted = {PAYMENT_ID: 8300}

    await door.get(f"{OWN}.pdf")

    assert services.receipts_asked == [(PAYMENT_ID, (INVOICE_ID,), True)]


async def test_all_of_ones_own_basket_is_on_one_quittance(
    door: Door, services: FakeServices
) -> None:
    """From whichever of its invoices it is asked."""
    await door.publish(an_invoice(), another())
    await door.log_in()
    await pay(door, INVOICE_ID, OTHER_INVOICE_ID)
    services.receipted = {PAYMENT_ID: 8300}

    await door.get(f"{OWN}.pdf")
    await door.get(f"/factures/{OTHER_INVOICE_ID}/recus/{PAYMENT_ID}.pdf")

    assert services.receipts_asked == [(PAYMENT_ID, (INVOICE_ID, OTHER_INVOICE_ID), True)] * 2


@pytest.mark.parametrize("suffix", [".pdf", ""])
@pytest.mark.parametrize(
    "path",
    [
        OWN,
        f"/factures/{OTHER_INVOICE_ID}/recus/{PAYMENT_ID}",
        f"/factures/{uuid4()}/recus/{PAYMENT_ID}",
        f"/factures/x/recus/{PAYMENT_ID}",
        f"/q/{OTHER_TOKEN}/recus/{PAYMENT_ID}",
        f"/q/{TOKEN[:-1]}x/recus/{PAYMENT_ID}",
    ],
)
async def test_somebody_elses_payment_is_not_there(
    door: Door, services: FakeServices, path: str, suffix: str
) -> None:
    """IDOR: of an invoice that is not theirs, or of theirs with another's payment."""
    await door.publish(an_invoice(email="quelquun@exemple.test"), another())
    await door.log_in()
    await pay(door, INVOICE_ID)
    services.receipted = {PAYMENT_ID: 4150}

    page = await door.get(path + suffix)

    assert page.status == 404
    assert services.receipts_asked == []
    assert "41,50" not in page.text


@pytest.mark.parametrize("suffix", [".pdf", ""])
@pytest.mark.parametrize("payment", [str(uuid4()), "x", "0" * 400, "%00"])
async def test_a_payment_that_is_none_is_not_there(door: Door, payment: str, suffix: str) -> None:
    """Answered as one that is not booked yet."""
    await door.publish(an_invoice())
    await door.log_in()
    await pay(door, INVOICE_ID)

    for base in (f"/factures/{INVOICE_ID}", f"/q/{TOKEN}"):
        page = await door.get(f"{base}/recus/{payment}{suffix}")
        assert page.status == 404
        assert "Aucune quittance n’est encore connue" in page.text


async def test_a_quittance_that_is_not_given_yet_is_explained(door: Door) -> None:
    """Seconds after a payment the books may not have it."""
    await door.publish(an_invoice())
    await door.log_in()
    await pay(door, INVOICE_ID)

    page = await door.get(f"{OWN}.pdf")

    assert page.status == 404
    assert "revenez dans un instant" in page.text


async def test_books_that_do_not_answer_are_told(door: Door, services: FakeServices) -> None:
    """503, and the invoice's own page stands."""
    await door.publish(an_invoice())
    await door.log_in()
    await pay(door, INVOICE_ID)
    services.documents_are_down = True

    assert (await door.get(f"{OWN}.pdf")).status == 503
    assert (await door.get(f"/factures/{INVOICE_ID}")).status == 200


async def test_after_the_ninety_days_a_code_gives_no_quittance_but_to_who_just_paid(
    door: Door, services: FakeServices
) -> None:
    """The debt may be paid later on; who holds the paper learns no name from it any more."""
    await door.publish(an_invoice())
    await pay(door, INVOICE_ID)
    services.receipted = {PAYMENT_ID: 4150}
    door.clock.advance(timedelta(days=91))
    stranger = await door.get(f"{PAPER}.pdf")
    departure = Departure(payment_id=PAYMENT_ID, key="k" * 22, token=TOKEN)
    door.set_cookie("payment", encode(FORM_KEY, departure))

    payer = await door.get(f"{PAPER}.pdf")

    assert (stranger.status, payer.status) == (404, 200)
    assert services.receipts_asked == [(PAYMENT_ID, (INVOICE_ID,), False)]


@pytest.mark.parametrize("forged", ["unsigned", "another's key", "other content", "no text"])
async def test_a_payment_that_the_browser_made_up_opens_no_quittance(
    door: Door, services: FakeServices, forged: str
) -> None:
    """Who paid is what was signed here, and not what a cookie says; old cookies count for none."""
    await door.publish(an_invoice())
    await pay(door, INVOICE_ID)
    services.receipted = {PAYMENT_ID: 4150}
    door.clock.advance(timedelta(days=91))
    departure = Departure(payment_id=PAYMENT_ID, key="k" * 22, token=TOKEN)
    content = encode(FORM_KEY, departure).partition(".")[0]
    others = encode(FORM_KEY, msgspec.structs.replace(departure, payment_id=uuid4()))
    door.set_cookie(
        "payment",
        {
            "unsigned": content,
            "another's key": encode(b"another key", departure),
            "other content": f"{content}.{others.partition('.')[2]}",
            "no text": f"{content}.\u00e9\u00e9",
        }[forged],
    )

    page = await door.get(f"{PAPER}.pdf")

    assert page.status == 404
    assert services.receipts_asked == []


@pytest.mark.parametrize("path", [OWN, PAPER])
async def test_the_treasurys_money_has_a_proof_and_no_number(
    door: Door, services: FakeServices, path: str
) -> None:
    """What PayFiP took for a titre is the DGFiP's to receipt."""
    await door.publish(an_invoice(route="treasury"))
    await door.log_in()
    await pay(door, INVOICE_ID, means="payfip")

    pdf = await door.get(f"{path}.pdf")
    page = await door.get(path)

    assert (pdf.status, pdf.location) == (303, path)
    assert page.status == 200
    for words in ("Preuve de paiement", "41,50 €", "PayFiP", str(PAYMENT_ID), "trésorerie"):
        assert words in page.text
    assert "n°" not in page.text
    assert services.receipts_asked == []


async def test_a_proof_of_money_that_went_back_says_so(door: Door) -> None:
    """Nobody shows it for a paid invoice."""
    await door.publish(an_invoice(route="treasury"))
    await pay(door, INVOICE_ID)
    await pay(door, INVOICE_ID, amount_cents=-4150)

    page = await door.get(PAPER)

    assert "Ce paiement a été annulé" in page.text


async def test_the_account_offers_a_certificate_for_each_year_and_authority(
    door: Door, services: FakeServices
) -> None:
    """Of what was paid on the régies' route; it lists the account's own invoices alone."""
    await door.publish(an_invoice(), another(email="quelquun@exemple.test"))
    await door.log_in()
    await pay(door, INVOICE_ID, OTHER_INVOICE_ID)
    await pay(door, INVOICE_ID, payment_id=uuid4(), days=60)

    page = await door.get("/compte/documents")
    links = [a.get("href") for a in page.elements("//a[contains(@href, 'attestation')]")]
    given = await door.get(links[1])

    assert links == [
        "/factures/attestation?annee=2027&autorite=saint-aubin",
        "/factures/attestation?annee=2026&autorite=saint-aubin",
    ]
    assert (given.status, given.content) == (200, b"%PDF-1.7 an attestation")
    assert services.statements_asked == [
        StatementDemand(authority="saint-aubin", year=2026, invoice_ids=(INVOICE_ID,))
    ]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 303),
        ("?annee=2026", 303),
        ("?annee=2026&autorite=ailleurs", 404),
        ("?annee=x&autorite=saint-aubin", 404),
        ("?annee=²026&autorite=saint-aubin", 404),
    ],
)
async def test_a_certificate_of_nothing_is_none(
    door: Door, services: FakeServices, query: str, status: int
) -> None:
    """Another authority, no year; without a choice, to where one is made."""
    await door.publish(an_invoice())
    await door.log_in()

    page = await door.get(f"/factures/attestation{query}")

    assert page.status == status
    assert services.statements_asked == []


@pytest.mark.parametrize(
    "path",
    [f"{OWN}.pdf", OWN, "/factures/attestation?annee=2026&autorite=saint-aubin"],
)
async def test_who_is_not_logged_in_gets_nothing_of_an_account(
    door: Door, services: FakeServices, path: str
) -> None:
    """To the login, and back."""
    await door.publish(an_invoice())
    await pay(door, INVOICE_ID)

    page = await door.get(path)

    assert page.status == 303
    assert page.location.startswith("/connexion?suite=")
    assert services.receipts_asked == []
    assert services.statements_asked == []
