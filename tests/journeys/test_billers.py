"""What billing offices live through, over the public doors of a running town."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pikepdf
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from aiokafka import AIOKafkaProducer

from demo.biller import Biller
from demo.browser import Browser
from demo.journey import CARD
from demo.town import Town
from tests.broker.observing import an_invoice, count, until

pytestmark = [pytest.mark.journey, pytest.mark.asyncio(loop_scope="module")]

STREET = ("12 rue des Tilleuls", "76000 Rouen")
OTHER_STREET = ("3 place du Marché", "14000 Caen")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Return a client without cookies."""
    async with aiohttp.ClientSession() as session:
        yield session


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def biller(town: Town, session: aiohttp.ClientSession) -> Biller:
    """Return the town's billing application, logged in."""
    biller = Biller(town.endpoints(), session)
    await biller.log_in()
    return biller


class Desk:
    """A biller's calls that the demo's own biller does not make."""

    def __init__(self, town: Town, biller: Biller, session: aiohttp.ClientSession) -> None:
        self.town = town
        self.biller = biller
        self._session = session

    async def call(
        self,
        method: str,
        path: str,
        *,
        service: str = "ingestion",
        body: Any = None,
        query: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """Call a door; return status and answer."""
        async with self._session.request(
            method,
            self.town.url(service) + path,
            json=body,
            params=query or {},
            headers=self.biller.headers,
        ) as answer:
            return answer.status, await answer.read()

    async def json(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        """Call a door that answers JSON; fail unless it succeeds."""
        status, content = await self.call(method, path, **arguments)
        assert 200 <= status < 300, (status, content)
        answer: dict[str, Any] = json.loads(content)
        return answer

    async def pay(self, url: str) -> None:
        """Pay an invoice by card, as whoever holds the paper."""
        async with Browser() as browser:

            async def is_payable() -> bool:
                return "Payer" in (await browser.open(url)).text

            await until(is_payable, f"something to pay on {url}")
            handover = await browser.submit(await browser.open(url), "/payer")
            card_page = await browser.submit(handover, "/vads-payment/")
            await browser.submit(card_page, "/vads-payment/", CARD, ("action", "pay"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(town: Town, biller: Biller, session: aiohttp.ClientSession) -> Desk:
    """Return the biller's desk."""
    return Desk(town, biller, session)


def _on_paper(number: str, address: tuple[str, ...]) -> dict[str, Any]:
    payer = {"reference": f"FAM-{number}", "name": f"Camille {number}", "address": list(address)}
    return an_invoice(number, payer=payer)


async def test_a_deposit_is_looked_at_released_and_printed(desk: Desk) -> None:
    """A7, B5: totals and a preview first; then a print run in postal order, with its index."""
    invoices = [_on_paper("PAPER-R", STREET), _on_paper("PAPER-C", OTHER_STREET)]
    mailed = an_invoice("MAILED", payer={"reference": "M", "name": "M", "email": "m@example.org"})
    held = await desk.json(
        "POST",
        "/v1/deposits",
        body={"invoices": [*invoices, mailed]},
        query={"publish": "manual"},
    )
    base = f"/v1/deposits/{held['deposit_id']}"

    preview = await desk.json("GET", f"{base}/preview")
    position = preview["lines"][0]["position"]
    status, sample = await desk.call("GET", f"{base}/preview/{position}.pdf")
    assert ("held", 200, b"%PDF-") == (held["release"], status, sample[:5])
    assert [{"regie": "CANTINE", "count": 3, "amount_cents": 12_300}] == preview["totals"]

    released = await desk.json("POST", f"{base}/release")
    printed: list[bytes] = []

    async def is_ready() -> bool:
        status, content = await desk.call("GET", f"{base}/print-run.pdf")
        printed[:] = [content]
        return status == 200

    await until(is_ready, "the print run")
    index = await desk.json("GET", f"{base}/print-run.json")
    _, table = await desk.call("GET", f"{base}/print-run.csv")

    assert "released" == released["release"]
    assert ["PAPER-C", "PAPER-R"] == [letter["number"] for letter in index["letters"]]
    with pikepdf.open(BytesIO(printed[0])) as document:
        assert sum(letter["pages"] for letter in index["letters"]) == len(document.pages)
    assert "PAPER-C" in table.decode("utf-8-sig")
    assert "MAILED" not in table.decode("utf-8-sig")


async def test_a_deposit_on_a_topic_is_published(town: Town, desk: Desk) -> None:
    """A billing application that speaks Kafka needs no HTTP to deposit."""
    producer = AIOKafkaProducer(bootstrap_servers=town.kafka_servers)
    await producer.start()
    value = msgspec.json.encode({"invoices": [an_invoice("BY-KAFKA")]})
    try:
        await producer.send_and_wait("biller.deposited.facturation-saint-aubin", value)
        await producer.send_and_wait("biller.deposited.facturation-saint-aubin", b"not json")
        await producer.send_and_wait("biller.deposited.facturation-saint-aubin", value)
    finally:
        await producer.stop()
    found = "SELECT count(*) FROM deposit WHERE client = 'facturation-saint-aubin'"
    kafka = f"{found} AND idempotency_key LIKE 'kafka:%' AND status = 'done'"

    async def are_read() -> bool:
        return await count(town, "ingestion", kafka) == 2

    await until(are_read, "the deposits of the topic")
    invoice = (
        "SELECT invoice_id FROM invoice WHERE number = 'BY-KAFKA' AND authority = 'saint-aubin'"
    )

    async def is_known() -> bool:
        return await count(town, "ingestion", f"SELECT count(*) FROM ({invoice}) AS found") == 1

    await until(is_known, "the invoice")


async def test_an_invoice_corrected_after_it_was_paid_leaves_a_credit(
    town: Town, desk: Desk
) -> None:
    """A8: what was paid stays; what is too much is owed to the payer; the old QR code goes on."""
    receipt = await desk.biller.deposit_json([an_invoice("TOO-DEAR")])
    [line] = await desk.biller.lines(receipt["deposit_id"])
    url = (await desk.biller.wait_published(line["invoice_id"]))["public_url"]
    await desk.pay(url)
    statement = """
        SELECT coalesce(sum(amount_cents), 0) FROM line JOIN entry USING (entry_id)
        WHERE account = 'TROP_PERCU' AND invoice_id = $1
    """

    await desk.biller.deposit_json([an_invoice("TOO-DEAR", amount_cents=3000, version=2)])
    corrected = await desk.biller.wait_published(line["invoice_id"], 2)

    async def is_credited() -> bool:
        return await count(town, "reconciliation", statement, line["invoice_id"]) == -1100

    await until(is_credited, "the credit in the books")
    assert url == corrected["public_url"]


async def test_a_payment_is_told_by_webhook_under_the_id_of_the_feed(desk: Desk) -> None:
    """I1: signed as Standard Webhooks say, and the same event as in the feed."""
    heard: list[tuple[Mapping[str, str], bytes]] = []

    async def hear(request: web.Request) -> web.Response:
        heard.append((request.headers.copy(), await request.read()))
        return web.Response()

    application = web.Application()
    application.router.add_post("/hook", hear)
    async with TestServer(application) as receiver:
        endpoint = await desk.json(
            "PUT",
            "/v1/webhooks",
            service="reconciliation",
            body={"url": str(receiver.make_url("/hook"))},
        )
        receipt = await desk.biller.deposit_json([an_invoice("BY-WEBHOOK")])
        [line] = await desk.biller.lines(receipt["deposit_id"])
        state = await desk.biller.wait_published(line["invoice_id"])
        await desk.pay(state["public_url"])

        async def is_heard() -> bool:
            return any(b"BY-WEBHOOK" in body for _, body in heard)

        await until(is_heard, "the webhook")
    headers, body = next(entry for entry in heard if b"BY-WEBHOOK" in entry[1])
    key = base64.b64decode(endpoint["secret"].removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    items = await _feed(desk)

    assert f"v1,{expected}" in headers["webhook-signature"].split()
    assert [headers["webhook-id"]] == [
        item["event_id"] for item in items if item["number"] == "BY-WEBHOOK"
    ]


async def _feed(desk: Desk) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    after = "0"
    while True:
        page = await desk.json(
            "GET", "/v1/collections", service="reconciliation", query={"after": after}
        )
        items += page["items"]
        after = page["next"]
        if not page["has_more"]:
            return items


async def test_the_command_line_does_what_a_biller_needs(
    town: Town, desk: Desk, tmp_path: Path
) -> None:
    """`quittance` deposits a table, tells the line that is wrong, and reads the feed."""
    endpoints = tmp_path / "endpoints.json"
    table = tmp_path / "factures.csv"
    await asyncio.to_thread(endpoints.write_text, json.dumps(town.endpoints()))
    await asyncio.to_thread(
        table.write_text,
        "N° facture;Date;Échéance;Net à payer;Objet;Code famille;Nom\n"
        "CLI-1;01/11/2026;01/12/2026;41,00;Cantine;FAM-1;Martin\n"
        "CLI-2;01/11/2026;31/02/2026;41,00;Cantine;FAM-2;Durand\n",
    )

    async def quittance(*arguments: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "quittance_client",
            "--endpoints",
            str(endpoints),
            *arguments,
            env=os.environ | {"XDG_STATE_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        return process.returncode, output.decode()

    code, output = await quittance("deposit", str(table), "--regie", "CANTINE")
    again, _ = await quittance("deposit", str(table), "--regie", "CANTINE")
    listed, feed = await quittance("collections", "--from-start", "--format", "json")

    assert (1, 1, 0) == (code, again, listed), output
    assert "Cette date n’existe pas" in output
    assert feed.strip()
