"""What the provider knows: open payment sessions, and the transactions that came of them."""

import secrets
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
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
    REFUSED = "REFUSED"
    ABANDONED = "ABANDONED"


ACCEPTED = frozenset({TransactionStatus.AUTHORISED, TransactionStatus.AUTHORISED_TO_VALIDATE})


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
    """One payment that ended: accepted, refused or abandoned."""

    form: PaymentForm
    trans_uuid: str
    status: TransactionStatus
    created_at: datetime
    card: Card | None
    auth_result: str
    auth_number: str
    certificate: str
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
        auth_result = card.ask_bank() if card else ""
        transaction = Transaction(
            form=session.form,
            trans_uuid=uuid4().hex,
            status=_status_of(session.form, card, auth_result),
            created_at=now,
            card=card,
            auth_result=auth_result,
            auth_number=f"{secrets.randbelow(10**6):06d}" if auth_result == APPROVED else "",
            certificate=secrets.token_hex(20) if auth_result == APPROVED else "",
        )
        session.transaction = transaction
        self._transactions[transaction.trans_uuid] = transaction
        while len(self._transactions) > MAX_TRANSACTIONS:
            self._transactions.popitem(last=False)
        return transaction

    def find_transaction(self, trans_uuid: str) -> Transaction | None:
        """Return the transaction of that identifier."""
        return self._transactions.get(trans_uuid)

    def transactions(self) -> Iterator[Transaction]:
        """Yield every transaction, the oldest first."""
        yield from self._transactions.values()


def _status_of(form: PaymentForm, card: Card | None, auth_result: str) -> TransactionStatus:
    if card is None:
        return TransactionStatus.ABANDONED
    if auth_result != APPROVED:
        return TransactionStatus.REFUSED
    if form["vads_validation_mode"] == "1":
        return TransactionStatus.AUTHORISED_TO_VALIDATE
    return TransactionStatus.AUTHORISED
