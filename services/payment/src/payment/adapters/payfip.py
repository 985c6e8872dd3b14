"""PayFiP by web service: a notice proves nothing, so every outcome is asked for and compared.

An idOp lives 15 minutes. Its result is unknown (P5) before it is paid, and also after it was left
unpaid; the night purges those that nobody opened, which are then unknown themselves (P1). Sources:
eopayment's notes on the DGFiP guide, and its recordings.
"""

import re
from datetime import timedelta
from typing import Any

import msgspec

from payment.adapters import payfip_soap
from payment.adapters.account_provider import AccountProvider
from payment.adapters.accounts import PayfipContract
from payment.adapters.library import euros
from payment.adapters.notice_form import body_text, read_pairs
from payment.adapters.payfip_fields import DEBT_REFERENCE, is_email, plain
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
from shared.money import CURRENCY

IDOP = re.compile("[A-Za-z0-9][A-Za-z0-9-]{7,63}")
CENTS = re.compile("[0-9]{1,12}")

UNKNOWN_FOR = timedelta(minutes=120)
"""How long P5 may still become a payment; eopayment waits as long."""
ABANDONED_AFTER = timedelta(minutes=2)
"""A page that was given up may be used again for a moment."""

PAID_BY_CARD, PAID_BY_DEBIT = "P", "V"
REFUSED_CARD, REFUSED_DEBIT = "R", "Z"
ABANDONED = "A"

STATES: dict[str, AttemptState] = {
    PAID_BY_CARD: AttemptState.CAPTURED,
    PAID_BY_DEBIT: AttemptState.CAPTURED,
    REFUSED_CARD: AttemptState.REFUSED,
    REFUSED_DEBIT: AttemptState.REFUSED,
    ABANDONED: AttemptState.ABANDONED,
}
"""`resultrans`; a letter that is not here is kept and changes nothing."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked of PayFiP: compared with every answer."""

    numcli: str
    refdet: str


