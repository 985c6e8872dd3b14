"""PayFiP's form (TIPI) for titres and rôles: a way there, and a return that proves nothing."""

import re
from urllib.parse import urlsplit

from payment.adapters.account_provider import AccountProvider
from payment.adapters.accounts import TipiContract
from payment.adapters.library import backend, euros
from payment.adapters.notice_form import body_text, read_pairs
from payment.adapters.payfip_fields import DEBT_REFERENCE, is_email, plain
from payment.domain.attempts import ORDER_ALPHABET, ORDER_LENGTH
from payment.ports import (
    Handover,
    MalformedNoticeError,
    Nudge,
    Order,
    PaymentForm,
    ProviderRefusedError,
    RawNotice,
)
from shared.clock import paris_date

ORDER_ID = re.compile(f"[{ORDER_ALPHABET}]{{{ORDER_LENGTH}}}")
MAXIMUM_OBJECT = 100


class TipiAccount(AccountProvider[TipiContract]):
    """One client number of PayFiP's form; see `ports.Provider`.

    Whether a debt was paid is in the accountant's return file and nowhere else: the return of this
    form is not signed, and there is nobody to ask.
    """

    async def prepare(self, order: Order) -> Handover:
        """Return the way to PayFiP's form; calls nobody.

        Raises:
            ProviderRefusedError: the debt or the payer's address is not as PayFiP wants it.
        """
        return await self._calls.run(self._prepare, order)

    def _prepare(self, order: Order) -> Handover:
        if not DEBT_REFERENCE.fullmatch(order.debt_reference or "") or order.fiscal_year is None:
            code, detail = "R3", "La référence ou l’exercice de la dette n’est pas connu."
            raise ProviderRefusedError(code, detail)
        if not is_email(order.email):
            code, detail = "A2", "PayFiP demande une adresse électronique de 6 à 80 caractères."
            raise ProviderRefusedError(code, detail)
        contract = self._account
        # The debt may have several attempts: the order stands in the object, which comes back.
        _, _, url = backend(
            "tipi",
            {
                "numcli": contract.numcli,
                "saisie": contract.saisie,
                "automatic_return_url": self._notify_url,
            },
        ).request(
            euros(order.amount_cents),
            email=order.email,
            refdet=order.debt_reference,
            exer=order.fiscal_year,
            objet=f"{order.order_id} {plain(order.subject)}".strip()[:MAXIMUM_OBJECT],
        )
        return Handover(
            form=PaymentForm(
                url=f"{contract.service_url}?{urlsplit(url).query}", method="GET", fields={}
            ),
            provider_day=paris_date(self._clock.now()),
            provider_number=order.order_id,
            reference=order.order_id,
        )

    def read_notice(self, raw: RawNotice) -> Nudge:
        """Return which attempt the payer comes back from: a hint, whatever result it tells.

        Raises:
            MalformedNoticeError: it does not name an attempt.
        """
        fields = dict(read_pairs(body_text(raw) or raw.query))
        words = fields.get("objet", "").split(" ", 1)
        if not ORDER_ID.fullmatch(words[0]):
            message = "missing or misshapen: objet"
            raise MalformedNoticeError(message)
        return Nudge(reference=words[0])
