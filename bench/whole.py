"""The whole flow in a running town: how many invoices a second, how long a lone one takes."""

import asyncio
import time
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import aiohttp
import asyncpg
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from bench.alone import free_port
from demo.biller import Biller
from demo.town import Town

PER_DEPOSIT = 50
DEPOSITS_AT_ONCE = 2
WAIT_SECONDS = 300.0


class Sink:
    """A mail server of our own that notes when each mail was handed over."""

    def __init__(self) -> None:
        """Listen on a free port of 127.0.0.1."""
        self.arrived: dict[str, float] = {}
        self.port = free_port()
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Note the moment; aiosmtpd calls this once the whole mail is there."""
        for recipient in envelope.rcpt_tos:
            self.arrived[recipient] = time.perf_counter()
        return "250 OK"

    def start(self) -> None:
        """Start listening on `port`."""
        self._controller.start()

    def stop(self) -> None:
        """Stop listening."""
        self._controller.stop()


def an_invoice(number: str, *, email: str | None = None, pdf: str | None = None) -> dict[str, Any]:
    """Return an invoice as a biller sends it."""
    today = date.today()  # noqa: DTZ011 - the biller's own calendar
    payer = {"reference": f"FAM-{number}", "name": "Camille Martin"}
    invoice: dict[str, Any] = {
        "regie": "CANTINE",
        "number": number,
        "issued_on": today.isoformat(),
        "due_on": (today + timedelta(days=30)).isoformat(),
        "amount_cents": 4100,
        "currency": "EUR",
        "subject": "Restauration scolaire",
        "route": "regie",
        "payer": payer | ({"email": email} if email else {}),
    }
    return invoice | ({"pdf": pdf} if pdf else {})


async def throughput(
    town: Town,
    biller: Biller,
    pdf: bytes,
    count: int,
    progress: Callable[[str], None],
    *,
    first: int = 0,
) -> float:
    """Deposit `count` invoices with their PDFs; return invoices a second until all are public.

    Their numbers begin at `first`, so that a warm-up and a measure do not meet.
    """
    connection = await asyncpg.connect(town.database_of("publication"))
    published = "SELECT count(*) FROM folder WHERE state = 'published'"
    before = await connection.fetchval(published)
    slots = asyncio.Semaphore(DEPOSITS_AT_ONCE)

    async def deposit(start: int) -> None:
        async with slots:
            names = [f"T{number}" for number in range(start, start + PER_DEPOSIT)]
            receipt = await biller.deposit_with_files(
                [an_invoice(name, pdf=name) for name in names], dict.fromkeys(names, pdf)
            )
            if receipt["created"] != PER_DEPOSIT:
                raise RuntimeError(str(receipt))

    started = time.perf_counter()
    deposits = asyncio.gather(
        *(deposit(start) for start in range(first, first + count, PER_DEPOSIT))
    )
    done = 0
    while done < count:
        if time.perf_counter() - started > WAIT_SECONDS:
            message = f"only {done} of {count} published"
            raise TimeoutError(message)
        await asyncio.sleep(0.1)
        done = await connection.fetchval(published) - before
        progress(f"published {done}/{count}")
    spent = time.perf_counter() - started
    await deposits
    await connection.close()
    return count / spent


async def lone_delays(biller: Biller, sink: Sink, count: int) -> list[float]:
    """Deposit one invoice after another; return the seconds from POST to the mail handed over."""
    delays = []
    for number in range(count):
        email = f"lone-{number}@example.org"
        started = time.perf_counter()
        await biller.deposit_json([an_invoice(f"L{number}", email=email)])
        while email not in sink.arrived:
            if time.perf_counter() - started > WAIT_SECONDS:
                raise TimeoutError(email)
            await asyncio.sleep(0.002)
        delays.append(sink.arrived[email] - started)
    return sorted(delays)


async def logged_in(town: Town, session: aiohttp.ClientSession) -> Biller:
    """Return the town's billing application, logged in."""
    biller = Biller(town.endpoints(), session)
    await biller.log_in()
    return biller
