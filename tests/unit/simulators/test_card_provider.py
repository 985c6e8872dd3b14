"""A payment from the merchant's form to the notice and the return, over loopback HTTP."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import urlencode, urlsplit

import eopayment
import pytest
import pytest_asyncio

from simulators.card_provider.signature import is_signed
from simulators.card_provider.sites import Site
from tests.unit.simulators.card_builders import (
    ACCEPTED_CARD,
    KEY,
    REFUSED_CARD,
    RETURN_URL,
    Provider,
    returned_fields,
    running_provider,
)

pytestmark = [pytest.mark.asyncio, pytest.mark.enable_socket]


@pytest_asyncio.fixture
async def provider(
    a_site: Callable[..., Site], a_form: Callable[..., dict[str, str]], now: datetime
) -> AsyncIterator[Provider]:
    """Run a provider and a merchant on loopback; waits return at once and are written down."""
    site = a_site(key_production="9988776655443322")
    async with running_provider([site], a_form, now) as running:
        yield running


async def test_the_page_shows_what_is_paid_and_to_whom(provider: Provider) -> None:
    """Amount in euros, shop and order, in French, without a script."""
    answer = await provider.client.get(await provider.open_page())

    text = await answer.text()
    assert answer.status == 200
    assert '<html lang="fr">' in text
    assert "1\u202f234,56\u00a0€" in text
    assert "Cantine de Saint-Aubin" in text
    assert "CANTINE-2026-17" in text
    assert "<script" not in text


async def test_an_accepted_card_is_notified_before_the_browser_returns(
    provider: Provider,
) -> None:
    """The merchant knows before the payer is back, and both carry the same transaction."""
    answer = await provider.pay(await provider.open_page())

    (notice,) = provider.merchant.notices
    carried = returned_fields(answer)
    assert answer.status == 303
    assert answer.headers["Location"].startswith("https://portail.example/retour?facture=17&vads_")
    assert answer.headers["Location"].endswith("#bas")
    assert notice["vads_trans_status"] == carried["vads_trans_status"] == "AUTHORISED"
    assert notice["vads_trans_uuid"] == carried["vads_trans_uuid"]
    assert notice["vads_url_check_src"] == "PAY"
    assert "vads_url_check_src" not in carried
    assert "vads_hash" not in carried
    assert is_signed(carried, KEY, carried["signature"])


async def test_a_notice_tells_the_whole_payment(provider: Provider) -> None:
    """The fields of Lyra's data dictionary, with the request's own fields repeated."""
    path = await provider.open_page(
        vads_cust_last_name="Le Goff", vads_ext_info_batch="a b+c&d", vads_order_info="Octobre"
    )

    await provider.pay(path)

    (notice,) = provider.merchant.notices
    expected = {
        "vads_amount": "123456",
        "vads_auth_mode": "FULL",
        "vads_auth_result": "00",
        "vads_card_brand": "CB",
        "vads_card_number": "497010XXXXXX0055",
        "vads_ctx_mode": "TEST",
        "vads_currency": "978",
        "vads_cust_last_name": "Le Goff",
        "vads_effective_amount": "123456",
        "vads_effective_creation_date": "20261124120000",
        "vads_expiry_month": "6",
        "vads_expiry_year": "2030",
        "vads_ext_info_batch": "a b+c&d",
        "vads_extra_result": "",
        "vads_operation_type": "DEBIT",
        "vads_order_id": "CANTINE-2026-17",
        "vads_order_info": "Octobre",
        "vads_payment_config": "SINGLE",
        "vads_result": "00",
        "vads_sequence_number": "1",
        "vads_site_id": "12345678",
        "vads_trans_date": "20261124120000",
        "vads_trans_id": "aS76J3",
        "vads_version": "V2",
    }
    assert {name: notice.get(name) for name in expected} == expected
    assert len(notice["vads_auth_number"]) == 6
    assert len(notice["vads_trans_uuid"]) == 32
    assert notice["vads_hash"]
    assert not any(name.startswith("vads_url_r") for name in notice)


@pytest.mark.parametrize("backend", ["payzen", "systempayv2"])
@pytest.mark.parametrize(
    ("number", "result", "status"),
    [
        (ACCEPTED_CARD, eopayment.PAID, "AUTHORISED"),
        (REFUSED_CARD, eopayment.DENIED, "REFUSED"),
        (None, eopayment.CANCELLED, "ABANDONED"),
    ],
)
async def test_eopayment_reads_the_notice_and_the_return(
    number: str | None, result: int, status: str, backend: str, provider: Provider
) -> None:
    """The library of the service under test finds them signed and sees how the payment ended."""
    path = await provider.open_page(vads_ext_info_eopayment_trans_id="attempt-1")
    merchant = eopayment.Payment(
        backend,
        {
            "secret_test": KEY,
            "vads_site_id": "12345678",
            "signature_algo": "hmac_sha256",
        },
    )

    answer = await (provider.pay(path, number) if number else provider.cancel(path))

    bodies = [
        urlencode(provider.merchant.notices[0]),
        urlsplit(answer.headers["Location"]).query,
    ]
    for body in bodies:
        response = merchant.response(body)
        assert response.signed
        assert response.test
        assert response.result == result
        assert response.transaction_id == "attempt-1"
        assert response.bank_data["vads_trans_status"] == status
        assert response.bank_data["vads_amount"] == "123456"
        assert response.transaction_date == provider.instant[0]


@pytest.mark.parametrize("backend", ["payzen", "systempayv2"])
async def test_takes_the_form_that_eopayment_makes(backend: str, provider: Provider) -> None:
    """The library of the service under test is paid on the form it signed itself."""
    provider.instant[0] = datetime.now(UTC)  # eopayment dates its form by the machine's clock
    merchant = eopayment.Payment(
        backend,
        {
            "secret_test": KEY,
            "vads_site_id": "12345678",
            "signature_algo": "hmac_sha256",
            "automatic_return_url": provider.merchant.url,
            "normal_return_url": RETURN_URL,
        },
    )
    transaction_id, kind, form = merchant.request(Decimal("12.34"), orderid="FACTURE-17")
    fields = {field["name"]: field["value"] for field in form.fields}

    page = await provider.client.post("/vads-payment/", data=fields, allow_redirects=False)
    await provider.pay(page.headers["Location"])

    (notice,) = provider.merchant.notices
    response = merchant.response(urlencode(notice))
    assert kind == eopayment.FORM
    assert page.status == 303
    assert (response.result, response.signed) == (eopayment.PAID, True)
    assert response.transaction_id == transaction_id
    assert response.bank_data["vads_order_id"] == "FACTURE-17"
    assert notice["vads_amount"] == "1234"


async def test_an_abandonment_is_no_operation(provider: Provider) -> None:
    """Lyra tells no type of operation for a payer who gave up."""
    await provider.cancel(await provider.open_page())

    (notice,) = provider.merchant.notices
    assert notice["vads_operation_type"] == ""
    assert notice["vads_result"] == "17"


async def test_a_wrong_card_number_is_an_input_error_and_ends_nothing(
    provider: Provider,
) -> None:
    """The payer may correct it; nobody is notified and no number is shown again."""
    path = await provider.open_page()

    answer = await provider.pay(path, "4970100000000056")

    text = await answer.text()
    assert answer.status == 422
    assert "Le numéro de carte n’est pas valide" in text
    assert "4970100000000056" not in text
    assert provider.merchant.notices == []
    assert await provider.transactions() == []
    assert (await provider.pay(path)).status == 303


async def test_a_second_click_does_not_pay_twice(provider: Provider) -> None:
    """The session ended: the same return again, no second transaction, no second notice."""
    path = await provider.open_page()
    first = await provider.pay(path)

    second = await provider.pay(path)
    reloaded = await provider.client.get(path, allow_redirects=False)

    uuids = {returned_fields(answer)["vads_trans_uuid"] for answer in (first, second, reloaded)}
    assert len(uuids) == 1
    assert len(provider.merchant.notices) == 1
    assert len(await provider.transactions()) == 1


@pytest.mark.parametrize("trans_id", ["aS76J3", "As76j3"])
async def test_refuses_a_transaction_identifier_used_the_same_day(
    trans_id: str, provider: Provider
) -> None:
    """Unique for the shop and the UTC day, whatever the letter case (error page 03)."""
    await provider.open_page()

    answer = await provider.send_form(vads_trans_id=trans_id)

    text = await answer.text()
    assert answer.status == 400
    assert "<code>03</code>" in text
    assert "vads_trans_id" in text


async def test_accepts_the_same_identifier_the_next_day(provider: Provider) -> None:
    """A new UTC day starts afresh."""
    await provider.open_page()
    provider.instant[0] += timedelta(days=1)
    tomorrow = provider.instant[0].strftime("%Y%m%d%H%M%S")

    answer = await provider.send_form(vads_trans_date=tomorrow)

    assert answer.status == 303


async def test_a_wrong_signature_shows_the_error_page_with_its_code(provider: Provider) -> None:
    """In test mode the page names the field and the code, in French."""
    answer = await provider.send_form(signature="A" * 43 + "=")

    text = await answer.text()
    assert answer.status == 400
    assert "La demande de paiement est refusée" in text
    assert "<code>00</code>" in text
    assert "<code>signature</code>" in text


async def test_a_production_error_page_does_not_tell_the_cause(provider: Provider) -> None:
    """A payer gets no technical detail in production."""
    answer = await provider.send_form(vads_ctx_mode="PRODUCTION", signature="A" * 43 + "=")

    text = await answer.text()
    assert answer.status == 400
    assert "<code>" not in text


@pytest.mark.parametrize(
    ("number", "expected"),
    [(ACCEPTED_CARD, "/ok"), (REFUSED_CARD, "/ko"), (None, "/annule")],
)
async def test_each_end_has_its_own_return_address(
    number: str | None, expected: str, provider: Provider
) -> None:
    """The address of the end comes before the one that serves all."""
    path = await provider.open_page(
        vads_url_success="https://portail.example/ok",
        vads_url_refused="https://portail.example/ko",
        vads_url_cancel="https://portail.example/annule",
    )

    answer = await (provider.pay(path, number) if number else provider.cancel(path))

    assert urlsplit(answer.headers["Location"]).path == expected


@pytest.mark.parametrize("mode", ["NONE", "", None])
async def test_returns_without_fields_unless_asked(mode: str | None, provider: Provider) -> None:
    """An absent or empty mode means NONE."""
    answer = await provider.pay(await provider.open_page(vads_return_mode=mode))

    assert answer.headers["Location"] == RETURN_URL


async def test_returns_by_a_form_in_post_mode(provider: Provider) -> None:
    """The page carries the signed fields in a form that goes to the merchant."""
    answer = await provider.pay(await provider.open_page(vads_return_mode="POST"))

    text = await answer.text()
    assert answer.status == 200
    assert "Paiement accepté" in text
    assert f'action="{RETURN_URL}"' in text
    assert '<input type="hidden" name="vads_trans_status" value="AUTHORISED">' in text
    assert '<input type="hidden" name="signature"' in text


async def test_ends_on_its_own_page_without_a_return_address(provider: Provider) -> None:
    """There is nowhere to go back to, with or without a mode."""
    answer = await provider.pay(await provider.open_page(vads_url_return=None))

    assert answer.status == 200
    assert "Vous pouvez fermer cette page" in await answer.text()


async def test_manual_validation_leaves_the_payment_to_validate(provider: Provider) -> None:
    """`vads_validation_mode=1` waits for the merchant."""
    await provider.pay(await provider.open_page(vads_validation_mode="1"))

    (notice,) = provider.merchant.notices
    assert notice["vads_trans_status"] == "AUTHORISED_TO_VALIDATE"
    assert notice["vads_result"] == "00"


async def test_an_expired_page_takes_no_money(provider: Provider) -> None:
    """After fifteen minutes the payer starts again from the merchant's site."""
    path = await provider.open_page()
    provider.instant[0] += timedelta(minutes=15, seconds=1)

    answer = await provider.pay(path)

    assert answer.status == 410
    assert await provider.transactions() == []


