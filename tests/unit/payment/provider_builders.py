"""Orders, notices as they come, and accounts that the tests of the providers share."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec

from payment.adapters.accounts import (
    BaseAccount,
    MollieShop,
    OgoneShop,
    PayboxShop,
    PayfipContract,
    SipsShop,
    TipiContract,
)
from payment.adapters.library import Calls
from payment.ports import Order, RawNotice
from shared.clock import FixedClock

T = TypeVar("T")
A = TypeVar("A", bound=BaseAccount)

NOW = datetime(2026, 11, 24, 13, 5, tzinfo=UTC)
ORDER_ID = "23456789ABCDEFGH"
NOTIFY_URL = "https://payer.example/payments/notify/x/compte"
RETURN_URL = "https://portail.example/paiement/retour"
FORM = "application/x-www-form-urlencoded"
CALLS_AT_ONCE = 4
CALLS = Calls("test", threads=CALLS_AT_ONCE, seconds=30.0)

PAYBOX_KEY = "0123456789ABCDEF" * 8
SIPS_KEY = "002001000000001_KEY1"
SHA_IN, SHA_OUT, PREVIOUS_SHA_OUT = "sha-in-passphrase!", "sha-out-passphrase", "sha-out-yesterday!"
MOLLIE_KEY = "test_" + "k" * 30
NUMCLI = "012345"
DEBT = "2026TITRE00042"


def a_clock() -> FixedClock:
    """Return a clock that stands at the time of the tests."""
    return FixedClock(NOW)


def an_order(**changes: object) -> Order:
    """Return what is asked for the canteen's invoice of 41,00 €."""
    order = Order(
        order_id=ORDER_ID,
        amount_cents=41_00,
        email="camille.martin@exemple.test",
        return_url=RETURN_URL,
        language="fr",
        subject="Repas d’octobre",
    )
    return msgspec.structs.replace(order, **changes)


def a_debt(**changes: object) -> Order:
    """Return what is asked for a titre of the treasury."""
    return an_order(**({"fiscal_year": 2026, "debt_reference": DEBT} | changes))


def a_raw(body: bytes = b"", query: str = "") -> RawNotice:
    """Return a notice as it comes."""
    return RawNotice(body=body, query=query, content_type=FORM)


def a_form(fields: dict[str, str]) -> RawNotice:
    """Return a notice that comes by POST with these fields."""
    return a_raw(urlencode(fields).encode("ascii"))


def _changed(account: A, changes: dict[str, object]) -> A:
    return msgspec.structs.replace(account, **changes)


def a_paybox_shop(**changes: object) -> PayboxShop:
    """Return Paybox's own test shop."""
    shop = PayboxShop(
        account="compte",
        authority="saint-aubin",
        regies=None,
        mode="TEST",
        site="1999888",
        rang="32",
        identifiant="110647233",
        key=PAYBOX_KEY,
    )
    return _changed(shop, changes)


def a_sips_shop(**changes: object) -> SipsShop:
    """Return Sips' own test shop."""
    shop = SipsShop(
        account="compte",
        authority="saint-aubin",
        regies=None,
        mode="TEST",
        merchant_id="002001000000001",
        key=SIPS_KEY,
    )
    return _changed(shop, changes)


def an_ogone_shop(**changes: object) -> OgoneShop:
    """Return a shop at Ogone."""
    shop = OgoneShop(
        account="compte",
        authority="saint-aubin",
        regies=None,
        mode="TEST",
        pspid="saintaubin",
        sha_in=SHA_IN,
        sha_out=SHA_OUT,
    )
    return _changed(shop, changes)


def a_mollie_shop(**changes: object) -> MollieShop:
    """Return a profile at Mollie."""
    shop = MollieShop(
        account="compte", authority="saint-aubin", regies=None, mode="TEST", key=MOLLIE_KEY
    )
    return _changed(shop, changes)


def a_payfip_contract(**changes: object) -> PayfipContract:
    """Return a régie's client number at PayFiP."""
    contract = PayfipContract(
        account="compte", authority="saint-aubin", regies=None, numcli=NUMCLI, saisie="T"
    )
    return _changed(contract, changes)


def a_tipi_contract(**changes: object) -> TipiContract:
    """Return a client number of PayFiP's form."""
    contract = TipiContract(
        account="compte", authority="saint-aubin", regies=None, numcli=NUMCLI, saisie="T"
    )
    return _changed(contract, changes)


def done(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine returns, for tests that have nothing else to wait for."""
    return asyncio.run(coroutine)


async def ticks_during(work: Callable[[], Coroutine[Any, Any, object]]) -> int:
    """Return how often the event loop came round while `work` was done."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    try:
        await work()
    finally:
        ticking.cancel()
    return ticks
