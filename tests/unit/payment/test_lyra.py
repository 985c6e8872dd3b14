"""The form that goes to Lyra and the notices that come back; the signature is Lyra's own vector."""

import asyncio
import logging
import threading
from urllib.parse import urlencode

import pytest

from payment.adapters import lyra
from payment.domain import AttemptState, Notice, NoticeOutcome, judge
from payment.ports import MalformedNoticeError, NoticeRefusedError, Order
from simulators.card_provider.signature import sign
from tests.unit.payment.payment_builders import (
    KEY,
    NOTIFY_URL,
    ORDER_ID,
    PREVIOUS_KEY,
    SITE_ID,
    TRANSACTION,
    a_body,
    a_lyra_account,
    an_account,
    an_attempt,
    notice_fields,
    signed,
)
from tests.unit.payment.provider_builders import a_raw

VECTOR = {
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
VECTOR_SIGNATURE = "aHrJ7IzSGFa4pcYA8kh99+M/xBzoQ4Odnu3f4BUrpIA="


def an_order(**changes: object) -> Order:
    """Return what is asked for the canteen's invoice."""
    wanted = {
        "subject": "Repas d’octobre",
        "order_id": ORDER_ID,
        "amount_cents": 41_00,
        "email": "camille.martin@exemple.test",
        "return_url": "https://portail.example/paiement/retour",
        "language": "fr",
    }
    return Order(**(wanted | changes))  # type: ignore[arg-type]


def fields_for(order: Order, **changes: object) -> dict[str, str]:
    """Return the fields of the form for an order."""
    return asyncio.run(a_lyra_account(**changes).prepare(order)).form.fields


def read(provider: lyra.LyraAccount, body: bytes) -> Notice:
    """Return what a notice says that came with this body."""
    return provider.read_notice(a_raw(body))


def test_signs_as_the_published_vector_says() -> None:
    """Lyra's example of HMAC-SHA-256, with accents in UTF-8."""
    given = VECTOR | {"signature": VECTOR_SIGNATURE}

    assert a_lyra_account()._is_signed(given)
    assert not a_lyra_account()._is_signed(given | {"vads_amount": "1525"})


def test_the_form_asks_for_the_sum_in_cents_under_our_reference() -> None:
    """What the payer's browser carries, signed so that it cannot be changed on the way."""
    fields = fields_for(an_order())

    expected = {
        "vads_amount": "4100",
        "vads_currency": "978",
        "vads_order_id": ORDER_ID,
        "vads_site_id": SITE_ID,
        "vads_ctx_mode": "TEST",
        "vads_page_action": "PAYMENT",
        "vads_payment_config": "SINGLE",
        "vads_language": "fr",
        "vads_cust_email": "camille.martin@exemple.test",
        "vads_url_return": "https://portail.example/paiement/retour",
        "vads_url_check": NOTIFY_URL,
        "vads_return_mode": "GET",
    }
    assert expected == {name: fields[name] for name in expected}
    unsigned = {name: value for name, value in fields.items() if name != "signature"}
    assert sign(unsigned, KEY) == fields["signature"]


@pytest.mark.parametrize("amount_cents", [1, 10, 29, 1_15, 100_00, 99_999_999_99])
def test_no_sum_loses_a_cent_on_its_way_to_the_form(amount_cents: int) -> None:
    """The library takes euros: they go there and back without rounding."""
    assert fields_for(an_order(amount_cents=amount_cents))["vads_amount"] == str(amount_cents)


def test_the_form_goes_to_the_address_of_the_account() -> None:
    """PayZen and SystemPay differ by it, and so does a simulator."""
    handover = asyncio.run(a_lyra_account().prepare(an_order()))

    assert handover.form.url == "https://provider.example/vads-payment/"
    assert handover.form.method == "POST"
    assert handover.provider_number == handover.form.fields["vads_trans_id"].lower()
    day = handover.form.fields["vads_trans_date"][:8]
    assert day == handover.provider_day.strftime("%Y%m%d")


def test_the_current_key_signs_while_two_are_believed() -> None:
    """A key is replaced without a payment being lost."""
    fields = fields_for(an_order(), previous_key=PREVIOUS_KEY)

    unsigned = {name: value for name, value in fields.items() if name != "signature"}
    assert sign(unsigned, KEY) == fields["signature"]


def test_eopayment_runs_off_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is synchronous: other payers must not wait for it."""
    threads = []
    prepare = lyra.LyraAccount._prepare

    def noting(account: lyra.LyraAccount, order: Order) -> object:
        threads.append(threading.current_thread())
        return prepare(account, order)

    monkeypatch.setattr(lyra.LyraAccount, "_prepare", noting)

    asyncio.run(a_lyra_account().prepare(an_order()))

    assert threads
    assert threading.main_thread() not in threads


def test_reads_what_a_genuine_notice_says() -> None:
    """The provider's reference is the transaction's own name."""
    notice = read(a_lyra_account(), a_body(signed(notice_fields())))

    assert (ORDER_ID, AttemptState.CAPTURED, 41_00, "EUR", TRANSACTION) == (
        notice.order_id,
        notice.state,
        notice.amount_cents,
        notice.currency,
        notice.provider_reference,
    )
    assert (False, True) == (notice.is_foreign, notice.is_payment)


def test_a_plus_or_an_accent_in_a_genuine_value_does_not_break_its_signature() -> None:
    """W12: the signature is over the raw text, not over how it travelled."""
    fields = signed(notice_fields(order_info="Crèche + cantine", ext_info_x="é"))

    assert read(a_lyra_account(), a_body(fields)).order_id == ORDER_ID


def test_a_field_that_we_do_not_know_is_signed_and_ignored() -> None:
    """W10: Lyra adds fields over the years."""
    fields = signed(notice_fields(brand_new="1"))

    assert read(a_lyra_account(), a_body(fields)).order_id == ORDER_ID


@pytest.mark.parametrize("key", [KEY, PREVIOUS_KEY])
def test_believes_either_key_while_one_replaces_the_other(key: str) -> None:
    """S26: two valid at once."""
    provider = a_lyra_account(previous_key=PREVIOUS_KEY)

    assert read(provider, a_body(signed(notice_fields(), key))).order_id == ORDER_ID


@pytest.mark.parametrize(
    "fields",
    [
        signed(notice_fields(), PREVIOUS_KEY),
        signed(notice_fields(), ""),
        signed(notice_fields()) | {"vads_amount": "4101"},
        signed(notice_fields()) | {"vads_order_id": "ZZZZZZZZZZZZZZZZ"},
        signed(notice_fields()) | {"vads_added": "1"},
        notice_fields() | {"signature": "A" * 44},
        # eopayment would look for the secret of the other mode, which nobody has set.
        notice_fields(ctx_mode="PRODUCTION") | {"signature": "A" * 44},
        signed(notice_fields(ctx_mode="PRODUCTION"), "None"),
        signed(notice_fields(ctx_mode="PRODUCTION"), ""),
        notice_fields(ctx_mode="LIVE") | {"signature": "A" * 44},
        signed(notice_fields()) | {"signature": "é"},
        {},
    ],
)
def test_refuses_a_notice_whose_signature_is_wrong(fields: dict[str, str]) -> None:
    """W1, W13: another key, or a value changed on the way."""
    with pytest.raises(NoticeRefusedError):
        read(a_lyra_account(previous_key=None), a_body(fields))


@pytest.mark.parametrize("name", sorted(lyra.SHAPES.keys() - {"signature", "vads_ctx_mode"}))
def test_refuses_a_notice_without_a_field_that_counts(name: str) -> None:
    """W9: the rest is signed anew, so only the missing name gives it away."""
    fields = notice_fields()
    del fields[name]

    with pytest.raises(MalformedNoticeError, match=name):
        read(a_lyra_account(), a_body(signed(fields)))


@pytest.mark.parametrize("name", sorted(lyra.SHAPES))
def test_tells_a_stranger_nothing_but_that_the_signature_is_wrong(name: str) -> None:
    """What is missing is told only to who holds the key."""
    fields = signed(notice_fields(), "anotherkey")
    del fields[name]

    with pytest.raises(NoticeRefusedError, match="wrong signature"):
        read(a_lyra_account(), a_body(fields))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("amount", "-4100"),
        ("amount", "41.00"),
        ("amount", "٤١٠٠"),
        ("amount", "1" * 13),
        ("amount", ""),
        ("trans_uuid", "x"),
        ("trans_date", "2026-11-24"),
        ("trans_status", "AUTHORISED\n"),
    ],
)
def test_refuses_a_field_of_another_shape_even_if_signed(name: str, value: str) -> None:
    """A value that slid under another name seldom has its shape."""
    with pytest.raises(MalformedNoticeError):
        read(a_lyra_account(), a_body(signed(notice_fields(**{name: value}))))


@pytest.mark.parametrize(
    "body",
    [
        b'{"vads_amount": "4100"}',
        b"vads_amount",
        "vads_amount=é".encode(),
        b"vads_amount=%ff",
        b"&".join(b"f%d=1" % number for number in range(300)),
    ],
)
def test_refuses_what_is_no_form(body: bytes) -> None:
    """Anybody may post here."""
    with pytest.raises(MalformedNoticeError):
        read(a_lyra_account(), body)


@pytest.mark.parametrize("name", ["vads_amount", "vads_card_brand", "signature"])
def test_refuses_a_field_that_comes_twice(name: str) -> None:
    """W11: whoever takes the first and whoever takes the last would read two different notices."""
    fields = signed(notice_fields())

    with pytest.raises(MalformedNoticeError, match="twice"):
        read(a_lyra_account(), a_body(fields) + b"&" + urlencode({name: "1"}).encode())


def test_renaming_fields_in_order_forges_another_sum_which_is_never_booked() -> None:
    """W9, finding 4: names are not signed, so 4 100 cents become the authorisation's 314 159.

    The signature and every shape hold, and only the comparison with the order stops it.
    """
    genuine = signed(notice_fields())
    new_names = {
        "vads_amount": "vads_al",
        "vads_auth_mode": "vads_am",
        "vads_auth_number": "vads_amount",
    }
    forged = {new_names.get(name, name): value for name, value in genuine.items()}

    notice = read(a_lyra_account(), a_body(forged))

    assert notice.amount_cents == 314_159
    verdict = judge(an_attempt(), notice)
    assert (NoticeOutcome.OTHER_AMOUNT, None) == (verdict.outcome, verdict.attempt)


def test_a_payers_address_with_a_plus_does_not_go_to_the_provider() -> None:
    """The values are joined by `+`: out of such an address a whole notice could be cut.

    Whoever knows the reference of an earlier order could write `+AUTHORISED+` and the like into an
    address, have a card refused, and send the signed values again under other names.
    """
    fields = fields_for(an_order(email=f"a+DEBIT+{ORDER_ID}+AUTHORISED+b@exemple.test"))

    assert "vads_cust_email" not in fields
    assert not any("+" in value for name, value in fields.items() if name != "signature")


@pytest.mark.parametrize(
    "changes", [{"site_id": "87654321"}, {"ctx_mode": "PRODUCTION"}], ids=["shop", "mode"]
)
def test_tells_apart_a_notice_of_another_shop_or_mode(changes: dict[str, str]) -> None:
    """W4: signed with our key, so it is kept; a test payment never pays a real invoice."""
    assert read(a_lyra_account(), a_body(signed(notice_fields(**changes)))).is_foreign


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("AUTHORISED", AttemptState.CAPTURED),
        ("CAPTURED", AttemptState.CAPTURED),
        ("ACCEPTED", AttemptState.CAPTURED),
        ("AUTHORISED_TO_VALIDATE", None),
        ("WAITING_AUTHORISATION", None),
        ("WAITING_AUTHORISATION_TO_VALIDATE", None),
        ("UNDER_VERIFICATION", None),
        ("REFUSED", AttemptState.REFUSED),
        ("CAPTURE_FAILED", AttemptState.REFUSED),
        ("ABANDONED", AttemptState.ABANDONED),
        ("CANCELLED", AttemptState.ABANDONED),
        ("EXPIRED", AttemptState.ABANDONED),
        ("NOT_CREATED", AttemptState.ABANDONED),
        ("INVENTED_TOMORROW", None),
    ],
)
def test_reads_each_status_and_waits_on_one_it_does_not_know(
    status: str, state: AttemptState | None
) -> None:
    """A word that nobody knows is never taken for a yes or a no."""
    fields = signed(notice_fields(trans_status=status))

    assert state is read(a_lyra_account(), a_body(fields)).state


def test_the_table_names_every_status_of_the_guide() -> None:
    """What is missing would wait for ever."""
    assert {
        "ABANDONED",
        "ACCEPTED",
        "AUTHORISED",
        "AUTHORISED_TO_VALIDATE",
        "CANCELLED",
        "CAPTURED",
        "CAPTURE_FAILED",
        "EXPIRED",
        "INITIAL",
        "NOT_CREATED",
        "REFUSED",
        "UNDER_VERIFICATION",
        "WAITING_AUTHORISATION",
        "WAITING_AUTHORISATION_TO_VALIDATE",
    } == lyra.STATES.keys()


@pytest.mark.parametrize("operation", ["CREDIT", "VERIFICATION"])
def test_a_refund_or_a_check_of_a_card_is_no_payment(operation: str) -> None:
    """W16: both come as notices with an authorised status."""
    fields = signed(notice_fields(operation_type=operation))

    assert not read(a_lyra_account(), a_body(fields)).is_payment


def test_a_refund_says_what_went_back_under_its_own_name() -> None:
    """A town gives money back from Lyra's back office; a refund that is refused changes nothing."""
    made, refused = (
        read(
            a_lyra_account(),
            a_body(signed(notice_fields(operation_type="CREDIT", trans_status=status))),
        )
        for status in ("AUTHORISED", "REFUSED")
    )

    assert (AttemptState.REVERSED, "refund", 41_00, TRANSACTION) == (
        made.state,
        made.cause,
        made.amount_cents,
        made.provider_reference,
    )
    assert (AttemptState.REFUSED, None) == (refused.state, refused.cause)


def test_reads_an_abandonment_that_left_no_transaction() -> None:
    """Two payers who give up at once are two facts, though neither has a transaction."""
    empty = {"trans_status": "ABANDONED", "trans_uuid": "", "operation_type": ""}
    provider = a_lyra_account()

    first = read(provider, a_body(signed(notice_fields(**empty))))
    other = read(provider, a_body(signed(notice_fields(order_id="Z" * 16, **empty))))

    assert first.state is AttemptState.ABANDONED
    assert first.is_payment
    assert first.fact != other.fact


@pytest.mark.parametrize("name", ["trans_uuid", "operation_type"])
def test_refuses_a_capture_that_does_not_name_its_operation(name: str) -> None:
    """The books could not tell it from another."""
    with pytest.raises(MalformedNoticeError):
        read(a_lyra_account(), a_body(signed(notice_fields(**{name: ""}))))


def test_the_same_notice_is_the_same_fact_and_a_later_status_another() -> None:
    """AUTHORISED, then CAPTURED the day after: two statements on one operation."""
    provider = a_lyra_account()

    first, again, later = (
        read(provider, a_body(signed(notice_fields(trans_status=status, url_check_src=source))))
        for status, source in (
            ("AUTHORISED", "PAY"),
            ("AUTHORISED", "RETRY"),
            ("CAPTURED", "BATCH"),
        )
    )

    assert first.fact == again.fact
    assert first.fact != later.fact


def test_no_key_reaches_the_log_even_at_its_most_talkative(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """S26: eopayment logs the text that it signs, which ends with the key."""
    caplog.set_level(logging.DEBUG)

    fields_for(an_order())
    read(a_lyra_account(), a_body(signed(notice_fields())))

    assert KEY not in caplog.text
    assert "camille.martin" not in caplog.text
    assert KEY not in repr(an_account())
