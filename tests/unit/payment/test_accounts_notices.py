"""Anybody may post anything to the notice address of any account."""

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment.adapters import lyra, ogone, paybox, sips
from payment.adapters.accounts import Account
from payment.adapters.providers import ConfiguredProviders
from payment.ports import MalformedNoticeError, NoticeRefusedError, Nudge, Provider, RawNotice
from tests.unit.payment.payment_builders import an_account
from tests.unit.payment.provider_builders import (
    FORM,
    a_clock,
    a_mollie_shop,
    a_paybox_shop,
    a_payfip_contract,
    a_sips_shop,
    a_tipi_contract,
    an_ogone_shop,
)

SIGNED: dict[str, Account] = {
    "lyra": an_account(previous_key="8877665544332211"),
    "paybox": a_paybox_shop(),
    "paybox with a token": a_paybox_shop(notify_token="t" * 32),
    "sips": a_sips_shop(),
    "ogone": an_ogone_shop(),
}
UNSIGNED: dict[str, Account] = {
    "mollie": a_mollie_shop(),
    "payfip": a_payfip_contract(),
    "tipi": a_tipi_contract(),
}
NAMES = [
    *lyra.SHAPES,
    *paybox.SHAPES,
    *paybox.CAPTURE_SHAPES,
    *ogone.SHAPES,
    *("Data", "Seal", "InterfaceVersion", "id", "idop", "idOp", "objet", "resultrans"),
]
"""What notices are made of, so that chance comes further than the first look."""
VALUES = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["TEST", "PRODUCTION", "4100", "00000", "AUTHORISED", "amount=1|amount=2", "é"]
    ),
    st.from_regex("|".join(f"{name}=[0-9]{{1,4}}" for name in sips.SHAPES), fullmatch=True),
)
FORMS = st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=12).map(urlencode)
BODIES = st.one_of(st.binary(max_size=200), FORMS.map(str.encode))
# Bytes of an address that are not UTF-8 come as lone surrogates.
QUERIES = st.one_of(st.sampled_from(["", "\udce9", "idop=\udce9"]), st.text(max_size=60), FORMS)


def provider_of(account: Account) -> Provider:
    """Return the provider of an account."""
    providers = ConfiguredProviders([account], "https://payer.example", a_clock())
    found = providers.by_account(account.provider, account.account)
    assert found is not None
    return found


@pytest.mark.parametrize("kind", SIGNED)
@given(body=BODIES, query=QUERIES)
def test_nothing_that_chance_writes_is_believed(kind: str, body: bytes, query: str) -> None:
    """Refused with one of two reasons, whatever it is; never another error."""
    provider = provider_of(SIGNED[kind])

    with pytest.raises((MalformedNoticeError, NoticeRefusedError)):
        provider.read_notice(RawNotice(body=body, query=query, content_type=FORM))


@pytest.mark.parametrize("kind", UNSIGNED)
@given(body=BODIES, query=QUERIES)
def test_what_is_not_signed_is_a_nudge_or_nothing(kind: str, body: bytes, query: str) -> None:
    """It says whom to ask about, and never how a payment ended."""
    provider = provider_of(UNSIGNED[kind])

    try:
        heard = provider.read_notice(RawNotice(body=body, query=query, content_type=FORM))
    except MalformedNoticeError:
        return
    assert isinstance(heard, Nudge)
    assert heard.reference.replace("-", "").replace("_", "").isalnum()
