"""What PayFiP knows: every idOp, whether its page was opened, how it ended, and until when.

Life of an idOp (eopayment's comments, and an integration that quotes the DGFiP's guide): its page
can be opened for 15 minutes; one that was never opened goes with the night's cleaning; a result
can be read for a year; an abandonment is open to second thoughts for two minutes.
"""

import secrets
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import uuid4

from simulators.pages import PARIS
from simulators.payfip.refusals import RefusalError
from simulators.payfip.requests import PaymentRequest

MAX_PAYMENTS = 100_000
OPENING_LIFETIME = timedelta(minutes=15)
# The page of an attempt lives as long as a second attempt at the same debt must wait: there is
# never more than one page on which a debt can be paid.
PAGE_LIFETIME = timedelta(minutes=20)
RECONSIDERING = timedelta(minutes=2)
KEPT = timedelta(days=365)


class ResultCode(StrEnum):
    """`resultrans`."""

    CARD_PAID = "P"
    DEBIT_PAID = "V"
    CARD_REFUSED = "R"
    DEBIT_REFUSED = "Z"
    ABANDONED = "A"


PAID = frozenset({ResultCode.CARD_PAID, ResultCode.DEBIT_PAID})


@dataclass(frozen=True, kw_only=True)
class Result:
    """How an operation ended, from `at` on."""

    code: ResultCode
    at: datetime
    numauto: str
    """Number of the bank's authorisation; empty when nothing was taken."""


@dataclass(frozen=True, kw_only=True)
class NoticeAttempt:
    """One notice that left for the merchant, and what the merchant answered."""

    sent_at: datetime
    url: str
    answer_code: int | None
    error: str | None


@dataclass(kw_only=True)
class Payment:
    """One idOp and what became of it."""

    idop: str
    request: PaymentRequest
    created_at: datetime
    opened_at: datetime | None = None
    results: list[Result] = field(default_factory=list)
    """By time; a later one stands in for the earlier from its own time on."""
    readable_at: datetime | None = None
    is_never_readable: bool = False
    is_cleaned_at_night: bool = False
    notices: list[NoticeAttempt] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def result(self, now: datetime) -> Result | None:
        """Return how it stands at `now`, whether or not the web service tells; None: not ended."""
        return next((result for result in reversed(self.results) if result.at <= now), None)

    def is_paid(self, now: datetime) -> bool:
        """Say whether money was taken."""
        result = self.result(now)
        return result is not None and result.code in PAID

    def is_forgotten(self, now: datetime) -> bool:
        """Say whether the night's cleaning, or the year, took it away."""
        if now > self.created_at + KEPT:
            return True
        is_swept = self.opened_at is None or self.is_cleaned_at_night
        return is_swept and _paris_day(now) > _paris_day(self.created_at)

    def is_reconsidered(self, now: datetime) -> bool:
        """Say whether it was abandoned so lately that its page may still be open."""
        result = self.result(now)
        return (
            result is not None
            and result.code is ResultCode.ABANDONED
            and now <= result.at + RECONSIDERING
        )

    def holds_debt(self, now: datetime) -> bool:
        """Say whether its page is open, so that nobody else may pay the same debt yet."""
        if self.opened_at is None or now > self.opened_at + PAGE_LIFETIME:
            return False
        return self.result(now) is None


class HeldError(Exception):
    """The debt is being paid under another idOp; another try may be made at `until`."""

    def __init__(self, until: datetime) -> None:
        """Hold until then."""
        super().__init__(f"held until {until.isoformat()}")
        self.until = until


class Ledger:
    """Keeps operations in memory, the oldest giving way when there are too many."""

    def __init__(self) -> None:
        """Start empty."""
        self._payments: OrderedDict[str, Payment] = OrderedDict()

    def create(self, request: PaymentRequest, now: datetime) -> Payment:
        """Give `request` an idOp of its own; the same request twice gets two."""
        payment = Payment(idop=str(uuid4()), request=request, created_at=now)
        self._payments[payment.idop] = payment
        while len(self._payments) > MAX_PAYMENTS:
            self._payments.popitem(last=False)
        return payment

    def find(self, idop: str) -> Payment | None:
        """Return the operation, forgotten or not: the simulator's own memory is longer."""
        return self._payments.get(idop)

    def payments(self) -> Iterator[Payment]:
        """Yield every operation, the oldest first."""
        yield from self._payments.values()

    def open_page(self, idop: str, now: datetime) -> Payment:
        """Return the operation that a payer may pay now; its page counts as opened.

        Raises:
            RefusalError: P1 unknown, P3 it ended, P4 it is too old to be paid.
            HeldError: the same debt is being paid under another idOp.
        """
        payment = self.find(idop)
        if payment is None or payment.is_forgotten(now):
            raise RefusalError("P1")
        if payment.result(now) is not None and not payment.is_reconsidered(now):
            raise RefusalError("P3")
        if payment.opened_at is None:
            if now > payment.created_at + OPENING_LIFETIME:
                raise RefusalError("P4")
            self._require_free(payment, now)
            payment.opened_at = now
        elif now > payment.opened_at + PAGE_LIFETIME:
            raise RefusalError("P4")
        return payment

    def detail(self, idop: str, now: datetime) -> tuple[Payment, Result]:
        """Return how the operation ended, as far as the web service tells.

        Raises:
            RefusalError: P1 unknown or cleaned away, P5 not ended or not known yet.
        """
        payment = self.find(idop)
        if payment is None or payment.is_forgotten(now):
            raise RefusalError("P1")
        result = payment.result(now)
        is_hidden = payment.readable_at is not None and now < payment.readable_at
        if result is None or is_hidden or payment.is_never_readable:
            raise RefusalError("P5")
        return payment, result

    def _require_free(self, wanted: Payment, now: datetime) -> None:
        # From the newest: an operation older than a page's life cannot hold anything.
        for other in reversed(self._payments.values()):
            if other.created_at + OPENING_LIFETIME + PAGE_LIFETIME < now:
                return
            if other.request.debt == wanted.request.debt and other.holds_debt(now):
                raise HeldError(until=(other.opened_at or now) + PAGE_LIFETIME)


def new_result(code: ResultCode, at: datetime) -> Result:
    """Return a result from `at` on, with a number of authorisation when money was taken."""
    numauto = f"{secrets.randbelow(10**6):06d}" if code in PAID else ""
    return Result(code=code, at=at, numauto=numauto)


def _paris_day(instant: datetime) -> str:
    return instant.astimezone(PARIS).date().isoformat()
