"""What paying several invoices, or a part, would be: shown before anything starts (D7, D8)."""

from uuid import UUID

import msgspec
import pytest

from gateway.ports import RefusedError
from tests.unit.gateway.door import (
    INVOICE_ID,
    OTHER_INVOICE_ID,
    OTHER_TOKEN,
    PASSWORD,
    TOKEN,
    Door,
    Page,
    an_invoice,
    three,
)
from tests.unit.gateway.fakes import FakeServices

pytestmark = pytest.mark.enable_socket

THIRD_ID = UUID("00000000-0000-5000-8000-000000000003")
SELECTION = "/payer/selection"
BOTH = f"{SELECTION}?invoice_id={INVOICE_ID}&invoice_id={OTHER_INVOICE_ID}"


async def test_invoices_of_one_regie_can_be_chosen_on_the_list(door: Door) -> None:
    """One form for each régie, a box for each invoice, oldest first, each with its own label."""
    await door.log_in()
    await door.publish(
        *reversed(three()),
        an_invoice(
            invoice_id=UUID(int=9), token="e" * 22, number="9", regie="EAU", route="treasury"
        ),
        an_invoice(
            invoice_id=UUID(int=8), token="f" * 22, number="8", regie="EAU", route="treasury"
        ),
        an_invoice(invoice_id=UUID(int=7), token="g" * 22, number="7", regie="PISCINE"),
    )

    page = await door.get("/factures")

    assert page.actions().count(SELECTION) == 1
    [legend] = page.elements("//form[@action='/payer/selection']//legend")
    assert " ".join(" ".join(legend.itertext()).split()) == (
        "Ville de Saint-Aubin Restauration scolaire"
    )
    boxes = page.elements("//fieldset//input[@type='checkbox']")
    assert [box.get("value") for box in boxes] == [
        str(invoice_id) for invoice_id in (INVOICE_ID, OTHER_INVOICE_ID, THIRD_ID)
    ]
    labels = page.elements("//fieldset//label/@for")
    assert labels == [box.get("id") for box in boxes]


async def test_a_choice_is_shown_with_its_total_before_it_is_paid(
    door: Door, services: FakeServices
) -> None:
    """Nothing starts before somebody presses the button that names the sum."""
    await door.log_in()
    await door.publish(*three())

    page = await door.send(await door.get("/factures"), SELECTION)

    assert page.status == 200
    assert "Total 124,50 €" in page.text
    assert "La facture la plus ancienne est payée en premier." in page.text
    assert page.element("//button[@class='pay wide']/text()") == (
        "Payer 124,50\N{NO-BREAK SPACE}€ par carte"
    )
    assert services.states == {}


async def test_what_was_shown_is_what_is_paid(door: Door, services: FakeServices) -> None:
    """The same invoices, and no sum: payment computes what is owed."""
    await door.log_in()
    await door.publish(*three())
    page = await door.send(await door.get("/factures"), SELECTION)

    handover = await door.send(page, "/payer")

    assert "124,50 €" in handover.text
    [demand] = services.demands
    assert demand.invoice_ids == (INVOICE_ID, OTHER_INVOICE_ID, THIRD_ID)
    assert demand.amount_cents is None


async def test_what_cannot_be_paid_is_left_out_and_said(door: Door, services: FakeServices) -> None:
    """The others are paid; its own sentence says why it is not."""
    await door.log_in()
    await door.publish(*three())
    services.reasons[OTHER_INVOICE_ID] = "disputed"
    page = await door.send(await door.get("/factures"), SELECTION)

    await door.send(page, "/payer")

    assert "Ce qui ne peut être payé maintenant" in page.text
    assert "contestée" in page.text
    assert "Total 83,00 €" in page.text
    assert services.demands[0].invoice_ids == (INVOICE_ID, THIRD_ID)


async def test_when_nothing_can_be_paid_there_is_no_button(
    door: Door, services: FakeServices
) -> None:
    """Only the reasons."""
    await door.log_in()
    await door.publish(*three())
    services.reasons |= {INVOICE_ID: "regie-closed", OTHER_INVOICE_ID: "maintenance"}

    page = await door.get(BOTH)

    assert page.status == 200
    assert "Rien ne peut être payé en ligne maintenant" in page.text
    assert "/payer" not in page.actions()


async def test_a_payment_under_way_among_others_can_be_seen(
    door: Door, services: FakeServices
) -> None:
    """D15: for that invoice alone, with the way to go on or to start again."""
    await door.log_in()
    await door.publish(*three())
    services.reasons[INVOICE_ID] = "payment-in-progress"

    page = await door.get(BOTH)

    forms = page.elements("//form[@action='/payer']")
    assert [form.xpath(".//input[@name='invoice_id']/@value") for form in forms] == [
        [str(OTHER_INVOICE_ID)],
        [str(INVOICE_ID)],
    ]


async def test_choosing_nothing_leads_back_to_the_choice(door: Door) -> None:
    """An alert that says so and leads there; the boxes are as they were."""
    await door.log_in()
    await door.publish(*three())

    page = await door.get(SELECTION)

    assert page.status == 422
    assert page.element("//p[@role='alert']/a/@href") == "#ensemble"
    assert "Choisissez au moins une facture à payer." in page.text
    assert page.element("//title/text()").startswith("Erreur")


