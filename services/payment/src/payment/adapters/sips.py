"""Worldline Sips (Mercanet, Scellius, Sogenactif): sealed data there and back, by eopayment."""

import hmac
import re
from collections.abc import Mapping
from typing import Any

from payment.adapters.account_provider import AccountProvider
from payment.adapters.accounts import SipsShop
from payment.adapters.library import backend, euros, form_fields
from payment.adapters.notice_form import body_text, read_pairs, require_shapes
from payment.domain import AttemptState, Notice
from payment.ports import (
    Handover,
    NoticeRefusedError,
    Order,
    PaymentForm,
    RawNotice,
)
from shared.clock import paris_date
from shared.money import CURRENCY

EURO = "978"
SEPARATOR = "|"

SHAPES: Mapping[str, re.Pattern[str]] = {
    name: re.compile(shape)
    for name, shape in {
        "amount": "[0-9]{1,12}",
        "currencyCode": "[0-9]{3}",
        "merchantId": "[0-9]{15}",
        "responseCode": "[0-9A-Z]{2}",
        "transactionReference": "[A-Za-z0-9]{1,35}",
    }.items()
}
"""Fields that a notice must have, each once, and their shapes; their names are sealed too.

`transactionReference` is our order: Sips takes one once. `orderId` is not always told.
"""

STATES: Mapping[str, AttemptState | None] = {
    "00": AttemptState.CAPTURED,
    **dict.fromkeys(
        ("02", "03", "05", "12", "14", "30", "34", "40", "51", "54", "63", "75"),
        AttemptState.REFUSED,
    ),
    "17": AttemptState.ABANDONED,
    "97": AttemptState.EXPIRED,
    # 94 says that the reference was used before: that first use may have been paid.
    **dict.fromkeys(("24", "25", "60", "90", "94", "99"), None),
}
"""`responseCode`; a code that is not here is kept and changes nothing."""


class SipsAccount(AccountProvider[SipsShop]):
    """One shop at Sips; see `ports.Provider`."""

    async def prepare(self, order: Order) -> Handover:
        """Return the form that leads the payer to the provider; calls nobody."""
        return await self._calls.run(self._prepare, order)

    def _prepare(self, order: Order) -> Handover:
        # `|` separates the sealed fields: a value that holds one could pass for several.
        return_url = order.return_url.replace(SEPARATOR, "%7C")
        _, _, form = self._backend(self._account.key, return_url).request(
            euros(order.amount_cents),
            email=order.email if order.email and SEPARATOR not in order.email else None,
            orderid=order.order_id,
            transaction_id=order.order_id,
        )
        return Handover(
            form=PaymentForm(url=self._account.url, method="POST", fields=form_fields(form)),
            provider_day=paris_date(self._clock.now()),
            provider_number=order.order_id,
        )

    def _backend(self, key: str, return_url: str = "") -> Any:  # noqa: ANN401 - untyped
        return backend(
            "sips2",
            {
                "platform": "test" if self._account.mode == "TEST" else "prod",
                "merchant_id": self._account.merchant_id,
                "secret_key": key,
                "key_version": self._account.key_version,
                "normal_return_url": return_url,
                "automatic_return_url": self._notify_url,
            },
        )

    def read_notice(self, raw: RawNotice) -> Notice:
        """Return what a notice says, its seal checked on the text as it came.

        Raises:
            MalformedNoticeError: a field is missing, comes twice or has another shape.
            NoticeRefusedError: the seal is wrong.
        """
        form = dict(read_pairs(body_text(raw)))
        data = [part.partition("=") for part in form.get("Data", "").split(SEPARATOR)]
        fields = {name: value for name, _, value in data}
        # First of all: a stranger learns nothing of what a notice should look like.
        if len(fields) != len(data) or not self._is_sealed(fields, form):
            message = "wrong seal"
            raise NoticeRefusedError(message)
        require_shapes(fields, SHAPES)
        code, order_id = fields["responseCode"], fields["transactionReference"]
        amount, currency = int(fields["amount"]), fields["currencyCode"]
        state = STATES.get(code)
        if state is AttemptState.CAPTURED and fields.get("captureMode") == "VALIDATION":
            # Authorised only: somebody must still say that the money is to be taken.
            state = None
        return Notice(
            order_id=order_id,
            fact="/".join((order_id, code, str(amount))),
            state=state,
            amount_cents=amount,
            currency=CURRENCY if currency == EURO else currency,
            provider_reference=order_id,
            is_foreign=fields["merchantId"] != self._account.merchant_id,
        )

    def _is_sealed(self, fields: Mapping[str, str], form: Mapping[str, str]) -> bool:
        given = form.get("Seal", "").encode()
        # Two keys hold while one replaces the other; both are always tried.
        matches = [
            hmac.compare_digest(self._backend(key).seal_data(fields).encode(), given)
            for key in (self._account.key, self._account.previous_key)
            if key
        ]
        return any(matches)
