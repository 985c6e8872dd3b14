"""Paybox: the form's HMAC and the notices' RSA, each computed here without the library."""

import base64
import hashlib
import hmac
import logging

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from payment.adapters import paybox
from payment.domain import AttemptState, Notice
from payment.ports import MalformedNoticeError, NoticeRefusedError, ProviderRefusedError
from tests.unit.payment.provider_builders import (
    CALLS,
    NOTIFY_URL,
    NOW,
    ORDER_ID,
    PAYBOX_KEY,
    RETURN_URL,
    a_clock,
    a_paybox_shop,
    a_raw,
    an_order,
    done,
)

TOKEN = "t" * 32
OURS, OTHERS = (rsa.generate_private_key(65537, 2048) for _ in range(2))


def pem(key: rsa.RSAPrivateKey) -> str:
    """Return the public half of a key as the accounts file has it."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def an_account(**changes: object) -> paybox.PayboxAccount:
    """Return a shop whose notices are signed with the first key of this module."""
    shop = a_paybox_shop(**({"public_key": pem(OURS)} | changes))
    return paybox.PayboxAccount(shop, NOTIFY_URL, CALLS, a_clock())


def a_text(**changes: str | None) -> str:
    """Return what Paybox tells of a payment of 41,00 €, in its order, not signed yet."""
    fields: dict[str, str | None] = {
        "montant": "4100",
        "reference": ORDER_ID,
        "code_autorisation": "XXXXXX",
        "erreur": "00000",
        "numero_appel": "2718281",
        "numero_transaction": "3141592",
        "date_transaction": "24112026",
        "heure_transaction": "14%3A07%3A00",
    }
    told = (fields | changes).items()
    return "&".join(f"{name}={value}" for name, value in told if value is not None)


def signature_of(text: str, key: rsa.RSAPrivateKey = OURS) -> str:
    """Return the signature of a text, escaped as it travels."""
    # Paybox signs with SHA-1 and nothing else.
    raw = key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA1())  # noqa: S303
    return base64.b64encode(raw).decode().replace("+", "%2B").replace("/", "%2F")


def signed(text: str, key: rsa.RSAPrivateKey = OURS) -> bytes:
    """Return the notice with its signature."""
    return f"{text}&signature={signature_of(text, key)}".encode()


def read(body: bytes, query: str = "", **changes: object) -> Notice:
    """Return what a notice says."""
    return an_account(**changes).read_notice(a_raw(body, query))


def test_the_form_asks_for_the_sum_in_cents_under_our_reference() -> None:
    """What the payer's browser carries, with the address and the way of the notices."""
    handover = done(an_account().prepare(an_order()))

    expected = {
        "PBX_SITE": "1999888",
        "PBX_RANG": "32",
        "PBX_IDENTIFIANT": "110647233",
        "PBX_TOTAL": "4100",
        "PBX_DEVISE": "978",
        "PBX_CMD": ORDER_ID,
        "PBX_PORTEUR": "camille.martin@exemple.test",
        "PBX_EFFECTUE": RETURN_URL,
        "PBX_REPONDRE_A": NOTIFY_URL,
        "PBX_RUF1": "POST",
        "PBX_HASH": "SHA512",
        "PBX_LANGUE": "FRA",
        "PBX_AUTOSEULE": "N",
    }
    fields = handover.form.fields
    assert expected == {name: fields[name] for name in expected}
    assert ("https://preprod-tpeweb.paybox.com/php/", "POST") == (
        handover.form.url,
        handover.form.method,
    )
    assert (NOW.date(), ORDER_ID) == (handover.provider_day, handover.provider_number)


def test_the_form_is_signed_in_its_own_order() -> None:
    """HMAC-SHA-512 over `name=value` joined by `&`, under the key's bytes, in capitals."""
    fields = done(an_account().prepare(an_order())).form.fields

    assert "PBX_HMAC" == list(fields)[-1]
    text = "&".join(f"{name}={value}" for name, value in fields.items() if name != "PBX_HMAC")
    digest = hmac.new(bytes.fromhex(PAYBOX_KEY), text.encode(), hashlib.sha512)
    assert digest.hexdigest().upper() == fields["PBX_HMAC"]