async def test_more_than_fifty_at_once_are_refused(door: Door, services: FakeServices) -> None:
    """What payment takes in one go; the form offers no more."""
    await door.log_in()
    query = "&".join(f"invoice_id={UUID(int=number)}" for number in range(1, 52))

    page = await door.get(f"{SELECTION}?{query}")

    assert page.status == 422
    assert "au plus 50 factures" in page.text


@pytest.mark.parametrize("number", [50, 51, 60])
async def test_the_form_offers_the_fifty_oldest(door: Door, number: int) -> None:
    """A page of it never asks for more than payment takes."""
    await door.log_in()
    await door.publish(
        *(
            an_invoice(
                invoice_id=UUID(int=position), token=f"{position:022d}", number=f"{position:03d}"
            )
            for position in range(1, number + 1)
        )
    )

    page = await door.get("/factures")

    numbers = [UUID(value).int for value in page.elements("//input[@type='checkbox']/@value")]
    assert numbers == list(range(1, 51))


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_somebody_elses_invoice_among_ours_refuses_all(
    door: Door, services: FakeServices, method: str
) -> None:
    """S1: nothing of it is shown, nothing is started."""
    await door.log_in()
    await door.publish(
        an_invoice(),
        an_invoice(
            invoice_id=OTHER_INVOICE_ID,
            token=OTHER_TOKEN,
            number="2026-9999",
            email="autre@exemple.test",
        ),
    )

    page = await (door.get(BOTH) if method == "GET" else pay_both(door))

    assert page.status == 404
    assert "2026-9999" not in page.text
    assert services.demands == []


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_invoices_of_two_regies_are_not_paid_together(
    door: Door, services: FakeServices, method: str
) -> None:
    """Each régie keeps its own books, even where one account takes the money of both."""
    await door.log_in()
    await door.publish(
        an_invoice(),
        an_invoice(invoice_id=OTHER_INVOICE_ID, token=OTHER_TOKEN, number="2", regie="PISCINE"),
    )

    page = await (door.get(BOTH) if method == "GET" else pay_both(door))

    assert page.status == 422
    assert "choisissez celles d’un même service" in page.text
    assert services.demands == []


async def pay_both(door: Door, *more: tuple[str, str]) -> Page:
    """Send a form that no page of ours made, but for its seal."""
    seal = (await door.get("/accessibilite")).fields("/langue")["formulaire"]
    ids = [("invoice_id", str(INVOICE_ID)), ("invoice_id", str(OTHER_INVOICE_ID))]
    return await door.post("/payer", [("formulaire", seal), *ids, *more])


async def test_choosing_needs_a_login_and_is_kept_over_it(door: Door) -> None:
    """A session that ended meanwhile: the choice is there again after the login."""
    page = await door.get(BOTH)

    assert page.status == 303
    await door.add_account()
    await door.publish(*three())
    login = await door.get(page.location)
    back = await door.send(
        login, "/connexion", email="camille.martin@exemple.test", password=PASSWORD
    )

    shown = await door.get(back.location)

    assert "Total 83,00 €" in shown.text


async def test_an_invoice_that_became_unpayable_meanwhile_leaves_the_others(
    door: Door, services: FakeServices
) -> None:
    """Paid at the counter while the page was open: what is left is shown again."""
    await door.log_in()
    await door.publish(*three())
    page = await door.get(BOTH)
    services.reasons[INVOICE_ID] = "already-paid"

    refused = await door.send(page, "/payer")

    assert refused.status == 409
    assert "déjà payée" in refused.text
    assert "Total 41,50 €" in refused.text
    assert services.demands == []


async def test_when_payment_is_down_a_choice_says_so(door: Door, services: FakeServices) -> None:
    """503 and a sentence; the list still stands."""
    await door.log_in()
    await door.publish(*three())
    services.is_down = True

    page = await door.get(BOTH)

    assert page.status == 503
    assert (await door.get("/factures")).status == 200


async def test_a_choice_that_payment_does_not_know_yet_is_told(
    door: Door, services: FakeServices
) -> None:
    """Its topic may be behind ours."""
    await door.log_in()
    await door.publish(*three())
    services.refusal = RefusedError(404, {"code": "unknown-invoice"})

    page = await door.get(BOTH)

    assert page.status == 404
    assert "pas encore prête" in page.text


async def test_switching_the_language_keeps_the_choice(door: Door) -> None:
    """The address of the page, with what it asks."""
    await door.log_in()
    await door.publish(*three())
    page = await door.get(BOTH)

    switched = await door.send(page, "/langue", langue="en")
    english = await door.get(switched.location)

    assert "Check and pay" in english.text
    assert "Total €83.00" in english.text


async def test_the_subject_is_not_shown_after_ninety_days(
    door: Door, services: FakeServices
) -> None:
    """K4: whoever holds the paper then sees the sum alone, here and on the way to pay."""
    invoice = msgspec.structs.replace(an_invoice(), readable_until=an_invoice().issued_on)
    await door.publish(invoice)

    page = await door.get(f"/q/{TOKEN}/payer")
    handover = await door.send(page, "/payer")

    assert "octobre" not in page.text + handover.text
    assert "41,50 €" in handover.text
