"""What the provider knows: open payment sessions, and the transactions that came of them."""

import secrets
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import uuid4

from simulators.card_provider.cards import APPROVED, Card
from simulators.card_provider.form import FormError, PaymentForm

MAX_SESSIONS = 20_000
MAX_TRANSACTIONS = 100_000
# An identifier counts for its UTC day; the accepted window of dates touches two days at most.
MAX_DAYS_REMEMBERED = 3


class TransactionStatus(StrEnum):
    """`vads_trans_status`, as far as the form payment reaches it."""

    AUTHORISED = "AUTHORISED"
    AUTHORISED_TO_VALIDATE = "AUTHORISED_TO_VALIDATE"
    CAPTURED = "CAPTURED"
    REFUSED = "REFUSED"
    ABANDONED = "ABANDONED"
    CANCELLED = "CANCELLED"


ACCEPTED = frozenset(
    {
        TransactionStatus.AUTHORISED,
        TransactionStatus.AUTHORISED_TO_VALIDATE,
        TransactionStatus.CAPTURED,
    }
)
NOT_SENT_TO_BANK = frozenset(
    {TransactionStatus.AUTHORISED, TransactionStatus.AUTHORISED_TO_VALIDATE}
)
"""Before the capture a payment can be cancelled, after it only refunded."""


class OperationType(StrEnum):
    """`vads_operation_type`."""

    DEBIT = "DEBIT"
    CREDIT = "CREDIT"


class OperationError(Exception):
    """The back office cannot do that to this transaction; `slug` is stable."""

    def __init__(self, *, slug: str, detail: str) -> None:
        """Refuse."""
        super().__init__(detail)
        self.slug = slug
        self.detail = detail


@dataclass(frozen=True, kw_only=True)
class NoticeAttempt:
    """One notice that left for the merchant, and what the merchant answered."""

    sent_at: datetime
    url: str
    source: str
    answer_code: int | None
    error: str | None
    is_signature_valid: bool


@dataclass(kw_only=True)
class Transaction:
    """One payment that ended, accepted, refused or abandoned; or one refund."""

    form: PaymentForm
    trans_uuid: str
    trans_id: str
    trans_date: str
    operation: OperationType
    amount_cents: int
    status: TransactionStatus
    created_at: datetime
    card: Card | None
    auth_result: str
    auth_number: str
    certificate: str
    refunded_cents: int = 0
    parent_uuid: str | None = None
    """The payment that a refund gives back."""
    notices: list[NoticeAttempt] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def is_accepted(self) -> bool:
        """Say whether money was taken."""
        return self.status in ACCEPTED


@dataclass(kw_only=True)
class Session:
    """One payer at the payment page."""

    session_id: str
    form: PaymentForm
    opened_at: datetime
    transaction: Transaction | None = None


