"""Builders for the simulators' tests: a shop, its signed form, a clock that stands still."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from simulators.card_provider.signature import sign
from simulators.card_provider.sites import Site

FormBuilder = Callable[..., dict[str, str]]
KEY = "1122334455667788"
NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def now() -> datetime:
    """Return the instant at which these tests take place."""
    return NOW


@pytest.fixture
def a_site() -> Callable[..., Site]:
    """Return a builder of shops."""

    def build(**changes: object) -> Site:
        described: dict[str, object] = {
            "site_id": "12345678",
            "name": "Cantine de Saint-Aubin",
            "key_test": KEY,
        }
        return Site(**(described | changes))  # type: ignore[arg-type]

    return build


@pytest.fixture
def a_form() -> FormBuilder:
    """Return a builder of signed forms; a field set to None is left out before signing."""

    def build(*, key: str = KEY, **changes: str | None) -> dict[str, str]:
        described: dict[str, str | None] = {
            "vads_action_mode": "INTERACTIVE",
            "vads_amount": "123456",
            "vads_ctx_mode": "TEST",
            "vads_currency": "978",
            "vads_page_action": "PAYMENT",
            "vads_payment_config": "SINGLE",
            "vads_site_id": "12345678",
            "vads_trans_date": NOW.strftime("%Y%m%d%H%M%S"),
            "vads_trans_id": "aS76J3",
            "vads_version": "V2",
            "vads_order_id": "CANTINE-2026-17",
        }
        fields = {name: value for name, value in (described | changes).items() if value is not None}
        if "signature" not in changes:
            fields["signature"] = sign(fields, key)
        return fields

    return build
