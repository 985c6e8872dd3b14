"""The checks that the provider makes on a merchant's form."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from urllib.parse import urlencode

import eopayment
import pytest

from simulators.card_provider.form import FormError, check_form, read_fields
from simulators.card_provider.signature import SignatureAlgorithm, sign
from simulators.card_provider.sites import Site

Builder = Callable[..., dict[str, str]]
KEY = "1122334455667788"
CODES = {
    "signature": "00",
    "vads_version": "01",
    "vads_site_id": "02",
    "vads_trans_id": "03",
    "vads_trans_date": "04",
    "vads_payment_config": "07",
    "vads_amount": "09",
    "vads_currency": "10",
    "vads_ctx_mode": "11",
    "vads_page_action": "46",
    "vads_action_mode": "47",
}


@pytest.fixture
def sites(a_site: Callable[..., Site]) -> dict[str, Site]:
    """Return the one shop of these tests."""
    return {"12345678": a_site()}


def test_accepts_a_form_with_every_required_field(
    a_form: Builder, sites: dict[str, Site], now: datetime
) -> None:
    """The amount is read in cents and the signature is not kept."""
    form = check_form(a_form(), sites, now)

    assert form.amount_cents == 123456
    assert form["vads_order_id"] == "CANTINE-2026-17"
    assert form["vads_return_mode"] == ""
    assert "signature" not in form.fields


def test_accepts_the_form_that_eopayment_builds(sites: dict[str, Site]) -> None:
    """What the service under test sends is a form the provider takes, empty fields included."""
    merchant = eopayment.Payment(
        "payzen",
        {
            "secret_test": KEY,
            "vads_site_id": "12345678",
            "vads_ctx_mode": "TEST",
            "signature_algo": "hmac_sha256",
            "normal_return_url": "https://portail.example/retour?id=1&lang=fr",
            "automatic_return_url": "https://portail.example/payments/notify/lyra/1",
        },
    )
    _, _, built = merchant.request(
        Decimal("87.40"),
        orderid="CANTINE-2026-17",
        email="anaïs@example.org",
        first_name="Anaïs",
        last_name="Le Goff",
        info1="Cantine d'octobre",
        transaction_id="9f1c",
    )
    body = urlencode({entry["name"]: entry["value"] for entry in built.fields}).encode()
    fields = read_fields(body)
    sent_at = datetime.strptime(fields["vads_trans_date"] + "+0000", "%Y%m%d%H%M%S%z")

    form = check_form(fields, sites, sent_at)

    assert form.amount_cents == 8740
    assert form["vads_cust_first_name"] == "Anaïs"
    assert form["vads_url_check"] == "https://portail.example/payments/notify/lyra/1"
    assert form["vads_ext_info_eopayment_trans_id"] == "9f1c"


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_refuses_a_form_without_a_required_field(
    name: str, code: str, a_form: Builder, sites: dict[str, Site], now: datetime
) -> None:
    """A missing field is refused under its own code, even when the rest is well signed."""
    fields = a_form(**{name: None})

    with pytest.raises(FormError) as refusal:
        check_form(fields, sites, now)

    assert (refusal.value.code, refusal.value.field) == (code, name)


@pytest.mark.parametrize(
    ("field", "code"),
    [
        (("vads_version", "V1"), "01"),
        (("vads_site_id", "87654321"), "02"),
        (("vads_trans_id", "9S76J3"), "03"),
        (("vads_trans_id", "aS76J"), "03"),
        (("vads_trans_id", "aS76Jé"), "03"),
        (("vads_trans_date", "20261324120000"), "04"),
        (("vads_trans_date", "2026-11-24"), "04"),
        (("vads_validation_mode", "2"), "05"),
        (("vads_capture_delay", "1000"), "06"),
        (("vads_payment_config", "TWICE"), "07"),
        (("vads_payment_config", "MULTI:first=1000;count=3;period=30"), "07"),
        (("vads_amount", "0"), "09"),
        (("vads_amount", "-1"), "09"),
        (("vads_amount", "12.34"), "09"),
        (("vads_amount", "٣"), "09"),
        (("vads_amount", "1234567890123"), "09"),
        (("vads_currency", "840"), "10"),
        (("vads_ctx_mode", "LIVE"), "11"),
        (("vads_ctx_mode", "PRODUCTION"), "11"),
        (("vads_order_id", "A" * 33), "13"),
        (("vads_order_id", "17<b>"), "13"),
        (("vads_cust_email", "nobody"), "15"),
        (("vads_cust_email", "a" * 145 + "@b.org"), "15"),
        (("vads_url_return", "javascript:alert(1)"), "28"),
        (("vads_url_return", "/retour"), "28"),
        (("vads_url_check", "ftp://portail.example/"), ""),
        (("vads_page_action", "REGISTER"), "46"),
        (("vads_action_mode", "SILENT"), "47"),
        (("vads_return_mode", "PUT"), "48"),
    ],
)
def test_refuses_a_field_of_the_wrong_shape(
    field: tuple[str, str], code: str, a_form: Builder, sites: dict[str, Site], now: datetime
) -> None:
    """A well signed form with one bad value is refused under that field's code."""
    name, value = field
    fields = a_form(**{name: value})

    with pytest.raises(FormError) as refusal:
        check_form(fields, sites, now)

    assert (refusal.value.code, refusal.value.field) == (code, name)


