"""Lyra (PayZen, SystemPay): form payment V2 and its signed notices, through eopayment."""

import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from payment.adapters.account_provider import AccountProvider
from payment.adapters.accounts import LyraShop
from payment.adapters.library import backend, euros, form_fields
from payment.adapters.notice_form import body_text, read_pairs, require_shapes
from payment.domain import AttemptState, Notice
from payment.ports import (
    Handover,
    MalformedNoticeError,
    NoticeRefusedError,
    Order,
    PaymentForm,
    RawNotice,
)

EURO = "978"
DEBIT = "DEBIT"
CREDIT = "CREDIT"

SHAPES: Mapping[str, re.Pattern[str]] = {
    name: re.compile(shape)
    for name, shape in {
        "vads_amount": "[0-9]{1,12}",
        "vads_ctx_mode": "TEST|PRODUCTION",
        "vads_currency": "[0-9]{3}",
        # A payer who gives up at once leaves no transaction: its day, type and name are empty.
        "vads_effective_creation_date": "([0-9]{14})?",
        "vads_operation_type": "[A-Z]*",
        "vads_order_id": "[A-Za-z0-9_-]{0,64}",
        "vads_site_id": "[0-9]{8}",
        "vads_trans_date": "[0-9]{14}",
        "vads_trans_id": "[0-9A-Za-z]{6}",
        "vads_trans_status": "[A-Z_]+",
        "vads_trans_uuid": "([0-9A-Za-z]{32})?",
        "signature": "[A-Za-z0-9+/=]{1,128}",
    }.items()
}
"""Fields that a notice must have, each once, and their shapes.

The signature covers the values joined by `+` and not the names: it does not say which value is
which, nor where one ends. So every field that counts is looked for by name and by shape here, and
compared with the stored order by the domain; and nothing that a payer writes goes to the provider
with a `+` in it (`_prepare`), or a notice could be cut out of it.
"""

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


class LyraAccount(AccountProvider[LyraShop]):
    """One shop at Lyra; see `ports.Provider`."""

    async def prepare(self, order: Order) -> Handover:
        """Return the form that leads the payer to the provider; calls nobody."""
        return await self._calls.run(self._prepare, order)

    def _prepare(self, order: Order) -> Handover:
        lyra = self._backend(self._account.key, order.return_url)
        _, _, form = lyra.request(
            euros(order.amount_cents),
            # `+` separates the signed values: an address that holds one could pass for several.
            email=order.email if order.email and "+" not in order.email else None,
            orderid=order.order_id,
            vads_language=order.language,
            vads_return_mode="GET",
        )
        fields = form_fields(form)
        return Handover(
            form=PaymentForm(url=self._account.service_url, method="POST", fields=fields),
            provider_day=datetime.strptime(fields["vads_trans_date"], "%Y%m%d%H%M%S")
            .replace(tzinfo=UTC)
            .date(),
            provider_number=fields["vads_trans_id"].lower(),
        )

    def _backend(self, key: str, return_url: str | None = None) -> Any:  # noqa: ANN401 - untyped
        options = {
            "vads_site_id": self._account.site_id,
            "vads_ctx_mode": self._account.ctx_mode,
            # A notice names a mode, and eopayment takes that mode's secret: never an unset one.
            "secret_test": key,
            "secret_production": key,
            "signature_algo": "hmac_sha256",
            "automatic_return_url": self._notify_url,
        }
        if return_url is not None:
            options["normal_return_url"] = return_url
        return backend("payzen", options)

    def read_notice(self, raw: RawNotice) -> Notice:
        """Return what a notice says, its signature checked on the raw values.

        Raises:
            MalformedNoticeError: a field is missing, comes twice or has another shape.
            NoticeRefusedError: the signature is wrong.
        """
        fields = dict(read_pairs(body_text(raw)))
        # First of all: a stranger learns nothing of what a notice should look like.
        if not self._is_signed(fields):
            message = "wrong signature"
            raise NoticeRefusedError(message)
        require_shapes(fields, SHAPES)
        status, operation = fields["vads_trans_status"], fields["vads_operation_type"]
        reference, amount = fields["vads_trans_uuid"], int(fields["vads_amount"])
        state = STATES.get(status)
        if state is AttemptState.CAPTURED and not (reference and operation):
            message = "a capture without its operation"
            raise MalformedNoticeError(message)
        is_refund = state is AttemptState.CAPTURED and operation == CREDIT
        shop = (fields["vads_site_id"], fields["vads_ctx_mode"])
        order_id = fields["vads_order_id"]
        return Notice(
            order_id=order_id,
            fact="/".join((order_id, reference, operation, status, str(amount))),
            state=AttemptState.REVERSED if is_refund else state,
            amount_cents=amount,
            currency="EUR" if fields["vads_currency"] == EURO else fields["vads_currency"],
            provider_reference=reference,
            is_foreign=shop != (self._account.site_id, self._account.ctx_mode),
            is_payment=operation in {DEBIT, ""},
            cause="refund" if is_refund else None,
        )

    def _is_signed(self, fields: Mapping[str, str]) -> bool:
        if fields.get("vads_ctx_mode") not in {"TEST", "PRODUCTION"}:
            # eopayment looks the secret up by it, and anybody may write anything there.
            return False
        given = fields.get("signature", "").encode()
        # Two keys hold while one replaces the other; both are always tried.
        matches = [
            hmac.compare_digest(self._backend(key).signature(dict(fields)).encode(), given)
            for key in (self._account.key, self._account.previous_key)
            if key
        ]
        return any(matches)
