"""Ogone: SHA-IN and SHA-OUT computed here without the library, passphrase after each field."""

import hashlib
import logging
from urllib.parse import quote_from_bytes, urlencode

import pytest

from payment.adapters.ogone import SHAPES, OgoneAccount
from payment.domain import AttemptState, Notice
from payment.ports import MalformedNoticeError, NoticeRefusedError
from tests.unit.payment.provider_builders import (
    CALLS,
    NOTIFY_URL,
    NOW,
    ORDER_ID,
    PREVIOUS_SHA_OUT,
    RETURN_URL,
    SHA_IN,
    SHA_OUT,
    a_clock,
    a_form,
    a_raw,
    an_ogone_shop,
    an_order,
    done,
)


def an_account(**changes: object) -> OgoneAccount:
    """Return a shop, ready to speak."""
    return OgoneAccount(an_ogone_shop(**changes), NOTIFY_URL, CALLS, a_clock())


def some_fields(**changes: str | None) -> dict[str, str]:
    """Return what Ogone tells of a payment of 41,00 €."""
    fields: dict[str, str | None] = {
        "orderID": ORDER_ID,
        "currency": "EUR",
        "amount": "41",
        "PM": "CreditCard",
        "ACCEPTANCE": "test123",
        "STATUS": "9",
        "CARDNO": "XXXXXXXXXXXX1111",
        "CN": "Camille Martin",
        "TRXDATE": "11/24/26",
        "PAYID": "3032390001",
        "NCERROR": "0",
        "BRAND": "VISA",
        "COMPLUS": ORDER_ID,
    }
    return {name: value for name, value in (fields | changes).items() if value is not None}


def sign(
    fields: dict[str, str],
    passphrase: str = SHA_OUT,
    algorithm: str = "sha512",
    encoding: str = "utf-8",
) -> str:
    """Return the signature: capitals, by name, empty values left out, passphrase after each."""
    upper = sorted((name.upper(), value) for name, value in fields.items() if value)
    text = "".join(f"{name}={value}{passphrase}" for name, value in upper)
    return hashlib.new(algorithm, text.encode(encoding)).hexdigest().upper()


def signed(fields: dict[str, str], passphrase: str = SHA_OUT) -> dict[str, str]:
    """Return the fields with their signature."""
    return fields | {"SHASIGN": sign(fields, passphrase)}


def read(fields: dict[str, str], **changes: object) -> Notice:
    """Return what a notice says."""
    return an_account(**changes).read_notice(a_form(fields))


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_the_form_asks_for_the_sum_in_cents_under_our_reference(algorithm: str) -> None:
    """Signed with SHA-IN, by the algorithm that the back office is set to."""
    handover = done(an_account(algorithm=algorithm).prepare(an_order()))

    fields = dict(handover.form.fields)
    signature = fields.pop("SHASIGN")
    expected = {
        "PSPID": "saintaubin",
        "ORDERID": ORDER_ID,
        "AMOUNT": "4100",
        "CURRENCY": "EUR",
        "LANGUAGE": "fr_FR",
        "EMAIL": "camille.martin@exemple.test",
        "ACCEPTURL": RETURN_URL,
        "CANCELURL": RETURN_URL,
    }
    assert expected == {name: fields[name] for name in expected}
    assert sign(fields, SHA_IN, algorithm) == signature
    assert (NOW.date(), ORDER_ID) == (handover.provider_day, handover.provider_number)
    assert "https://secure.ogone.com/ncol/test/orderstandard.asp" == handover.form.url


@pytest.mark.parametrize("amount_cents", [1, 29, 1_15, 99_999_999])
def test_no_sum_loses_a_cent_on_its_way_to_the_form(amount_cents: int) -> None:
    """The library takes euros: they go there and back without rounding."""
    fields = done(an_account().prepare(an_order(amount_cents=amount_cents))).form.fields

    assert str(amount_cents) == fields["AMOUNT"]


def test_reads_what_a_genuine_notice_says() -> None:
    """Names come in any case; the sum is in euros and not in cents."""
    notice = read(signed(some_fields()))

    assert (ORDER_ID, AttemptState.CAPTURED, 41_00, "EUR", "3032390001") == (
        notice.order_id,
        notice.state,
        notice.amount_cents,
        notice.currency,
        notice.provider_reference,
    )
    assert (False, True) == (notice.is_foreign, notice.is_payment)


@pytest.mark.parametrize(
    ("amount", "cents"), [("41", 41_00), ("41.5", 41_50), ("41.05", 41_05), ("0.01", 1)]
)
def test_reads_a_sum_however_many_decimals_it_has(amount: str, cents: int) -> None:
    """Ogone drops zeros at the end."""
    assert cents == read(signed(some_fields(amount=amount))).amount_cents


def test_hears_a_notice_by_get_as_well() -> None:
    """The back office says which; both at once are two notices in one."""
    query = urlencode(signed(some_fields()))

    assert ORDER_ID == an_account().read_notice(a_raw(query=query)).order_id
    for raw in (a_raw(query.encode(), query), a_raw()):
        with pytest.raises(MalformedNoticeError):
            an_account().read_notice(raw)


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1"])
@pytest.mark.parametrize("signed_in", ["utf-8", "iso-8859-1"])
def test_an_accent_does_not_break_the_signature(encoding: str, signed_in: str) -> None:
    """The back office says in which encoding notices come and are signed; they do not."""
    fields = some_fields(CN="Noël Mihaé")
    fields["SHASIGN"] = sign(fields, encoding=signed_in)
    body = "&".join(
        f"{name}={quote_from_bytes(value.encode(encoding))}" for name, value in fields.items()
    )

    assert ORDER_ID == an_account().read_notice(a_raw(body.encode())).order_id


