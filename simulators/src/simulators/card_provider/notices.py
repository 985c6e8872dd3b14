"""Sends the signed notice (IPN) of each payment to the merchant's server, and tries again.

When it tries again is a rule of the shop's contract, and Lyra's documents tell more than one: see
`RetryRule`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from aiohttp import ClientError, ClientSession, ClientTimeout

from simulators.card_provider.ledger import NoticeAttempt, Transaction
from simulators.card_provider.result_fields import again, notice_fields
from simulators.card_provider.signature import sign
from simulators.faults import FaultBoard

RETRY_DELAYS_SECONDS = (2.0, 10.0, 60.0, 300.0)
NOTICE_TIMEOUT_SECONDS = 10.0
SETTLE_AFTER_SECONDS = 60.0
LYRA_RETRIES = 4
QUARTER = timedelta(minutes=15)
# What Lyra's documents list as taken; redirections are not followed.
LYRA_TAKEN_CODES = frozenset({*range(200, 209), 301, 302, 303, 307, 308})


class RetryRule(StrEnum):
    """Which notices are sent again, and when."""

    DELAYS = "delays"
    """Any answer but 2xx fails; the waits are short and settable: for tests and the demo."""
    QUARTER_HOUR = "quarter_hour"
    """Scellius' document: four more tries, on the quarter hour; some redirections are taken."""
    SILENCE = "silence"
    """PayZen's document: as above, but only when no answer came; 4xx and 5xx are final."""


@dataclass(frozen=True, kw_only=True)
class NoticeTimes:
    """How notices use time: the clock, how to wait, how long an answer and a retry may take."""

    clock: Callable[[], datetime]
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    retry_delays_seconds: Sequence[float] = RETRY_DELAYS_SECONDS
    timeout_seconds: float = NOTICE_TIMEOUT_SECONDS
    retry_rule: RetryRule = RetryRule.DELAYS
    settle_after_seconds: float = SETTLE_AFTER_SECONDS
    """How long after an abandonment the switch `late_success` takes the money."""

    @property
    def retries(self) -> int:
        """How many more tries a notice gets after the first."""
        if self.retry_rule is RetryRule.DELAYS:
            return len(self.retry_delays_seconds)
        return LYRA_RETRIES

    def wait_before(self, retry: int) -> float:
        """Return how many seconds to wait now before the retry of that rank, from 0."""
        if self.retry_rule is RetryRule.DELAYS:
            return self.retry_delays_seconds[retry]
        midnight = self.clock().replace(hour=0, minute=0, second=0, microsecond=0)
        return (QUARTER - (self.clock() - midnight) % QUARTER).total_seconds()

    def is_over(self, answer_code: int | None) -> bool:
        """Say whether a notice that was answered so, or not at all, is not sent again."""
        if answer_code is None:
            return False
        if self.retry_rule is RetryRule.DELAYS:
            return 200 <= answer_code < 300
        return answer_code in LYRA_TAKEN_CODES or self.retry_rule is RetryRule.SILENCE


class Notifier:
    """Tells merchants how payments ended; faults change whether, when and how."""

    def __init__(self, http: ClientSession, faults: FaultBoard, times: NoticeTimes) -> None:
        """Send through `http`, obey `faults`."""
        self._http = http
        self._faults = faults
        self._times = times
        self._tasks: set[asyncio.Task[None]] = set()

    async def announce(self, transaction: Transaction, source: str = "PAY") -> None:
        """Send the first notice and wait for its answer, as Lyra does before the return.

        `source` says what happened; see `result_fields.notice_fields`.

        Retries and late notices go on in the background. Does nothing when neither the form nor
        the shop names an address.
        """
        url = transaction.form["vads_url_check"] or transaction.form.site.notify_url
        if not url:
            return
        if self._faults.take("lost_notice"):
            transaction.faults.append("lost_notice")
            return
        delay_seconds = self._faults.seconds("late_success_seconds")
        # The fields are those of now, whatever becomes of the transaction until they leave.
        fields = notice_fields(transaction, source)
        if source == "PAY" and transaction.is_accepted and delay_seconds:
            transaction.faults.append("late_success_seconds")
            self.start(self._announce_later(transaction, url, fields, delay_seconds))
            return
        await self._announce_now(transaction, url, fields)

    def start(self, work: Coroutine[object, object, None]) -> None:
        """Let `work` go on in the background, until `close` at the latest."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def wait_until_quiet(self) -> None:
        """Wait until no notice is under way nor planned."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def close(self) -> None:
        """Give up what is under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _announce_later(
        self, transaction: Transaction, url: str, fields: dict[str, str], delay: float
    ) -> None:
        await self._times.sleep(delay)
        await self._announce_now(transaction, url, fields)

    async def _announce_now(
        self, transaction: Transaction, url: str, fields: dict[str, str]
    ) -> None:
        copies = 1
        if self._faults.take("double_notice"):
            transaction.faults.append("double_notice")
            copies = 2
        # Both copies leave at the same moment: the hardest case for the merchant.
        answers = await asyncio.gather(
            *(self._send(transaction, url, fields) for _ in range(copies)),
        )
        if not all(answers):
            self.start(self._try_again(transaction, url, fields))

    async def _try_again(self, transaction: Transaction, url: str, fields: dict[str, str]) -> None:
        for retry in range(self._times.retries):
            await self._times.sleep(self._times.wait_before(retry))
            if await self._send(transaction, url, again(transaction, fields)):
                return

    async def _send(self, transaction: Transaction, url: str, fields: dict[str, str]) -> bool:
        """Send one notice, write down the answer, and say whether it is over."""
        is_signature_valid = True
        if self._faults.take("bad_signature"):
            transaction.faults.append("bad_signature")
            is_signature_valid = False
            site = transaction.form.site
            wrong = sign(fields, f"not {transaction.form.key}", site.algorithm)
            fields = fields | {"signature": wrong}
        sent_at = self._times.clock()
        answer_code: int | None = None
        error_text: str | None = None
        try:
            async with self._http.post(
                url,
                data=fields,
                allow_redirects=False,
                timeout=ClientTimeout(total=self._times.timeout_seconds),
            ) as answer:
                answer_code = answer.status
        except (ClientError, TimeoutError, OSError, ValueError) as error:
            # The merchant is down, slow, or its address cannot be used: all are "no answer".
            error_text = f"{type(error).__name__}: {error}"
        transaction.notices.append(
            NoticeAttempt(
                sent_at=sent_at,
                url=url,
                source=fields["vads_url_check_src"],
                answer_code=answer_code,
                error=error_text,
                is_signature_valid=is_signature_valid,
            )
        )
        return self._times.is_over(answer_code)
