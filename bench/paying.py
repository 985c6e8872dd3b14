"""How long a payment takes at each step, beside the bare library in the same run."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import aiohttp
import eopayment
import msgspec
from aiokafka import AIOKafkaConsumer

from bench.whole import Sink
from demo.biller import Biller
from demo.configuration import AUTHORITY, SITES
from demo.town import Town
from gateway.adapters.tokens import TokenSigner
from simulators.card_provider.signature import sign
from tests.broker.observing import until

AT_ONCE = 50
NOTICES_PER_SECOND = 50
CALLS = 200
TIMEOUT = aiohttp.ClientTimeout(total=30)


class Percentiles(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds."""

    p50: float
    p99: float

    @classmethod
    def of(cls, seconds: list[float]) -> "Percentiles":
        """Return those of a list."""
        ordered = sorted(seconds)
        at = min(len(ordered) - 1, int(len(ordered) * 0.99))
        return cls(p50=ordered[len(ordered) // 2], p99=ordered[at])

    def __str__(self) -> str:
        """Show both in milliseconds."""
        return f"p50 {1000 * self.p50:6.1f} ms, p99 {1000 * self.p99:6.1f} ms"


class Paying(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured."""

    bare_form: Percentiles
    start: Percentiles
    start_of_fifty: Percentiles
    notice: Percentiles
    captured: Percentiles
    collected: Percentiles
    receipted: Percentiles


def bare_form() -> Percentiles:
    """Return what eopayment alone takes to make a signed form."""
    silent = logging.Logger("eopayment")  # noqa: LOG001 - it writes keys to its log
    silent.disabled = True
    options = {
        "vads_site_id": "12345678",
        "vads_ctx_mode": "TEST",
        "secret_test": "1122334455667788",
        "signature_algo": "hmac_sha256",
    }
    spent = []
    for number in range(CALLS):
        started = time.perf_counter()
        eopayment.Payment("payzen", options, logger=silent).request(
            Decimal("41.00"), email="camille@example.org", orderid=f"ORDER{number}"
        )
        spent.append(time.perf_counter() - started)
    return Percentiles.of(spent)


class Till:
    """Payers and the provider's notices, in a running town."""

    def __init__(self, town: Town, session: aiohttp.ClientSession, sink: Sink) -> None:
        """Act in `town`; receipts arrive at `sink`."""
        self._town = town
        self._session = session
        self._sink = sink
        signer = TokenSigner(town.secrets.signing_key, "", "quittance-gateway")
        self._headers = {"Authorization": f"Bearer {signer.own()}"}
        self._captured: dict[str, float] = {}
        self._collected: dict[str, float] = {}
        site = next(site for site, authority in SITES.items() if authority == AUTHORITY)
        self._key = town.secrets.card_keys[site]
        self._notify = f"{town.url('payment')}/payments/notify/lyra/{AUTHORITY}-carte"

    async def measure(self, biller: Biller, count: int) -> Paying:
        """Let `count` payers come, one after another, then at once, and be told of."""
        bare = await asyncio.to_thread(bare_form)
        invoices = await self._invoices(biller, count)
        half = count // 2
        alone = [await self._start(invoice_id) for invoice_id in invoices[:half]]
        fifty = []
        for first in range(half, count, AT_ONCE):
            group = invoices[first : first + AT_ONCE]
            fifty += await asyncio.gather(*(self._start(invoice_id) for invoice_id in group))
        watching = [
            asyncio.create_task(self._watch_topic()),
            asyncio.create_task(self._watch_feed(biller)),
        ]
        await asyncio.sleep(1)
        told = await self._tell_all([*alone, *fifty])
        await until(self._has_all(told), "receipts, events and collections")
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        return Paying(
            bare_form=bare,
            start=Percentiles.of([seconds for seconds, _ in alone]),
            start_of_fifty=Percentiles.of([seconds for seconds, _ in fifty]),
            notice=Percentiles.of([answered - sent for sent, answered, _ in told]),
            captured=self._since([(sent, one) for sent, _, one in told], self._captured),
            collected=Percentiles.of(
                [self._collected[one] - self._captured[one] for _, _, one in told]
            ),
            receipted=Percentiles.of(
                [self._sink.arrived[_mail(one)] - self._captured[one] for _, _, one in told]
            ),
        )

    def _since(self, told: list[tuple[float, str]], seen: dict[str, float]) -> Percentiles:
        return Percentiles.of([seen[one] - sent for sent, one in told])

    def _has_all(self, told: list[tuple[float, float, str]]) -> Callable[[], Awaitable[bool]]:
        async def has_all() -> bool:
            return all(
                one in self._captured
                and one in self._collected
                and _mail(one) in self._sink.arrived
                for _, _, one in told
            )

        return has_all

    async def _invoices(self, biller: Biller, count: int) -> list[str]:
        today = date.today()  # noqa: DTZ011 - the biller's own calendar
        receipt = await biller.deposit_json(
            [
                {
                    "regie": "CANTINE",
                    "number": f"PAY-{number}",
                    "issued_on": today.isoformat(),
                    "due_on": (today + timedelta(days=30)).isoformat(),
                    "amount_cents": 4100,
                    "currency": "EUR",
                    "subject": "Restauration scolaire",
                    "route": "regie",
                    "payer": {"reference": f"PAYER-{number}", "name": "Camille Martin"},
                }
                for number in range(count)
            ]
        )
        ids = [line["invoice_id"] for line in await biller.lines(receipt["deposit_id"])]
        for invoice_id in ids:
            await biller.wait_published(invoice_id)
        await until(lambda: self._is_payable(ids[-1]), "the last invoice in payment")
        return ids

    async def _is_payable(self, invoice_id: str) -> bool:
        url = f"{self._town.url('payment')}/v1/invoices/{invoice_id}/payability"
        async with self._session.get(url, headers=self._headers) as answer:
            return answer.status == 200 and bool((await answer.json())["payable"])

    async def _start(self, invoice_id: str) -> tuple[float, dict[str, Any]]:
        demand = {
            "invoice_ids": [invoice_id],
            "return_url": self._town.url("portal") + "/retour",
            "email": _mail(invoice_id),
        }
        started = time.perf_counter()
        async with self._session.post(
            f"{self._town.url('payment')}/v1/payments",
            json=demand,
            headers=self._headers,
            timeout=TIMEOUT,
        ) as answer:
            state: dict[str, Any] = await answer.json()
        if answer.status != 201:
            raise RuntimeError(str(state))
        return time.perf_counter() - started, state | {"invoice_id": invoice_id}

    async def _tell_all(
        self, started: list[tuple[float, dict[str, Any]]]
    ) -> list[tuple[float, float, str]]:
        """Send the notices at an even pace; return when each left and was answered."""
        tasks = []
        for _, payment in started:
            tasks.append(asyncio.create_task(self._tell(payment)))
            await asyncio.sleep(1 / NOTICES_PER_SECOND)
        return await asyncio.gather(*tasks)

    async def _tell(self, payment: dict[str, Any]) -> tuple[float, float, str]:
        asked = payment["form"]["fields"]
        fields = {name: value for name, value in asked.items() if name.startswith("vads_")} | {
            "vads_effective_creation_date": "20261124130700",
            "vads_operation_type": "DEBIT",
            "vads_trans_status": "AUTHORISED",
            "vads_trans_uuid": uuid4().hex,
            "vads_url_check_src": "PAY",
        }
        body = urlencode(fields | {"signature": sign(fields, self._key)})
        sent = time.perf_counter()
        async with self._session.post(
            self._notify,
            data=body,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            timeout=TIMEOUT,
        ) as answer:
            if answer.status != 200:
                raise RuntimeError(await answer.text())
        return sent, time.perf_counter(), payment["invoice_id"]

    async def _watch_topic(self) -> None:
        consumer = AIOKafkaConsumer(
            "payment.captured",
            bootstrap_servers=self._town.kafka_servers,
            auto_offset_reset="latest",
        )
        await consumer.start()
        try:
            async for record in consumer:
                now = time.perf_counter()
                for part in msgspec.json.decode(record.value or b"{}").get("allocations", ()):
                    self._captured.setdefault(part["invoice_id"], now)
        finally:
            await consumer.stop()

    async def _watch_feed(self, biller: Biller) -> None:
        after = "0"
        while True:
            page = await biller.collections(after)
            now = time.perf_counter()
            for item in page["items"]:
                self._collected.setdefault(item["invoice_id"], now)
            after = page["next"]
            await asyncio.sleep(0.02)


def _mail(invoice_id: str) -> str:
    return f"{invoice_id}@example.org"