class PayfipAccount(AccountProvider[PayfipContract]):
    """One client number at PayFiP; see `ports.Provider`."""

    async def prepare(self, order: Order) -> Handover:
        """Return the way to PayFiP's page, for an operation that is made by a call.

        Raises:
            ProviderRefusedError: PayFiP does not want this order.
            ProviderUnavailableError: it does not answer, or not as it should.
        """
        return await self._calls.run(self._prepare, order)

    def _prepare(self, order: Order) -> Handover:
        contract = self._account
        now = self._clock.now()
        refdet = self._debt(order)
        if not is_email(order.email):
            raise _refused("A2" if order.email else "A1")
        idop = payfip_soap.create(
            {
                "numcli": contract.numcli,
                "saisie": contract.saisie,
                "normal_return_url": order.return_url,
                "automatic_return_url": self._notify_url,
            },
            contract.service_url,
            {
                "amount": euros(order.amount_cents),
                "email": order.email,
                "refdet": refdet,
                "exer": str(order.fiscal_year or paris_date(now).year),
                "orderid": order.order_id,
                "subject": plain(order.subject),
            },
        )
        if not IDOP.fullmatch(idop):
            message = "an answer without an operation"
            raise ProviderUnavailableError(message)
        return Handover(
            form=PaymentForm(url=f"{contract.page_url}?idop={idop}", method="GET", fields={}),
            provider_day=paris_date(now),
            provider_number=idop,
            reference=idop,
            raw=msgspec.json.encode(Asked(numcli=contract.numcli, refdet=refdet)),
        )

    def _debt(self, order: Order) -> str:
        if self._account.route == "regie":
            # A new one for each attempt: PayFiP takes none twice.
            return order.order_id
        reference = order.debt_reference or ""
        if not DEBT_REFERENCE.fullmatch(reference):
            raise _refused("R3")
        if order.fiscal_year is None:
            code = "E1"
            raise ProviderRefusedError(code, "L’exercice de la dette n’est pas connu.")
        return reference

    def read_notice(self, raw: RawNotice) -> Nudge:
        """Return which operation to ask about: a notice holds nothing else, and is not signed.

        Raises:
            MalformedNoticeError: it does not hold one operation.
        """
        pairs = [
            pair
            for text in (body_text(raw), raw.query)
            if text
            for pair in read_pairs(text)
            if pair[0] in {"idop", "idOp"}
        ]
        if len(pairs) != 1 or not IDOP.fullmatch(pairs[0][1]):
            message = "missing, misshapen or twice: idop"
            raise MalformedNoticeError(message)
        return Nudge(reference=pairs[0][1])

    async def ask(self, question: Question) -> Notice | None:
        """Return what PayFiP says of an operation; None while it may still become a payment.

        Raises:
            ProviderRefusedError: there is no operation to ask about, or PayFiP says so.
            ProviderUnavailableError: it does not answer, or not as it should.
        """
        return await self._calls.run(self._ask, question)

    def _ask(self, question: Question) -> Notice | None:
        if not IDOP.fullmatch(question.reference):
            # No answer to `prepare` was kept: there is nothing to ask about.
            raise _refused("P1")
        try:
            answer = payfip_soap.detail(self._account.service_url, question.reference)
        except ProviderRefusedError as error:
            if error.code not in {"P1", "P5"}:
                raise
            return self._never_paid(question) if self._is_over(question, error.code) else None
        return self._told(question, answer)

    def _is_over(self, question: Question, code: str) -> bool:
        """Say whether an operation without a result cannot have one any more."""
        now = self._clock.now()
        if code == "P5":
            return now - question.started_at >= UNKNOWN_FOR
        is_purged = paris_date(now) > paris_date(question.started_at)
        # Also just after midnight an operation lives its time.
        return is_purged and now - question.started_at >= self.rules.session

    def _never_paid(self, question: Question) -> Notice:
        return Notice(
            order_id=question.order_id,
            fact=f"{question.reference}/expired",
            state=AttemptState.EXPIRED,
            amount_cents=question.amount_cents,
            currency=CURRENCY,
            provider_reference=question.reference,
            raw=question.raw,
        )

    def _told(self, question: Question, answer: Any) -> Notice | None:  # noqa: ANN401 - of the WSDL
        asked = _asked(question, self._account.numcli)
        result, montant = answer.resultrans or "", answer.montant or ""
        if result == ABANDONED and self._may_resume(question, answer):
            return None
        amount = int(montant) if CENTS.fullmatch(montant) else 0
        told = (answer.numcli, answer.refdet, answer.idOp, amount)
        expected = (asked.numcli, asked.refdet, question.reference, question.amount_cents)
        is_debit = result in {PAID_BY_DEBIT, REFUSED_DEBIT}
        return Notice(
            order_id=question.order_id,
            fact=f"{question.reference}/{result}/{montant}",
            state=STATES.get(result),
            amount_cents=amount,
            currency=CURRENCY,
            provider_reference=question.reference,
            is_foreign=answer.saisie != self._account.saisie,
            fields_differ=told != expected,
            # A debit that was taken can come back from the payer's bank.
            is_settled=result != PAID_BY_DEBIT,
            means="direct_debit" if is_debit else "payfip",
            raw=question.raw,
        )

    def _may_resume(self, question: Question, answer: Any) -> bool:  # noqa: ANN401 - of the WSDL
        """Say whether the page of an abandonment may still be open."""
        from eopayment.payfip_ws import Payment  # noqa: PLC0415 - loaded by the call before

        at = Payment.get_transaction_datetime(answer)
        since = at or question.started_at + self.rules.session
        return self._clock.now() - since < ABANDONED_AFTER


def _asked(question: Question, numcli: str) -> Asked:
    """Return what was asked; a régie's debt is the order itself."""
    if question.raw is None:
        return Asked(numcli=numcli, refdet=question.order_id)
    return msgspec.json.decode(question.raw, type=Asked)


def _refused(code: str) -> ProviderRefusedError:
    return ProviderRefusedError(code, payfip_soap.SENTENCES[code])
