"""The signature of Lyra's form payment V2."""

import eopayment
from hypothesis import given
from hypothesis import strategies as st

from simulators.card_provider.signature import SignatureAlgorithm, is_signed, sign

KEY = "1122334455667788"
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
FIELDS = st.dictionaries(
    st.from_regex(r"vads_[a-z_]{1,12}", fullmatch=True),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    max_size=8,
)


def test_signs_the_published_vector_with_hmac_sha256() -> None:
    """Accents count as UTF-8; the result is base64."""
    signature = sign(VECTOR, KEY)

    assert signature == "aHrJ7IzSGFa4pcYA8kh99+M/xBzoQ4Odnu3f4BUrpIA="


def test_signs_the_published_vector_with_sha1() -> None:
    """An old shop's signature is hexadecimal."""
    signature = sign(VECTOR, KEY, SignatureAlgorithm.SHA1)

    assert signature == "cf1ccac335590a33d6c243345c4f4531a0316b7f"


def test_leaves_out_the_fields_that_do_not_start_with_vads() -> None:
    """The signature itself and buttons of the form are not signed."""
    with_others = VECTOR | {"signature": "abc", "payer": "Payer"}

    assert sign(with_others, KEY) == sign(VECTOR, KEY)


def test_refuses_the_signature_of_another_key() -> None:
    """A signature is worth nothing without the shop's key."""
    signature = sign(VECTOR, "8877665544332211")

    assert not is_signed(VECTOR, KEY, signature)


def test_refuses_a_signature_that_is_not_ascii() -> None:
    """A nonsense signature is refused, it does not break the comparison."""
    assert not is_signed(VECTOR, KEY, "é")


@given(FIELDS)
def test_agrees_with_the_library_that_merchants_use(fields: dict[str, str]) -> None:
    """Both ends of the protocol compute the same signature for any fields."""
    merchant = eopayment.Payment(
        "payzen",
        {"secret_test": KEY, "vads_site_id": "12345678", "signature_algo": "hmac_sha256"},
    )
    signed = fields | {"vads_ctx_mode": "TEST"}

    assert sign(signed, KEY) == merchant.backend.signature(signed)


@given(FIELDS.filter(bool), st.data())
def test_a_changed_value_changes_the_signature(fields: dict[str, str], data: st.DataObject) -> None:
    """A value cannot be altered on its way."""
    name = data.draw(st.sampled_from(sorted(fields)))

    altered = fields | {name: fields[name] + "0"}

    assert not is_signed(altered, KEY, sign(fields, KEY))
