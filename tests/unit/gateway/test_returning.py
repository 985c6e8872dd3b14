"""Back from the provider: what payment says counts, what the browser brings does not."""

from uuid import UUID, uuid4

import msgspec
import pytest

from gateway.api.departure import Departure, encode
from gateway.ports import Movement, PaidInvoice, PaymentState
from tests.unit.gateway.door import (
    INVOICE_ID,
    NOW,
    OTHER_INVOICE_ID,
    TOKEN,
    Door,
    Page,
    an_invoice,
    three,
)
from tests.unit.gateway.fakes import FakeServices

pytestmark = pytest.mark.enable_socket


async def leave(door: Door) -> Page:
    """Go as far as the way to the provider."""
    await door.publish(an_invoice())
    return await door.submit("/payer", {"token": TOKEN})


async def leave_for_three(door: Door) -> Page:
    """Leave for a payment of three invoices of one régie."""
    await door.log_in()
    await door.publish(*three())
    page = await door.get("/factures")
    return await door.send(await door.send(page, "/payer/selection"), "/payer")


def settle(services: FakeServices, state: str, **changes: object) -> None:
    """Let payment hear from the provider."""
    [payment_id] = services.states
    services.states[payment_id] = msgspec.structs.replace(
        services.states[payment_id], state=state, **changes
    )


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
    """S1: even of a cookie that was signed here, the payment must be of the invoice it can open."""
    await door.publish(an_invoice())
    stranger = PaymentState(
        payment_id=UUID("00000000-0000-4000-8000-0000000000ff"),
        state="captured",
        amount_cents=987654,
        invoices=(PaidInvoice(invoice_id=OTHER_INVOICE_ID, number="9", amount_cents=987654),),
    )
    services.states[stranger.payment_id] = stranger
    forged = Departure(payment_id=stranger.payment_id, key="k" * 32, token=TOKEN)
    door.set_cookie("payment", encode(b"a key of tests", forged))

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


async def test_payment_is_told_once_that_the_payer_is_back(
    door: Door, services: FakeServices
) -> None:
    """So that a provider that can be asked is asked at once; looking again asks nothing more."""
    await leave(door)
    [payment_id] = services.states

    await door.get("/payer/retour")
    await door.get("/payer/retour?essai=1")

    assert services.came_back == [payment_id]


async def test_payment_is_not_told_of_a_payment_that_is_over(
    door: Door, services: FakeServices
) -> None:
    """Its end is known already."""
    await leave(door)
    settle(services, "captured")

    await door.get("/payer/retour")

    assert services.came_back == []


@pytest.mark.parametrize("query", ["idop=abc-def", "Ref=1&Erreur=00000", "vads_amount=1&x="])
async def test_what_a_provider_adds_to_the_address_does_not_stay_in_it(
    door: Door, query: str
) -> None:
    """PayFiP, Paybox and Lyra each bring something of theirs: none is kept in the history."""
    page = await door.get(f"/payer/retour?{query}")

    assert (page.status, page.location) == (303, "/payer/retour")


@pytest.mark.parametrize("state", ["refused", "abandoned", "expired"])
async def test_a_second_try_is_one_click_away(
    door: Door, services: FakeServices, state: str
) -> None:
    """From the page that tells how the first one ended, for the same invoices and sum."""
    await leave(door)
    settle(services, state)
    page = await door.get("/payer/retour")

    again = await door.send(page, "/payer")

    assert "Réessayer le paiement" in page.text
    assert again.status == 200
    assert len(services.states) == 2
    assert [demand.invoice_ids for demand in services.demands] == [(INVOICE_ID,)] * 2


async def test_a_second_try_after_a_hint_closes_the_first(
    door: Door, services: FakeServices
) -> None:
    """The notice has not come yet: the first attempt would still hold the invoice."""
    await leave(door)
    [first] = services.states
    page = await door.get("/payer/retour?vads_trans_status=REFUSED")

    again = await door.send(page, "/payer")

    assert again.status == 200
    assert services.abandoned == [first]


async def test_a_second_try_asks_for_the_same_part(door: Door, services: FakeServices) -> None:
    """Who wanted to pay 12,50 € is not asked for 41,50 €."""
    await door.publish(an_invoice())
    services.floor_cents = 500
    await door.submit("/payer", {"token": TOKEN, "montant": "12,50"})
    settle(services, "refused")

    await door.send(await door.get("/payer/retour"), "/payer")

    assert [demand.amount_cents for demand in services.demands] == [1250, 1250]


@pytest.mark.parametrize("state", ["captured", "open", "reversed"])
async def test_there_is_no_second_try_of_what_may_still_be_paid(
    door: Door, services: FakeServices, state: str
) -> None:
    """Nobody is led to pay twice."""
    await leave(door)
    settle(services, state)

    page = await door.get("/payer/retour")

    assert "Réessayer" not in page.text
    assert "/payer" not in page.actions()


async def test_the_receipt_of_several_invoices_lists_them(
    door: Door, services: FakeServices
) -> None:
    """Each with its part, and which of them is paid in part only."""
    services.floor_cents = 500
    await leave_for_three(door)
    shares = (
        PaidInvoice(invoice_id=INVOICE_ID, number="2026-0042", amount_cents=4150),
        PaidInvoice(invoice_id=OTHER_INVOICE_ID, number="2", amount_cents=850),
    )
    settle(services, "captured", amount_cents=5000, invoices=shares)

    page = await door.get("/payer/retour")

    assert "Factures réglées par ce paiement" in page.text
    assert "n° 2026-0042 41,50 €" in page.text
    assert "n° 2 8,50 € sur 41,50 €" in page.text
    assert "n° 3" not in page.text


async def test_money_that_went_back_is_told(door: Door, services: FakeServices) -> None:
    """All of it, or a part of it."""
    await leave(door)
    settle(services, "captured", returned_cents=1000)
    part = await door.get("/payer/retour")
    settle(services, "reversed", returned_cents=4150)
    whole = await door.get("/payer/retour")

    assert "10,00 € vous ont été rendus depuis." in part.text
    assert "Ce paiement a été annulé ou remboursé" in whole.text


async def test_fifty_invoices_fit_in_what_the_browser_keeps(door: Door) -> None:
    """RFC 6265: a browser keeps 4096 bytes of a cookie, and may drop a longer one."""
    ids = tuple(uuid4() for _ in range(50))
    departure = Departure(
        payment_id=uuid4(),
        key="k" * 64,
        invoice_ids=ids,
        amount_cents=99_999_999_99,
        email="c" * 80,
    )

    assert len(encode(b"a key of tests", departure)) < 2000
