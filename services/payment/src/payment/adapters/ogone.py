"""Ogone (Ingenico, Worldline e-Commerce): SHA-IN on the form, SHA-OUT on notices, by eopayment."""

import hmac
import re
from collections.abc import Mapping
from typing import Any

from payment.adapters.account_provider import AccountProvider
from payment.adapters.accounts import OgoneShop
from payment.adapters.library import backend, euros, form_fields
from payment.adapters.notice_form import form_text, read_pairs, require_shapes
from payment.domain import AttemptState, Notice
from payment.ports import (
    Handover,
    MalformedNoticeError,
    NoticeRefusedError,
    Order,
    PaymentForm,
    RawNotice,
)
from shared.clock import paris_date
from shared.money import parse_euros

LATIN = "iso-8859-1"
ENCODINGS = ("utf-8", LATIN)
LANGUAGES = {"fr": "fr_FR", "en": "en_US"}

SHAPES: Mapping[str, re.Pattern[str]] = {
    name: re.compile(shape)
    for name, shape in {
        "AMOUNT": r"[0-9]{1,10}(\.[0-9]{1,2})?",
        "CURRENCY": "[A-Z]{3}",
        "NCERROR": "[0-9]{0,10}",
        "ORDERID": "[A-Za-z0-9]{1,40}",
        "PAYID": "[0-9]{0,20}",
        "STATUS": "[0-9]{1,2}",
        "SHASIGN": "[0-9A-Fa-f]{64,128}",
    }.items()
}
"""Fields that a notice must have, each once, and their shapes; their names are signed too."""

STATES: Mapping[str, AttemptState | None] = {
    "1": AttemptState.ABANDONED,
    "2": AttemptState.REFUSED,
    "9": AttemptState.CAPTURED,
    "93": AttemptState.REFUSED,
    "95": AttemptState.CAPTURED,
}
"""`STATUS`; 5 and 5x are authorisations, 91 and 92 wait: what is not here changes nothing."""

REFUNDED = frozenset({"8", "85"})
"""`STATUS` of money that went back."""
AFTER_PAYMENT = frozenset("678")
"""First digits of what happens to a payment that was made: cancelled, deleted, refunded."""


class OgoneAccount(AccountProvider[OgoneShop]):
    """One shop at Ogone; see `ports.Provider`. Its back office holds the notice address."""

    async def prepare(self, order: Order) -> Handover:
        """Return the form that leads the payer to the provider; calls nobody."""
        return await self._calls.run(self._prepare, order)

    def _prepare(self, order: Order) -> Handover:
        _, _, form = self._backend(self._account.sha_out, order.return_url).request(
            euros(order.amount_cents),
            # The page's own encoding is the shop's choice: other characters would break the hash.
            email=order.email if order.email and order.email.isascii() else None,
            orderid=order.order_id,
            transaction_id=order.order_id,
            language=LANGUAGES[order.language],
        )
        return Handover(
            form=PaymentForm(url=self._account.url, method="POST", fields=form_fields(form)),
            provider_day=paris_date(self._clock.now()),
            provider_number=order.order_id,
        )

    def _backend(self, sha_out: str, return_url: str = "") -> Any:  # noqa: ANN401 - untyped
        return backend(
            "ogone",
            {
                "environment": "TEST" if self._account.mode == "TEST" else "PROD",
                "pspid": self._account.pspid,
                "sha_in": self._account.sha_in,
                "sha_out": sha_out,
                "hash_algorithm": self._account.algorithm,
                "encoding": "utf-8",
                "normal_return_url": return_url,
            },
        )

    def read_notice(self, raw: RawNotice) -> Notice:
        """Return what a notice says, its signature checked on the raw values.

        Raises:
            MalformedNoticeError: a field is missing, comes twice or has another shape.
            NoticeRefusedError: the signature is wrong.
        """
        fields = _fields(form_text(raw))
        # First of all: a stranger learns nothing of what a notice should look like.
        if not self._is_signed(fields):
            message = "wrong signature"
            raise NoticeRefusedError(message)
        require_shapes(fields, SHAPES)
        status, order_id, reference = fields["STATUS"], fields["ORDERID"], fields["PAYID"]
        operation = f"{reference}/{fields['PAYIDSUB']}" if fields.get("PAYIDSUB") else reference
        amount = parse_euros(fields["AMOUNT"])
        state = AttemptState.REVERSED if status in REFUNDED else STATES.get(status)
        if state in {AttemptState.CAPTURED, AttemptState.REVERSED} and not reference:
            message = "a payment without its operation"
            raise MalformedNoticeError(message)
        return Notice(
            order_id=order_id,
            fact="/".join((order_id, operation, status, str(amount))),
            state=state,
            amount_cents=amount,
            currency=fields["CURRENCY"],
            # A refund is an operation of its own, numbered below the payment.
            provider_reference=operation if status in REFUNDED else reference,
            is_payment=status[0] not in AFTER_PAYMENT,
            cause="refund" if status in REFUNDED else None,
        )

    def _is_signed(self, fields: Mapping[str, str]) -> bool:
        given = fields.get("SHASIGN", "").upper().encode()
        unsigned = {name: value for name, value in fields.items() if name != "SHASIGN"}
        # Two keys hold while one replaces the other, and the shop's back office says in which
        # encoding notices are signed, which they do not say themselves; all are always tried.
        matches = [
            hmac.compare_digest(
                self._backend(key).sha_sign_out(unsigned, encoding=encoding).encode(), given
            )
            for key in (self._account.sha_out, self._account.previous_sha_out)
            for encoding in ENCODINGS
            if key
        ]
        return any(matches)


def _fields(text: str) -> dict[str, str]:
    try:
        pairs = read_pairs(text)
    except MalformedNoticeError:
        pairs = read_pairs(text, LATIN)
    fields = {name.upper(): value for name, value in pairs}
    if len(fields) != len(pairs):
        message = "a field comes twice"
        raise MalformedNoticeError(message)
    return fields
