"""Lyra's notices: only what the provider signed, about our shop, is believed."""

import base64
import hashlib
import hmac
from urllib.parse import urlencode

import pytest

from payment.adapters.accounts import Account
from payment.adapters.lyra import STATES, LyraAccount
from payment.domain import AttemptState
from payment.ports import NoticeRefusedError, Order

KEY = "1122334455667788"


def an_account(**changes: object) -> LyraAccount:
    content = {
        "account": "town-card",
        "authority": "town",
        "regies": None,
        "provider": "lyra",
        "site_id": "12345678",
        "key": KEY,
        "ctx_mode": "TEST",
        "service_url": "https://provider.example/vads-payment/",
    }
    return LyraAccount(Account(**(content | changes)), "https://town.example/notify")  # type: ignore[arg-type]


def signature(fields: dict[str, str], key: str = KEY) -> str:
    values = [fields[name] for name in sorted(fields) if name.startswith("vads_")]
    message = "+".join([*values, key]).encode()
    return base64.b64encode(hmac.new(key.encode(), message, hashlib.sha256).digest()).decode()


def a_notice(*, key: str = KEY, without: str = "", **changes: str) -> dict[str, str]:
    fields = {
        "vads_amount": "4100",
        "vads_auth_result": "00",
        "vads_ctx_mode": "TEST",
        "vads_currency": "978",
        "vads_effective_creation_date": "20261124103000",
        "vads_operation_type": "DEBIT",
        "vads_order_id": "ABCDEFGH23456789",
        "vads_site_id": "12345678",
        "vads_trans_date": "20261124103000",
        "vads_trans_id": "a1b2c3",
        "vads_trans_status": "AUTHORISED",
        "vads_trans_uuid": "0123456789abcdef",
    } | changes
    fields.pop(without, None)
    return fields | {"signature": signature(fields, key)}


def body(fields: dict[str, str]) -> bytes:
    return urlencode(fields).encode()


def test_signs_as_the_published_vector_says() -> None:
    """The vector of the provider's guide, through the library that signs for us."""
    fields = {
        "vads_version": "V2",
        "vads_page_action": "PAYMENT",
        "vads_action_mode": "INTERACTIVE",
        "vads_payment_config": "SINGLE",
        "vads_site_id": "12345678",
        "vads_ctx_mode": "TEST",
        "vads_trans_id": "654321",
        "vads_trans_date": "20090501193530",
        "vads_amount": "1524",
        "vads_currency": "978",
        "vads_cust_first_name": "Jean Michél",
        "vads_cust_last_name": "Mihaï",
    }

    signed = an_account()._backend(KEY).signature(dict(fields))

    assert signed == "aHrJ7IzSGFa4pcYA8kh99+M/xBzoQ4Odnu3f4BUrpIA="


async def test_the_form_asks_for_what_is_owed_and_is_signed() -> None:
    """Amount in cents, euro, our order, our notice address, a signature that holds."""
    order = Order(
        order_id="ABCDEFGH23456789",
        amount_cents=4105,
        email="a@example.org",
        return_url="https://town.example/payer/retour",
        language="fr",
    )

    handover = await an_account().prepare(order)

    fields = handover.form.fields
    assert fields["vads_amount"] == "4105"
    assert fields["vads_currency"] == "978"
    assert fields["vads_order_id"] == "ABCDEFGH23456789"
    assert fields["vads_url_check"] == "https://town.example/notify"
    assert fields["signature"] == signature(fields)
    assert handover.provider_number == fields["vads_trans_id"].lower()
    assert handover.form.url == "https://provider.example/vads-payment/"


def test_believes_a_notice_that_the_provider_signed() -> None:
    """Order, amount, state and reference are read from it."""
    notice = an_account().read_notice(body(a_notice()))

    assert notice.order_id == "ABCDEFGH23456789"
    assert notice.amount_cents == 4100
    assert notice.currency == "EUR"
    assert notice.state is AttemptState.CAPTURED
    assert notice.provider_reference == "0123456789abcdef"


def test_believes_the_previous_key_while_a_new_one_spreads() -> None:
    """Two keys hold at once, so that a rotation loses no notice."""
    account = an_account(key="another-key-now", previous_key=KEY)

    assert account.read_notice(body(a_notice())).amount_cents == 4100


@pytest.mark.parametrize(
    "fields",
    [
        a_notice(key="wrong-key-wrong-key"),
        a_notice() | {"vads_amount": "1"},
        a_notice(without="vads_order_id"),
        a_notice(without="vads_trans_uuid"),
        a_notice(vads_site_id="87654321"),
        a_notice(vads_ctx_mode="PRODUCTION"),
        a_notice(vads_amount="41,00"),
        {name: text for name, text in a_notice().items() if name != "signature"},
        {},
    ],
    ids=["key", "changed", "no order", "no uuid", "shop", "mode", "amount", "unsigned", "empty"],
)
def test_refuses_a_notice_that_proves_nothing(fields: dict[str, str]) -> None:
    """A wrong signature, a missing name, another shop or mode: nothing is read from it."""
    with pytest.raises(NoticeRefusedError):
        an_account().read_notice(body(fields))


def test_refuses_values_that_moved_under_other_names() -> None:
    """The signature covers values in the order of names: the set of names is checked apart."""
    fields = a_notice()
    moved = {
        ("vads_zz_extra" if name == "vads_trans_uuid" else name): text
        for name, text in fields.items()
    }
    moved["signature"] = signature(moved)

    with pytest.raises(NoticeRefusedError, match="missing"):
        an_account().read_notice(body(moved))


def test_refuses_a_field_that_comes_twice() -> None:
    """Two amounts in one form: neither is the true one."""
    with pytest.raises(NoticeRefusedError, match="twice"):
        an_account().read_notice(body(a_notice()) + b"&vads_amount=1")


@pytest.mark.parametrize("status", sorted(STATES))
def test_every_status_of_the_provider_has_its_meaning(status: str) -> None:
    """One table says what each status does; waiting ones do nothing yet."""
    notice = an_account().read_notice(body(a_notice(vads_trans_status=status)))

    assert notice.state is STATES[status]


def test_a_refund_is_not_a_payment() -> None:
    """Only a DEBIT takes money."""
    notice = an_account().read_notice(body(a_notice(vads_operation_type="CREDIT")))

    assert notice.state is None