@pytest.mark.parametrize("amount_cents", [1, 29, 1_15, 99_999_999])
def test_no_sum_loses_a_cent_on_its_way_to_the_form(amount_cents: int) -> None:
    """At least three digits, as Paybox wants them."""
    fields = done(an_account().prepare(an_order(amount_cents=amount_cents))).form.fields

    assert f"{amount_cents:03d}" == fields["PBX_TOTAL"]


@pytest.mark.parametrize("email", [None, "", "a&PBX_TOTAL=1@exemple.test"])
def test_a_payer_without_an_address_that_can_be_signed_is_refused(email: str | None) -> None:
    """`&` separates what is signed: out of such an address another form could be cut."""
    with pytest.raises(ProviderRefusedError) as refused:
        done(an_account().prepare(an_order(email=email)))

    assert "email" == refused.value.code


def test_with_a_token_the_payer_does_not_see_the_notice_address() -> None:
    """Paybox's back office holds it: who knew it could have a notice signed for our order."""
    fields = done(an_account(notify_token=TOKEN).prepare(an_order())).form.fields

    assert "PBX_REPONDRE_A" not in fields
    assert not any(TOKEN in value for value in fields.values())


def test_reads_what_a_genuine_notice_says() -> None:
    """The provider's reference is the number of the transaction."""
    notice = read(signed(a_text()))

    assert (ORDER_ID, AttemptState.CAPTURED, 41_00, "EUR", "3141592") == (
        notice.order_id,
        notice.state,
        notice.amount_cents,
        notice.currency,
        notice.provider_reference,
    )
    assert (False, True) == (notice.is_foreign, notice.is_payment)


def test_believes_either_key_of_paybox_while_one_replaces_the_other() -> None:
    """S26: two valid at once."""
    body = signed(a_text(), OTHERS)

    with pytest.raises(NoticeRefusedError):
        read(body)
    assert ORDER_ID == read(body, previous_public_key=pem(OTHERS)).order_id


@pytest.mark.parametrize(
    "body",
    [
        signed(a_text(), OTHERS),
        a_text().encode(),
        f"{a_text()}&signature=".encode(),
        f"{a_text()}&signature=!".encode(),
        f"{a_text(montant='1')}&signature={signature_of(a_text())}".encode(),
        f"{a_text(reference='Z' * 16)}&signature={signature_of(a_text())}".encode(),
        f"{a_text(erreur='00001')}&signature={signature_of(a_text())}".encode(),
        signed(a_text()) + b"&more=1",
        f"more=1&{a_text()}&signature={signature_of(a_text())}".encode(),
        f"signature={signature_of(a_text())}".encode(),
    ],
)
def test_refuses_a_notice_whose_signature_is_wrong(body: bytes) -> None:
    """W1: another key, a value changed or added, or no signature at all."""
    with pytest.raises(NoticeRefusedError, match="wrong signature"):
        read(body)


def test_does_not_believe_ours_where_the_key_of_paybox_itself_counts() -> None:
    """Without a key of its own, a shop believes the one that eopayment ships."""
    with pytest.raises(NoticeRefusedError):
        read(signed(a_text()), public_key=None)


def test_renaming_fields_breaks_the_signature() -> None:
    """W9: names are signed here, unlike at Lyra."""
    text = a_text()
    renamed = text.replace("montant=", "total=").replace("numero_appel=", "montant=")

    with pytest.raises(NoticeRefusedError):
        read(f"{renamed}&signature={signature_of(text)}".encode())


@pytest.mark.parametrize("query", ["", "token=", f"token={TOKEN}x", f"TOKEN={TOKEN}", "é"])
def test_refuses_what_does_not_come_to_the_address_of_the_back_office(query: str) -> None:
    """A signature of Paybox does not say whose shop it speaks of; only that address does."""
    with pytest.raises(NoticeRefusedError, match="wrong signature"):
        read(signed(a_text()), query, notify_token=TOKEN)


