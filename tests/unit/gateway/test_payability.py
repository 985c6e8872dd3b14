"""Whether an invoice can be paid online now, and if not why, on its own pages (D15, D21)."""

import pytest

from gateway.ports import AccountName, RefusedError
from payment.domain import Reason
from tests.unit.gateway.door import INVOICE_ID, TOKEN, Door, an_invoice
from tests.unit.gateway.fakes import FakeServices

pytestmark = pytest.mark.enable_socket


async def test_an_invoice_of_the_treasury_is_paid_with_payfip(
    door: Door, services: FakeServices
) -> None:
    """Where payment says so; the button names the page to which it leads."""
    services.account = AccountName(provider="payfip", account="saint-aubin-tresor")
    await door.publish(an_invoice(route="treasury"))

    page = await door.get(f"/q/{TOKEN}")

    assert "Payer 41,50 € avec PayFiP" in page.text
    assert "par carte" not in page.text
    assert "/payer" in page.actions()


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("direct-debit-planned", "sera prélevée"),
        ("transferred", "transmise au Trésor public"),
        ("below-minimum", "inférieure au minimum"),
        ("too-late", "Le délai pour payer cette facture en ligne est dépassé"),
        ("regie-closed", "La régie est fermée"),
        ("disputed", "contestée"),
        ("no-provider", "ne se paie pas en ligne"),
        ("a-reason-of-tomorrow", "Les mots du service de paiement."),
    ],
)
@pytest.mark.parametrize("from_paper", [True, False])
async def test_what_cannot_be_paid_online_says_why_instead_of_a_button(
    door: Door, services: FakeServices, reason: str, words: str, *, from_paper: bool
) -> None:
    """D21: a sentence for each reason; a reason that is not known here in payment's words."""
    await door.log_in()
    await door.publish(an_invoice())
    services.reasons[INVOICE_ID] = reason

    page = await door.get(f"/q/{TOKEN}" if from_paper else f"/factures/{INVOICE_ID}")

    assert words in page.text
    assert "/payer" not in page.actions()
    assert "Payer" not in page.text


async def test_a_reason_is_told_in_english_too(door: Door, services: FakeServices) -> None:
    """By its code: payment's sentence is French."""
    await door.publish(an_invoice())
    services.reasons[INVOICE_ID] = "regie-closed"
    await door.submit("/langue", {"langue": "en"})

    page = await door.get(f"/q/{TOKEN}")

    assert "The office is closed" in page.text


async def test_a_payment_under_way_is_told_and_can_be_gone_on_with(
    door: Door, services: FakeServices
) -> None:
    """D15: the button leads to the choice between going on and starting again."""
    await door.publish(an_invoice())
    services.reasons[INVOICE_ID] = "payment-in-progress"

    page = await door.get(f"/q/{TOKEN}")

    assert "Un paiement de cette facture est déjà en cours." in page.text
    assert "/payer" in page.actions()


async def test_an_invoice_that_payment_does_not_know_yet_has_no_button(
    door: Door, services: FakeServices
) -> None:
    """Topics are not ordered: payment may hear of it a moment later."""
    await door.publish(an_invoice())
    services.refusal = RefusedError(404, {"code": "unknown-invoice"})

    page = await door.get(f"/q/{TOKEN}")

    assert page.status == 200
    assert "pas encore prête à être payée" in page.text
    assert "/payer" not in page.actions()


async def test_the_button_stays_when_payment_does_not_answer(
    door: Door, services: FakeServices
) -> None:
    """The page stands without payment; pressing the button will tell."""
    await door.publish(an_invoice())
    services.is_down = True

    page = await door.get(f"/q/{TOKEN}")

    assert page.status == 200
    assert "Payer 41,50 € par carte" in page.text


async def test_a_part_is_offered_where_the_regie_takes_one(
    door: Door, services: FakeServices
) -> None:
    """D7: beside the button for all of it, and nowhere else."""
    await door.log_in()
    await door.publish(an_invoice())
    before = await door.get(f"/q/{TOKEN}")
    services.floor_cents = 500

    paper, own = await door.get(f"/q/{TOKEN}"), await door.get(f"/factures/{INVOICE_ID}")

    assert "Payer une partie" not in before.text
    assert paper.element("//a[.='Payer une partie']/@href") == f"/q/{TOKEN}/payer"
    assert own.element("//a[.='Payer une partie']/@href") == (
        f"/payer/selection?invoice_id={INVOICE_ID}"
    )


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize("language", ["fr", "en"])
async def test_every_reason_of_payment_is_known_here(
    door: Door, services: FakeServices, reason: Reason, language: str
) -> None:
    """D21: payment's list only grows; each has its sentence here, in both languages."""
    await door.publish(an_invoice())
    services.reasons[INVOICE_ID] = reason.value
    await door.submit("/langue", {"langue": language})

    page = await door.get(f"/q/{TOKEN}")

    assert len(page.element("//p[@class='notice calm']").text) > 20
    assert "Les mots du service de paiement." not in page.text
