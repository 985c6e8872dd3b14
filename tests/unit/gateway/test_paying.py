"""Over to the provider and back: what payment says counts, what the browser brings does not."""

from uuid import UUID, uuid4

import msgspec
import pytest

from gateway.ports import Movement, PaidInvoice, PaymentState, RefusedError
from tests.unit.gateway.door import (
    INVOICE_ID,
    NOW,
    OTHER_INVOICE_ID,
    OTHER_TOKEN,
    TOKEN,
    Door,
    FakeServices,
    Page,
    an_invoice,
)

pytestmark = pytest.mark.enable_socket

PAY = "https://paiement.exemple.test/vads-payment/"


async def leave(door: Door) -> Page:
    """Go as far as the way to the provider."""
    await door.publish(an_invoice())
    return await door.submit("/payer", {"token": TOKEN})


def settle(services: FakeServices, state: str) -> None:
    """Let payment hear from the provider."""
    [payment_id] = services.states
    services.states[payment_id] = msgspec.structs.replace(services.states[payment_id], state=state)


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
    stranger = PaymentState(payment_id=uuid4(), state=state, amount_cents=1, invoices=())
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
        ("different-accounts", 409, "ne peuvent être payées ensemble"),
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
    services.provider = "https://evil.test"

    page = await leave(door)

    assert page.status == 503
    assert "evil.test" not in page.content.decode()


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("captured", "Merci, votre paiement est enregistré."),
        ("refused", "La banque a refusé ce paiement"),
        ("abandoned", "Le paiement n’a pas eu lieu"),
        ("expired", "Le temps pour payer est écoulé"),
        ("open", "Nous attendons la réponse de la banque"),
    ],
)
async def test_coming_back_shows_what_payment_knows(
    door: Door, services: FakeServices, state: str, words: str
) -> None:
    """Whatever the browser brings back."""
    await leave(door)
    settle(services, state)

    page = await door.get("/payer/retour")

    assert words in page.text
    assert f'href="/q/{TOKEN}"' in page.content.decode()
    assert ('http-equiv="refresh"' in page.content.decode()) is (state == "open")


async def test_a_forged_return_does_not_make_an_invoice_paid(
    door: Door, services: FakeServices
) -> None:
    """The browser's return is a hint only."""
    await leave(door)

    clean = await door.get("/payer/retour?vads_trans_status=AUTHORISED&vads_amount=4150")
    page = await door.get(clean.location)

    assert (clean.status, clean.location) == (303, "/payer/retour")
    assert "Nous attendons la réponse de la banque" in page.text


async def test_a_refusal_is_told_before_the_notice_comes(door: Door) -> None:
    """A hint may say what changes nothing: that nothing was paid."""
    await leave(door)

    clean = await door.get("/payer/retour?vads_trans_status=REFUSED&vads_card_number=4970XX")
    page = await door.get(clean.location)

    assert clean.location == "/payer/retour?vads_trans_status=REFUSED"
    assert "La banque a refusé ce paiement" in page.text


async def test_a_provider_may_send_the_browser_back_by_post(door: Door) -> None:
    """Without our seal or cookies: it only leads to the page that has them."""
    await leave(door)

    page = await door.post("/payer/retour", {"vads_trans_status": "ABANDONED", "x": "y"})

    assert (page.status, page.location) == (303, "/payer/retour?vads_trans_status=ABANDONED")


async def test_waiting_for_the_bank_ends(door: Door) -> None:
    """The page looks again ever more slowly, then says that it may be closed."""
    await leave(door)

    waits, content = [], ""
    for attempt in range(8):
        content = (await door.get(f"/payer/retour?essai={attempt}")).content.decode()
        found = content.split('http-equiv="refresh" content="')
        waits.append(int(found[1].split(";")[0]) if len(found) > 1 else None)

    assert waits == [2, 2, 3, 5, 8, 13, 21, None]
    assert "Ne payez pas une seconde fois" in content


async def test_when_payment_is_down_the_events_say_what_is_paid(
    door: Door, services: FakeServices
) -> None:
    """The return page does not need the payment service."""
    await leave(door)
    services.is_down = True
    before = await door.get("/payer/retour")
    movement = Movement(
        fact="captured:1",
        invoice_id=INVOICE_ID,
        payment_id=uuid4(),
        amount_cents=4150,
        means="card",
        occurred_at=NOW,
    )
    async with door.portal() as portal:
        await portal.keep_movements([movement])

    after = await door.get("/payer/retour")

    assert "Nous attendons" in before.text
    assert "Paiement accepté" in after.text


async def test_another_payments_number_shows_nothing_of_it(
    door: Door, services: FakeServices
) -> None:
    """S1: a cookie is the browser's to write; the payment must be of the invoice it can open."""
    await door.publish(an_invoice())
    stranger = PaymentState(
        payment_id=UUID("00000000-0000-4000-8000-0000000000ff"),
        state="captured",
        amount_cents=987654,
        invoices=(PaidInvoice(invoice_id=OTHER_INVOICE_ID, number="9", amount_cents=987654),),
    )
    services.states[stranger.payment_id] = stranger
    forged = {"payment_id": str(stranger.payment_id), "key": "k" * 32, "token": TOKEN}
    door.set_cookie("payment", msgspec.json.encode(forged).hex())

    page = await door.get("/payer/retour")

    assert "9 876,54" not in page.text
    assert "Nous attendons" in page.text


@pytest.mark.parametrize("held", ["", "zz", "7b7d", "é", "00" * 2000])
async def test_coming_back_without_a_trace_says_where_to_look(door: Door, held: str) -> None:
    """Another browser, or a cookie that is none."""
    if held.isascii():
        door.set_cookie("payment", held)

    page = await door.get("/payer/retour")

    assert page.status == 200
    assert "Votre facture dira dans un instant" in page.text