def test_believes_what_comes_to_the_address_of_the_back_office() -> None:
    """The token alone proves nothing: the signature counts as well."""
    assert ORDER_ID == read(signed(a_text()), f"token={TOKEN}", notify_token=TOKEN).order_id
    with pytest.raises(NoticeRefusedError):
        read(signed(a_text(), OTHERS), f"token={TOKEN}", notify_token=TOKEN)


@pytest.mark.parametrize("name", ["montant", "reference", "erreur"])
def test_refuses_a_notice_without_a_field_that_counts(name: str) -> None:
    """The rest is signed anew, so only the missing name gives it away."""
    with pytest.raises(MalformedNoticeError, match=name):
        read(signed(a_text(**{name: None})))


@pytest.mark.parametrize("name", ["code_autorisation", "numero_appel", "numero_transaction"])
def test_refuses_a_capture_that_does_not_name_its_operation(name: str) -> None:
    """The books could not tell it from another; a refusal has none."""
    with pytest.raises(MalformedNoticeError, match=name):
        read(signed(a_text(**{name: None})))

    assert AttemptState.REFUSED is read(signed(a_text(erreur="00105", **{name: None}))).state


@pytest.mark.parametrize(
    ("name", "value"),
    [("montant", "-4100"), ("montant", "41.00"), ("montant", ""), ("erreur", "0"), ("erreur", "")],
)
def test_refuses_a_field_of_another_shape_even_if_signed(name: str, value: str) -> None:
    """Whoever signs may still err."""
    with pytest.raises(MalformedNoticeError, match=name):
        read(signed(a_text(**{name: value})))


@pytest.mark.parametrize("name", ["montant", "signature"])
def test_refuses_a_field_that_comes_twice(name: str) -> None:
    """W11: whoever takes the first and whoever takes the last would read two notices."""
    with pytest.raises(MalformedNoticeError, match="twice"):
        read(signed(f"{name}=1&{a_text()}"))


@pytest.mark.parametrize(
    ("error", "state"),
    [
        ("00000", AttemptState.CAPTURED),
        ("00001", AttemptState.ABANDONED),
        ("00004", AttemptState.REFUSED),
        ("00008", AttemptState.REFUSED),
        ("00021", AttemptState.REFUSED),
        ("00030", AttemptState.EXPIRED),
        ("00105", AttemptState.REFUSED),
        ("00151", AttemptState.REFUSED),
        ("00003", None),
        ("00015", None),
        ("99999", None),
        ("12345", None),
    ],
)
def test_reads_each_code_and_waits_on_one_it_does_not_know(
    error: str, state: AttemptState | None
) -> None:
    """00015 says that the order is paid already: it is no refusal of it."""
    assert state is read(signed(a_text(erreur=error))).state


def test_a_test_payment_never_pays_a_real_invoice() -> None:
    """W4: no bank was asked, and Paybox signs both with one key."""
    real = {"mode": "PRODUCTION", "notify_token": TOKEN}

    assert read(signed(a_text()), f"token={TOKEN}", **real).is_foreign
    body = signed(a_text(code_autorisation="314159"))
    assert not read(body, f"token={TOKEN}", **real).is_foreign


def test_the_same_notice_is_the_same_fact_and_another_sum_or_code_another() -> None:
    """W5: told twice changes nothing."""
    told = [a_text(), a_text(), a_text(erreur="00001"), a_text(montant="4101")]

    first, again, given_up, other = (read(signed(text)).fact for text in told)

    assert first == again
    assert 3 == len({first, given_up, other})


def test_no_key_reaches_the_log_even_at_its_most_talkative(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """S26: the library logs the key that it signs with, by a logger of its own."""
    caplog.set_level(logging.DEBUG)
    for name in ("eopayment", "eopayment.paybox"):
        caplog.set_level(logging.DEBUG, logger=name)

    done(an_account().prepare(an_order()))
    read(signed(a_text()))

    assert {"asyncio"} >= {record.name for record in caplog.records}
