"""Payments under faults: whatever the providers took is booked once, and nothing else is.

`make chaos` runs it at full size; the tests run a small one. Everything is drawn from a seed.
"""

import argparse
import asyncio
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from demo.biller import Biller
from demo.configuration import AUTHORITY, TREASURY_REGIE
from demo.journey import CARD
from demo.town import Town
from gateway.adapters.tokens import TokenSigner
from tests.broker.kafka import JARS, ApacheKafka
from tests.broker.observing import until

CARD_FAULTS = (
    "lost_notice",
    "double_notice",
    "early_notice",
    "bad_signature",
    "late_success",
    "timeout_after_charge",
    "server_error",
)
PAYFIP_FAULTS = (
    "lost_notice",
    "double_notice",
    "early_notice",
    "late_success",
    "server_error",
    "soap_fault_999",
    "soap_unavailable",
    "timeout_after_create",
)
REFUSED_CARD = "4970100000000014"
LEAVES, GIVES_UP, IS_REFUSED = 0.08, 0.16, 0.26
"""Payers below the first share leave without a word, below the next give up, then are refused."""
PAYERS_AT_ONCE = 8
TRIES = 6
TIMEOUT = aiohttp.ClientTimeout(total=15)
SETTLE_SECONDS = 300.0
_FORM_ACTION = re.compile(r'<form[^>]*action="([^"]+)"')


class Report(msgspec.Struct, kw_only=True):
    """What happened, and what the auditor found; every list of the auditor must be empty."""

    payments: int = 0
    kills: int = 0
    faults: Counter[str] = msgspec.field(default_factory=Counter)
    taken: int = 0
    taken_cents: int = 0
    told_by_people: int = 0
    findings: list[dict[str, Any]] = []
    unexplained: list[str] = []


