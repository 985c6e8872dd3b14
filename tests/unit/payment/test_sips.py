"""Sips: seals computed here without the library, over data as the guide shows it."""

import hashlib
import logging
from urllib.parse import urlencode

import pytest

from payment.adapters.sips import SHAPES, STATES, SipsAccount
from payment.domain import AttemptState, Notice
from payment.ports import MalformedNoticeError, NoticeRefusedError
from tests.unit.payment.provider_builders import (
    CALLS,
    NOTIFY_URL,
    NOW,
    ORDER_ID,
    RETURN_URL,
    SIPS_KEY,
    a_clock,
    a_form,
    a_raw,
    a_sips_shop,
    an_order,
    done,
)

PREVIOUS_KEY = "002001000000001_KEY0"


RECORDED = (
    "captureDay=0|captureMode=AUTHOR_CAPTURE|currencyCode=978|merchantId=002001000000001|"
    "orderChannel=INTERNET|responseCode=00|transactionDateTime=2018-02-06T07:54:23+01:00|"
    "transactionReference=b4fb98a9c2c|keyVersion=1|acquirerResponseCode=00|amount=2|"
    "authorisationId=12345|guaranteeIndicator=Y|cardCSCResultCode=4D|panExpiryDate=201902|"
    "paymentMeanBrand=VISA|paymentMeanType=CARD|customerIpAddress=194.78.195.168|"
    "maskedPan=4500#############01|holderAuthentRelegation=N|"
    "holderAuthentStatus=3D_SUCCESS|tokenPan=g011040a730424d1ba6|"
    "transactionOrigin=INTERNET|paymentPattern=ONE_SHOT"
)
"""What Sips answered once for its test shop, as Worldline's own libraries test it."""
RECORDED_SEAL = "56bddfce68695b9b8a9de51c426aae31bb303fb15570f343975eaa3bd33c8c59"


def an_account(**changes: object) -> SipsAccount:
    """Return Sips' test shop, ready to speak."""
    return SipsAccount(a_sips_shop(**changes), NOTIFY_URL, CALLS, a_clock())


def some_data(**changes: str | None) -> str:
    """Return what Sips tells of a payment of 41,00 €."""
    fields: dict[str, str | None] = {
        "captureDay": "0",
        "captureMode": "AUTHOR_CAPTURE",
        "currencyCode": "978",
        "merchantId": "002001000000001",
        "orderChannel": "INTERNET",
        "responseCode": "00",
        "transactionDateTime": "2026-11-24T14:07:00+01:00",
        "transactionReference": ORDER_ID,
        "keyVersion": "1",
        "acquirerResponseCode": "00",
        "amount": "4100",
        "authorisationId": "12345",
        "holderName": "Mihaï = Noël",
    }
    told = (fields | changes).items()
    return "|".join(f"{name}={value}" for name, value in told if value is not None)


def seal(data: str, key: str = SIPS_KEY) -> str:
    """Return the seal: SHA-256 of the data and the key, in hexadecimal."""
    return hashlib.sha256((data + key).encode()).hexdigest()


def sealed(data: str, key: str = SIPS_KEY) -> dict[str, str]:
    """Return the form of a notice."""
    return {"Data": data, "Seal": seal(data, key), "InterfaceVersion": "HP_2.3"}


def read(fields: dict[str, str], **changes: object) -> Notice:
    """Return what a notice says."""
    return an_account(**changes).read_notice(a_form(fields))


def test_the_form_asks_for_the_sum_in_cents_under_our_reference() -> None:
    """One reference for the order and the transaction: Sips takes it once."""
    handover = done(an_account().prepare(an_order()))

    fields = handover.form.fields
    data = dict(part.split("=", 1) for part in fields["Data"].split("|"))
    expected = {
        "merchantId": "002001000000001",
        "keyVersion": "1",
        "normalReturnUrl": RETURN_URL,
        "automaticResponseUrl": NOTIFY_URL,
        "currencyCode": "978",
        "captureMode": "AUTHOR_CAPTURE",
        "transactionReference": ORDER_ID,
        "orderId": ORDER_ID,
        "amount": "4100",
        "billingContact.email": "camille.martin@exemple.test",
    }
    assert expected == {name: data[name] for name in expected}
    assert seal(fields["Data"]) == fields["Seal"]
    assert "HP_2.3" == fields["InterfaceVersion"]
    assert (NOW.date(), ORDER_ID) == (handover.provider_day, handover.provider_number)
    assert "https://payment-webinit.simu.sips-services.com/paymentInit" == handover.form.url


def test_believes_what_sips_itself_sealed() -> None:
    """A recorded answer of the test platform, under the published key of its test shop."""
    notice = read({"Data": RECORDED, "Seal": RECORDED_SEAL, "InterfaceVersion": "HP_2.3"})

    assert ("b4fb98a9c2c", AttemptState.CAPTURED, 2) == (
        notice.order_id,
        notice.state,
        notice.amount_cents,
    )


def test_a_value_that_holds_the_separator_adds_no_field() -> None:
    """`|` separates what is sealed: an address with one could lower the sum."""
    order = an_order(email="a|amount=1@exemple.test", return_url=f"{RETURN_URL}?a=|amount=1")

    data = done(an_account().prepare(order)).form.fields["Data"]

    assert 1 == data.count("|amount=")
    assert "amount=4100" in data
    assert f"normalReturnUrl={RETURN_URL}?a=%7Camount=1" in data


