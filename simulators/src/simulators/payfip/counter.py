"""What the payer does at the page, and which of its ends a fault switch changes."""

from dataclasses import dataclass
from datetime import timedelta

from simulators.clock import MovableClock
from simulators.faults import FaultBoard
from simulators.payfip.ledger import Ledger, Payment, ResultCode, new_result
from simulators.payfip.notices import Notifier

SETTLE_AFTER = timedelta(seconds=60)

CHOICES = {
    "carte": ResultCode.CARD_PAID,
    "prelevement": ResultCode.DEBIT_PAID,
    "refus_carte": ResultCode.CARD_REFUSED,
    "refus_prelevement": ResultCode.DEBIT_REFUSED,
    "abandon": ResultCode.ABANDONED,
}
"""The buttons of the page."""


@dataclass(frozen=True, kw_only=True)
class Counter:
    """Where payers pay."""

    ledger: Ledger
    notifier: Notifier
    faults: FaultBoard
    clock: MovableClock
    settle_after: timedelta
    """How long a fault hides the truth: until it can be read, or until it changes."""

    async def end(self, idop: str, code: ResultCode) -> Payment:
        """End an operation as the payer chose, tell the merchant, and return it.

        Raises:
            RefusalError, HeldError: it cannot be paid now; see `Ledger.open_page`.
        """
        now = self.clock.now()
        # Nothing is awaited until the result is kept: two clicks cannot pay twice.
        payment = self.ledger.open_page(idop, now)
        settled_at = now + self.settle_after
        # Second thoughts: what was going to follow the first choice does not any more.
        payment.results = [result for result in payment.results if result.at <= now]
        result = new_result(code, now)
        payment.results.append(result)
        if self._is_hit(payment, "p5_for_ever"):
            payment.is_never_readable = True
        if self._is_hit(payment, "p1_after_midnight"):
            payment.is_cleaned_at_night = True
        if self._is_hit(payment, "early_notice"):
            payment.readable_at = settled_at
        if code is ResultCode.DEBIT_PAID and self._is_hit(payment, "v_then_z"):
            # A debit comes back from the bank days later, and nobody is told: one has to ask.
            payment.results.append(new_result(ResultCode.DEBIT_REFUSED, settled_at))
        if code is ResultCode.ABANDONED and self._is_hit(payment, "late_success"):
            late = new_result(ResultCode.CARD_PAID, settled_at)
            payment.results.append(late)
            self.notifier.announce_at(payment, late, now)
        await self.notifier.announce(payment, result)
        return payment

    def _is_hit(self, payment: Payment, name: str) -> bool:
        if not self.faults.take(name):
            return False
        payment.faults.append(name)
        return True
