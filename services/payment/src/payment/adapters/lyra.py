"""Lyra (PayZen, SystemPay): form payment V2 and its signed notices, through eopayment."""

import asyncio
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import eopayment

from payment.adapters.accounts import Account
from payment.domain import AttemptState, Notice
from payment.ports import Handover, NoticeRefusedError, Order, PaymentForm

PROVIDER = "lyra"
EURO = "978"
MAXIMUM_FIELDS = 200

REQUIRED = frozenset(
    {
        "vads_amount",
        "vads_ctx_mode",
        "vads_currency",
        "vads_effective_creation_date",
        "vads_operation_type",
        "vads_order_id",
        "vads_site_id",
        "vads_trans_date",
        "vads_trans_id",
        "vads_trans_status",
        "vads_trans_uuid",
        "signature",
    }
)
"""The signature covers the values, not the names: the set of names is checked apart."""

STATES: Mapping[str, AttemptState | None] = {
    "AUTHORISED": AttemptState.CAPTURED,
    "CAPTURED": AttemptState.CAPTURED,
    "ACCEPTED": AttemptState.CAPTURED,
    "AUTHORISED_TO_VALIDATE": None,
    "WAITING_AUTHORISATION": None,
    "WAITING_AUTHORISATION_TO_VALIDATE": None,
    "INITIAL": None,
    "UNDER_VERIFICATION": None,
    "REFUSED": AttemptState.REFUSED,
    "CAPTURE_FAILED": AttemptState.REFUSED,
    "ABANDONED": AttemptState.ABANDONED,
    "CANCELLED": AttemptState.ABANDONED,
    "EXPIRED": AttemptState.ABANDONED,
    "NOT_CREATED": AttemptState.ABANDONED,
}
"""`vads_trans_status`; a status that is not here is kept and changes nothing."""


class LyraAccount:
    """One shop at Lyra; see `ports.Provider`."""

    def __init__(self, account: Account, notify_url: str) -> None:
        """Speak for `account`; notices come to `notify_url`."""
        self._account = account
        self._notify_url = notify_url

    @property
    def name(self) -> str:
        """Name of the provider, as events carry it."""
        return PROVIDER

    @property
    def account(self) -> str:
        """Name of the account."""
        return self._account.account

    async def prepare(self, order: Order) -> Handover:
        """Return the form that leads the payer to the provider; calls nobody."""
        # eopayment is synchronous: it never runs on the event loop.
        return await asyncio.to_thread(self._prepare, order)

    def _prepare(self, order: Order) -> Handover:
        backend = self._backend(self._account.key, order.return_url)
        _, _, form = backend.request(
            Decimal(order.amount_cents) / 100,
            email=order.email,
            orderid=order.order_id,
            vads_language=order.language,
            vads_return_mode="GET",
        )
        fields = {field["name"]: field["value"] for field in form.fields}
        return Handover(
            form=PaymentForm(url=self._account.service_url, method="POST", fields=fields),
            provider_day=datetime.strptime(fields["vads_trans_date"], "%Y%m%d%H%M%S")
            .replace(tzinfo=UTC)
            .date(),
            provider_number=fields["vads_trans_id"].lower(),
        )

    def _backend(self, key: str, return_url: str | None = None) -> Any:  # noqa: ANN401 - untyped
        mode = self._account.ctx_mode
        options = {
            "vads_site_id": self._account.site_id,
            "vads_ctx_mode": mode,
            "secret_test" if mode == "TEST" else "secret_production": key,
            "signature_algo": "hmac_sha256",
            "automatic_return_url": self._notify_url,
        }
        if return_url is not None:
            options["normal_return_url"] = return_url
        return eopayment.Payment("payzen", options).backend

    def read_notice(self, body: bytes) -> Notice:
        """Return what a notice says, its signature checked on the raw values.

        Raises:
            NoticeRefusedError: it proves nothing.
        """
        fields = _fields(body)
        missing = REQUIRED - fields.keys()
        if missing:
            raise NoticeRefusedError("missing " + ", ".join(sorted(missing)))
        expected = (self._account.site_id, self._account.ctx_mode)
        if (fields["vads_site_id"], fields["vads_ctx_mode"]) != expected:
            message = "another shop or mode"
            raise NoticeRefusedError(message)
        if not self._is_signed(fields):
            message = "wrong signature"
            raise NoticeRefusedError(message)
        amount = fields["vads_amount"]
        if not amount.isdecimal() or len(amount) > 12:
            message = "amount"
            raise NoticeRefusedError(message)
        status, operation = fields["vads_trans_status"], fields["vads_operation_type"]
        return Notice(
            order_id=fields["vads_order_id"],
            fact="/".join((fields["vads_trans_uuid"], operation, status, amount)),
            state=STATES.get(status) if operation == "DEBIT" else None,
            amount_cents=int(amount),
            currency="EUR" if fields["vads_currency"] == EURO else fields["vads_currency"],
            provider_reference=fields["vads_trans_uuid"],
        )

    def _is_signed(self, fields: Mapping[str, str]) -> bool:
        given = fields["signature"].encode()
        # Two keys hold while one replaces the other; both are always tried.
        matches = [
            hmac.compare_digest(self._backend(key).signature(dict(fields)).encode(), given)
            for key in (self._account.key, self._account.previous_key)
            if key
        ]
        return any(matches)


def _fields(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=MAXIMUM_FIELDS,
        )
    except ValueError as error:
        message = "not a form"
        raise NoticeRefusedError(message) from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        message = "a field comes twice"
        raise NoticeRefusedError(message)
    return fields
