"""Paying a part: from the floor on, split oldest first, never of a titre (D7)."""

import pytest

from tests.unit.gateway.door import (
    INVOICE_ID,
    OTHER_INVOICE_ID,
    TOKEN,
    Door,
    an_invoice,
    three,
)
from tests.unit.gateway.fakes import FakeServices

pytestmark = pytest.mark.enable_socket

SELECTION = "/payer/selection"
BOTH = f"{SELECTION}?invoice_id={INVOICE_ID}&invoice_id={OTHER_INVOICE_ID}"


async def test_a_part_is_split_oldest_first_before_it_is_paid(
    door: Door, services: FakeServices
) -> None:
    """D7: what each invoice gets, and what is left for later."""
    await door.log_in()
    await door.publish(*three())
    services.floor_cents = 500
    page = await door.get(BOTH)

    split = await door.send(page, SELECTION, montant="50,00")
    handover = await door.send(split, "/payer")

    assert "De 5,00 € à 83,00 €" in page.text
    assert "n° 2026-0042 · à payer avant le 25 novembre 2026 41,50 €" in split.text
    assert "8,50 € sur 41,50 €" in split.text
    assert "Il restera 33,00 € à payer plus tard." in split.text
    assert "50,00 €" in handover.text
    assert services.demands[0].amount_cents == 5000


async def test_an_invoice_that_gets_nothing_of_a_part_is_shown_with_nothing(
    door: Door, services: FakeServices
) -> None:
    """Nobody believes it paid."""
    await door.log_in()
    await door.publish(*three())
    services.floor_cents = 500

    page = await door.get(f"{BOTH}&montant=12,50")

    assert "12,50 € sur 41,50 €" in page.text
    assert "0,00 € sur 41,50 €" in page.text


async def test_a_part_of_a_paper_invoice_is_paid_without_an_account(
    door: Door, services: FakeServices
) -> None:
    """Whoever holds the paper; never a name, never the token in the provider's address."""
    await door.publish(an_invoice())
    services.floor_cents = 500
    page = await door.get(f"/q/{TOKEN}/payer")

    split = await door.send(page, f"/q/{TOKEN}/payer", montant="12.50")
    await door.send(split, "/payer")

    assert "Martin" not in split.content.decode()
    assert split.headers["Referrer-Policy"] == "no-referrer"
    [demand] = services.demands
    assert (demand.invoice_ids, demand.amount_cents) == ((INVOICE_ID,), 1250)
    assert TOKEN not in demand.return_url


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("4,99", "possible à partir de 5,00 €"),
        ("41,51", "Il reste 41,50 € à payer"),
        ("999999,99", "Il reste 41,50 € à payer"),
        ("-12,50", "Écrivez une somme en euros"),
        ("0", "Écrivez une somme en euros"),
        ("12,505", "Écrivez une somme en euros"),
        ("douze", "Écrivez une somme en euros"),
        ("1e1", "Écrivez une somme en euros"),
        ("99999999999999999999", "Écrivez une somme en euros"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_sum_that_cannot_be_paid_is_told_beside_its_field(
    door: Door, services: FakeServices, typed: str, words: str, method: str
) -> None:
    """Above the page and at the field, with what was typed; nothing is started."""
    await door.publish(an_invoice())
    services.floor_cents = 500

    if method == "GET":
        page = await door.get(f"/q/{TOKEN}/payer?montant={typed}")
    else:
        page = await door.submit("/payer", {"token": TOKEN, "montant": typed})

    assert page.status == 422
    assert words in page.alert
    field = page.element("//input[@id='montant']")
    assert field.get("aria-invalid") == "true"
    assert field.get("aria-describedby") == "montant-erreur montant-aide"
    assert field.get("value") == typed
    assert services.demands == []


async def test_the_exact_debt_may_be_typed_too(door: Door, services: FakeServices) -> None:
    """It is all of it, whatever the floor."""
    await door.publish(an_invoice())
    services.floor_cents = 500

    page = await door.send(
        await door.get(f"/q/{TOKEN}/payer"), f"/q/{TOKEN}/payer", montant="41,50"
    )

    assert page.status == 200
    assert "Total 41,50 €" in page.text


@pytest.mark.parametrize("montant", ["12,50", "0,01", "41,49"])
async def test_no_part_is_paid_where_the_regie_takes_none(
    door: Door, services: FakeServices, montant: str
) -> None:
    """D7: nor of a titre; there is no field for it, and a forged one is refused."""
    await door.publish(an_invoice())
    page = await door.get(f"/q/{TOKEN}/payer")

    forged = await door.submit("/payer", {"token": TOKEN, "montant": montant})

    assert page.elements("//input[@id='montant']") == []
    assert forged.status == 422
    assert "se paient en une seule fois" in forged.text
    assert services.demands == []


async def test_a_small_invoice_among_others_does_not_hide_the_part(
    door: Door, services: FakeServices
) -> None:
    """The least of an invoice below the floor is all of it; the floor is that of the others."""
    await door.log_in()
    await door.publish(*three())
    await door.publish(an_invoice(version=2, amount_cents=300))
    services.owed[INVOICE_ID] = 300
    services.floor_cents = 500

    page = await door.get(BOTH)

    assert "De 5,00 € à 44,50 €" in page.text