@pytest.mark.parametrize("passphrase", [SHA_OUT, PREVIOUS_SHA_OUT])
def test_believes_either_passphrase_while_one_replaces_the_other(passphrase: str) -> None:
    """S26: two valid at once."""
    fields = signed(some_fields(), passphrase)

    assert ORDER_ID == read(fields, previous_sha_out=PREVIOUS_SHA_OUT).order_id


@pytest.mark.parametrize(
    "fields",
    [
        signed(some_fields(), PREVIOUS_SHA_OUT),
        signed(some_fields(), SHA_IN),
        signed(some_fields(), ""),
        signed(some_fields()) | {"amount": "1"},
        signed(some_fields()) | {"orderID": "Z" * 16},
        signed(some_fields()) | {"STATUS": "2"},
        some_fields() | {"SHASIGN": sign(some_fields(), algorithm="sha256")},
        some_fields() | {"SHASIGN": sign(some_fields(), algorithm="sha1")},
        some_fields() | {"SHASIGN": "é"},
        some_fields(),
    ],
)
def test_refuses_a_notice_whose_signature_is_wrong(fields: dict[str, str]) -> None:
    """W1: another passphrase or algorithm, or a value changed on the way."""
    with pytest.raises(NoticeRefusedError, match="wrong signature"):
        read(fields)


def test_renaming_fields_breaks_the_signature() -> None:
    """W9: names are signed here, unlike at Lyra."""
    genuine = signed(some_fields())
    names = {"amount": "BRAND", "BRAND": "amount"}

    with pytest.raises(NoticeRefusedError):
        read({names.get(name, name): value for name, value in genuine.items()})


@pytest.mark.parametrize("name", sorted(SHAPES.keys() - {"SHASIGN"}))
def test_refuses_a_notice_without_a_field_that_counts(name: str) -> None:
    """The rest is signed anew, so only the missing name gives it away."""
    own = {"ORDERID": "orderID", "AMOUNT": "amount", "CURRENCY": "currency"}.get(name, name)

    with pytest.raises(MalformedNoticeError, match=name):
        read(signed(some_fields(**{own: None})))


@pytest.mark.parametrize("amount", ["-41", "41,00", "4.1e3", "41.005", "", "٤١"])
def test_refuses_a_sum_of_another_shape_even_if_signed(amount: str) -> None:
    """Whoever signs may still err."""
    with pytest.raises(MalformedNoticeError, match="AMOUNT"):
        read(signed(some_fields(amount=amount)))


@pytest.mark.parametrize("name", ["amount", "AMOUNT", "shasign"])
def test_refuses_a_field_that_comes_twice_in_whatever_case(name: str) -> None:
    """W11: the library takes the last of `amount` and `AMOUNT`."""
    body = urlencode(signed(some_fields())) + f"&{name}=1"

    with pytest.raises(MalformedNoticeError, match="twice"):
        an_account().read_notice(a_raw(body.encode()))


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("9", AttemptState.CAPTURED),
        ("95", AttemptState.CAPTURED),
        ("1", AttemptState.ABANDONED),
        ("2", AttemptState.REFUSED),
        ("93", AttemptState.REFUSED),
        ("0", None),
        ("5", None),
        ("51", None),
        ("52", None),
        ("91", None),
        ("92", None),
        ("99", None),
    ],
)
def test_reads_each_status_and_waits_on_one_it_does_not_know(
    status: str, state: AttemptState | None
) -> None:
    """5 is an authorisation: the money is not taken yet."""
    notice = read(signed(some_fields(STATUS=status)))

    assert (state, True) == (notice.state, notice.is_payment)


@pytest.mark.parametrize("status", ["6", "61", "7", "71", "75", "81", "83"])
def test_what_is_done_to_a_payment_is_no_payment(status: str) -> None:
    """W16: cancelled, deleted, or a refund that is not made yet."""
    notice = read(signed(some_fields(STATUS=status)))

    assert (None, False, None) == (notice.state, notice.is_payment, notice.cause)


def test_a_refund_is_an_operation_of_its_own() -> None:
    """Two parts given back are two facts below one payment."""
    first, other = (
        read(signed(some_fields(STATUS="8", PAYIDSUB=sub, amount="10"))) for sub in ("1", "2")
    )

    assert (AttemptState.REVERSED, "refund", False, 10_00, "3032390001/1") == (
        first.state,
        first.cause,
        first.is_payment,
        first.amount_cents,
        first.provider_reference,
    )
    assert first.fact != other.fact


def test_refuses_a_capture_that_does_not_name_its_operation() -> None:
    """The books could not tell it from another."""
    with pytest.raises(MalformedNoticeError):
        read(signed(some_fields(PAYID="")))


def test_tells_another_currency() -> None:
    """W3: signed, so it is kept for people."""
    assert "USD" == read(signed(some_fields(currency="USD"))).currency


def test_the_same_notice_is_the_same_fact_and_another_status_another() -> None:
    """W5: told twice changes nothing."""
    told = [some_fields(), some_fields(IP="127.0.0.1"), some_fields(STATUS="2")]

    first, again, refused = (read(signed(fields)).fact for fields in told)

    assert first == again
    assert first != refused


def test_nothing_of_an_order_or_a_key_reaches_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """S26: the library logs its options, and unknown statuses as errors."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="eopayment.ogone")

    done(an_account().prepare(an_order()))
    read(signed(some_fields(STATUS="0")))

    assert {"asyncio"} >= {record.name for record in caplog.records}
    assert SHA_IN not in repr(an_ogone_shop())
