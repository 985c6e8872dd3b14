"""Paybox and Up2Pay: a form signed with HMAC-SHA-512, and notices signed with RSA, by eopayment."""

import base64
import hmac
import re
from collections.abc import Mapping

from payment.adapters.account_provider import AccountProvider
from payment.adapters.accounts import PayboxShop
from payment.adapters.library import backend, euros, form_fields
from payment.adapters.notice_form import body_text, read_pairs, require_shapes
from payment.domain import AttemptState, Notice
from payment.ports import (
    Handover,
    NoticeRefusedError,
    Order,
    PaymentForm,
    ProviderRefusedError,
    RawNotice,
)
from shared.clock import paris_date
from shared.money import CURRENCY

LANGUAGES = {"fr": "FRA", "en": "GBR"}
PAID = "00000"
TEST_AUTHORISATION = "XXXXXX"
"""What stands for the bank's number when no bank was asked."""

SHAPES: Mapping[str, re.Pattern[str]] = {
    name: re.compile(shape)
    for name, shape in {
        "montant": "[0-9]{1,12}",
        "reference": "[A-Za-z0-9_-]{1,64}",
        "erreur": "[0-9]{5}",
        "signature": "[A-Za-z0-9+/=]{1,1024}",
    }.items()
}
"""Fields that a notice must have, each once, and their shapes; their names are signed too."""

CAPTURE_SHAPES: Mapping[str, re.Pattern[str]] = {
    "code_autorisation": re.compile("[A-Za-z0-9]{1,10}"),
    "numero_appel": re.compile("[0-9]{1,20}"),
    "numero_transaction": re.compile("[0-9]{1,20}"),
}
"""What a payment that was made has besides; Paybox leaves them out of a refusal."""

STATES: Mapping[str, AttemptState | None] = {
    PAID: AttemptState.CAPTURED,
    "00001": AttemptState.ABANDONED,
    "00004": AttemptState.REFUSED,
    "00008": AttemptState.REFUSED,
    "00021": AttemptState.REFUSED,
    "00029": AttemptState.REFUSED,
    "00030": AttemptState.EXPIRED,
    "00033": AttemptState.REFUSED,
    "00040": AttemptState.REFUSED,
    "99999": None,
}
"""`erreur`. 001xx is a bank's refusal; a code that is not here is kept and changes nothing."""


class PayboxAccount(AccountProvider[PayboxShop]):
    """One shop at Paybox; see `ports.Provider`."""

    async def prepare(self, order: Order) -> Handover:
        """Return the form that leads the payer to the provider; calls nobody.

        Raises:
            ProviderRefusedError: the payer's address cannot be signed, or there is none.
        """
        return await self._calls.run(self._prepare, order)

    def _prepare(self, order: Order) -> Handover:
        # `&` separates the signed fields: an address that holds one could pass for several.
        if not order.email or "&" in order.email:
            code, detail = "email", "Paybox demande une adresse électronique, et sans « & »."
            raise ProviderRefusedError(code, detail)
        shop = self._account
        options = {
            "platform": "test" if shop.mode == "TEST" else "prod",
            "site": shop.site,
            "rang": shop.rang,
            "identifiant": shop.identifiant,
            "shared_secret": shop.key,
            "normal_return_url": order.return_url,
        }
        if shop.notify_token is None:
            options["automatic_return_url"] = self._notify_url
        # 3-D Secure 2 asks for the number of articles.
        _, _, form = backend("paybox", options).request(
            euros(order.amount_cents),
            email=order.email,
            transaction_id=order.order_id,
            total_quantity=1,
        )
        from eopayment.paybox import sign  # noqa: PLC0415 - 13 MB, only where it is used

        unsigned = [
            (name, value) for name, value in form_fields(form).items() if name != "PBX_HMAC"
        ]
        unsigned += [("PBX_LANGUE", LANGUAGES[order.language]), ("PBX_RUF1", "POST")]
        signed = dict(sign(unsigned, bytes.fromhex(shop.key)))
        return Handover(
            form=PaymentForm(url=shop.url, method="POST", fields=signed),
            provider_day=paris_date(self._clock.now()),
            provider_number=order.order_id,
        )

    def read_notice(self, raw: RawNotice) -> Notice:
        """Return what a notice says, its signature checked on the text as it came.

        Raises:
            MalformedNoticeError: a field is missing, comes twice or has another shape.
            NoticeRefusedError: the signature or the token of the address is wrong.
        """
        text = body_text(raw)
        pairs = read_pairs(text)
        fields = dict(pairs)
        # First of all: a stranger learns nothing of what a notice should look like.
        if not self._is_addressed(raw.query) or not self._is_signed(text, fields):
            message = "wrong signature"
            raise NoticeRefusedError(message)
        require_shapes(fields, SHAPES)
        error, order_id, amount = fields["erreur"], fields["reference"], int(fields["montant"])
        state = AttemptState.REFUSED if error.startswith("001") else STATES.get(error)
        if state is AttemptState.CAPTURED:
            require_shapes(fields, CAPTURE_SHAPES)
        transaction = fields.get("numero_transaction", "")
        is_test = fields.get("code_autorisation") == TEST_AUTHORISATION
        return Notice(
            order_id=order_id,
            fact="/".join((order_id, transaction, error, str(amount))),
            state=state,
            amount_cents=amount,
            # Not told: it is the one that we signed.
            currency=CURRENCY,
            provider_reference=transaction,
            is_foreign=is_test and self._account.mode == "PRODUCTION",
        )

    def _is_addressed(self, query: str) -> bool:
        token = self._account.notify_token
        # What is not UTF-8 in an address comes as lone surrogates.
        given = query.encode("utf-8", "backslashreplace")
        return token is None or hmac.compare_digest(given, f"token={token}".encode())

    def _is_signed(self, text: str, fields: Mapping[str, str]) -> bool:
        from eopayment.paybox import PAYBOX_KEY, verify  # noqa: PLC0415 - as above

        # What follows the signature is not signed: nothing may.
        signed, separator, rest = text.rpartition("&signature=")
        if not separator or "&" in rest:
            return False
        try:
            signature = base64.b64decode(fields.get("signature", ""), validate=True)
        except ValueError:
            # Also what is not ASCII, which is no error of base64's own.
            return False
        keys = (self._account.public_key or PAYBOX_KEY, self._account.previous_public_key)
        # Two keys hold while one replaces the other.
        return any(verify(signed, signature, key) for key in keys if key)