async def test_notices_go_to_the_shops_address_when_the_form_names_none(
    provider: Provider, a_site: Callable[..., Site], a_form: Callable[..., dict[str, str]]
) -> None:
    """The back office's address serves forms without `vads_url_check`."""
    site = a_site(notify_url=provider.merchant.url)
    async with running_provider([site], a_form, provider.instant[0]) as shop:
        await shop.pay(await shop.open_page(vads_url_check=None))

    assert len(provider.merchant.notices) == 1


async def test_transactions_can_be_narrowed(provider: Provider) -> None:
    """An audit looks for one order or one status."""
    await provider.pay(await provider.open_page())
    other = await provider.open_page(vads_trans_id="bS76J3", vads_order_id="AUTRE")
    await provider.pay(other, REFUSED_CARD)

    by_order = await (await provider.client.get("/api/transactions?order_id=AUTRE")).json()
    by_status = await (await provider.client.get("/api/transactions?status=AUTHORISED")).json()

    assert [(entry["order_id"], entry["amount"]) for entry in by_order] == [("AUTRE", 123456)]
    assert [entry["trans_id"] for entry in by_status] == ["aS76J3"]


async def test_what_the_merchant_sends_cannot_write_html(provider: Provider) -> None:
    """A field of the form is shown as text."""
    answer = await provider.send_form(vads_trans_id="<b>x</b>", signature=None)
    back_office = await provider.client.get("/")

    assert "<b>x</b>" not in await answer.text()
    assert KEY not in await back_office.text()
    assert "script-src" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