class Ledger:
    """Keeps sessions and transactions in memory, the oldest giving way when there are too many."""

    def __init__(self, session_lifetime: timedelta) -> None:
        """Let a payer take `session_lifetime` to pay."""
        self._session_lifetime = session_lifetime
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._transactions: OrderedDict[str, Transaction] = OrderedDict()
        self._used_ids: OrderedDict[str, set[tuple[str, str]]] = OrderedDict()

    def open_session(self, form: PaymentForm, now: datetime) -> Session:
        """Offer the payment of `form` to a payer.

        Raises:
            FormError: `vads_trans_id` was used for this shop on the same UTC day; letter case
                makes no difference (Lyra, error 03).
        """
        used = self._used_ids.setdefault(form["vads_trans_date"][:8], set())
        identity = (form.site.site_id, form["vads_trans_id"].lower())
        if identity in used:
            reason = "Cet identifiant de transaction a déjà été utilisé ce jour."
            raise FormError(field="vads_trans_id", reason=reason)
        used.add(identity)
        while len(self._used_ids) > MAX_DAYS_REMEMBERED:
            del self._used_ids[min(self._used_ids)]
        session = Session(session_id=secrets.token_urlsafe(16), form=form, opened_at=now)
        self._sessions[session.session_id] = session
        while len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return session

    def find_session(self, session_id: str) -> Session | None:
        """Return the session of that identifier, ended or not."""
        return self._sessions.get(session_id)

    def is_expired(self, session: Session, now: datetime) -> bool:
        """Say whether the payer took too long and has not paid."""
        too_late = now > session.opened_at + self._session_lifetime
        return session.transaction is None and too_late

    def end_session(self, session: Session, card: Card | None, now: datetime) -> Transaction:
        """Charge `card`, or abandon the payment when there is none.

        The caller makes sure that the session is still open: a session ends once.
        """
        session.transaction = self._keep(_charge(session.form, card, now))
        return session.transaction

    def charge_late(self, form: PaymentForm, card: Card, now: datetime) -> Transaction:
        """Charge `card` though the session is over: a transaction of its own, for the same order.

        An abandoned or expired session keeps telling its payer what it told before.
        """
        return self._keep(_charge(form, card, now))

    def capture(self, transaction: Transaction) -> None:
        """Send an accepted payment or refund to the bank, as the night's batch does.

        Raises:
            OperationError: it is not accepted, or was sent before.
        """
        if transaction.status not in NOT_SENT_TO_BANK:
            raise OperationError(
                slug="not-capturable", detail=f"the transaction is {transaction.status.value}"
            )
        transaction.status = TransactionStatus.CAPTURED

    def cancel(self, transaction: Transaction) -> None:
        """Give up an accepted payment before its capture: no money moves.

        Raises:
            OperationError: it is not accepted, or was captured.
        """
        if transaction.status not in NOT_SENT_TO_BANK:
            raise OperationError(
                slug="not-cancellable", detail=f"the transaction is {transaction.status.value}"
            )
        transaction.status = TransactionStatus.CANCELLED
        if transaction.parent_uuid is not None:
            self._transactions[transaction.parent_uuid].refunded_cents -= transaction.amount_cents

    def refund(self, payment: Transaction, amount_cents: int | None, now: datetime) -> Transaction:
        """Give back a part of a payment, or all that is left: a transaction of type CREDIT.

        Only captured money can be given back, so the payment is captured first; that is not
        notified, as at Lyra without a rule for it.

        Raises:
            OperationError: it is no accepted payment, or less than that is left.
        """
        if payment.operation is not OperationType.DEBIT or not payment.is_accepted:
            raise OperationError(slug="not-refundable", detail="no money was taken")
        left_cents = payment.amount_cents - payment.refunded_cents
        refunded_cents = left_cents if amount_cents is None else amount_cents
        if not 0 < refunded_cents <= left_cents:
            raise OperationError(
                slug="amount-too-large", detail=f"{left_cents} cents can be refunded"
            )
        payment.status = TransactionStatus.CAPTURED
        payment.refunded_cents += refunded_cents
        return self._keep(
            replace(
                payment,
                trans_uuid=uuid4().hex,
                # The first character 9 is the back office's own.
                trans_id=f"9{secrets.randbelow(10**5):05d}",
                trans_date=now.strftime("%Y%m%d%H%M%S"),
                operation=OperationType.CREDIT,
                amount_cents=refunded_cents,
                status=TransactionStatus.AUTHORISED,
                created_at=now,
                refunded_cents=0,
                parent_uuid=payment.trans_uuid,
                notices=[],
                faults=[],
            )
        )

    def find_transaction(self, trans_uuid: str) -> Transaction | None:
        """Return the transaction of that identifier."""
        return self._transactions.get(trans_uuid)

    def transactions(self) -> Iterator[Transaction]:
        """Yield every transaction, the oldest first."""
        yield from self._transactions.values()

    def _keep(self, transaction: Transaction) -> Transaction:
        self._transactions[transaction.trans_uuid] = transaction
        while len(self._transactions) > MAX_TRANSACTIONS:
            self._transactions.popitem(last=False)
        return transaction


def _charge(form: PaymentForm, card: Card | None, now: datetime) -> Transaction:
    auth_result = card.ask_bank() if card else ""
    return Transaction(
        form=form,
        trans_uuid=uuid4().hex,
        trans_id=form["vads_trans_id"],
        trans_date=form["vads_trans_date"],
        operation=OperationType.DEBIT,
        amount_cents=form.amount_cents,
        status=_status_of(form, card, auth_result),
        created_at=now,
        card=card,
        auth_result=auth_result,
        auth_number=f"{secrets.randbelow(10**6):06d}" if auth_result == APPROVED else "",
        certificate=secrets.token_hex(20) if auth_result == APPROVED else "",
    )


def _status_of(form: PaymentForm, card: Card | None, auth_result: str) -> TransactionStatus:
    if card is None:
        return TransactionStatus.ABANDONED
    if auth_result != APPROVED:
        return TransactionStatus.REFUSED
    if form["vads_validation_mode"] == "1":
        return TransactionStatus.AUTHORISED_TO_VALIDATE
    return TransactionStatus.AUTHORISED