def test_reads_what_a_genuine_notice_says() -> None:
    """Accents and `=` in a value do not break its seal."""
    notice = read(sealed(some_data()))

    assert (ORDER_ID, AttemptState.CAPTURED, 41_00, "EUR", ORDER_ID) == (
        notice.order_id,
        notice.state,
        notice.amount_cents,
        notice.currency,
        notice.provider_reference,
    )
    assert (False, True) == (notice.is_foreign, notice.is_payment)


@pytest.mark.parametrize("key", [SIPS_KEY, PREVIOUS_KEY])
def test_believes_either_key_while_one_replaces_the_other(key: str) -> None:
    """S26: two valid at once."""
    assert ORDER_ID == read(sealed(some_data(), key), previous_key=PREVIOUS_KEY).order_id


@pytest.mark.parametrize(
    "fields",
    [
        sealed(some_data(), PREVIOUS_KEY),
        sealed(some_data(), ""),
        sealed(some_data()) | {"Data": some_data(amount="1")},
        sealed(some_data()) | {"Data": some_data(transactionReference="Z" * 16)},
        sealed(some_data()) | {"Data": some_data(responseCode="05")},
        sealed(some_data()) | {"Data": some_data() + "|more=1"},
        sealed(some_data()) | {"Seal": seal(some_data()).upper()},
        sealed(some_data()) | {"Seal": "é"},
        {"Data": some_data()},
        {"Seal": seal(some_data())},
        {"Seal": seal("")},
    ],
)
def test_refuses_a_notice_whose_seal_is_wrong(fields: dict[str, str]) -> None:
    """W1: another key, or a value changed on the way."""
    with pytest.raises(NoticeRefusedError, match="wrong seal"):
        read(fields)


def test_renaming_fields_breaks_the_seal() -> None:
    """W9: names are sealed here, unlike at Lyra."""
    genuine = some_data()
    renamed = genuine.replace("|amount=", "|sum=").replace("|authorisationId=", "|amount=")

    with pytest.raises(NoticeRefusedError):
        read({"Data": renamed, "Seal": seal(genuine)})


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_refuses_a_notice_without_a_field_that_counts(name: str) -> None:
    """The rest is sealed anew, so only the missing name gives it away."""
    with pytest.raises(MalformedNoticeError, match=name):
        read(sealed(some_data(**{name: None})))


@pytest.mark.parametrize(
    ("name", "value"), [("amount", "-4100"), ("amount", "41.00"), ("amount", ""), ("amount", "٤")]
)
def test_refuses_a_field_of_another_shape_even_if_sealed(name: str, value: str) -> None:
    """Whoever seals may still err."""
    with pytest.raises(MalformedNoticeError, match=name):
        read(sealed(some_data(**{name: value})))


def test_refuses_a_field_that_comes_twice() -> None:
    """W11: within the sealed data, where the last would win, and in the form around it."""
    doubled = sealed(some_data() + "|amount=1")

    with pytest.raises(NoticeRefusedError):
        read(doubled)
    with pytest.raises(MalformedNoticeError, match="twice"):
        an_account().read_notice(a_raw((urlencode(sealed(some_data())) + "&Data=x").encode()))


def test_tells_apart_another_shop_and_another_currency() -> None:
    """W3, W4: sealed with our key, so they are kept for people."""
    foreign = read(sealed(some_data(merchantId="002001000000002")))
    dollars = read(sealed(some_data(currencyCode="840")))

    assert (True, False) == (foreign.is_foreign, dollars.is_foreign)
    assert ("EUR", "840") == (foreign.currency, dollars.currency)


@pytest.mark.parametrize(("code", "state"), [*STATES.items(), ("ZZ", None)])
def test_reads_each_code_and_waits_on_one_it_does_not_know(
    code: str, state: AttemptState | None
) -> None:
    """A code that nobody knows is never taken for a yes or a no."""
    assert state is read(sealed(some_data(responseCode=code))).state


def test_only_an_accepted_payment_is_captured_and_a_used_reference_is_no_refusal() -> None:
    """94 says that the reference was used before: that first use may have been paid."""
    captured = {code for code, state in STATES.items() if state is AttemptState.CAPTURED}

    assert {"00"} == captured
    assert STATES["94"] is None


def test_an_authorisation_that_must_be_validated_is_no_capture_yet() -> None:
    """A shop set to validate by hand: nobody has said that the money is to be taken."""
    assert read(sealed(some_data(captureMode="VALIDATION"))).state is None


def test_the_same_notice_is_the_same_fact_and_another_code_another() -> None:
    """W5: told twice changes nothing."""
    told = [some_data(), some_data(acquirerResponseCode="01"), some_data(responseCode="17")]

    first, again, given_up = (read(sealed(data)).fact for data in told)

    assert first == again
    assert first != given_up


def test_nothing_of_an_order_or_a_key_reaches_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """S26: the library logs whole messages at its most talkative."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="eopayment.sips2")

    done(an_account().prepare(an_order()))
    read(sealed(some_data()))

    assert {"asyncio"} >= {record.name for record in caplog.records}
