"""What a provider wants of the payer: an address, and how its page is reached (D3)."""

import pytest

from gateway.ports import AccountName, PaymentForm, RefusedError
from tests.unit.gateway.door import (
    INVOICE_ID,
    TOKEN,
    Door,
    an_invoice,
)
from tests.unit.gateway.fakes import PAYFIP, FakeServices

pytestmark = pytest.mark.enable_socket

SELECTION = "/payer/selection"


async def test_an_address_is_asked_for_where_the_provider_needs_one(
    door: Door, services: FakeServices
) -> None:
    """PayFiP: who pays from paper types it; one click leads to the page that asks."""
    await door.publish(an_invoice(route="treasury"))
    services.account = AccountName(provider="payfip", account="saint-aubin-tresor")
    services.needs_email = True
    asked = await door.submit("/payer", {"token": TOKEN})
    page = await door.get(asked.location)

    handover = await door.send(page, "/payer", email="payeur@exemple.test")

    assert (asked.status, asked.location) == (303, f"/q/{TOKEN}/payer")
    assert page.element("//label[@for='email']/text()") == "Adresse électronique"
    assert handover.status == 200
    assert services.demands[0].email == "payeur@exemple.test"


@pytest.mark.parametrize("typed", ["", "payeur", "a@b", "x@exemple.test\r\nBcc: y@exemple.test"])
async def test_an_address_that_is_none_is_asked_again(
    door: Door, services: FakeServices, typed: str
) -> None:
    """With what was typed, and nothing is started."""
    await door.publish(an_invoice())
    services.needs_email = True

    page = await door.submit("/payer", {"token": TOKEN, "email": typed})

    assert page.status == 422
    assert page.element("//div[@role='alert']//a/@href") == "#email"
    assert page.element("//input[@id='email']").get("aria-invalid") == "true"
    assert services.demands == []


async def test_an_address_that_the_provider_does_not_take_is_asked_again(
    door: Door, services: FakeServices
) -> None:
    """PayFiP's A2: the field says so, as if we had seen it ourselves."""
    await door.publish(an_invoice())
    services.needs_email = True
    page = await door.get(f"/q/{TOKEN}/payer")
    services.start_refusal = RefusedError(
        409, {"code": "provider-refused", "detail": "Refusé.", "provider_code": "A2"}
    )

    again = await door.send(page, "/payer", email="payeur@exemple.test")

    assert again.status == 422
    assert again.element("//input[@id='email']").get("value") == "payeur@exemple.test"
    assert "Écrivez une adresse électronique complète" in again.alert


@pytest.mark.parametrize(
    ("language", "words"), [("fr", "PayFiP ne connaît pas ce titre."), ("en", "nothing was taken")]
)
async def test_what_a_provider_refuses_is_told_in_the_payers_language(
    door: Door, services: FakeServices, language: str, words: str
) -> None:
    """Its own sentence is French; an English reader gets ours."""
    await door.publish(an_invoice())
    await door.submit("/langue", {"langue": language})
    detail = "PayFiP ne connaît pas ce titre."
    services.start_refusal = RefusedError(
        409, {"code": "provider-refused", "detail": detail, "provider_code": "R3"}
    )

    page = await door.submit("/payer", {"token": TOKEN})

    assert page.status == 409
    assert words in page.text


async def test_a_proved_address_is_not_asked_for(door: Door, services: FakeServices) -> None:
    """From an account: it goes to the provider, whatever the form says."""
    await door.log_in()
    await door.publish(an_invoice())
    services.needs_email = True
    page = await door.get(f"{SELECTION}?invoice_id={INVOICE_ID}")

    await door.send(page, "/payer", email="autre@exemple.test")

    assert page.elements("//input[@id='email']") == []
    assert services.demands[0].email == "camille.martin@exemple.test"


async def test_a_page_that_is_reached_by_get_keeps_what_its_address_says(
    door: Door, services: FakeServices
) -> None:
    """PayFiP: a browser replaces the query of a GET form's address by the form's own fields."""
    await door.publish(an_invoice(route="treasury"))
    services.form = PaymentForm(
        url=f"{PAYFIP}/tpa/paiementws.web?idop=1c-2b", method="GET", fields={}
    )

    page = await door.submit("/payer", {"token": TOKEN})

    form = page.element(f"//form[@action='{PAYFIP}/tpa/paiementws.web']")
    assert form.get("method") == "get"
    assert [(i.get("name"), i.get("value")) for i in form.xpath(".//input")] == [("idop", "1c-2b")]
    assert "PayFiP" in page.text
