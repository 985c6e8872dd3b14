"""Mollie: a payment is made by a call, a notice is a name to ask about, by eopayment."""

import re
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from payment.adapters.account_provider import AccountProvider
from payment.adapters.accounts import MollieShop
from payment.adapters.library import CONNECT_SECONDS, READ_SECONDS, backend, euros
from payment.adapters.notice_form import body_text, read_pairs
from payment.domain import AttemptState, Notice
from payment.ports import (
    Handover,
    MalformedNoticeError,
    Nudge,
    Order,
    PaymentForm,
    ProviderRefusedError,
    ProviderUnavailableError,
    Question,
    RawNotice,
)
from shared.clock import paris_date
from shared.money import AmountError, parse_euros

REFERENCE = re.compile("tr_[A-Za-z0-9]{4,40}")

STATES: dict[str, AttemptState | None] = {
    "paid": AttemptState.CAPTURED,
    "failed": AttemptState.REFUSED,
    "canceled": AttemptState.ABANDONED,
    "expired": AttemptState.EXPIRED,
    "authorized": None,
    "open": None,
    "pending": None,
}
"""`status`; a word that is not here is kept and changes nothing."""


class Amount(msgspec.Struct, frozen=True, kw_only=True):
    """A sum as Mollie writes it, in euros with two decimals."""

    value: str
    currency: str


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """An address in an answer."""

    href: str


class Links(msgspec.Struct, frozen=True, kw_only=True):
    """The addresses of an answer; `checkout` is there while the payment is open."""

    checkout: Link | None = None


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """What we gave with the payment."""

    orderid: str = ""


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """What Mollie answers about a payment, as far as we read it."""

    id: str
    mode: Literal["test", "live"]
    status: str
    amount: Amount
    metadata: Metadata | None = None
    links: Links = msgspec.field(name="_links", default=Links())


class MollieAccount(AccountProvider[MollieShop]):
    """One profile at Mollie; see `ports.Provider`."""

    async def prepare(self, order: Order) -> Handover:
        """Return the way to the provider's page, which is made by a call.

        Raises:
            ProviderRefusedError: it does not want this order.
            ProviderUnavailableError: it does not answer, or not as it should.
        """
        return await self._calls.run(self._prepare, order)

    def _prepare(self, order: Order) -> Handover:
        reference, _, url = self._backend(order.return_url).request(
            euros(order.amount_cents), orderid=order.order_id, subject=order.subject or None
        )
        schemes = {"https", urlsplit(self._account.url).scheme}
        if not REFERENCE.fullmatch(reference) or urlsplit(url).scheme not in schemes:
            message = "an answer without a payment or its page"
            raise ProviderUnavailableError(message)
        return Handover(
            form=PaymentForm(url=url, method="GET", fields={}),
            provider_day=paris_date(self._clock.now()),
            provider_number=reference,
            reference=reference,
        )

    def _backend(self, return_url: str = "") -> Any:  # noqa: ANN401 - untyped
        mollie = backend(
            "mollie",
            {
                "api_key": self._account.key,
                "service_url": self._account.url.rstrip("/") + "/",
                "normal_return_url": return_url,
                "automatic_return_url": self._notify_url,
                "description_text": "",
            },
        )
        # The library's own call waits for ever and tells a refusal and a failure alike.
        mollie.call_endpoint = self._call
        return mollie

    def _call(
        self, method: str, endpoint: str, data: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        import requests  # noqa: PLC0415 - 6 MB, only where Mollie is used

        try:
            answer = requests.request(
                method,
                f"{self._account.url.rstrip('/')}/{endpoint}",
                headers={"Authorization": f"Bearer {self._account.key}", "Connection": "close"},
                json=data,
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                allow_redirects=False,
            )
        except requests.RequestException as error:
            message = f"no answer: {type(error).__name__}"
            raise ProviderUnavailableError(message) from error
        if 400 <= answer.status_code < 500 and answer.status_code not in {408, 429}:
            raise ProviderRefusedError(str(answer.status_code), _refusal(answer.status_code))
        if answer.status_code // 100 != 2:
            message = f"answered {answer.status_code}"
            raise ProviderUnavailableError(message)
        payment = _read(answer.content)
        href = payment.links.checkout.href if payment.links.checkout else ""
        # As far as the library reads it.
        return {"id": payment.id, "_links": {"checkout": {"href": href}}, "payment": payment}

    def read_notice(self, raw: RawNotice) -> Nudge:
        """Return whom to ask about: a notice holds nothing but the payment's name.

        Raises:
            MalformedNoticeError: it does not hold one name.
        """
        reference = dict(read_pairs(body_text(raw))).get("id", "")
        if not REFERENCE.fullmatch(reference):
            message = "missing or misshapen: id"
            raise MalformedNoticeError(message)
        return Nudge(reference=reference)

    async def ask(self, question: Question) -> Notice | None:
        """Return what Mollie says of a payment; None while the payer may still pay it.

        Raises:
            ProviderRefusedError: it does not know the payment, or not this key.
            ProviderUnavailableError: it does not answer, or not as it should.
        """
        return await self._calls.run(self._ask, question)

    def _ask(self, question: Question) -> Notice | None:
        if not REFERENCE.fullmatch(question.reference):
            # No answer to `prepare` was kept: there is nothing to ask about.
            raise ProviderRefusedError("404", _refusal(404))
        payment: Payment = self._call("GET", f"payments/{question.reference}")["payment"]
        state = STATES.get(payment.status)
        if state is None and payment.status in STATES:
            return None
        try:
            amount = parse_euros(payment.amount.value)
        except AmountError as error:
            message = "an answer without a sum"
            raise ProviderUnavailableError(message) from error
        told = (payment.id, payment.metadata.orderid if payment.metadata else "")
        return Notice(
            order_id=question.order_id,
            fact="/".join((payment.id, payment.status, str(amount))),
            state=state,
            amount_cents=amount,
            currency=payment.amount.currency,
            provider_reference=payment.id,
            is_foreign=(payment.mode == "test") is not (self._account.mode == "TEST"),
            fields_differ=told != (question.reference, question.order_id),
        )


def _read(content: bytes) -> Payment:
    try:
        return msgspec.json.decode(content, type=Payment)
    except msgspec.DecodeError as error:
        message = "an answer that is no payment"
        raise ProviderUnavailableError(message) from error


def _refusal(status: int) -> str:
    if status in {401, 403}:
        return "Mollie n’accepte pas la clé de ce compte."
    if status in {404, 410}:
        return "Mollie ne connaît pas ce paiement."
    return "Mollie refuse ce paiement."
