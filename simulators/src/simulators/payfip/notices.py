"""Tells merchants that there is something to ask: once, unsigned, and with no promise to arrive."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from datetime import datetime

from aiohttp import ClientError, ClientSession, ClientTimeout

from simulators.clock import MovableClock
from simulators.faults import FaultBoard
from simulators.pages import PARIS
from simulators.payfip.ledger import NoticeAttempt, Payment, Result
from simulators.payfip.requests import Door

NOTICE_TIMEOUT_SECONDS = 10.0


class Notifier:
    """Posts notices while it is running; faults change whether, when and how often."""

    _http: ClientSession

    def __init__(self, faults: FaultBoard, clock: MovableClock, timeout_seconds: float) -> None:
        """Obey `faults`, and wait so long for the answer to a notice."""
        self._faults = faults
        self._clock = clock
        self._timeout = ClientTimeout(total=timeout_seconds)
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send while the context lasts; what is still planned then is given up."""
        async with ClientSession() as self._http:
            yield
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def announce(self, payment: Payment, result: Result) -> None:
        """Tell of `result` and wait for the answer, before the payer's browser goes back.

        Does nothing when the request names no address.
        """
        if not payment.request.notice_url:
            return
        if self._faults.take("lost_notice"):
            payment.faults.append("lost_notice")
            return
        delay_seconds = self._faults.seconds("notice_delay_seconds")
        if delay_seconds:
            payment.faults.append("notice_delay_seconds")
            self._start(self._announce_later(payment, result, delay_seconds))
            return
        await self._announce_now(payment, result)

    def announce_at(self, payment: Payment, result: Result, now: datetime) -> None:
        """Tell of `result` when its time comes, in the background."""
        seconds = (result.at - now).total_seconds()
        self._start(self._announce_later(payment, result, seconds))

    async def wait_until_quiet(self) -> None:
        """Wait until no notice is under way nor planned."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def _announce_later(self, payment: Payment, result: Result, seconds: float) -> None:
        await self._clock.sleep(seconds)
        await self._announce_now(payment, result)

    async def _announce_now(self, payment: Payment, result: Result) -> None:
        copies = 1
        if self._faults.take("double_notice"):
            payment.faults.append("double_notice")
            copies = 2
        fields = _fields(payment, result)
        # Both copies leave at the same moment: the hardest case for the merchant.
        await asyncio.gather(*(self._send(payment, fields) for _ in range(copies)))

    async def _send(self, payment: Payment, fields: Mapping[str, str]) -> None:
        url = payment.request.notice_url
        sent_at = self._clock.now()
        answer_code: int | None = None
        error_text: str | None = None
        try:
            async with self._http.post(
                url, data=fields, allow_redirects=False, timeout=self._timeout
            ) as answer:
                answer_code = answer.status
        except (ClientError, TimeoutError, OSError, ValueError) as error:
            # The merchant is down, slow, or its address cannot be used: all are "no answer".
            error_text = f"{type(error).__name__}: {error}"
        payment.notices.append(
            NoticeAttempt(sent_at=sent_at, url=url, answer_code=answer_code, error=error_text)
        )

    def _start(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def transaction_time(result: Result) -> dict[str, str]:
    """Return `dattrans` (ddmmyyyy) and `heurtrans` (HHMM), both of Paris."""
    local = result.at.astimezone(PARIS)
    return {"dattrans": local.strftime("%d%m%Y"), "heurtrans": local.strftime("%H%M")}


def _fields(payment: Payment, result: Result) -> dict[str, str]:
    """Return what a notice says: the idOp alone, or in form mode the request and its result."""
    request = payment.request
    if request.door is Door.WEB_SERVICE:
        return {"idop": payment.idop}
    fields = {
        "numcli": request.client.numcli,
        "exer": request.exer,
        "refdet": request.refdet,
        "objet": request.objet,
        "montant": request.montant,
        "mel": request.mel,
        "saisie": request.saisie,
        "resultrans": result.code.value,
        **transaction_time(result),
    }
    if result.numauto:
        fields["numauto"] = result.numauto
    return fields
