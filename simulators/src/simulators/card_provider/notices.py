"""Sends the signed notice (IPN) of each payment to the merchant's server, and tries again.

Lyra tries four times in all, on the quarter hour; here the delays are short and settable. Any
answer but 2xx counts as a failure (Lyra also takes some redirections for a success).
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime

from aiohttp import ClientError, ClientSession, ClientTimeout

from simulators.card_provider.ledger import NoticeAttempt, Transaction
from simulators.card_provider.result_fields import notice_fields
from simulators.card_provider.signature import sign
from simulators.faults import FaultBoard

RETRY_DELAYS_SECONDS = (2.0, 10.0, 60.0)
NOTICE_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class NoticeTimes:
    """How notices use time: the clock, how to wait, how long an answer and a retry may take."""

    clock: Callable[[], datetime]
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    retry_delays_seconds: Sequence[float] = RETRY_DELAYS_SECONDS
    timeout_seconds: float = NOTICE_TIMEOUT_SECONDS


class Notifier:
    """Tells merchants how payments ended; faults change whether, when and how."""

    def __init__(self, http: ClientSession, faults: FaultBoard, times: NoticeTimes) -> None:
        """Send through `http`, obey `faults`."""
        self._http = http
        self._faults = faults
        self._times = times
        self._tasks: set[asyncio.Task[None]] = set()

    async def announce(self, transaction: Transaction) -> None:
        """Send the first notice and wait for its answer, as Lyra does before the return.

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
        if transaction.is_accepted and delay_seconds:
            transaction.faults.append("late_success_seconds")
            self._start(self._announce_later(transaction, url, delay_seconds))
            return
        await self._announce_now(transaction, url)

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

    async def _announce_later(self, transaction: Transaction, url: str, delay: float) -> None:
        await self._times.sleep(delay)
        await self._announce_now(transaction, url)

    async def _announce_now(self, transaction: Transaction, url: str) -> None:
        copies = 1
        if self._faults.take("double_notice"):
            transaction.faults.append("double_notice")
            copies = 2
        fields = notice_fields(transaction, "PAY")
        # Both copies leave at the same moment: the hardest case for the merchant.
        answers = await asyncio.gather(
            *(self._send(transaction, url, fields) for _ in range(copies)),
        )
        if not all(answers):
            self._start(self._try_again(transaction, url))

    async def _try_again(self, transaction: Transaction, url: str) -> None:
        for delay_seconds in self._times.retry_delays_seconds:
            await self._times.sleep(delay_seconds)
            if await self._send(transaction, url, notice_fields(transaction, "RETRY")):
                return

    async def _send(self, transaction: Transaction, url: str, fields: dict[str, str]) -> bool:
        """Send one notice, write down the answer, and say whether the merchant took it."""
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
        return answer_code is not None and 200 <= answer_code < 300

    def _start(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
