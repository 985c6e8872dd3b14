"""Over to the provider's page: what may be paid is payment's to say, never the browser's."""

from uuid import uuid4

import msgspec
import pytest

from gateway.ports import PaidInvoice, PaymentForm, PaymentState, RefusedError
from tests.unit.gateway.door import (
    INVOICE_ID,
    OTHER_INVOICE_ID,
    OTHER_TOKEN,
    TOKEN,
    Door,
    Page,
    an_invoice,
    three,
)
from tests.unit.gateway.fakes import FakeServices

pytestmark = pytest.mark.enable_socket

BOTH = f"invoice_id={INVOICE_ID}&invoice_id={OTHER_INVOICE_ID}"
PAY = "https://paiement.exemple.test/vads-payment/"


async def leave(door: Door) -> Page:
    """Go as far as the way to the provider."""
    await door.publish(an_invoice())
    return await door.submit("/payer", {"token": TOKEN})


async def test_paying_shows_the_way_to_the_providers_page(door: Door) -> None:
    """A form of the provider's own fields, and a button that works without scripts."""
    page = await leave(door)

    assert page.status == 200
    assert page.fields(PAY) == {"vads_amount": "4150", "signature": 'a"b<c'}
    assert "Continuer vers le paiement sécurisé" in page.text
    assert "Ville de Saint-Aubin" in page.text


async def test_the_browser_says_which_invoice_and_never_how_much(
    door: Door, services: FakeServices
) -> None:
    """S16: an amount that somebody sends is not even read."""
    await door.publish(an_invoice())

    await door.submit("/payer", {"token": TOKEN, "amount_cents": "1", "amount": "0.01"})

    [demand] = services.demands
    assert demand.invoice_ids == (INVOICE_ID,)
    assert demand.return_url == "https://factures.exemple.test/payer/retour"
    assert demand.email is None
    assert b"amount" not in msgspec.json.encode(demand)


async def test_the_address_given_to_the_provider_holds_no_secret(
    door: Door, services: FakeServices
) -> None:
    """K7: what opens the invoice stays between the payer and us."""
    await leave(door)

    assert TOKEN not in services.demands[0].return_url


async def test_a_proved_address_gets_the_receipt(door: Door, services: FakeServices) -> None:
    """From an account, with an address that is its holder's."""
    await door.log_in()
    await door.publish(an_invoice())

    await door.submit("/payer", {"invoice_id": str(INVOICE_ID)})

    assert services.demands[0].email == "camille.martin@exemple.test"


async def test_somebody_elses_invoice_cannot_be_paid_by_its_id(
    door: Door, services: FakeServices
) -> None:
    """S1: the id alone opens nothing."""
    await door.log_in(email="autre@exemple.test")
    await door.publish(an_invoice())

    page = await door.submit("/payer", {"invoice_id": str(INVOICE_ID)})

    assert page.status == 404
    assert services.demands == []


async def test_paying_from_an_account_needs_a_login(door: Door, services: FakeServices) -> None:
    """And there is no page to come back to: a form is not sent twice."""
    await door.publish(an_invoice())

    page = await door.submit("/payer", {"invoice_id": str(INVOICE_ID)})

    assert (page.status, page.location) == (303, "/connexion")
    assert services.demands == []


async def test_paying_nothing_is_refused(door: Door) -> None:
    """A sentence, not an error of another service."""
    await door.log_in()

    page = await door.submit("/payer", {})

    assert page.status == 422
    assert "Choisissez au moins une facture" in page.text


async def test_several_invoices_are_paid_as_one(door: Door, services: FakeServices) -> None:
    """Each of them the account's own, each named once."""
    await door.log_in()
    await door.publish(
        an_invoice(), an_invoice(invoice_id=OTHER_INVOICE_ID, token=OTHER_TOKEN, number="2")
    )
    seal = (await door.get("/accessibilite")).fields("/langue")["formulaire"]
    ids = [str(INVOICE_ID), str(OTHER_INVOICE_ID), str(INVOICE_ID)]

    page = await door.post(
        "/payer", [("formulaire", seal), *(("invoice_id", invoice_id) for invoice_id in ids)]
    )

    assert page.status == 200
    assert services.demands[0].invoice_ids == (INVOICE_ID, OTHER_INVOICE_ID)


async def test_the_same_key_with_other_invoices_is_another_payment(
    door: Door, services: FakeServices
) -> None:
    """A key never brings back the form of a payment for something else."""
    await door.publish(an_invoice(), an_invoice(invoice_id=OTHER_INVOICE_ID, token=OTHER_TOKEN))
    key = "k" * 32

    for token in (TOKEN, TOKEN, OTHER_TOKEN):
        await door.submit("/payer", {"token": token, "key": key})

    keys = [demand.idempotency_key for demand in services.demands]
    assert keys[0] == keys[1] != keys[2]
    assert len(services.states) == 2


async def test_a_payment_under_way_elsewhere_may_be_abandoned_but_not_taken_over(
    door: Door, services: FakeServices
) -> None:
    """Another browser's form holds another payer's data: it is never shown here."""
    await door.publish(an_invoice())
    services.refusal = RefusedError(
        409, {"code": "payment-in-progress", "payment_id": str(uuid4())}
    )

    page = await door.submit("/payer", {"token": TOKEN})

    assert page.status == 409
    assert "Reprendre" not in page.text
    assert page.fields("/payer")["abandon"] == services.refusal.payment_id