class Chaos:
    """Payers, faults and kills in a running town."""

    def __init__(self, town: Town, seed: int, session: aiohttp.ClientSession) -> None:
        """Act in `town`, drawing from `seed`."""
        self.report = Report()
        self._town = town
        self._chance = random.Random(seed)  # noqa: S311 - chance that can be repeated
        self._session = session
        self._signer = TokenSigner(town.secrets.signing_key, "", "quittance-gateway")

    async def run(self, count: int, *, kills: int, say: Callable[[str], None]) -> Report:
        """Let `count` payers come while faults happen and payment is killed; return the audit."""
        invoices = await self._publish(count)
        say(f"{count} invoices published")
        troubles = [
            asyncio.create_task(self._switch_faults()),
            asyncio.create_task(self._kill(kills)),
        ]
        slots = asyncio.Semaphore(PAYERS_AT_ONCE)
        done = 0

        async def one(invoice_id: str) -> None:
            nonlocal done
            async with slots:
                await self._pay(invoice_id)
            done += 1
            if done % 50 == 0:
                say(f"payers gone by {done}/{count}")

        await asyncio.gather(*(one(invoice_id) for invoice_id in invoices))
        for trouble in troubles:
            trouble.cancel()
        await asyncio.gather(*troubles, return_exceptions=True)
        await self._settle(say)
        return self.report

    async def _publish(self, count: int) -> list[str]:
        biller = Biller(self._town.endpoints(), self._session)
        await biller.log_in()
        deposit = await biller.deposit_json([_invoice(number) for number in range(count)])
        lines: list[dict[str, Any]] = []
        after = -1
        while len(lines) < count:
            async with self._session.get(
                f"{self._town.url('ingestion')}/v1/deposits/{deposit['deposit_id']}/lines",
                params={"after": str(after)},
                headers=biller.headers,
            ) as answer:
                lines += (await answer.json())["lines"]
            after = lines[-1]["position"]
        ids = [line["invoice_id"] for line in lines]
        for invoice_id in ids:
            await self._until_payable(invoice_id)
        return ids

    async def _until_payable(self, invoice_id: str) -> None:
        async def is_payable() -> bool:
            status, found = await self._call("GET", f"/v1/invoices/{invoice_id}/payability")
            return status == 200 and bool(found["payable"])

        await until(is_payable, f"{invoice_id} payable", 120.0)

    async def _switch_faults(self) -> None:
        boards = (("card_provider", CARD_FAULTS), ("payfip", PAYFIP_FAULTS))
        while True:
            name, faults = self._chance.choice(boards)
            fault = self._chance.choice(faults)
            await self._session.post(f"{self._town.url(name)}/api/faults", json={fault: 1})
            self.report.faults[f"{name}:{fault}"] += 1
            await asyncio.sleep(self._chance.uniform(0.05, 0.4))

    async def _kill(self, kills: int) -> None:
        for _ in range(kills):
            await asyncio.sleep(self._chance.uniform(0.5, 3))
            self._town.processes["payment"].kill()
            self.report.kills += 1

    async def _pay(self, invoice_id: str) -> None:
        """Be one payer; whatever fails on the way, this payer does not come back."""
        self.report.payments += 1
        mood = self._chance.random()
        form = await self._start(invoice_id)
        if form is None or mood < LEAVES:
            return
        try:
            if form["method"] == "POST":
                await self._pay_by_card(form, mood)
            else:
                await self._pay_by_payfip(form, mood)
        except (aiohttp.ClientError, TimeoutError):
            # The provider cut the line: the payer does not know what became of it.
            return

    async def _start(self, invoice_id: str) -> dict[str, Any] | None:
        demand = {
            "invoice_ids": [invoice_id],
            "return_url": self._town.url("portal") + "/retour",
            "email": "camille@example.org",
        }
        for number in range(TRIES):
            status, answer = await self._call(
                "POST", "/v1/payments", demand, key=f"{invoice_id}-{number // 3}"
            )
            if status == 201:
                form: dict[str, Any] = answer["form"]
                return form
            await asyncio.sleep(self._chance.uniform(0.3, 1.0))
        return None

    async def _pay_by_card(self, form: dict[str, Any], mood: float) -> None:
        async with self._session.post(form["url"], data=form["fields"], timeout=TIMEOUT) as answer:
            page, address = await answer.text(), str(answer.url)
        if answer.status != 200 or "card_number" not in page:
            return
        card = CARD | ({"card_number": REFUSED_CARD} if mood < IS_REFUSED else {})
        action = "cancel" if mood < GIVES_UP else "pay"
        async with self._session.post(
            address, data=card | {"action": action}, timeout=TIMEOUT, allow_redirects=False
        ) as answer:
            await answer.read()

    async def _pay_by_payfip(self, form: dict[str, Any], mood: float) -> None:
        async with self._session.get(form["url"], params=form["fields"], timeout=TIMEOUT) as page:
            if page.status != 200:
                return
            address = str(page.url)
            found = re.search(r"idop=([0-9a-f-]+)", address, re.IGNORECASE)
        if found is None:
            return
        choice = "abandon" if mood < GIVES_UP else "refus_carte" if mood < IS_REFUSED else "carte"
        async with self._session.post(
            address.partition("?")[0],
            data={"idop": found.group(1), "choix": choice},
            timeout=TIMEOUT,
            allow_redirects=False,
        ) as answer:
            await answer.read()

    async def _settle(self, say: Callable[[str], None]) -> None:
        """End the faults and wait for the truth; people tell what no notice and no question can."""
        for name in ("card_provider", "payfip"):
            await self._session.delete(f"{self._town.url(name)}/api/faults")
        await self._session.post(
            f"{self._town.url('payfip')}/api/clock", json={"advance_seconds": 180}
        )
        loop = asyncio.get_running_loop()
        deadline = loop.time() + SETTLE_SECONDS
        while True:
            findings = await self._findings()
            say(f"differences from the providers' own lists: {len(findings)}")
            if not findings or loop.time() > deadline:
                break
            for finding in findings:
                await self._resolve(finding)
            await asyncio.sleep(5)
        self.report.findings = findings
        await self._audit()

    async def _resolve(self, finding: dict[str, Any]) -> None:
        """Ask again where a provider can be asked; else a person looks in its back office."""
        payment_id = finding.get("payment_id")
        if not payment_id:
            return
        if finding["account"] == f"{AUTHORITY}-tresor":
            await self._call("POST", f"/v1/payments/{payment_id}/ask")
            return
        for transaction in await self._transactions():
            is_told = any(notice["answer_code"] == 200 for notice in transaction["notices"])
            if transaction["order_id"] != finding["order"] or not transaction["is_accepted"]:
                continue
            if is_told:
                # It was told and answered: if it is not booked, that is what is looked for.
                self.report.unexplained.append(transaction["trans_uuid"])
                continue
            move = {
                "agent": "chaos",
                "state": "captured",
                "reference": transaction["trans_uuid"],
                "amount_cents": transaction["amount"],
            }
            status, _ = await self._call("POST", f"/v1/payments/{payment_id}/moves", move)
            self.report.told_by_people += status == 200

    async def _findings(self) -> list[dict[str, Any]]:
        today = date.today()  # noqa: DTZ011 - a day on either side is asked for
        days = {
            "from": (today - timedelta(days=1)).isoformat(),
            "to": (today + timedelta(days=1)).isoformat(),
        }
        lists = {
            f"{AUTHORITY}-carte": await self._transactions(),
            f"{AUTHORITY}-tresor": await self._payfip_payments(),
        }
        findings: list[dict[str, Any]] = []
        for account, listed in lists.items():
            async with self._session.post(
                f"{self._town.url('payment')}/v1/parity",
                params=days | {"account": account},
                data=msgspec.json.encode(listed),
                headers=self._headers() | {"Content-Type": "application/json"},
            ) as answer:
                if answer.status != 200:
                    raise RuntimeError(await answer.text())
                found = (await answer.json())["findings"]
            findings += [finding | {"account": account} for finding in found]
        return findings

    async def _transactions(self) -> list[dict[str, Any]]:
        url = f"{self._town.url('card_provider')}/api/transactions"
        async with self._session.get(url) as answer:
            found: list[dict[str, Any]] = await answer.json()
        return found

    async def _payfip_payments(self) -> list[dict[str, Any]]:
        async with self._session.get(f"{self._town.url('payfip')}/api/payments") as answer:
            found: list[dict[str, Any]] = await answer.json()
        return found

    async def _audit(self) -> None:
        cards = [row for row in await self._transactions() if row["is_accepted"]]
        debts = [row for row in await self._payfip_payments() if row["is_paid"]]
        self.report.taken = len(cards) + len(debts)
        self.report.taken_cents = sum(row["amount"] for row in (*cards, *debts))

    async def _call(
        self, method: str, path: str, body: object = None, *, key: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Call payment; it may be dying: then the status is 0."""
        headers = self._headers() | ({"Idempotency-Key": key} if key else {})
        try:
            async with self._session.request(
                method,
                self._town.url("payment") + path,
                json=body,
                headers=headers,
                timeout=TIMEOUT,
            ) as answer:
                return answer.status, await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return 0, {}

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._signer.own()}"}


def _invoice(number: int) -> dict[str, Any]:
    """Return one invoice: two of three for the canteen, by card, the third for the treasury."""
    today = date.today()  # noqa: DTZ011 - the biller's own calendar
    is_treasury = number % 3 == 2
    invoice: dict[str, Any] = {
        "regie": TREASURY_REGIE if is_treasury else "CANTINE",
        "number": f"CHAOS-{number}",
        "issued_on": (today - timedelta(days=3)).isoformat(),
        "due_on": (today + timedelta(days=30)).isoformat(),
        "amount_cents": 1000 + number,
        "currency": "EUR",
        "subject": "Un jour de tempête",
        "route": "treasury" if is_treasury else "regie",
        "payer": {"reference": f"FAM-{number}", "name": "Camille Martin"},
    }
    if is_treasury:
        invoice |= {"fiscal_year": today.year, "debt_reference": f"CHAOS{number:06}"}
    return invoice


async def _main(payments: int, kills: int, seed: int) -> Report:
    async with AsyncExitStack() as stack:
        servers = None
        if JARS.is_dir():
            kafka = await stack.enter_async_context(ApacheKafka())
            servers = kafka.bootstrap_servers
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="quittance-chaos-")))
        town = await stack.enter_async_context(
            Town(folder, progress=lambda _line: None, kafka_servers=servers)
        )
        session = await stack.enter_async_context(
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        )
        return await Chaos(town, seed, session).run(payments, kills=kills, say=print)


def main() -> None:
    """Run the command line; exits 1 when the auditor found something."""
    parser = argparse.ArgumentParser(prog="python -m bench.chaos")
    parser.add_argument("--payments", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}")
    report = asyncio.run(_main(arguments.payments, arguments.kills, arguments.seed))
    print(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    sys.exit(bool(report.findings or report.unexplained))


if __name__ == "__main__":
    main()