def test_refuses_a_form_signed_with_another_key(
    a_form: Builder, sites: dict[str, Site], now: datetime
) -> None:
    """The shop's key of the mode decides."""
    fields = a_form(key="8877665544332211")

    with pytest.raises(FormError) as refusal:
        check_form(fields, sites, now)

    assert (refusal.value.code, refusal.value.field) == ("00", "signature")


def test_refuses_a_vads_field_added_after_signing(
    a_form: Builder, sites: dict[str, Site], now: datetime
) -> None:
    """Unknown fields are signed like the others."""
    fields = a_form() | {"vads_ext_info_added": "x"}

    with pytest.raises(FormError) as refusal:
        check_form(fields, sites, now)

    assert refusal.value.code == "00"


def test_accepts_a_production_form_signed_with_the_production_key(
    a_form: Builder, a_site: Callable[..., Site], now: datetime
) -> None:
    """Each mode has a key of its own."""
    sites = {"12345678": a_site(key_production="9988776655443322")}
    fields = a_form(key="9988776655443322", vads_ctx_mode="PRODUCTION")

    form = check_form(fields, sites, now)

    assert form.key == "9988776655443322"


@pytest.mark.parametrize("offset", [timedelta(minutes=-60), timedelta(minutes=150)])
def test_takes_a_date_near_its_own_time(
    offset: timedelta, a_form: Builder, sites: dict[str, Site], now: datetime
) -> None:
    """The window is 60 minutes back and 2 h 30 ahead (error page 04)."""
    trans_date = (now + offset).strftime("%Y%m%d%H%M%S")

    form = check_form(a_form(vads_trans_date=trans_date), sites, now)

    assert form["vads_trans_date"] == trans_date


@pytest.mark.parametrize("offset", [timedelta(seconds=-3601), timedelta(seconds=9001)])
def test_refuses_a_date_far_from_its_own_time(
    offset: timedelta, a_form: Builder, sites: dict[str, Site], now: datetime
) -> None:
    """One second outside the window is outside."""
    fields = a_form(vads_trans_date=(now + offset).strftime("%Y%m%d%H%M%S"))

    with pytest.raises(FormError) as refusal:
        check_form(fields, sites, now)

    assert refusal.value.code == "04"


def test_reads_a_form_in_utf8() -> None:
    """Accents and empty values come through."""
    fields = read_fields(b"vads_cust_name=H%C3%A9l%C3%A8ne&vads_order_info=")

    assert fields == {"vads_cust_name": "Hélène", "vads_order_info": ""}


@pytest.mark.parametrize("body", [b"vads_cust_name=H%E9", b"vads_cust_name=\xe9"])
def test_refuses_a_form_that_is_not_utf8(body: bytes) -> None:
    """Lyra reports another encoding as a signature error."""
    with pytest.raises(FormError) as refusal:
        read_fields(body)

    assert refusal.value.code == "00"


def test_refuses_the_same_field_twice() -> None:
    """Two values for one field could be signed as one and read as the other."""
    with pytest.raises(FormError) as refusal:
        read_fields(b"vads_amount=1&vads_amount=100")

    assert (refusal.value.code, refusal.value.field) == ("09", "vads_amount")


def test_takes_the_algorithm_from_the_shop_and_not_from_the_form(
    a_form: Builder, sites: dict[str, Site], now: datetime
) -> None:
    """A SHA-1 signature is wrong for a shop set to HMAC-SHA-256, though the key is right."""
    fields = a_form()
    fields["signature"] = sign(fields, KEY, SignatureAlgorithm.SHA1)

    with pytest.raises(FormError) as refusal:
        check_form(fields, sites, now)

    assert refusal.value.code == "00"