async def test_the_browser_that_left_may_go_on_where_it_was(
    door: Door, services: FakeServices
) -> None:
    """Back without paying, then pay again: the same payment, not a second one."""
    await leave(door)
    [payment_id] = services.states
    services.refusal = RefusedError(
        409, {"code": "payment-in-progress", "payment_id": str(payment_id)}
    )
    page = await door.submit("/payer", {"token": TOKEN})
    services.refusal = None

    again = await door.post("/payer", page.fields("/payer"))

    assert "Reprendre ce paiement" in page.text
    assert again.status == 200
    assert list(services.states) == [payment_id]


async def test_starting_again_closes_the_payment_that_was_open(
    door: Door, services: FakeServices
) -> None:
    """The provider's page of the first one no longer blocks the second."""
    await leave(door)
    [payment_id] = services.states

    page = await door.submit("/payer", {"token": TOKEN, "abandon": str(payment_id)})

    assert page.status == 200
    assert services.abandoned == [payment_id]


@pytest.mark.parametrize("state", ["captured", "open"])
async def test_nobody_closes_a_payment_that_is_not_theirs_or_is_over(
    door: Door, services: FakeServices, state: str
) -> None:
    """S1: the number of another payment, or of a finished one, changes nothing."""
    await door.publish(an_invoice())
    part = PaidInvoice(invoice_id=OTHER_INVOICE_ID, number="9", amount_cents=1)
    stranger = PaymentState(payment_id=uuid4(), state=state, amount_cents=1, invoices=(part,))
    services.states[stranger.payment_id] = stranger

    for given in (str(stranger.payment_id), str(uuid4()), "nonsense"):
        await door.submit("/payer", {"token": TOKEN, "abandon": given})

    assert services.abandoned == []


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        ("already-paid", 409, "déjà payée"),
        ("withdrawn", 409, "retirée"),
        ("unknown-invoice", 404, "pas encore prête"),
        ("different-accounts", 409, "ne peut être payée avec les autres"),
        ("not-payable", 409, "Cette régie n’accepte pas"),
    ],
)
async def test_a_refusal_of_payment_is_told_in_words(
    door: Door, services: FakeServices, code: str, status: int, words: str
) -> None:
    """What it means for the payer; what we do not know is told in payment's own sentence."""
    await door.publish(an_invoice())
    detail = "Cette régie n’accepte pas encore le paiement en ligne."
    services.refusal = RefusedError(409, {"code": code, "detail": detail})

    page = await door.submit("/payer", {"token": TOKEN})

    assert page.status == status
    assert words in page.text


async def test_when_payment_is_down_nothing_is_lost(door: Door, services: FakeServices) -> None:
    """503 and a sentence; the invoice can still be read."""
    await door.publish(an_invoice())
    services.is_down = True

    page = await door.submit("/payer", {"token": TOKEN})

    assert page.status == 503
    assert (await door.get(f"/q/{TOKEN}")).status == 200


async def test_payers_are_handed_over_to_known_providers_only(
    door: Door, services: FakeServices
) -> None:
    """S17: the address of the form comes from a list of ours."""
    services.form = PaymentForm(url="https://evil.test/vads-payment/", method="POST", fields={})

    page = await leave(door)

    assert page.status == 503
    assert "evil.test" not in page.content.decode()


async def test_two_clicks_on_one_page_are_one_payment(door: Door, services: FakeServices) -> None:
    """D15, D16: the button carries a key, so that the second click meets the first one's form."""
    await door.publish(an_invoice())
    page = await door.get(f"/q/{TOKEN}")

    first, second = [await door.post("/payer", page.fields("/payer")) for _ in range(2)]

    assert first.fields(PAY) == second.fields(PAY)
    assert len(services.states) == 1


async def test_a_page_that_is_opened_anew_starts_anew(door: Door, services: FakeServices) -> None:
    """Its key is its own; payment then says that one is under way."""
    await door.publish(an_invoice())

    keys = {(await door.get(f"/q/{TOKEN}")).fields("/payer")["key"] for _ in range(3)}

    assert len(keys) == 3


async def test_the_same_key_with_another_sum_is_another_payment(
    door: Door, services: FakeServices
) -> None:
    """Who goes back and chooses another part is not handed the form of the first."""
    await door.publish(an_invoice())
    services.floor_cents = 500
    key = "k" * 32

    for montant in ("12,50", "12.50", "20", ""):
        await door.submit("/payer", {"token": TOKEN, "key": key, "montant": montant})

    keys = [demand.idempotency_key for demand in services.demands]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3
    assert [demand.amount_cents for demand in services.demands] == [1250, 1250, 2000, None]


async def test_going_on_goes_on_with_what_was_left_for(door: Door, services: FakeServices) -> None:
    """One invoice of a basket is met again: going on means the whole basket, and its sum."""
    await door.log_in()
    await door.publish(*three())
    services.floor_cents = 500
    split = await door.get(f"/payer/selection?{BOTH}&montant=50")
    await door.send(split, "/payer")
    [payment_id] = services.states
    services.refusal = RefusedError(
        409, {"code": "payment-in-progress", "payment_id": str(payment_id)}
    )
    page = await door.submit("/payer", {"invoice_id": str(OTHER_INVOICE_ID)})
    services.refusal = None

    again = await door.send(page, "/payer")

    assert page.status == 409
    assert "50,00 €" in again.text
    assert list(services.states) == [payment_id]


async def test_loading_the_address_of_the_form_again_leads_to_the_list(door: Door) -> None:
    """Switching the language on the way to the provider does, for one."""
    page = await door.get("/payer")

    assert (page.status, page.location) == (303, "/factures")
